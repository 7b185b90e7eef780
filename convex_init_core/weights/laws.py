"""Distributions with a given mean and variance, and how to draw from them with a framework's own generator.

The theory fixes only the first two moments of the weights. The paper draws them from a log-normal law and expects
other non-negative laws to do as well. A law describes its draw in a few primitives (:class:`Draw`), which a
framework supplies; so each law is written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from convex_init_core import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

A = TypeVar("A")


class Draw(Protocol[A]):
    """What a framework supplies to draw one array of a fixed shape; each call returns fresh, independent draws."""

    def normal(self, mean: float, std: float) -> A:
        """N(mean, std²)."""

    def log_normal(self, log_mean: float, log_std: float) -> A:
        """Exponential of N(log_mean, log_std²)."""

    def log_gamma(self, concentration: float) -> A:
        """Logarithm of a unit-scale gamma variable, concentration ≥ 1."""

    def log_uniform(self) -> A:
        """Logarithm of a uniform variable on (0, 1)."""

    def bernoulli(self, probability: float) -> A:
        """1 with this probability, else 0, as floats."""

    def exp(self, value: A) -> A:
        """Element-wise exponential; may overwrite its argument."""

    def add(self, value: A, other: A | float) -> A:
        """Element-wise sum; may overwrite its first argument."""

    def multiply(self, value: A, other: A | float) -> A:
        """Element-wise product; may overwrite its first argument."""

    def absolute(self, value: A) -> A:
        """Element-wise absolute value; may overwrite its argument."""


class NumpyDraw:
    """:class:`Draw` for NumPy: float64 arrays of ``shape`` from ``rng``."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        """Draw arrays of ``shape`` from ``rng``."""
        self.rng, self.shape = rng, shape

    def normal(self, mean: float, std: float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return self.rng.normal(mean, std, self.shape)

    def log_normal(self, log_mean: float, log_std: float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return np.exp(self.normal(log_mean, log_std))

    def log_gamma(self, concentration: float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return np.log(self.rng.standard_gamma(concentration, self.shape))

    def log_uniform(self) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return np.log1p(-self.rng.random(self.shape))

    def bernoulli(self, probability: float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return (self.rng.random(self.shape) < probability).astype(np.float64)

    def exp(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return np.exp(value)

    def add(self, value: NDArray[np.float64], other: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return value + other

    def multiply(self, value: NDArray[np.float64], other: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return value * other

    def absolute(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """See :class:`Draw`."""
        return np.abs(value)


@dataclass(frozen=True)
class Normal:
    """A Gaussian, for layers of free sign and for biases; ``std`` 0 is a constant."""

    mean: float
    std: float

    has_zeros = False

    @property
    def variance(self) -> float:
        """std²."""
        return self.std**2

    def sample(self, draw: Draw[A]) -> A:
        """Draw an array."""
        return draw.normal(self.mean, self.std)


@dataclass(frozen=True)
class LogNormal:
    """``w = exp(ŵ)``, ``ŵ ~ N(μ̂, σ̂²)``: the paper's law. ``log_mean`` is μ̂, ``log_std`` is σ̂."""

    log_mean: float
    log_std: float

    has_zeros = False

    @classmethod
    def from_moments(cls, mean: float, variance: float) -> LogNormal:
        """``μ̂ = ln(μ_w²/√(σ_w² + μ_w²))``, ``σ̂² = ln((σ_w² + μ_w²)/μ_w²)``."""
        m, v = _moments(mean, variance)
        log_variance = math.log1p(v / m**2)
        return cls(math.log(m) - 0.5 * log_variance, math.sqrt(log_variance))

    @property
    def mean(self) -> float:
        """E[w] = exp(μ̂ + σ̂²/2)."""
        return math.exp(self.log_mean + 0.5 * self.log_std**2)

    @property
    def variance(self) -> float:
        """Var[w] = (exp(σ̂²) − 1) E[w]²."""
        return math.expm1(self.log_std**2) * self.mean**2

    def sample(self, draw: Draw[A]) -> A:
        """Draw an array of weights."""
        return draw.log_normal(self.log_mean, self.log_std)

    def sample_log(self, draw: Draw[A]) -> A:
        """Draw an array of logarithms of weights."""
        return draw.normal(self.log_mean, self.log_std)


@dataclass(frozen=True)
class Gamma:
    """Gamma law with density ∝ w^(concentration−1) exp(−w/scale)."""

    concentration: float
    scale: float

    has_zeros = False

    @classmethod
    def from_moments(cls, mean: float, variance: float) -> Gamma:
        """Concentration μ²/σ², scale σ²/μ."""
        m, v = _moments(mean, variance)
        return cls(m**2 / v, v / m)

    @property
    def mean(self) -> float:
        """Concentration × scale."""
        return self.concentration * self.scale

    @property
    def variance(self) -> float:
        """Concentration × scale²."""
        return self.concentration * self.scale**2

    def sample(self, draw: Draw[A]) -> A:
        """Draw an array of weights."""
        return draw.exp(self.sample_log(draw))

    def sample_log(self, draw: Draw[A]) -> A:
        """Draw an array of logarithms of weights, which do not underflow however small the concentration."""
        # Marsaglia and Tsang: Gamma(a) is Gamma(a + 1) times U^(1/a).
        tail = draw.multiply(draw.log_uniform(), 1.0 / self.concentration)
        return draw.add(draw.add(draw.log_gamma(self.concentration + 1.0), tail), math.log(self.scale))


@dataclass(frozen=True)
class SpikeAndSlab:
    """0 with probability 1 − ``probability``, else |N(0, scale²)|."""

    probability: float
    scale: float

    has_zeros = True

    @classmethod
    def from_moments(cls, mean: float, variance: float) -> SpikeAndSlab:
        """Probability (π/2) μ²/(σ²+μ²), scale (σ²+μ²)/(μ√(π/2)).

        Raises:
            ValueError: if the variance is so small beside the mean that the probability exceeds 1.
        """
        m, v = _moments(mean, variance)
        probability = 0.5 * math.pi * m**2 / (v + m**2)
        if probability > 1.0:
            raise ValueError(
                f"distribution 'spike_and_slab' cannot have mean {m:g} and variance {v:g} (it needs variance >= "
                f"{(0.5 * math.pi - 1.0) * m**2:g}); use 'log_normal', 'gamma' or 'two_point'"
            )
        return cls(probability, (v + m**2) / (m * math.sqrt(0.5 * math.pi)))

    @property
    def mean(self) -> float:
        """Probability × scale × √(2/π)."""
        return self.probability * self.scale * math.sqrt(2.0 / math.pi)

    @property
    def variance(self) -> float:
        """Probability × scale² − mean²."""
        return self.probability * self.scale**2 - self.mean**2

    def sample(self, draw: Draw[A]) -> A:
        """Draw an array of weights."""
        return draw.multiply(draw.absolute(draw.normal(0.0, self.scale)), draw.bernoulli(self.probability))


@dataclass(frozen=True)
class TwoPoint:
    """``value`` with the given probability, else 0."""

    probability: float
    value: float

    has_zeros = True

    @classmethod
    def from_moments(cls, mean: float, variance: float) -> TwoPoint:
        """Probability μ²/(σ²+μ²), value (σ²+μ²)/μ."""
        m, v = _moments(mean, variance)
        return cls(m**2 / (v + m**2), (v + m**2) / m)

    @property
    def mean(self) -> float:
        """Probability × value."""
        return self.probability * self.value

    @property
    def variance(self) -> float:
        """Probability × value² − mean²."""
        return self.probability * self.value**2 - self.mean**2

    def sample(self, draw: Draw[A]) -> A:
        """Draw an array of weights."""
        return draw.multiply(draw.bernoulli(self.probability), self.value)


NonNegativeLaw = LogNormal | Gamma | SpikeAndSlab | TwoPoint
Law = Normal | NonNegativeLaw

DISTRIBUTIONS: dict[str, Callable[[float, float], NonNegativeLaw]] = {
    "log_normal": LogNormal.from_moments,
    "gamma": Gamma.from_moments,
    "spike_and_slab": SpikeAndSlab.from_moments,
    "two_point": TwoPoint.from_moments,
}
"""Non-negative laws by name, each made from a mean and a variance."""


def non_negative_law(distribution: str, mean: float, variance: float) -> NonNegativeLaw:
    """Return the law of this name with this mean and variance, both above 0.

    Raises:
        ValueError: if the name is unknown or the law cannot have these moments.

    Example:
        >>> from convex_init_core import non_negative_law
        >>> non_negative_law("two_point", mean=0.5, variance=0.25)
        TwoPoint(probability=0.5, value=1.0)
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution {distribution!r} is unknown; known are {', '.join(DISTRIBUTIONS)}")
    return DISTRIBUTIONS[distribution](mean, variance)


def _moments(mean: float, variance: float) -> tuple[float, float]:
    return checks.positive("mean", mean), checks.positive("variance", variance)
