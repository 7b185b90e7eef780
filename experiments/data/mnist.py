"""MNIST from its four idx files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convex_init.demo.data import read_idx
from convex_init.demo.failure import DemoError
from experiments.failure import ExperimentError

_STEMS = {"train": "train", "test": "t10k"}


def read_mnist(
    folder: Path, part: str, limit: int | None = None, cache: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``[images, 1, 28, 28]`` and classes.

    Args:
        folder: with ``train-images-idx3-ubyte.gz`` and the other three.
        part: ``"train"`` or ``"test"``.
        limit: the first so many.
        cache: not used; these files are read quickly.

    Raises:
        ExperimentError: if a file is missing or damaged.
    """
    paths = [folder / f"{_STEMS[part]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise ExperimentError(
            f"{folder} has no {', '.join(missing)}: MNIST's four original .gz files (LeCun, Cortes & Burges; mirrored "
            "by torchvision's and Keras' loaders) belong there"
        )
    try:
        images, labels = (read_idx(path) for path in paths)
    except DemoError as error:
        raise ExperimentError(str(error)) from error
    return images[:limit, None], labels[:limit].astype(np.int64)
