"""Pre-processing of images: smaller ones by averages, and whitening (none, PCA or ZCA) by principal components."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.data.images import Images, flat_images
from experiments.experiment import Context

KINDS = ("none", "PCA", "ZCA")
# Added to each component's variance, where a channel has variance 1: pixels that never change stay near 0.
_EPSILON = 1e-4
_CHANNELS = {"mnist": 1, "cifar10": 3, "cifar100": 3}

Matrix = NDArray[np.float32]


def whitened_images(
    dataset: str, kind: str, context: Context, limit: int | None, test_limit: int | None, side: int | None = None
) -> Images:
    """Return a data set as :func:`flat_images` does, whitened with the moments of its training images.

    Args:
        dataset: ``"mnist"``, ``"cifar10"`` or ``"cifar100"``.
        kind: ``"none"``, ``"PCA"`` (components of variance 1) or ``"ZCA"`` (those, turned back to pixels).
        context: for data and cache.
        limit: the first so many training images.
        test_limit: the first so many test images.
        side: pixels in a row of the images, each the mean of a square; as they are by default. From few images the
            moments of many pixels cannot be had.
    """
    images = flat_images(dataset, context, limit, test_limit)
    if side is not None:
        images = _pooled(_Key(images), _CHANNELS[dataset], side)
    if kind == "none":
        return images
    kept = context.cache / f"pca_{dataset}_{side or 'full'}_{limit or 'all'}.npz"
    return _whitened(_Key(images), kind, kept)


class _Key:
    """Images by identity, for the cache: those of one data set follow each other."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.images is self.images

    def __hash__(self) -> int:
        return id(self.images)


@lru_cache(maxsize=1)
def _pooled(key: _Key, channels: int, side: int) -> Images:
    """Means of squares, so scaled that each channel of the training images has variance 1 again."""
    images = key.images

    def pooled(flat: Matrix) -> Matrix:
        width = round((flat.shape[1] / channels) ** 0.5)
        of_square = width // side
        parts = flat.reshape(len(flat), channels, side, of_square, side, of_square)
        found: Matrix = parts.mean(axis=(3, 5))
        return found

    train, test = pooled(images.train), pooled(images.test)
    deviation = train.std(axis=(0, 2, 3), keepdims=True)
    train, test = ((part / deviation).reshape(len(part), -1).astype(np.float32) for part in (train, test))
    return Images(train, images.train_labels, test, images.test_labels)


@lru_cache(maxsize=2)
def _whitened(key: _Key, kind: str, kept: Path) -> Images:
    images = key.images
    mean, components, variances = _components(images.train, kept)
    rotation = components.T / np.sqrt(variances + _EPSILON)
    if kind == "ZCA":
        rotation = rotation @ components
    train, test = ((part - mean) @ rotation for part in (images.train, images.test))
    return Images(train, images.train_labels, test, images.test_labels)


def _components(inputs: Matrix, kept: Path) -> tuple[Matrix, Matrix, Matrix]:
    """Mean, components ``[component, feature]`` and their variances; from the cache if they are there."""
    if not kept.is_file():
        from sklearn.decomposition import PCA

        found = PCA(svd_solver="covariance_eigh").fit(inputs)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, mean=found.mean_, components=found.components_, variances=found.explained_variance_)
    with np.load(kept) as content:
        mean, components, variances = (content[name].astype(np.float32) for name in ("mean", "components", "variances"))
    return mean, components, variances
