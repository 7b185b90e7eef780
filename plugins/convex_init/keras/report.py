"""``signal_report``: the core's report on a Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from convex_init.keras.api import asked_of
from convex_init.plotting import SignalReport
from convex_init_core.reporting.build import report
from convex_init_core.reporting.report import LayerSignal
from convex_init_core.request import Options, check_names

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerSignal", "SignalReport", "signal_report"]


def signal_report(
    model: keras.Model, example_inputs: Any, loss: Callable[[Any], Any] | None = None, **options: Unpack[Options]
) -> SignalReport:
    """Run ``model`` on ``example_inputs`` and measure every layer's pre-activations and gradients.

    The model is run with ``training=False`` and left as it was. The prediction uses the moments of the weights that are
    there, so it can be asked of any initialisation. Along a chain of layers it starts from the statistics of the input;
    in other models each prediction starts from the signal measured before it. For convolutions, positions count as
    further samples.

    Args:
        model: any model that :func:`convex_init.keras.plan` can read with these example inputs.
        example_inputs: what the model takes, see :func:`convex_init.keras.apply_`; at least two samples.
        loss: maps what the model returns to a scalar with ``keras.ops``; by default the mean of its first
            floating-point output over the samples, summed over units.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free``, ``fed_by`` as for ``apply_``.

    Raises:
        ValueError: if the model cannot be read, or they are fewer than two samples.
        TypeError: if the model is no model of Keras.

    Example:
        >>> import keras, convex_init
        >>> model = convex_init.keras.ICNN(4, [16], 1, seed=0)
        >>> report = convex_init.keras.signal_report(model, keras.random.normal((64, 4), seed=0))
        >>> [layer.path for layer in report.layers]
        ['free', 'positive_1']
    """
    check_names(options, signal_report)
    if example_inputs is None:
        raise ValueError("example_inputs are needed: a report measures the signal on them")
    framework, asked = asked_of(model, example_inputs, options)
    return report(framework, asked, loss, SignalReport)
