"""The demo's images: scikit-learn's 8×8 digits, or MNIST from its original files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_init.demo.failure import DemoError, needed

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_UNSIGNED_BYTE = 0x08


@dataclass(frozen=True, eq=False)
class Images:
    """Flattened grey images with mean 0 and variance 1 over the training set, and their classes.

    Attributes:
        name: ``"digits"`` or ``"mnist"``.
        train: inputs, float32 ``[images, pixels]``.
        train_labels: classes from 0, int64 ``[images]``.
        test: as ``train``.
        test_labels: as ``train_labels``.
    """

    name: str
    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.train_labels.max()) + 1


def load(dataset: str, folder: Path | None, limit: int | None) -> Images:
    """Return the images of ``dataset``.

    Args:
        dataset: ``"digits"`` or ``"mnist"``.
        folder: where the MNIST files lie.
        limit: at most so many training images, and as many test images.

    Raises:
        DemoError: if a file is missing or damaged, or scikit-learn is.
    """
    parts = _digits() if dataset == "digits" else _mnist(folder)
    train, train_labels, test, test_labels = (part[:limit] for part in parts)
    # One channel, so one mean and one deviation for all pixels (the paper's channel-wise normalisation).
    mean, std = float(train.mean(dtype=np.float64)), float(train.std(dtype=np.float64))
    if std == 0.0:
        raise DemoError("all training images are alike; raise --limit or look at the files")

    def standardise(images: NDArray[Any]) -> NDArray[np.float32]:
        return ((images.reshape(len(images), -1) - mean) / std).astype(np.float32)

    return Images(
        dataset, standardise(train), train_labels.astype(np.int64), standardise(test), test_labels.astype(np.int64)
    )


def _digits() -> tuple[NDArray[Any], ...]:
    datasets, selection = needed("sklearn.datasets"), needed("sklearn.model_selection")
    images, labels = datasets.load_digits(return_X_y=True)
    # The same split in every run: seeds differ in the initial weights and the order of the batches only.
    train, test, train_labels, test_labels = selection.train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )
    return train, train_labels, test, test_labels


def _mnist(folder: Path | None) -> tuple[NDArray[Any], ...]:
    if folder is None:
        raise DemoError("--dataset mnist needs --data DIR, the folder with the four idx .gz files")
    if not folder.is_dir():
        raise DemoError(f"--data {folder} is not a folder")
    if missing := [name for name in MNIST_FILES if not (folder / name).is_file()]:
        raise DemoError(f"--data {folder} has no {', '.join(missing)}")
    arrays = tuple(read_idx(folder / name) for name in MNIST_FILES)
    for i in (0, 2):
        images, labels = arrays[i].shape, arrays[i + 1].shape
        if len(images) != 3 or labels != images[:1] or not math.prod(images):
            raise DemoError(f"{folder / MNIST_FILES[i]} has shape {images}, its labels {labels}: these are no images")
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DemoError(f"{folder}: training images of {arrays[0].shape[1:]} pixels, test images of other sizes")
    return arrays


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped idx file of unsigned bytes.

    The format, big-endian: two zero bytes, the code of the type, the number of dimensions (a byte each), the dimensions
    (four bytes each), the values with the last dimension fastest.

    Raises:
        DemoError: if the file is no such file, or its length is not what its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DemoError(f"{path} cannot be read as a gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DemoError(f"{path} is not an idx file of unsigned bytes (it begins with 0x{content[:4].hex()})")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DemoError(f"{path} ends within its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise DemoError(f"{path} has {len(content) - start} values where its header says {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
