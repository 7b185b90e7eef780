"""Train one network from one seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convex_init.demo.data import Images
from convex_init.demo.functions import Points
from convex_init.demo.networks import Variant
from convex_init.demo.settings import DemoSettings
from convex_init.torch import project_after_step

_AT_ONCE = 4096  # examples in one forward pass of an evaluation


@dataclass(frozen=True)
class Run:
    """What came of one network and seed.

    Attributes:
        losses: on all training examples, before training and after every epoch.
        score: on the test examples: the share of images that it gets right, or the squared error of a fit in units of
            the target's variance.
        seconds: spent in the training steps, evaluation left out.
        drawn: the trained network on the grid of a fit; empty for images.
    """

    losses: list[float]
    score: float
    seconds: float
    drawn: list[float]


@dataclass(frozen=True, eq=False)
class Problem:
    """Examples as tensors on the device, and what the loss is.

    Attributes:
        train: inputs.
        train_targets: classes, or values.
        test: as ``train``.
        test_targets: as ``train_targets``.
        outputs: of a network for it.
        grid: of a fit.
    """

    train: Tensor
    train_targets: Tensor
    test: Tensor
    test_targets: Tensor
    outputs: int = 1
    grid: Tensor | None = None

    @classmethod
    def of_images(cls, images: Images, device: str) -> Problem:
        """Move images to ``device``."""
        arrays = (images.train, images.train_labels, images.test, images.test_labels)
        train, train_labels, test, test_labels = (torch.from_numpy(array).to(device) for array in arrays)
        return cls(train, train_labels, test, test_labels, images.classes)

    @classmethod
    def of_points(cls, points: Points, device: str) -> Problem:
        """Move points of a function to ``device``."""
        arrays = (points.train, points.train_values, points.test, points.test_values, points.grid)
        train, train_values, test, test_values, grid = (torch.from_numpy(array).to(device) for array in arrays)
        return cls(train, train_values, test, test_values, 1, grid)

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Cross-entropy for classes, squared error for values."""
        if self.grid is None:
            return nn.functional.cross_entropy(outputs, targets, reduction=reduction)
        return nn.functional.mse_loss(outputs, targets.to(outputs.dtype), reduction=reduction)


def train(
    variant: Variant,
    problem: Problem,
    depth: int,
    settings: DemoSettings,
    seed: int,
    after_epoch: Callable[[], object] = lambda: None,
    note: Callable[[str], None] = lambda said: None,
) -> Run:
    """Train a fresh network with Adam and return what came of it.

    One seed gives every network the same batches in the same order.

    Args:
        variant: the network.
        problem: what it is trained on.
        depth: number of hidden layers.
        settings: of the task.
        seed: of the weights and of the order of the examples.
        after_epoch: called after every epoch.
        note: called with what the plan says.
    """
    weights = torch.Generator().manual_seed(seed)
    network = variant.build(problem.train, problem.outputs, depth, settings, weights, note)
    fused = problem.train.device.type in ("cpu", "cuda")  # one pass over memory, where torch has it
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate(variant.label, depth), fused=fused)
    if variant.is_convex:
        project_after_step(optimizer, network)
    order = torch.Generator().manual_seed(seed)
    losses = [_loss(network, problem, problem.train, problem.train_targets)]
    seconds = 0.0
    for _ in range(settings.epochs):
        start = time.perf_counter()
        indices = torch.randperm(len(problem.train), generator=order).to(problem.train.device)
        for batch in torch.split(indices, settings.batch_size):
            optimizer.zero_grad()
            loss = problem.loss(network(problem.train[batch]), problem.train_targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss.item()  # waits for the device
        seconds += time.perf_counter() - start
        losses.append(_loss(network, problem, problem.train, problem.train_targets))
        after_epoch()
    return Run(losses, _score(network, problem), seconds, _drawn(network, problem))


@torch.no_grad()
def _loss(network: nn.Module, problem: Problem, inputs: Tensor, targets: Tensor) -> float:
    """Mean loss; summed in float64, since a bad start gives huge values."""
    total = 0.0
    for part, wanted in zip(torch.split(inputs, _AT_ONCE), torch.split(targets, _AT_ONCE), strict=True):
        total += float(problem.loss(network(part).double(), wanted, reduction="sum"))
    return total / len(inputs)


@torch.no_grad()
def _score(network: nn.Module, problem: Problem) -> float:
    if problem.grid is not None:
        return _loss(network, problem, problem.test, problem.test_targets)
    right = 0
    for images, labels in zip(
        torch.split(problem.test, _AT_ONCE), torch.split(problem.test_targets, _AT_ONCE), strict=True
    ):
        right += int((network(images).argmax(1) == labels).sum())
    return right / len(problem.test)


@torch.no_grad()
def _drawn(network: nn.Module, problem: Problem) -> list[float]:
    return [] if problem.grid is None else [float(value) for value in network(problem.grid)[:, 0]]
