"""Notice at once when a weight that must be non-negative is not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch
from ignite.engine import Engine, Events
from ignite.engine.events import RemovableEventHandle
from torch import Tensor, nn

from convex_init.ignite.events import Event, check_engine
from convex_init.torch import Positive
from convex_init.torch.write.marks import marked_places
from convex_init.torch.write.sharding import local
from convex_init_core.constraints.kept import NON_NEGATIVE, Interval, shown_interval


class ConvexityGuard:
    """Raise or warn when an effective weight that must be non-negative is negative, NaN or infinite.

    Checked are the marked weights of a model (those that :class:`NonNegProjection` keeps, each against its interval)
    and those behind a positivity map of ours. Attach it after the projection, if at all at the same event; the
    projection then runs first. One check reads every weight once and, on an accelerator, waits for it.

    Args:
        model: the model.
        action: ``"raise"`` for a ``RuntimeError``, which ends the run, or ``"warn"`` for a ``RuntimeWarning``.

    Raises:
        ValueError: if ``action`` is neither, or the model has no such weight.

    Example:
        >>> from ignite.engine import Engine
        >>> from convex_init.ignite import ConvexityGuard
        >>> from convex_init.torch import ICNN
        >>> model = ICNN(4, [8], 1)
        >>> trainer = Engine(lambda engine, batch: None)
        >>> handle = ConvexityGuard(model).attach(trainer)
        >>> state = trainer.run([0])
    """

    def __init__(self, model: nn.Module, action: str = "raise") -> None:
        """Remember the model; see the class."""
        if action not in ("raise", "warn"):
            raise ValueError(f"action must be 'raise' or 'warn', got {action!r}")
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        self.model, self.action = model, action
        if not list(self._weights()):
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
        weights = [found for found in self._weights() if found[1].numel()]
        # Comparisons with NaN are false, so this sees it too; one tensor, so that an accelerator is waited for once.
        extremes = [torch.stack(torch.aminmax(weight.float())).cpu() for _, weight, _ in weights]
        found = []
        for (path, _, (least, most)), pair in zip(weights, extremes, strict=True):
            low, high = pair.tolist()
            if not (low >= least and high <= most and math.isfinite(high)):
                asked = "" if (least, most) == NON_NEGATIVE else f", must be in {shown_interval(least, most)}"
                found.append(f"{path} (between {low:g} and {high:g}{asked})")
        if not found:
            return
        message = (
            f"iteration {engine.state.iteration}: weights that must stay in an interval do not, or are not finite: "
            f"{', '.join(found)}; one that has left it means that no projection ran after the last step, NaN that "
            "training diverged"
        )
        if self.action == "raise":
            raise RuntimeError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _weights(self) -> Iterator[tuple[str, Tensor, Interval]]:
        with torch.no_grad():
            for path, parameter, interval in marked_places(self.model).values():
                if parameter is not None:
                    yield path, local(parameter), interval
            for path, module in self.model.named_modules():
                for name, chain in getattr(module, "parametrizations", {}).items():
                    if any(isinstance(part, Positive) for part in chain):
                        whole = f"{path}.{name}" if path else name
                        yield whole, local(getattr(module, name)), NON_NEGATIVE
