"""The images: idx files, standardisation, and what is wrong with a file or folder."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from convex_init.demo.data import MNIST_FILES, load, read_idx
from convex_init.demo.failure import DemoError
from tests.demo.idx_files import write_idx, write_mnist


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0,)])
def test_an_idx_file_is_read_back(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) + 200
    write_idx(tmp_path / "a.gz", array)
    found = read_idx(tmp_path / "a.gz")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


def test_the_dimensions_of_an_idx_file_are_big_endian(tmp_path):
    content = b"\0\0\x08\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes([1, 2, 3, 4, 5, 255])
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    assert read_idx(tmp_path / "a.gz").tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"not compressed", "gzip"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab")[:-9], "gzip"),
        (gzip.compress(b""), "not an idx file"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\x01abcd"), "not an idx file of unsigned bytes"),
        (gzip.compress(b"\0\0\x08\x03\0\0\0\x02"), "within its header"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03ab"), "2 values where its header says 3"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x01ab"), "2 values where its header says 1"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(tmp_path, content, fault):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DemoError, match=f"images.gz .*{fault}") as caught:
        read_idx(path)
    assert "\n" not in str(caught.value)


def test_mnist_is_flattened_standardised_and_limited(tmp_path):
    images = load("mnist", write_mnist(tmp_path), limit=10)
    assert images.train.shape == (10, 9)
    assert images.test.shape == (10, 9)
    assert images.train.dtype == np.float32
    assert images.train_labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert images.classes == 3
    # One mean and one deviation for all pixels; float32 rounds each of 90 values by at most 2⁻²⁴ of its size (< 2).
    assert images.train.mean(dtype=np.float64) == pytest.approx(0.0, abs=2e-7)
    assert images.train.std(dtype=np.float64) == pytest.approx(1.0, abs=2e-7)
    raw = read_idx(tmp_path / MNIST_FILES[2])[:10].reshape(10, -1).astype(float)
    # The test images go through the same map as the training images: both are affine in the bytes.
    train = read_idx(tmp_path / MNIST_FILES[0])[:10].astype(float)
    np.testing.assert_allclose(images.test, (raw - train.mean()) / train.std(), rtol=1e-6, atol=1e-6)


def test_digits_are_split_the_same_way_every_time():
    pytest.importorskip("sklearn")
    first, second = load("digits", None, None), load("digits", None, None)
    assert first.train.shape[1] == 64
    assert len(first.train) + len(first.test) == 1797
    np.testing.assert_array_equal(first.train, second.train)
    assert np.bincount(first.test_labels).min() >= 30  # stratified: every class about 36 times


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DemoError, match="needs --data"):
        load("mnist", None, None)
    with pytest.raises(DemoError, match=r"nowhere is not a folder"):
        load("mnist", tmp_path / "nowhere", None)
    write_mnist(tmp_path)
    (tmp_path / MNIST_FILES[3]).unlink()
    with pytest.raises(DemoError, match=f"has no {MNIST_FILES[3]}$"):
        load("mnist", tmp_path, None)


def test_files_that_do_not_go_together_are_refused(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / MNIST_FILES[1], np.zeros(7))
    with pytest.raises(DemoError, match=rf"{MNIST_FILES[0]} has shape \(24, 3, 3\), its labels \(7,\)"):
        load("mnist", tmp_path, None)
    write_mnist(tmp_path)
    write_idx(tmp_path / MNIST_FILES[2], np.zeros((12, 4, 4)))
    with pytest.raises(DemoError, match="test images of other sizes"):
        load("mnist", tmp_path, None)


def test_images_without_contrast_are_refused(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / MNIST_FILES[0], np.full((24, 3, 3), 7))
    with pytest.raises(DemoError, match="alike"):
        load("mnist", tmp_path, None)


@pytest.mark.slow
def test_the_original_files(shared_data):
    images = load("mnist", shared_data / "mnist", None)
    assert images.train.shape == (60_000, 784)
    assert images.test.shape == (10_000, 784)
    assert images.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
