"""Small files in MNIST's format."""

from __future__ import annotations

import gzip
import struct

import numpy as np

from convex_init.demo.data import MNIST_FILES


def write_idx(path, array):
    header = bytes([0, 0, 0x08, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def write_mnist(folder, train=24, test=12, side=3, classes=3):
    """Images whose class is told by their brightness."""
    generator = np.random.default_rng(0)
    for count, images, labels in ((train, *MNIST_FILES[:2]), (test, *MNIST_FILES[2:])):
        kinds = np.arange(count) % classes
        write_idx(folder / images, 80 * kinds[:, None, None] + generator.integers(0, 20, (count, side, side)))
        write_idx(folder / labels, kinds)
    return folder
