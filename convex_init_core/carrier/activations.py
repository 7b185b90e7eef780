"""What takes the place of an activation beside a carrier: ``h = r + φ(s − r)``.

``∂h/∂s = φ'(s − r)`` and ``∂h/∂r = 1 − φ'(s − r)``. So h is convex in (s, r), jointly, if φ is convex, and it does not
fall in either if ``0 ≤ φ' ≤ 1``: for ReLU, leaky ReLU with a slope of at most 1, ELU with α ≤ 1, CELU and softplus. A
steeper φ would fall in the carrier, which is convex, and that is the end of the proof. φ(0) may be anything: ELU's and
ReLU's 0 leaves r where it is, softplus adds ``ln 2/β`` to what all units have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convex_init_core.theory.activation import Activation

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form = Literal["maximum", "log_add_exp", "shifted"]


@dataclass(frozen=True)
class BesideCarrier:
    """``r + φ(s − r)``, in a form that the calculus of convexity knows and that rounds well.

    Attributes:
        form: ``"maximum"``, ``max(s, αs + (1−α) r)``; ``"log_add_exp"``, ``log(exp(βs) + exp(βr))/β``; or
            ``"shifted"``, as it stands.
        number: α or β; 0 where there is none.
        activation: φ.
    """

    form: Form
    number: float
    activation: Activation

    def __call__(self, s: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate it on float64 arrays."""
        if self.form == "maximum":
            low: NDArray[np.float64] = r if self.number == 0.0 else self.number * s + (1.0 - self.number) * r
            return np.maximum(s, low)
        if self.form == "log_add_exp":
            return np.asarray(np.logaddexp(self.number * s, self.number * r) / self.number, np.float64)
        return r + self.activation(s - r)


def beside_carrier(activation: Activation) -> BesideCarrier:
    """Return what takes the place of an activation.

    Args:
        activation: φ, convex and non-decreasing, as every :class:`Activation` is that may be used at all.

    Raises:
        ValueError: if its slope exceeds 1 somewhere.
    """
    slope = activation.negative_slope
    if slope is not None:
        return BesideCarrier("maximum", slope, activation)
    if activation.name == "softplus":
        parameters: dict[str, Any] = dict(activation.parameters)
        return BesideCarrier("log_add_exp", float(parameters["beta"]), activation)
    grid = np.linspace(-30.0, 30.0, 6001)
    steepest = float(np.max(np.diff(activation(grid)) / np.diff(grid)))
    if steepest > 1.0 + _ROUNDING:
        raise ValueError(
            f"activation {activation} has a slope of {steepest:.3g} and more: beside a carrier r, r + φ(s − r) would "
            "fall in r; use relu, leaky_relu, elu, celu or softplus"
        )
    return BesideCarrier("shifted", 0.0, activation)


_ROUNDING = 1e-6
