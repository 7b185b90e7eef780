"""MNIST on the device, from the folder that the user named."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.gpu.parts import Place, SkippedError
from convex_init.demo.data import load
from convex_init.demo.failure import DemoError


@dataclass(frozen=True, eq=False)
class Images:
    """Flat images with mean 0 and variance 1, and their classes."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def mnist(place: Place) -> Images:
    """Return MNIST; the first images of it in a rehearsal.

    Raises:
        SkippedError: if there is no data folder, or its files are missing or damaged.
    """
    if place.data is None:
        raise SkippedError("no data: name a folder that holds mnist/ by --data or CONVEX_INIT_DATA")
    try:
        found = load("mnist", place.data / "mnist", place.sizes.images)
    except DemoError as error:
        raise SkippedError(str(error)) from error
    arrays = (found.train, found.train_labels, found.test, found.test_labels)
    return Images(*(torch.from_numpy(array).to(place.device) for array in arrays))
