"""Maps from a raw parameter to a non-negative effective weight, as data: value, inverse and derivative.

The maps are written over an array namespace ``xp`` that offers ``exp, expm1, log, log1p, sqrt, abs, where`` and
``zeros_like``; NumPy by default, and frameworks pass their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from convex_init_core import checks


@dataclass(frozen=True)
class Positivity:
    """An effective weight ``w = scale · map(slope · raw + offset)``.

    Attributes:
        scale: a positive factor around the map, such as 1/fan_in.
        slope: a positive factor inside the map.
        offset: what is added inside the map, such as −4 in ``exp(raw − 4)``.
        name: of the map.
        reparametrises: ``False`` for the projection, whose raw parameter *is* the weight and is clamped from
            outside after each optimiser step.
        takes_zero: whether a weight of exactly 0 has a raw image at which training can leave it.
    """

    scale: float = 1.0
    slope: float = field(default=1.0, kw_only=True)
    offset: float = field(default=0.0, kw_only=True)
    name: ClassVar[str]
    reparametrises: ClassVar[bool] = True
    takes_zero: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        checks.positive("scale", self.scale)
        checks.positive("slope", self.slope)
        checks.real("offset", self.offset)
        if not self.reparametrises and (self.slope != 1.0 or self.offset != 0.0):
            raise ValueError(f"positivity {self.name} takes the raw parameter as it is, without slope and offset")

    def __str__(self) -> str:
        """Return the name, with what is around and inside it if there is anything."""
        around = "" if self.scale == 1.0 else f"{self.scale:g}·"
        slope = "" if self.slope == 1.0 else f"{self.slope:g}·"
        offset = "" if self.offset == 0.0 else f"{self.offset:+g}"
        return f"{around}{self._shown()}" + (f"[{slope}raw{offset}]" if slope or offset else "")

    def _shown(self) -> str:
        return self.name

    def scaled(self, scale: float) -> Positivity:
        """Return the same map with ``scale`` multiplied in."""
        return replace(self, scale=self.scale * checks.positive("scale", scale))

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest weight that the map gives."""
        return 0.0, math.inf

    def value(self, raw: Any, xp: Any = np) -> Any:
        """Return the effective weight."""
        return self._times_scale(self._value(self._inside(raw), xp))

    def inverse(self, weight: Any, xp: Any = np) -> Any:
        """Return the raw parameter of a weight ≥ 0 (> 0 where the map reaches 0 only in the limit)."""
        return self._outside(self._inverse(weight if self.scale == 1.0 else weight / self.scale, xp))

    def inverse_log(self, log_weight: Any, xp: Any = np) -> Any:
        """Return the raw parameter of ``exp(log_weight)``, exact where the weight itself would underflow."""
        log_map = log_weight if self.scale == 1.0 else log_weight - math.log(self.scale)
        return self._outside(self._inverse_log(log_map, xp))

    def derivative(self, raw: Any, xp: Any = np) -> Any:
        """Return d weight / d raw."""
        value = self._times_scale(self._derivative(self._inside(raw), xp))
        return value if self.slope == 1.0 else self.slope * value

    def _inside(self, raw: Any) -> Any:
        moved = raw if self.slope == 1.0 else self.slope * raw
        return moved if self.offset == 0.0 else moved + self.offset

    def _outside(self, image: Any) -> Any:
        moved = image if self.offset == 0.0 else image - self.offset
        return moved if self.slope == 1.0 else moved / self.slope

    def _times_scale(self, value: Any) -> Any:
        return value if self.scale == 1.0 else self.scale * value  # spares a pass over the weights

    def _value(self, raw: Any, xp: Any) -> Any:
        raise NotImplementedError

    def _inverse(self, weight: Any, xp: Any) -> Any:
        raise NotImplementedError

    def _inverse_log(self, log_weight: Any, xp: Any) -> Any:
        return self._inverse(xp.exp(log_weight), xp)

    def _derivative(self, raw: Any, xp: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Projection(Positivity):
    """``w = raw``, clamped to ≥ 0 after each optimiser step: the paper's ICNN."""

    name: ClassVar[str] = "projection"
    reparametrises: ClassVar[bool] = False
    takes_zero: ClassVar[bool] = True

    def _value(self, raw: Any, xp: Any) -> Any:
        return raw

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return weight

    def _derivative(self, raw: Any, xp: Any) -> Any:
        return xp.zeros_like(raw) + 1.0


@dataclass(frozen=True)
class Relu(Positivity):
    """``w = max(raw, 0)``; a weight that reaches 0 has no gradient any more."""

    name: ClassVar[str] = "relu"

    def _value(self, raw: Any, xp: Any) -> Any:
        return xp.where(raw < 0.0, xp.zeros_like(raw), raw)  # written so that NaN stays visible

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return weight

    def _derivative(self, raw: Any, xp: Any) -> Any:
        return xp.where(raw > 0.0, xp.zeros_like(raw) + 1.0, xp.zeros_like(raw))


@dataclass(frozen=True)
class Exp(Positivity):
    """``w = exp(raw)``: the paper's exp-ICNN."""

    name: ClassVar[str] = "exp"

    def _value(self, raw: Any, xp: Any) -> Any:
        return xp.exp(raw)

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return xp.log(weight)

    def _inverse_log(self, log_weight: Any, xp: Any) -> Any:
        return log_weight

    def _derivative(self, raw: Any, xp: Any) -> Any:
        return xp.exp(raw)


@dataclass(frozen=True)
class Softplus(Positivity):
    """``w = log(1 + exp(β raw))/β``."""

    beta: float = 1.0
    name: ClassVar[str] = "softplus"

    def __post_init__(self) -> None:
        """Check scale and beta."""
        super().__post_init__()
        checks.positive("beta", self.beta)

    def _shown(self) -> str:
        return self.name if self.beta == 1.0 else f"{self.name}(beta={self.beta:g})"

    def _value(self, raw: Any, xp: Any) -> Any:
        x = self.beta * raw
        # max(x, 0) + log1p(exp(−|x|)) neither overflows nor loses the tail.
        return (0.5 * (x + xp.abs(x)) + xp.log1p(xp.exp(-xp.abs(x)))) / self.beta

    def _inverse(self, weight: Any, xp: Any) -> Any:
        y = self.beta * weight
        return (y + xp.log(-xp.expm1(-y))) / self.beta

    def _inverse_log(self, log_weight: Any, xp: Any) -> Any:
        # ln(e^y − 1) = ln y + y/2 + …: below e^-40 the logarithm alone is exact, and e^l may underflow there.
        log_y = log_weight + math.log(self.beta)
        tiny = log_y < -40.0
        y = xp.exp(xp.where(tiny, xp.zeros_like(log_y) - 40.0, log_y))
        return xp.where(tiny, log_y, y + xp.log(-xp.expm1(-y))) / self.beta

    def _derivative(self, raw: Any, xp: Any) -> Any:
        x = self.beta * raw
        tail = xp.exp(-xp.abs(x))
        return xp.where(x < 0.0, tail, xp.zeros_like(x) + 1.0) / (1.0 + tail)


@dataclass(frozen=True)
class Square(Positivity):
    """``w = raw²``; the image of a weight is its positive root."""

    name: ClassVar[str] = "square"

    def _value(self, raw: Any, xp: Any) -> Any:
        return raw * raw

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return xp.sqrt(weight)

    def _inverse_log(self, log_weight: Any, xp: Any) -> Any:
        return xp.exp(0.5 * log_weight)

    def _derivative(self, raw: Any, xp: Any) -> Any:
        return 2.0 * raw


@dataclass(frozen=True)
class Abs(Positivity):
    """``w = |raw|``; the image of a weight is the weight itself."""

    name: ClassVar[str] = "abs"

    def _value(self, raw: Any, xp: Any) -> Any:
        return xp.abs(raw)

    def _inverse(self, weight: Any, xp: Any) -> Any:
        return weight

    def _derivative(self, raw: Any, xp: Any) -> Any:
        one = xp.zeros_like(raw) + 1.0
        return xp.where(raw > 0.0, one, xp.where(raw < 0.0, -one, xp.zeros_like(raw)))


POSITIVITIES: dict[str, type[Positivity]] = {cls.name: cls for cls in (Projection, Relu, Exp, Softplus, Square, Abs)}
"""The maps by name."""


def as_positivity(spec: str | Positivity) -> Positivity:
    """Turn a name such as ``"softplus"``, or a :class:`Positivity`, into a :class:`Positivity`.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if ``spec`` is neither.

    Example:
        >>> import numpy as np
        >>> from convex_init_core import as_positivity
        >>> square = as_positivity("square")
        >>> square.value(np.array([-2.0, 0.5]), np).tolist()
        [4.0, 0.25]
        >>> square.inverse(np.array([4.0, 0.25]), np).tolist()
        [2.0, 0.5]
    """
    if isinstance(spec, Positivity):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f"positivity must be a name or a Positivity, got {spec!r}")
    if spec not in POSITIVITIES:
        raise ValueError(f"positivity {spec!r} is unknown; known are {', '.join(POSITIVITIES)}")
    return POSITIVITIES[spec]()
