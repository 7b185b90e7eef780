"""The signal report: what was measured at every layer, beside what the theory says, as a table or a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init_core.tables import html_table, in_blocks, signal_rows
from convex_init_core.theory.statistics import SignalStatistics


@dataclass(frozen=True, eq=False)
class LayerSignal:
    """Statistics of the pre-activations of one layer on a batch.

    Attributes:
        path: of the layer; of all positive layers (or all layers) of a sum.
        mean: over batch, units and positions.
        variance: likewise, about the common mean.
        correlation: of two different units: the variance that they share, over the variance.
        active: fraction of pre-activations above 0.
        gradient: root mean square over the units of the loss's gradient, for one sample; NaN where there is none.
        predicted: mean, variance and correlation by (5)–(7) and (16)–(19), from the moments of the weights that are
            there. The equations are for weights drawn one by one: NaN from an isometric layer on, and behind a signal
            so large or so far from the bends that it has no moments to speak of.
        predicted_gradient: by (24)–(27), from the gradient measured at the output; NaN in front of such a layer, and
            for a model that is no chain.
        sample: up to 10,000 pre-activations, for a histogram.
        correlations: matrix of the correlations over the batch of up to 100 features φ(s) (or s, at the output and
            where several values are summed).
    """

    path: str
    mean: float
    variance: float
    correlation: float
    active: float
    gradient: float
    predicted: SignalStatistics
    predicted_gradient: float
    sample: NDArray[np.float64] = field(repr=False)
    correlations: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, eq=False)
class SignalReport:
    """The :class:`LayerSignal` of every layer, in the order of the signal; prints as a table."""

    layers: tuple[LayerSignal, ...]

    def __str__(self) -> str:
        """Return the table: measured values, each beside its prediction, a dash where there is none.

        Columns that do not fit into the terminal go on below.
        """
        return in_blocks(signal_rows(self.layers))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the table at a prompt of IPython, and in notebooks that are read as text."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """Return the same table for a notebook."""
        return html_table(signal_rows(self.layers))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the samples and matrices as plain numbers, by layer."""
        left_out = ("sample", "correlations")
        rows = [{key: value for key, value in vars(layer).items() if key not in left_out} for layer in self.layers]
        return {"layers": [{**row, "predicted": asdict(row["predicted"])} for row in rows]}
