"""Train many networks of one shape at once: their weights stacked, each step one batched product for all.

A small network leaves most of an accelerator idle; ten of them, with their own weights, samples and order, take little
longer than one. Each does what :func:`experiments.training.fit` would do with it alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from convex_init.torch import projected_parameters
from experiments.training import AT_ONCE, Batches, Course, Loss, Schedule, adam, loop


class Stack:
    """Networks of one architecture as one.

    Args:
        networks: without buffers that training changes and without random layers, on one device.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        """Stack copies of their parameters; see the class."""
        self.size = len(networks)
        self.parameters, self.buffers = stack_module_state(list(networks))
        skeleton = copy.deepcopy(networks[0]).to("meta")

        def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            outputs: Tensor = functional_call(skeleton, (parameters, buffers), (x,))
            return outputs

        self._each: Callable[..., Tensor] = vmap(call)
        self._all: Callable[..., Tensor] = vmap(call, in_dims=(0, 0, None))
        self.projected = [self.parameters[name] for name in projected_parameters(networks[0])]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs ``[networks, batch, ...]`` for inputs ``[networks, batch, ...]``."""
        return self._each(self.parameters, self.buffers, x)

    @torch.no_grad()
    def outputs_of(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``[networks, samples, ...]`` for the same inputs ``[samples, ...]`` for all."""
        parts = [self._all(self.parameters, self.buffers, part) for part in torch.split(inputs, AT_ONCE)]
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def outputs_of_parts(self, inputs: Tensor, parts: Tensor) -> Tensor:
        """Return the outputs ``[networks, n, ...]`` for samples of each network's own, ``parts [networks, n]``."""
        return torch.cat([self(inputs[part]) for part in torch.split(parts, AT_ONCE // self.size + 1, dim=1)], dim=1)

    def accuracies(self, inputs: Tensor, labels: Tensor) -> list[float]:
        """Return the share of samples whose class is the largest output, for each network."""
        return shares_right(self.outputs_of(inputs), labels)


def fit_stacked(
    stack: Stack,
    inputs: Tensor,
    targets: Tensor,
    samples: Sequence[Tensor],
    schedule: Schedule,
    seeds: Sequence[int],
    *,
    loss: Loss = nn.functional.cross_entropy,
    after_epoch: Callable[[int], None] | None = None,
    tensorboard: Path | None = None,
) -> list[list[float | None]]:
    """Train the networks in place and return the course of each loss, as :func:`experiments.training.fit` does.

    Args:
        stack: the networks, on the device of the inputs.
        inputs: ``[samples, ...]``, shared.
        targets: ``[samples, ...]``.
        samples: for each network, the indices of those it is trained with, equally many.
        schedule: epochs, steps and rates.
        seeds: of the order of the samples, one for each network.
        loss: of outputs and targets of one network's batch; its mean over the batch.
        after_epoch: called with the number of the epoch that ended, from 1.
        tensorboard: folder of the logs of the mean over the networks.

    Raises:
        ValueError: if the numbers of samples differ.
    """
    if len({len(part) for part in samples}) != 1 or not len(samples) == len(seeds) == stack.size:
        raise ValueError("samples must hold equally many indices for each network, and seeds one number")
    optimizer = adam(stack.parameters.values(), schedule, inputs.device)
    losses_of = vmap(loss)
    shares = torch.stack(list(samples))

    def step(_: Engine, batch: Tensor) -> Tensor:
        optimizer.zero_grad()
        values: Tensor = losses_of(stack(inputs[batch]), targets[batch])
        values.sum().backward()  # type: ignore[no-untyped-call]  # no network has a part in another's loss
        optimizer.step()
        return values.detach()

    course = Course(shares.shape[1], schedule)
    loop(step, _Orders(shares, schedule.batch_size, seeds), course, schedule, stack.projected, after_epoch, tensorboard)
    return [course.losses(network) for network in range(stack.size)]


def shares_right(outputs: Tensor, labels: Tensor) -> list[float]:
    """Return, for each network of outputs ``[networks, samples, classes]``, the share whose class is the largest."""
    found: list[float] = (outputs.argmax(-1) == labels).double().mean(1).tolist()
    return found


class _Orders:
    """Batches of all networks side by side, ``[networks, batch]``, each in the order of its own seed."""

    def __init__(self, shares: Tensor, batch_size: int, seeds: Sequence[int]) -> None:
        self.shares = shares
        self.orders = [Batches(shares.shape[1], batch_size, seed, shares.device) for seed in seeds]

    def __len__(self) -> int:
        return len(self.orders[0])

    def __iter__(self) -> Iterator[Tensor]:
        for parts in zip(*self.orders, strict=True):
            yield torch.gather(self.shares, 1, torch.stack(parts))
