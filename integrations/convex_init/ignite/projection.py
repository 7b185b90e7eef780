"""Clamp after each iteration, before anything else looks at the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ignite.engine import Engine, Events
from ignite.engine.events import RemovableEventHandle
from torch import Tensor, nn

from convex_init.ignite.events import Event, attached, move_to_front
from convex_init.torch import project_, projected_parameters


class NonNegProjection:
    """Set negative weights to 0 at an event, by default after every iteration.

    It runs before every other handler of that event, whether attached before or after: an ``EMAHandler`` averages, and
    a ``Checkpoint`` saves, what was projected. Choose an event that follows each optimizer step; if gradients are
    accumulated over 4 iterations, ``Events.ITERATION_COMPLETED(every=4)``. With several ranks each projects its own
    weights, or its own shards of them, and nothing is sent.

    It has no state, so a checkpoint holds nothing of it. To resume a run:

    1. Build the model as before (its layers are marked by their class, by ``apply_`` or by ``mark_projected``), then
       optimizer and trainer.
    2. Attach this handler, and all others.
    3. Load: ``Checkpoint.load_objects({"model": model, "optimizer": optimizer, "trainer": trainer}, checkpoint)``, with
       the ``EMAHandler``'s ``ema_model`` and the ``GradScaler`` if there are any.
    4. ``trainer.run(loader, max_epochs=...)`` goes on behind the saved iteration.

    The resumed run is the uninterrupted one, bit for bit, with ignite's ``DeterministicEngine``, a seed set before step
    4, and a loader whose order depends on the epoch alone, such as one over a ``DistributedSampler`` (of one replica,
    if there is but one) with ``set_epoch`` at ``Events.EPOCH_STARTED``. With ``shuffle=True`` and no workers, ignite
    0.5 resumes an epoch in another order than it began.

    Args:
        model_or_params: a model whose projected weights are marked, wrapped in ``DistributedDataParallel`` or sharded
            as it may be; or the tensors themselves.

    Raises:
        ValueError: if a model has no marked weight, or there are no tensors.
        TypeError: if it is neither.
    """

    def __init__(self, model_or_params: nn.Module | Iterable[Tensor]) -> None:
        """Remember what to project; see the class."""
        if isinstance(model_or_params, Tensor):
            raise TypeError("model_or_params must be a model or a list of tensors, got one tensor; pass [tensor]")
        self.target = model_or_params if isinstance(model_or_params, nn.Module) else list(model_or_params)
        if not isinstance(self.target, nn.Module):
            if not self.target:
                raise ValueError("model_or_params is empty: there is nothing to project")
            strangers = [type(item).__name__ for item in self.target if not isinstance(item, Tensor)]
            if strangers:
                raise TypeError(f"model_or_params must be a model or tensors, got {strangers[0]} among them")

    def attach(self, engine: Engine, event: Event = Events.ITERATION_COMPLETED) -> RemovableEventHandle:
        """Project now, and at every ``event`` of ``engine``.

        Args:
            engine: the trainer.
            event: an event, one with a filter (``every=``, ``once=``, ...), or several joined by ``|``.

        Returns:
            A handle; ``handle.remove()`` ends the projection.

        Raises:
            ValueError: if ``engine`` already projects one of these weights.
        """
        mine = {id(tensor) for tensor in self._tensors()}
        for other in attached(engine):
            if isinstance(other, NonNegProjection) and not mine.isdisjoint(map(id, other._tensors())):
                raise ValueError(
                    "NonNegProjection is already attached to this engine and model; remove its handle first, or join "
                    "events by | if it shall run at more than one"
                )
        self()
        handle = engine.add_event_handler(event, self)
        move_to_front(engine, event)
        return handle

    def __call__(self, *_: Any) -> None:
        """Project once; called by the engine."""
        project_(self.target)  # looked up each time: wrapping, sharding and loading may replace parameters

    def _tensors(self) -> list[Tensor]:
        return list(projected_parameters(self.target).values()) if isinstance(self.target, nn.Module) else self.target
