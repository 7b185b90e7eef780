"""``signal_report``: the core's report on a torch model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from convex_init.plotting import SignalReport
from convex_init.torch.api import adapted, framework_of
from convex_init_core.reporting.build import report
from convex_init_core.reporting.report import LayerSignal
from convex_init_core.request import Options, check_names, request

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerSignal", "SignalReport", "signal_report"]


def signal_report(
    model: nn.Module, example_inputs: Any, loss: Callable[[Any], Tensor] | None = None, **options: Unpack[Options]
) -> SignalReport:
    """Run a copy of ``model`` on ``example_inputs`` and measure every layer's pre-activations and gradients.

    The prediction uses the moments of the weights that are there, so it can be asked of any initialisation. Along a
    chain of layers it starts from the statistics of the input; in other models each prediction starts from the signal
    measured before it. For convolutions, positions count as further samples.

    Args:
        model: any model that :func:`convex_init.torch.plan` can read with these example inputs.
        example_inputs: one input, a tuple of positional inputs, or a dict of keyword inputs; at least two samples.
        loss: maps what the model returns to a scalar; by default the mean of its first floating-point output over the
            samples, summed over units.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free``, ``fed_by`` as for ``apply_``.

    Raises:
        ValueError: if the model cannot be read, or gets fewer than two samples.
        TypeError: if the model is no module.

    Example:
        >>> import torch, convex_init
        >>> model = convex_init.torch.ICNN(4, [16, 16], 1)
        >>> report = convex_init.torch.signal_report(model, torch.randn(64, 4))
        >>> [layer.path for layer in report.layers]
        ['layers.0', 'layers.1', 'layers.2']
    """
    check_names(options, signal_report)
    if example_inputs is None:
        raise ValueError("example_inputs are needed: a report measures the signal on them")
    asked = request(**adapted(model, options))
    return report(framework_of(model, example_inputs, asked.entry, with_numbers=True), asked, loss, SignalReport)
