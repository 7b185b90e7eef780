"""Notice at once when a weight that must be non-negative is not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from ignite.engine import Engine, Events
from ignite.engine.events import RemovableEventHandle
from torch import Tensor, nn

from convex_init.ignite.events import Event, check_engine
from convex_init.torch import Positive, projected_parameters
from convex_init.torch.write.sharding import local


class ConvexityGuard:
    """Raise or warn when an effective weight that must be non-negative is negative, NaN or infinite.

    Checked are the marked weights of a model (those that :class:`NonNegProjection` keeps) and those behind a positivity
    map of ours. Attach it after the projection, if at all at the same event; the projection then runs first. One check
    reads every weight once and, on an accelerator, waits for it.

    Args:
        model: the model.
        action: ``"raise"`` for a ``RuntimeError``, which ends the run, or ``"warn"`` for a ``RuntimeWarning``.

    Raises:
        ValueError: if ``action`` is neither, or the model has no such weight.
    """

    def __init__(self, model: nn.Module, action: str = "raise") -> None:
        """Remember the model; see the class."""
        if action not in ("raise", "warn"):
            raise ValueError(f"action must be 'raise' or 'warn', got {action!r}")
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        self.model, self.action = model, action
        if not dict(self._weights()):
            raise ValueError(
                f"{type(model).__name__} has no weight that must be non-negative: call apply_(model) or "
                "mark_projected(layer) first"
            )

    def attach(self, engine: Engine, event: Event = Events.ITERATION_COMPLETED) -> RemovableEventHandle:
        """Check at every ``event`` of ``engine``; returns a handle with ``remove()``."""
        check_engine(engine)
        return engine.add_event_handler(event, self)

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        """Check once; called by the engine."""
        weights = {path: weight for path, weight in self._weights() if weight.numel()}
        # Comparisons with NaN are false, so this sees it too; one tensor, so that an accelerator is waited for once.
        extremes = [torch.stack(torch.aminmax(weight.float())).cpu() for weight in weights.values()]
        found = []
        for path, (low, high) in zip(weights, (pair.tolist() for pair in extremes), strict=True):
            if not (low >= 0.0 and high < float("inf")):
                found.append(f"{path} (between {low:g} and {high:g})")
        if not found:
            return
        message = (
            f"iteration {engine.state.iteration}: weights that must be non-negative are not, or not finite: "
            f"{', '.join(found)}; a negative weight means that no projection ran after the last step, NaN that "
            "training diverged"
        )
        if self.action == "raise":
            raise RuntimeError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        with torch.no_grad():
            for path, parameter in projected_parameters(self.model).items():
                yield path, local(parameter)
            for path, module in self.model.named_modules():
                for name, chain in getattr(module, "parametrizations", {}).items():
                    if any(isinstance(part, Positive) for part in chain):
                        yield f"{path}.{name}" if path else name, local(getattr(module, name))
