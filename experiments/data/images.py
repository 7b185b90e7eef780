"""MNIST, CIFAR-10 and CIFAR-100 as flat vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.data.cifar import read_cifar
from experiments.data.mnist import read_mnist
from experiments.experiment import Context

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """Inputs float32 ``[images, features]`` and classes int64 ``[images]``."""

    train: NDArray[np.float32]
    train_labels: Labels
    test: NDArray[np.float32]
    test_labels: Labels

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.train_labels.max()) + 1


def flat_images(dataset: str, context: Context, limit: int | None = None, test_limit: int | None = None) -> Images:
    """Return a data set as flat vectors, normalised by the mean and deviation of each channel of the training set.

    Args:
        dataset: ``"mnist"``, ``"cifar10"`` or ``"cifar100"``.
        context: for the data folder and the cache.
        limit: the first so many training images; all by default.
        test_limit: the first so many test images; all by default.

    Raises:
        ExperimentError: if a file is missing or damaged.
    """
    return _normalised(dataset, context.folder(dataset), context.cache, limit, test_limit)


@lru_cache(maxsize=1)  # the runs of one data set follow each other
def _normalised(dataset: str, folder: Path, cache: Path, limit: int | None, test_limit: int | None) -> Images:
    read: dict[str, Callable[..., tuple[Bytes, Labels]]] = {
        "mnist": read_mnist,
        "cifar10": read_cifar,
        "cifar100": read_cifar,
    }
    train, train_labels = read[dataset](folder, "train", limit=limit, cache=cache)
    test, test_labels = read[dataset](folder, "test", limit=test_limit, cache=cache)
    mean, deviation = _moments(train)

    def flat(images: Bytes) -> NDArray[np.float32]:
        values = images.astype(np.float32)
        values -= mean
        values /= deviation
        return values.reshape(len(images), -1)

    return Images(flat(train), train_labels, flat(test), test_labels)


def _moments(images: Bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each channel, ``[channels, 1, 1]``, from the counts of the 256 values: exact."""
    counts = np.stack([np.bincount(images[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])])
    values = np.arange(256.0)
    mean = counts @ values / counts.sum(axis=1)
    deviation = np.sqrt(counts @ values**2 / counts.sum(axis=1) - mean**2)
    return mean.astype(np.float32)[:, None, None], deviation.astype(np.float32)[:, None, None]
