"""Many networks of one shape trained at once, with a leading axis for the network; each has its own rate.

A small network leaves most of an accelerator idle: twenty of them, stacked, take little longer than one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.gpu.images import Images
from benchmarks.gpu.parts import Place
from convex_init.torch.write.marks import marked_places

BATCH = 64
AT_ONCE = 1000  # images of an evaluation
TIMED = 20  # steps, after which it is known how long the others take


@dataclass(frozen=True)
class Trained:
    """What came of a stack: the course of each network's training loss, its test accuracy, and seconds for a step."""

    losses: list[list[float]]
    accuracies: list[float]
    seconds_per_step: float


class Stack:
    """Networks of one architecture, whose parameters are stacked.

    Args:
        networks: those of one rate side by side; without random layers or buffers that training changes.
        rates: of Adam, one for each network.
    """

    def __init__(self, networks: Sequence[nn.Module], rates: Sequence[float]) -> None:
        """Stack copies of their parameters; see the class."""
        self.size = len(networks)
        self.parameters, self.buffers = stack_module_state(list(networks))
        skeleton = copy.deepcopy(networks[0]).to("meta")

        def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            outputs: Tensor = functional_call(skeleton, (parameters, buffers), (x,))
            return outputs

        self._each: Callable[..., Tensor] = vmap(call)
        self._all: Callable[..., Tensor] = vmap(call, in_dims=(0, 0, None))
        self.intervals = _intervals(networks[0])
        starts = [place for place in range(self.size) if place == 0 or rates[place] != rates[place - 1]]
        self.slices = [slice(a, b) for a, b in zip(starts, [*starts[1:], self.size], strict=True)]
        # The parts share the memory of the stacked parameters, so that one optimizer has a rate for each.
        self.parts = [[each.detach()[part] for each in self.parameters.values()] for part in self.slices]
        groups = [
            {"params": part, "lr": rates[where.start]} for part, where in zip(self.parts, self.slices, strict=True)
        ]
        self.adam = torch.optim.Adam(groups, fused=True)

    def step(self, x: Tensor, labels: Tensor) -> Tensor:
        """Take a step with a batch of its own for each network, and return their losses before it."""
        losses = vmap(nn.functional.cross_entropy)(self._each(self.parameters, self.buffers, x), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]  # no network has a part in another's loss
        for parts, where in zip(self.parts, self.slices, strict=True):
            for part, whole in zip(parts, self.parameters.values(), strict=True):
                part.grad = None if whole.grad is None else whole.grad[where]
        self.adam.step()
        with torch.no_grad():
            for (low, high), names in self.intervals.items():
                kept = [self.parameters[name] for name in names]
                if low > -math.inf:
                    torch._foreach_clamp_min_(kept, low)
                if high < math.inf:
                    torch._foreach_clamp_max_(kept, high)
        for whole in self.parameters.values():
            whole.grad = None
        return losses.detach()

    @torch.no_grad()
    def accuracies(self, inputs: Tensor, labels: Tensor) -> list[float]:
        """Return for each network the share of samples whose class is the largest output."""
        right = torch.zeros(self.size, dtype=torch.int64, device=inputs.device)
        for x, y in zip(torch.split(inputs, AT_ONCE), torch.split(labels, AT_ONCE), strict=True):
            right += (self._all(self.parameters, self.buffers, x).argmax(-1) == y).sum(1)
        return [float(share) for share in right.double() / len(labels)]


def _intervals(network: nn.Module) -> dict[tuple[float, float], list[str]]:
    names = {parameter: name for name, parameter in network.named_parameters()}
    found: dict[tuple[float, float], list[str]] = {}
    for _, parameter, interval in marked_places(network).values():
        if parameter is not None:
            found.setdefault(interval, []).append(names[parameter])
    return found


def train(
    stack: Stack,
    images: Images,
    shares: Sequence[Tensor],
    seeds: Sequence[int],
    epochs: int,
    place: Place,
    points: int = 5,
) -> Trained:
    """Train all networks, each with its share of the images in the order of its seed.

    Args:
        stack: the networks.
        images: on the device.
        shares: for each network, the indices of its training images, equally many.
        seeds: of the order of each.
        epochs: passes over the shares.
        place: whose time is not to be passed.
        points: of the course of the losses in each epoch; no more than it has steps.

    Raises:
        OutOfTimeError: if the first steps tell that the others do not fit into the time.
    """
    kept = torch.stack(list(shares)).to(images.train.device)
    steps = -(-kept.shape[1] // BATCH)
    losses: list[Tensor] = []
    for number, batch in enumerate(_batches(kept, seeds, epochs)):
        if number in (2, 2 + TIMED):
            place.synchronise()
        if number == 2:
            start = time.perf_counter()
        if number == 2 + TIMED:
            each = (time.perf_counter() - start) / TIMED
            place.need(1.05 * each * (epochs * steps - number), f"training of {stack.size} networks")
        losses.append(stack.step(images.train[batch], images.train_labels[batch]))
    place.synchronise()
    seconds = (time.perf_counter() - start) / max(1, len(losses) - 2)
    courses = torch.stack(losses).double().cpu()
    points = min(points, steps)
    ends = [epoch * steps + point * steps // points for epoch in range(epochs) for point in range(points)]
    pairs = list(zip(ends, [*ends[1:], epochs * steps], strict=True))
    means = [[float(courses[a:b, network].mean()) for a, b in pairs] for network in range(stack.size)]
    return Trained(means, stack.accuracies(images.test, images.test_labels), seconds)


def _batches(shares: Tensor, seeds: Sequence[int], epochs: int) -> Iterator[Tensor]:
    """Indices ``[networks, batch]``; the order of a network depends on seed and epoch alone."""
    generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
    for _ in range(epochs):
        orders = {seed: torch.randperm(shares.shape[1], generator=of) for seed, of in generators.items()}
        order = torch.stack([orders[seed] for seed in seeds]).to(shares.device)
        yield from torch.split(torch.gather(shares, 1, order), BATCH, dim=1)
