"""Follow the signal of a network through training."""

from __future__ import annotations

import math
from typing import Any

from ignite.engine import Engine, Events
from ignite.engine.events import RemovableEventHandle
from ignite.handlers.base_logger import BaseLogger
from torch import nn

from convex_init.ignite.events import Event, check_engine
from convex_init.torch import signal_report

_NOW_AND_THEN = Events.ITERATION_COMPLETED(every=100)


class SignalMonitor:
    """Log the columns of :func:`convex_init.torch.signal_report` for every layer through an ignite logger.

    The names are ``signal/<layer>/<column>``: the mean, variance, correlation, active fraction and gradient of the
    layer's pre-activations on a fixed batch, and ``..._theory`` for what the theory predicts from the weights that are
    there. Training is not touched: no gradient, buffer, mode or random number changes. A measurement costs about one
    forward and backward of the batch. Of several ranks, attach it where the logger is; for a model that is sharded,
    whose forward needs all ranks, attach it (with any logger) on all.

    Args:
        model: any model that ``convex_init.torch.plan`` can read, or ``DistributedDataParallel`` around one.
        example_inputs: one input or a tuple of them, at least two samples, on the model's device.
        tag: first part of the names.
        **options: those of ``signal_report``: ``loss``, ``positive``, ``fed_by`` and so on.

    Example:
        >>> import torch
        >>> from ignite.handlers import TensorboardLogger
        >>> from convex_init.ignite import SignalMonitor
        >>> from convex_init.torch import ICNN
        >>> model = ICNN(4, [8], 1)
        >>> monitor = SignalMonitor(model, torch.randn(32, 4), tag="energy")
        >>> handle = monitor.attach(trainer, TensorboardLogger("runs"))  # doctest: +SKIP
    """

    def __init__(self, model: nn.Module, example_inputs: Any, tag: str = "signal", **options: Any) -> None:
        """Remember model and inputs; see the class."""
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        if not isinstance(tag, str):
            raise TypeError(f"tag must be a string, got {tag!r}")
        self.model = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        self.example_inputs, self.tag, self.options = example_inputs, tag, options

    def attach(self, engine: Engine, logger: BaseLogger, event: Event = _NOW_AND_THEN) -> RemovableEventHandle:
        """Measure and log at every ``event`` of ``engine``, against the count of iterations.

        Args:
            engine: the trainer.
            logger: such as ``TensorboardLogger``; any with ignite's ``attach_output_handler``.
            event: when; every 100 iterations by default.

        Returns:
            A handle; ``handle.remove()`` ends the logging.

        Raises:
            ValueError: if the model cannot be read, or the batch has fewer than two samples.
        """
        check_engine(engine)
        if not hasattr(logger, "attach_output_handler"):
            raise TypeError(f"logger must be one of ignite's, such as a TensorboardLogger, got {type(logger).__name__}")
        self.columns()  # refuse now what cannot be measured, and not after hours of training
        return logger.attach_output_handler(
            engine,
            event_name=event,
            tag=self.tag,
            output_transform=lambda _: self.columns(),
            global_step_transform=lambda engine, _: engine.state.iteration,
        )

    def columns(self) -> dict[str, dict[str, float]]:
        """Measure now: for each layer's path the columns by name, without those that theory has no number for."""
        report = signal_report(self.model, self.example_inputs, **self.options)
        columns = {}
        for layer in report.layers:
            theory = {
                "mean_theory": layer.predicted.mean,
                "variance_theory": layer.predicted.variance,
                "correlation_theory": layer.predicted.correlation,
                "gradient_theory": layer.predicted_gradient,
            }
            columns[layer.path or "(model)"] = {
                "mean": layer.mean,
                "variance": layer.variance,
                "correlation": layer.correlation,
                "active": layer.active,
                "gradient": layer.gradient,
                **{name: value for name, value in theory.items() if not math.isnan(value)},
            }
        return columns
