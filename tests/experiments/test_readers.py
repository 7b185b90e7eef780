"""The readers, on small files in the published formats, and what they say of files that are not there."""

from __future__ import annotations

import gzip
import json
import lzma
import pickle

import numpy as np
import pytest

from experiments.data import packed
from experiments.data.cifar import read_cifar
from experiments.data.images import flat_images
from experiments.data.mnist import read_mnist
from experiments.data.uci import read_uci
from experiments.experiment import Context
from experiments.failure import ExperimentError
from tests.demo.idx_files import write_mnist

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (6, 3072), dtype=np.uint8)


def write_batch(path, images=IMAGES, labels=(3, 1, 4, 1, 5, 9), name="labels"):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps({"data": images, name: list(labels)}, protocol=3))


def write_packed(folder, name, images, fields):
    """Pack as the reader says that it is packed, pixel by pixel."""
    planes = images.reshape(-1, 3, 32, 32).astype(int)
    residuals = np.zeros_like(planes)
    for index in np.ndindex(planes.shape):
        *front, row, column = index
        left = planes[(*front, row, column - 1)] if column else 0
        above = planes[(*front, row - 1, column)] if row else 0
        corner = planes[(*front, row - 1, column - 1)] if row and column else 0
        guess = sorted((left, above, left + above - corner))[1] if row and column else left + above
        residuals[index] = planes[index] - guess
    red, green, blue = residuals.transpose(1, 0, 2, 3)
    signed = (np.stack([green, red - green, blue - red]) + 128) % 256 - 128
    zigzag = np.where(signed < 0, -2 * signed - 1, 2 * signed).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.med.xz").write_bytes(lzma.compress(zigzag.tobytes()))
    (folder / f"{name}.json.xz").write_bytes(lzma.compress(json.dumps({"n": len(images), "fields": fields}).encode()))


def test_a_cifar_batch_is_read_as_it_was_pickled(tmp_path):
    write_batch(tmp_path / "cifar10" / "test_batch")
    images, labels = read_cifar(tmp_path / "cifar10", "test", limit=4)
    np.testing.assert_array_equal(images.reshape(4, -1), IMAGES[:4])
    assert labels.tolist() == [3, 1, 4, 1]


def test_the_fine_classes_of_cifar100_are_read(tmp_path):
    write_batch(tmp_path / "cifar100" / "train", name="fine_labels")
    assert read_cifar(tmp_path / "cifar100", "train")[1].tolist() == [3, 1, 4, 1, 5, 9]


def test_a_packed_batch_is_that_of_the_pickle_and_is_kept(tmp_path):
    write_packed(tmp_path / "cifar10", "test_batch", IMAGES, {"labels": [3, 1, 4, 1, 5, 9]})
    for _ in range(2):  # unpacked, and from the cache
        images, labels = read_cifar(tmp_path / "cifar10", "test", cache=tmp_path / "cache")
        np.testing.assert_array_equal(images.reshape(6, -1), IMAGES)
        assert labels.tolist() == [3, 1, 4, 1, 5, 9]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert packed.is_there(tmp_path / "cifar10", "test_batch")


def test_no_more_batches_are_read_than_are_wanted(tmp_path):
    write_batch(tmp_path / "cifar10" / "data_batch_1")
    assert len(read_cifar(tmp_path / "cifar10", "train", limit=5)[0]) == 5
    with pytest.raises(ExperimentError, match=r"no data_batch_2: .*python version"):
        read_cifar(tmp_path / "cifar10", "train")


class Evil:
    def __reduce__(self):
        return print, ("run by a pickle",)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (pickle.dumps({"data": Evil()}), "builtins.print"),
        (b"not a pickle", "cannot be read"),
        (pickle.dumps([1, 2]), "no CIFAR batch"),
        (pickle.dumps({"data": IMAGES[:2], "labels": [1]}, protocol=3), "no CIFAR batch"),
    ],
)
def test_what_is_no_batch_is_refused_and_not_run(tmp_path, capsys, content, fault):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "test_batch").write_bytes(content)
    with pytest.raises(ExperimentError, match=fault):
        read_cifar(tmp_path / "cifar10", "test")
    assert capsys.readouterr().out == ""


def test_mnist_has_one_channel_and_is_normalised_by_the_training_images(tmp_path):
    (tmp_path / "mnist").mkdir()
    write_mnist(tmp_path / "mnist")
    images, labels = read_mnist(tmp_path / "mnist", "train", limit=5)
    assert images.shape[:2] == (5, 1)
    assert labels.dtype == np.int64
    flat = flat_images("mnist", Context(tmp_path, tmp_path / "cache"))
    assert flat.train.mean(dtype=np.float64) == pytest.approx(0.0, abs=1e-6)
    assert flat.train.std(dtype=np.float64) == pytest.approx(1.0, abs=1e-6)
    raw, _ = read_mnist(tmp_path / "mnist", "train")
    test, _ = read_mnist(tmp_path / "mnist", "test")
    expected = (test.reshape(len(test), -1) - raw.mean()) / raw.std()
    np.testing.assert_allclose(flat.test, expected, atol=1e-5)


def test_channels_of_cifar_are_normalised_one_by_one(tmp_path):
    for name in ("data_batch_1", "test_batch"):
        write_batch(tmp_path / "cifar10" / name)
    flat = flat_images("cifar10", Context(tmp_path, tmp_path / "cache"), limit=6, test_limit=6)
    channels = flat.train.reshape(6, 3, -1)
    np.testing.assert_allclose(channels.mean(axis=(0, 2), dtype=np.float64), 0.0, atol=1e-6)
    np.testing.assert_allclose(channels.std(axis=(0, 2), dtype=np.float64), 1.0, atol=1e-6)


def test_missing_mnist_files_are_named(tmp_path):
    with pytest.raises(ExperimentError, match=r"train-images-idx3-ubyte\.gz, train-labels-idx1-ubyte\.gz"):
        read_mnist(tmp_path, "train")


def test_a_regression_set_has_its_target_last(tmp_path):
    (tmp_path / "yacht.csv.gz").write_bytes(gzip.compress(b"a,b,y\n1,2,3\n4,5,6\n"))
    inputs, targets = read_uci(tmp_path, "yacht")
    assert inputs.tolist() == [[1, 2], [4, 5]]
    assert targets.tolist() == [3, 6]
    with pytest.raises(ExperimentError, match=r"no concrete.csv.gz"):
        read_uci(tmp_path, "concrete")
    (tmp_path / "energy.csv").write_text("a,y\n1,two\n")
    with pytest.raises(ExperimentError, match="no table of numbers"):
        read_uci(tmp_path, "energy")
