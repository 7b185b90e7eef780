"""``signal_report``: the core's report on a function of JAX."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from convex_init.jax.api import framework_of
from convex_init.plotting import SignalReport
from convex_init_core.reporting.build import report
from convex_init_core.reporting.report import LayerSignal
from convex_init_core.request import Options, request

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerSignal", "SignalReport", "signal_report"]


def signal_report(
    fn: Callable[..., Any],
    params: Any,
    batch: Any,
    loss: Callable[[Any], Any] | None = None,
    *,
    buffers: Collection[str] = (),
    **options: Unpack[Options],
) -> SignalReport:
    """Compute ``fn(params, *batch)`` and measure every layer's pre-activations and gradients.

    The prediction uses the moments of the weights that are there, so it can be asked of any initialisation.

    Args:
        fn: any function that :func:`convex_init.jax.plan` can read with ``batch`` as its example inputs.
        params: a tree of arrays.
        batch: one array, a tuple of positional inputs, or a dict of keyword inputs; at least two samples.
        loss: maps what ``fn`` returns to a scalar; by default the mean of its first floating-point output over the
            batch, summed over units.
        buffers: names of arrays in ``params`` that are not learnt.
        **options: ``convex_inputs``, ``positive``, ``free``, ``fed_by`` as for ``apply``.

    Raises:
        ValueError: if the function cannot be read, or gets fewer than two samples, or shapes instead of arrays.
        TypeError: if ``fn`` is no function.
    """
    framework = framework_of(fn, params, batch, buffers)
    if not framework.has_inputs:
        raise ValueError("params and batch must hold arrays: a report measures the signal on them")
    return report(framework, request(**options), loss, SignalReport)
