"""CIFAR-10 and CIFAR-100 from the batches of the "python version"."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data import packed
from experiments.failure import ExperimentError

_BATCHES = {
    ("cifar10", "train"): [f"data_batch_{number}" for number in range(1, 6)],
    ("cifar10", "test"): ["test_batch"],
    ("cifar100", "train"): ["train"],
    ("cifar100", "test"): ["test"],
}
# What the pickle of an array names, wherever the installed NumPy has it.
_OF_ARRAYS = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
_IN_BATCH = {"cifar10": 10_000, "cifar100": 50_000}


def read_cifar(
    folder: Path, part: str, limit: int | None = None, cache: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``[images, 3, 32, 32]`` and (fine) classes.

    Args:
        folder: called ``cifar10`` or ``cifar100``; with the batch files, or losslessly packed ones (``packed``).
        part: ``"train"`` or ``"test"``.
        limit: the first so many; no more batches than that takes are read.
        cache: where unpacked batches are kept.

    Raises:
        ExperimentError: if a file is missing or damaged.
    """
    names = _BATCHES[folder.name, part]
    if limit is not None:
        names = names[: -(-limit // _IN_BATCH[folder.name])]
    images, labels = zip(*(_batch(folder, name, cache) for name in names), strict=True)
    return np.concatenate(images)[:limit], np.concatenate(labels)[:limit]


def _batch(folder: Path, name: str, cache: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    path = folder / name
    if path.is_file():
        content = _unpickled(path)
        images = np.asarray(content["data"], np.uint8)
    elif packed.is_there(folder, name):
        images, content = packed.read(folder, name, cache)
    else:
        raise ExperimentError(
            f"{folder} has no {name}: unpack the 'python version' of CIFAR (Krizhevsky, University of Toronto) so that "
            "its batch files lie there"
        )
    labels = content.get("labels", content.get("fine_labels"))
    if labels is None or images.shape != (len(labels), 3072):
        raise ExperimentError(f"{path} is no CIFAR batch: data of shape {images.shape}, keys {sorted(content)}")
    return images.reshape(-1, 3, 32, 32), np.asarray(labels, np.int64)


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError) as error:
        raise ExperimentError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or "data" not in content:
        raise ExperimentError(f"{path} is no CIFAR batch")
    return content


class _ArraysOnly(pickle.Unpickler):
    """A pickle can run anything; a batch needs NumPy's arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in _OF_ARRAYS:
            return _OF_ARRAYS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR batch has no use for")
