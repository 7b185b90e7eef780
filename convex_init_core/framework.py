"""The port: what the core asks of a framework. A plug-in implements it once, for its array library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from convex_init_core.constraints.kept import Kept
    from convex_init_core.graph.nodes import Constant, Graph, Node
    from convex_init_core.methods.isometric import Isometric
    from convex_init_core.theory.moments import FeatureMoments
    from convex_init_core.weights.exact_moments import Matched
    from convex_init_core.weights.laws import Law
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
        is_frozen: whether it is not trained, which is the obstacle: a bias of the output may stay what it is.
        has_numbers: ``False`` on a meta device: it is planned and not written.
        may_take_bias: whether a bias could be registered in its layer, which has none.
        caveat: anything to note about its layer.
        kept_by: what in the model keeps it non-negative outside of the forward, such as ``"clamp_weights()"``.
        trains: whether training changes it; one that is frozen keeps its numbers.
        tied_to: name of another parameter that is the same array; empty if none.
        bias: of a weight: name of the parameter that is the bias of its layer (or module), or would be if one were
            registered; empty if there can be none.
        carrier: c where a carrier runs beside its layer, so that the weight may go down to −c; else 0.
        keeper: what keeps it non-negative once it is marked.
    """

    name: str
    layer: str
    role: str = ""
    shape: tuple[int, ...] = ()
    positivity: Positivity | None = None
    obstacle: str = ""
    is_frozen: bool = False
    has_numbers: bool = True
    may_take_bias: bool = False
    caveat: str = ""
    kept_by: str = ""
    trains: bool = True
    tied_to: str = ""
    bias: str = ""
    carrier: float = 0.0
    keeper: str = "project_ or project_after_step"


@dataclass(frozen=True)
class Fill:
    """One parameter to be drawn.

    Attributes:
        name: of the parameter.
        law: of its effective values.
        positivity: the map from raw to effective; ``None`` for a parameter of free sign.
    """

    name: str
    law: Law | Matched | Isometric
    positivity: Positivity | None = None


@dataclass(frozen=True, eq=False)
class Observed:
    """The value of a node in a run, and the gradient of a loss with respect to it; ``None`` if it has none."""

    value: NDArray[np.float64]
    gradient: NDArray[np.float64] | None


Visit = Callable[["Node", "NDArray[np.float64]"], "NDArray[np.float64] | None"]
"""What :meth:`Framework.run` calls with the value of a node; what it returns is put in its place."""


class Framework(Protocol):
    """What the core asks of the framework of one model; an object is made for one model and one request."""

    def trace(self, *, moved: bool = False) -> Graph:
        """Return what a copy of the model does on the example inputs; ``moved``: on inputs with other numbers."""

    def entries(self) -> Iterator[tuple[str, str]]:
        """Yield other entry points of the model that take its example inputs, with what each is called in messages.

        Methods first, then modules inside, the largest first; few enough that each can be tried.
        """

    def with_entry(self, entry: str) -> Framework:
        """Return the port for the same model and another entry point.

        Raises:
            ValueError: if it cannot be called on the example inputs.
        """

    def parameters(self) -> Sequence[str]:
        """Return the names of all parameters of the model, those that no run uses included."""

    def parameter(self, name: str) -> Parameter:
        """Return what is known of a parameter, by the name that the graph gives it."""

    def geometry(self, name: str, fan_in: float) -> Geometry:
        """Return the axes of a weight, for laws that are not drawn element by element."""

    def moments(self, constant: Constant) -> tuple[float, float] | None:
        """Return mean and mean square of the numbers of a constant; ``None`` if it has none that can be read."""

    def numbers(self, constant: Constant) -> NDArray[np.float64] | None:
        """Return the numbers of a small constant; ``None`` if they are gone, or too many."""

    def measured(self, node: Node) -> FeatureMoments | None:
        """Return moments on the user's example inputs of a value that depends on no parameter, or is fixed.

        :func:`convex_init_core.signal.signal_moments.measured` has them from the numbers. ``None`` if there are none.
        """

    def bounds_along(self, constant: Constant, axis: int, start: int, stop: int) -> tuple[float, float] | None:
        """Return smallest and largest number of a part of a constant."""

    @property
    def has_inputs(self) -> bool:
        """Whether the example inputs are the user's; made-up ones show the structure, and nothing is measured on them.

        They must be finite then, and not empty.
        """

    def run(self, nodes: Sequence[Node], visit: Visit) -> None:
        """Run the model itself on the example inputs, in evaluation mode, and show the values of some nodes on the way.

        As soon as the value of one of the nodes is there, ``visit(node, value)`` is called; if it returns an array of
        the same shape, whatever runs afterwards gets this in the place of the value. Nodes are found again by their
        place. The run may end behind the last of them. It leaves the model's mode, buffers and Python state as they
        were.

        What ``scale``, ``shift`` and ``set_statistics`` write during the run is seen by what runs afterwards.

        Raises:
            ValueError: if the run differs from the trace, so that a node is not found.
        """

    def observe(self, nodes: Sequence[Node], loss: Callable[[Any], Any] | None) -> dict[Node, Observed]:
        """Run a copy of the model as it is and return the values of some nodes, with the gradients of a loss.

        Args:
            nodes: of a trace.
            loss: from what the model returns to a scalar of the framework; by default the mean of its first
                floating-point output over the batch, summed over units.
        """

    def mean(self, name: str) -> float:
        """Return the mean of a parameter's present numbers."""

    def spread(self, name: str) -> tuple[float, float]:
        """Return mean and variance of a parameter's present numbers."""

    def scale(self, name: str, factor: float | NDArray[np.float64], positivity: Positivity | None) -> None:
        """Multiply the effective values of a parameter by a positive number, or numbers that are broadcast to it.

        Raw numbers whose effective value is 0 stay as they are.
        """

    def shift(self, name: str, amount: float | NDArray[np.float64]) -> None:
        """Add a number to every element of a parameter, or numbers of its shape."""

    def set_statistics(self, name: str, values: NDArray[np.float64]) -> None:
        """Write the running mean or variance of a normalisation, a buffer, by channel."""

    def add_bias(self, name: str) -> None:
        """Register a bias of zeros, by the name that ``Parameter.bias`` of its weight gives it."""

    def write(self, fills: Sequence[Fill], seed: Any) -> None:
        """Draw parameters in the order given, from one seed (or generator) of the framework.

        Raises:
            RuntimeError: if effective values come back negative or not finite.
        """

    def clip(self, name: str, low: float, high: float) -> None:
        """Set the numbers of a parameter that lie outside of an interval to its ends; NaN stays NaN."""

    def mark(self, kept: Sequence[Kept]) -> None:
        """Declare the intervals of parameters, so that the framework's projection keeps them; done last."""

    def snapshot(self) -> Any:
        """Return what :meth:`restore` needs to undo all that is written from now on."""

    def restore(self, snapshot: Any) -> None:
        """Make parameters and buffers what they were at the snapshot, and take biases away that were added."""
