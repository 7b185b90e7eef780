"""What a user chooses once for a whole network."""

from __future__ import annotations

from dataclasses import dataclass

from convex_init_core import checks
from convex_init_core.weights.laws import DISTRIBUTIONS

METHODS = ("auto", "bounded_gain", "log_normal", "isometric")
"""How positive weights may be initialised: as suits the model that is read; by independent draws, whose mean is held
back so that the signal of a whole model stays within bounds at its depth, or has the paper's moments everywhere; or as
an isometry."""

KINKS = ("auto", "origin", "spread")
"""Where the first layer's units may bend; see :mod:`convex_init_core.methods.bends.kinks`."""


@dataclass(frozen=True)
class InitSettings:
    """What a user chooses once for a whole network; checked when made.

    Attributes:
        correlation: ρ* in (0, 1), the target correlation of two pre-activations of a layer.
        variance: σ*² > 0, the target variance of a pre-activation.
        bias_noise: β in [0, 1), the share of the unshared variance (1−ρ*)σ*² that random biases carry (C.3).
        distribution: the law of the positive weights: ``"log_normal"`` (the paper's), ``"gamma"``,
            ``"spike_and_slab"`` or ``"two_point"``.
        skip_share: in [0, 1), the share of what bias noise leaves that goes to a free skip, where a layer has one.
        method: ``"log_normal"``, the paper's: independent weights of the law ``distribution`` that keep the signal at
            the fixed point; ``"auto"``, for a whole model: one of the others, by what is read of it
            (:mod:`convex_init_core.methods.choice.auto`); ``"bounded_gain"``, for a whole model: as ``"log_normal"``,
            but for a mean that is held back where the model is deep
            (:func:`convex_init_core.methods.sum_budget.gain_limit`); or ``"isometric"``: permutations, which keep the
            signal at any depth (:mod:`convex_init_core.methods.isometric`). Correlation, bias noise, distribution and
            moment matching belong to all but the last.
        match_moments: give every *draw* exactly the mean and variance of the law
            (:mod:`convex_init_core.weights.exact_moments`).
        threshold: τ in [0, 5], for ``"isometric"`` behind ReLUs: the bends of the layers of a chain are spread from 0
            to τ, in standard deviations σ* of the signal; with 0 all are at 0, and the chain is linear behind its first
            hidden layer (:mod:`convex_init_core.methods.bends.bend_spread`; not the paper's).
        kinks: for a whole model, where the units of its free first layers bend: ``"origin"``, all at one point, which
            is the paper's bias 0; ``"spread"`` over the inputs (:mod:`convex_init_core.methods.bends.kinks`; not the
            paper's); or ``"auto"``, which is ``"origin"`` but for the method ``"auto"``.

    Raises:
        ValueError: naming the argument that is out of range.
        TypeError: naming the argument that is not a number.

    Example:
        >>> from convex_init_core import InitSettings
        >>> InitSettings(correlation=0.3).variance
        1.0
        >>> InitSettings(distribution="normal")
        Traceback (most recent call last):
            ...
        ValueError: distribution 'normal' is unknown; known are log_normal, gamma, spike_and_slab, two_point
    """

    correlation: float = 0.5
    variance: float = 1.0
    bias_noise: float = 0.0
    distribution: str = "log_normal"
    skip_share: float = 0.5
    method: str = "log_normal"
    match_moments: bool = False
    threshold: float = 0.0
    kinks: str = "auto"

    def __post_init__(self) -> None:
        """Check every field."""
        checks.target_correlation(self.correlation)
        checks.positive("variance", self.variance)
        checks.share("bias_noise", self.bias_noise)
        checks.share("skip_share", self.skip_share)
        checks.threshold(self.threshold)
        checks.truth("match_moments", self.match_moments)
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution {self.distribution!r} is unknown; known are {', '.join(DISTRIBUTIONS)}")
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r} is unknown; known are {', '.join(METHODS)}")
        if self.kinks not in KINKS:
            raise ValueError(f"kinks={self.kinks!r} is unknown; known are {', '.join(map(repr, KINKS))}")
        if self.match_moments and self.distribution == "two_point":
            raise ValueError(
                "match_moments needs a law with more than one positive value: use distribution 'spike_and_slab'"
            )
        if self.threshold > 0.0 and self.method not in ("auto", "isometric"):
            raise ValueError(
                f"threshold={self.threshold!r} has no meaning for method {self.method!r}, whose biases centre every "
                "layer; leave it out, or use method 'isometric'"
            )
        named = self.of_independent_weights
        if named and self.method == "isometric":
            raise ValueError(
                f"{named}={getattr(self, named)!r} has no meaning for method 'isometric', whose weights are not "
                "independent; leave it out, or use method 'bounded_gain' or 'log_normal'"
            )
        if named and self.threshold > 0.0:
            raise ValueError(
                f"threshold={self.threshold!r} is for isometric weights, and {named}={getattr(self, named)!r} for "
                "independent ones; leave one of them out"
            )

    @property
    def of_independent_weights(self) -> str:
        """Name of a setting that only independent weights have, and that is not at its default; empty if none is."""
        return next((name for name, usual in _OF_INDEPENDENT_WEIGHTS.items() if getattr(self, name) != usual), "")

    @property
    def spreads_kinks(self) -> bool:
        """Whether the first layer's units are to bend all over the inputs."""
        return self.kinks == "spread"

    @property
    def needs_geometry(self) -> bool:
        """Whether a recipe has to be told the axes of the weight."""
        return self.method == "isometric"


_OF_INDEPENDENT_WEIGHTS = {
    "correlation": 0.5,
    "bias_noise": 0.0,
    "distribution": "log_normal",
    "match_moments": False,
}
