"""Train one network from one seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convex_init.demo.data import Images
from convex_init.demo.networks import Variant
from convex_init.demo.settings import DemoSettings
from convex_init.torch import project_after_step

_AT_ONCE = 4096  # images in one forward pass of an evaluation


@dataclass(frozen=True)
class Run:
    """What came of one network and seed.

    Attributes:
        losses: cross-entropy on all training images, before training and after every epoch.
        accuracy: share of the test images that the trained network gets right.
        seconds: spent in the training steps, evaluation left out.
    """

    losses: list[float]
    accuracy: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Batches:
    """The images as tensors on the device."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: int

    @classmethod
    def of(cls, images: Images, device: str) -> Batches:
        """Move the images to ``device``."""
        return cls(
            torch.from_numpy(images.train).to(device),
            torch.from_numpy(images.train_labels).to(device),
            torch.from_numpy(images.test).to(device),
            torch.from_numpy(images.test_labels).to(device),
            images.classes,
        )


def train(variant: Variant, data: Batches, settings: DemoSettings, seed: int, after_epoch: Callable[[], None]) -> Run:
    """Train a fresh network with Adam and return what came of it; ``after_epoch`` is called after every epoch.

    One seed gives every network the same batches in the same order.
    """
    network = variant.build(data.train.shape[1], data.classes, settings, torch.Generator().manual_seed(seed))
    fused = data.train.device.type in ("cpu", "cuda")  # one pass over memory, where torch has it
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr, fused=fused)
    if variant.positivity == "projection":
        project_after_step(optimizer, network)
    order = torch.Generator().manual_seed(seed)
    losses = [_loss(network, data)]
    seconds = 0.0
    for _ in range(settings.epochs):
        start = time.perf_counter()
        indices = torch.randperm(len(data.train), generator=order).to(data.train.device)
        for batch in torch.split(indices, settings.batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(data.train[batch]), data.train_labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        loss.item()  # waits for the device
        seconds += time.perf_counter() - start
        losses.append(_loss(network, data))
        after_epoch()
    return Run(losses, _accuracy(network, data), seconds)


@torch.no_grad()
def _loss(network: nn.Module, data: Batches) -> float:
    """Mean cross-entropy on the training images; summed in float64, since a bad start gives huge values."""
    total = 0.0
    for images, labels in _parts(data.train, data.train_labels):
        total += float(nn.functional.cross_entropy(network(images).double(), labels, reduction="sum"))
    return total / len(data.train)


@torch.no_grad()
def _accuracy(network: nn.Module, data: Batches) -> float:
    right = 0
    for images, labels in _parts(data.test, data.test_labels):
        right += int((network(images).argmax(1) == labels).sum())
    return right / len(data.test)


def _parts(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(images, _AT_ONCE), torch.split(labels, _AT_ONCE), strict=True)
