"""CIFAR batches that were packed without loss: ``NAME.med.xz`` and ``NAME.json.xz``.

A pixel is predicted from its left, upper and upper-left neighbours (the median edge detector of JPEG-LS). Of the
residuals, red is stored as its difference from green and blue as its difference from red, all in zigzag order and
compressed with LZMA. That makes a third of the size; a batch of 10,000 images takes some seconds, so it is kept in the
cache.
"""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_there(folder: Path, name: str) -> bool:
    """Whether the batch ``name`` is packed in ``folder``."""
    return (folder / f"{name}.med.xz").is_file() and (folder / f"{name}.json.xz").is_file()


def read(folder: Path, name: str, cache: Path | None) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return a batch: its images, uint8 ``[images, 3072]``, and its other fields by name."""
    index = json.loads(lzma.decompress((folder / f"{name}.json.xz").read_bytes()))
    kept = None if cache is None else cache / f"{folder.name}_{name}.npy"
    if kept is not None and kept.is_file():
        return np.load(kept), index["fields"]
    zigzag = np.frombuffer(lzma.decompress((folder / f"{name}.med.xz").read_bytes()), np.uint8)
    residuals = (zigzag >> 1).astype(np.uint8) ^ (0 - (zigzag & 1)).astype(np.uint8)
    green, red, blue = residuals.reshape(3, index["n"], 32, 32)
    red += green  # modulo 256, as uint8 has it
    blue += red
    images = np.stack([_restored(red), _restored(green), _restored(blue)], axis=1)
    images = images.reshape(index["n"], 3072)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}.npy")  # another process may look for it, or write it, meanwhile
        np.save(unfinished, images)
        unfinished.replace(kept)
    return images, index["fields"]


def _restored(residuals: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add the prediction of each pixel from those before it; pixels first, so that one step takes all images."""
    left_to_do = np.ascontiguousarray(residuals.transpose(1, 2, 0)).astype(np.int16)
    pixels = np.zeros_like(left_to_do)
    for row in range(32):
        for column in range(32):
            if row and column:
                left, above, corner = pixels[row, column - 1], pixels[row - 1, column], pixels[row - 1, column - 1]
                low, high = np.minimum(left, above), np.maximum(left, above)
                predicted = np.clip(left + above - corner, low, high)
            else:
                predicted = pixels[row - 1, column] if row else pixels[row, column - 1] if column else pixels[0, 0]
            pixels[row, column] = (left_to_do[row, column] + predicted) & 255
    return pixels.transpose(2, 0, 1).astype(np.uint8)
