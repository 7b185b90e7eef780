"""Clamp after each iteration, before anything else looks at the weights."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from ignite.engine import Engine, Events
from ignite.engine.events import RemovableEventHandle
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from convex_init.ignite.events import Event, attached, check_engine, move_to_front
from convex_init.torch import project_
from convex_init.torch.training.lbfgs import ProjectInClosure
from convex_init.torch.write.clamps import Clamp, clamps
from convex_init.torch.write.marks import check_none_gone, marked_places


class NonNegProjection:
    """Set negative weights to 0 at an event, by default after every iteration.

    It runs before every other handler of that event, whether attached before or after: an ``EMAHandler`` averages, and
    a ``Checkpoint`` saves, what was projected. Choose an event that follows each optimizer step; if gradients are
    accumulated over 4 iterations, ``Events.ITERATION_COMPLETED(every=4)``. With several ranks each projects its own
    weights, or its own shards of them, and nothing is sent.

    While it is attached, an L-BFGS optimizer that holds one of these weights gets a closure that projects before each
    evaluation, as by ``project_after_step``; projected after its step alone it would run away.

    A layer that was projected when this was attached, and was replaced since by one without a mark, is an error, and so
    is a weight that was put behind ``weight_norm`` or ``spectral_norm``; pruning is followed.

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

    Example:
        >>> import torch
        >>> from ignite.engine import Engine
        >>> from convex_init.ignite import NonNegProjection
        >>> from convex_init.torch import ICNN
        >>> model = ICNN(4, [8], 1)
        >>> trainer = Engine(lambda engine, batch: model.layers[1].weight.data.sub_(1.0))
        >>> handle = NonNegProjection(model).attach(trainer)
        >>> state = trainer.run([0])
        >>> bool((model.layers[1].weight >= 0).all())
        True

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
        if not isinstance(model_or_params, nn.Module | Iterable):
            raise TypeError(f"model_or_params must be a model or tensors, got {type(model_or_params).__name__}")
        self.target = model_or_params if isinstance(model_or_params, nn.Module) else list(model_or_params)
        self._known: tuple[str, ...] = ()
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
            TypeError: if ``engine`` is no engine.
        """
        check_engine(engine)
        mine = {id(tensor) for tensor in self._tensors()}
        for other in attached(engine):
            if isinstance(other, NonNegProjection) and not mine.isdisjoint(map(id, other._tensors())):
                raise ValueError(
                    "NonNegProjection is already attached to this engine and model; remove its handle first, or join "
                    "events by | if it shall run at more than one"
                )
        self()
        if isinstance(self.target, nn.Module):
            self._known = tuple(marked_places(self.target))
        handle = engine.add_event_handler(event, self)
        move_to_front(engine, event)
        self._project_in_closures(engine)
        return handle

    def __call__(self, *_: Any) -> None:
        """Project once; called by the engine."""
        # Looked up each time: wrapping, sharding and loading may replace parameters.
        if isinstance(self.target, nn.Module):
            check_none_gone(self._known, marked_places(self.target), "attach a new NonNegProjection")
        project_(self.target)

    def _project_in_closures(self, engine: Engine) -> None:
        """An engine does not know its optimizers, so the hook is one of all; it is quiet when this is detached."""
        inner = ProjectInClosure(self._clamps)
        within = weakref.ref(engine)

        def hook(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            engine = within() if isinstance(optimizer, LBFGS) and self._shares(optimizer) else None
            if engine is None or not any(handler is self for handler in attached(engine)):
                return None
            return inner(optimizer, args, kwargs)

        weakref.finalize(engine, register_optimizer_step_pre_hook(hook).remove)

    def _shares(self, optimizer: Optimizer) -> bool:
        held = {tensor for group in optimizer.param_groups for tensor in group["params"]}
        return not held.isdisjoint(self.target.parameters() if isinstance(self.target, nn.Module) else self.target)

    def _tensors(self) -> list[Tensor]:
        return [clamp.tensor for clamp in self._clamps()]

    def _clamps(self) -> list[Clamp]:
        return (
            clamps(marked_places(self.target)) if isinstance(self.target, nn.Module) else list(map(Clamp, self.target))
        )
