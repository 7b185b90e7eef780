"""The port: what the core asks of a framework. A plug-in implements it once, for its array library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from convex_init_core.graph.nodes import Constant, Graph
    from convex_init_core.weights.positivity import Positivity
    from convex_init_core.weights.weight_axes import Geometry


@dataclass(frozen=True)
class Parameter:
    """What the core has to know of one parameter of a model before it is written.

    Attributes:
        name: in the model, as the tracer names it in ``parameter`` nodes.
        layer: path of the layer whose weight or bias it is; of the parameter itself where it belongs to no known layer.
        role: ``"weight"`` or ``"bias"`` of a known layer (Linear, convolution, Dense), ``""`` for a bare parameter.
        shape: of the effective weight.
        positivity: the map that the framework puts on it (a parametrization, a mark, a constraint); ``None`` if none.
        obstacle: why it cannot be written, with the remedy; empty if it can.
        has_numbers: ``False`` on a meta device: it is planned and not written.
        may_take_bias: whether a bias could be registered in its layer, which has none.
        caveat: anything to note about its layer.
        kept_by: what in the model keeps it non-negative outside of the forward, such as ``"clamp_weights()"``.
        tied_to: name of another parameter that is the same array; empty if none.
    """

    name: str
    layer: str
    role: str = ""
    shape: tuple[int, ...] = ()
    positivity: Positivity | None = None
    obstacle: str = ""
    has_numbers: bool = True
    may_take_bias: bool = False
    caveat: str = ""
    kept_by: str = ""
    tied_to: str = ""


class Framework(Protocol):
    """What the core asks of the framework of one model; an object is made for one model and one request."""

    def trace(self, *, moved: bool = False) -> Graph:
        """Return what a copy of the model does on the example inputs; ``moved``: on inputs with other numbers."""

    def parameter(self, name: str) -> Parameter:
        """Return what is known of a parameter, by the name that the graph gives it."""

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """Return the axes of a weight, for laws that are not drawn element by element."""

    def moments(self, constant: Constant) -> tuple[float, float] | None:
        """Return mean and mean square of the numbers of a constant; ``None`` if it has none that can be read."""

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """Return the numbers of a small constant; ``None`` if they are gone, or too many."""

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """Return smallest and largest number of a part of a constant."""

    def measure(self, keep: Sequence[Any]) -> Any:
        """Run the model itself and hand out the values at some places; see ``planning.calibrate``."""
