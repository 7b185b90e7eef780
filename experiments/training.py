"""The one training loop: ignite, Adam, and the projection that keeps an input-convex network convex."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from convex_init.ignite import NonNegProjection
from convex_init.torch import project_after_step, projected_parameters

Loss = Callable[[Tensor, Tensor], Tensor]
AT_ONCE = 4096  # samples in one forward pass of an evaluation


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: passes over the samples.
        batch_size: samples in a step; the last step of an epoch takes what is left.
        lr: learning rate of Adam.
        l2: its weight decay, added to the gradient.
        points: how many losses are kept of an epoch, each the mean over its share of the steps.
    """

    epochs: int
    batch_size: int
    lr: float
    l2: float = 0.0
    points: int = 1


def fit(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    schedule: Schedule,
    seed: int,
    *,
    loss: Loss = nn.functional.cross_entropy,
    project: bool = True,
    after_epoch: Callable[[int], None] | None = None,
    tensorboard: Path | None = None,
) -> list[float | None]:
    """Train ``network`` in place and return the course of the training loss.

    Args:
        network: on the device of the inputs; marked weights are projected after every step.
        inputs: ``[samples, ...]``.
        targets: ``[samples, ...]``.
        schedule: epochs, steps and rates.
        seed: of the order of the samples: one seed gives every network the same batches.
        loss: of outputs and targets of a batch.
        project: whether the marked weights are projected; without it a convex network does not stay convex.
        after_epoch: called with the number of the epoch that ended, from 1.
        tensorboard: folder of this run's logs.

    Returns:
        ``epochs · points`` means of the batches' losses; ``None`` from where the loss was not finite, when training
        ends.
    """
    optimizer = adam(network.parameters(), schedule, inputs.device)

    def step(_: Engine, batch: Tensor) -> Tensor:
        network.train()
        optimizer.zero_grad()
        value = loss(network(inputs[batch]), targets[batch])
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value.detach()

    course = Course(len(inputs), schedule)
    if project and projected_parameters(network):
        project_after_step(optimizer, network)
    order = Batches(len(inputs), schedule.batch_size, seed, inputs.device)
    loop(step, order, course, schedule, (), after_epoch, tensorboard)
    return course.losses()


def adam(parameters: Iterable[Tensor], schedule: Schedule, device: torch.device) -> torch.optim.Adam:
    """Return the optimizer; in one pass over memory where torch has it."""
    fused = device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, lr=schedule.lr, weight_decay=schedule.l2, fused=fused)


def loop(
    step: Callable[[Engine, Any], Tensor],
    batches: Iterable[Any],
    course: Course,
    schedule: Schedule,
    projected: Sequence[Tensor],
    after_epoch: Callable[[int], None] | None = None,
    tensorboard: Path | None = None,
) -> None:
    """Run ``step`` over the batches of all epochs, with the projection of ``projected`` behind each, as ignite does."""
    trainer = Engine(step)
    if projected:
        NonNegProjection(projected).attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: course.add(engine.state.output))
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=25), course.stop_if_lost)
    if after_epoch is not None:
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: after_epoch(engine.state.epoch))
    logger = None if tensorboard is None else _logger(tensorboard, trainer)
    trainer.run(batches, max_epochs=schedule.epochs)
    if logger is not None:
        logger.close()


class Batches:
    """The indices of each batch, in an order that depends on seed and epoch alone."""

    def __init__(self, samples: int, batch_size: int, seed: int, device: torch.device) -> None:
        """Begin with the first epoch; see the class."""
        self.samples, self.batch_size, self.device = samples, batch_size, device
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Go through one epoch."""
        order = torch.randperm(self.samples, generator=self.generator).to(self.device)
        yield from torch.split(order, self.batch_size)


class Course:
    """The losses of all steps, as means over equal shares of each epoch; kept on the device till the end."""

    def __init__(self, samples: int, schedule: Schedule) -> None:
        """Begin with the first step; see the class."""
        self.steps = -(-samples // schedule.batch_size)
        self.points, self.epochs = min(schedule.points, self.steps), schedule.epochs
        self.values: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Keep the loss of a step: a scalar, or one number for each of several networks."""
        self.values.append(loss)

    def stop_if_lost(self, trainer: Engine) -> None:
        """End the training once no network has a finite loss any more."""
        if not bool(self.values[-1].isfinite().any()):
            trainer.terminate()

    def losses(self, network: int | None = None) -> list[float | None]:
        """Return the means; of one of several networks if the losses are those of several."""
        values = torch.stack(self.values).cpu().double() if self.values else torch.zeros(0)
        if network is not None:
            values = values[:, network]
        found: list[float | None] = []
        for epoch in range(self.epochs):
            for point in range(self.points):
                first = epoch * self.steps + point * self.steps // self.points
                end = epoch * self.steps + (point + 1) * self.steps // self.points
                part = values[first:end]
                ended = len(part) < end - first or (found and found[-1] is None)
                found.append(None if ended or not bool(part.isfinite().all()) else float(part.mean()))
        return found


def _logger(folder: Path, trainer: Engine) -> Any:
    from ignite.handlers.tensorboard_logger import TensorboardLogger

    logger = TensorboardLogger(log_dir=str(folder))
    logger.attach_output_handler(
        trainer,
        Events.ITERATION_COMPLETED(every=10),
        tag="training",
        output_transform=lambda loss: {"loss": loss.mean()},
    )
    return logger


@torch.no_grad()
def outputs_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the outputs of ``network`` in evaluation mode, some thousand samples at a time."""
    was_training = network.training
    network.eval()
    outputs = torch.cat([network(part) for part in torch.split(inputs, AT_ONCE)])
    network.train(was_training)
    return outputs


def accuracy(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the share of samples whose class is the largest output."""
    return float((outputs_of(network, inputs).argmax(-1) == labels).double().mean())
