"""Images of half the side, in grey, so that a run takes seconds: pixels are means of four, and of the colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from experiments.data.images import flat_images
from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task, divided

NAMES = {"mnist": "MNIST 14 × 14", "cifar10": "grey CIFAR 16 × 16"}


def small_images(dataset: str, rows: int, of_test: int, seed: int, context: Context) -> tuple[Tensor, Tensor]:
    """Return grey images of half the side, ``[rows + of_test, pixels]``, and their classes, the test images last."""
    limits = (None, None) if dataset == "mnist" else (10_000, 2_000)
    images = flat_images(dataset, context, *limits)
    picked = np.random.default_rng(seed).permutation(len(images.train))[:rows]
    x = torch.tensor(np.concatenate([images.train[picked], images.test[:of_test]]))
    classes = np.concatenate([images.train_labels[picked], images.test_labels[:of_test]])
    channels = 1 if dataset == "mnist" else 3
    side = round((x.shape[1] / channels) ** 0.5)
    halved = x.view(-1, channels, side // 2, 2, side // 2, 2).mean((1, 3, 5))
    return halved.flatten(1), torch.tensor(classes)


def images(dataset: str, *, convolutional: bool = False, limit: int = 6000) -> Task:
    """Classes of images, a name of :data:`NAMES`; the test error is the cross-entropy."""

    def draw(seed: int, context: Context) -> Drawn:
        x, classes = small_images(dataset, limit + 1000, 2000, seed, context)
        return divided((x, classes[:, None]), (limit, 1000, 2000))

    if not convolutional:
        return Task(NAMES[dataset], "classification", "classes", draw)
    name = f"{NAMES[dataset]}, convolutions"
    return Task(name, "classification", "classes", draw, form="convolutional", effort=(200, 32))
