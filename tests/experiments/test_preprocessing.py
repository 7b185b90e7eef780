"""Whitening, and images made smaller so that it has moments."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from experiments.data.images import flat_images
from experiments.experiment import Context
from experiments.preprocessing import whitened_images

COUNT = 3000


@pytest.mark.parametrize(("dataset", "channels", "side", "square"), [("mnist", 1, 14, 2), ("cifar10", 3, 8, 4)])
def test_smaller_images_are_means_of_squares(dataset, channels, side, square, shared_data, tmp_path):
    context = Context(shared_data, tmp_path)
    whole = flat_images(dataset, context, COUNT, 100)
    small = whitened_images(dataset, "none", context, COUNT, 100, side)
    for big, found in ((whole.train, small.train), (whole.test, small.test)):
        images = big[:50].reshape(50, channels, side * square, side * square)
        expected = np.mean([images[:, :, a::square, b::square] for a in range(square) for b in range(square)], axis=0)
        expected, found = expected.reshape(50, channels, -1), found[:50].reshape(50, channels, -1)
        for channel in range(channels):  # each in its own scale
            scale = (found[:, channel] * expected[:, channel]).sum() / np.square(expected[:, channel]).sum()
            np.testing.assert_allclose(found[:, channel], scale * expected[:, channel], atol=1e-4)
    by_channel = small.train.reshape(COUNT, channels, -1)
    np.testing.assert_allclose(by_channel.std(axis=(0, 2)), 1.0, atol=1e-3)
    np.testing.assert_array_equal(small.train_labels, whole.train_labels)


@pytest.mark.parametrize("kind", ["PCA", "ZCA"])
def test_whitened_images_have_variance_one_in_every_direction_that_varies(kind, shared_data, tmp_path):
    context = Context(shared_data, tmp_path)
    train = whitened_images("cifar10", kind, context, COUNT, 100, 8).train
    np.testing.assert_allclose(train.mean(axis=0), 0.0, atol=1e-3)
    covariance = np.cov(train.T.astype(np.float64))
    # ε = 1e-4 is added to variances that are mostly far above it: directions of less have less than 1.
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.5
    values = np.linalg.eigvalsh(covariance)
    assert values.max() < 1.001
    assert np.median(values) > 0.9
    if kind == "PCA":
        np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    # Components of other sizes or other numbers of images are not mixed up in the cache.
    assert whitened_images("cifar10", kind, context, 500, 100, 8).train.shape == (500, 192)
    assert whitened_images("mnist", kind, context, 500, 100, 14).train.shape == (500, 196)
