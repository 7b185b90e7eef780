"""Isometric weights: what W Wᵀ and Wᵀ W are, for dense layers and convolutions, and the bias that goes with them."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import InitSettings, as_activation, feature_moments, positive_recipe, solve_isometric
from convex_init_core.methods.isometric import Isometric, structured_raw
from convex_init_core.weights.positivity import as_positivity
from convex_init_core.weights.weight_axes import Geometry, dense_geometry


def dense(law, seed=0):
    """The full tensor of a law."""
    weights = np.full(law.geometry.shape, law.background)
    places, values = law.entries(seed)
    weights.flat[places] = values
    return weights


def linear(outputs, inputs, seed=0, **options):
    return dense(Isometric(dense_geometry(outputs, inputs), **options), seed)


def test_a_square_weight_is_a_permutation():
    weights = linear(50, 50)
    assert sorted(np.unique(weights)) == [0.0, 1.0]
    assert np.array_equal(weights @ weights.T, np.eye(50))
    assert np.array_equal(weights.T @ weights, np.eye(50))


def test_every_permutation_is_as_likely():
    """Of 6 permutations of 3 in 3000 draws each has mean 500 and standard deviation 20.4; five of them are 102."""
    found = [tuple(linear(3, 3, seed).argmax(1)) for seed in range(3000)]
    counts = [found.count(each) for each in set(found)]
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts) < 102


@pytest.mark.parametrize(("outputs", "inputs"), [(10, 40), (1, 40), (1, 784), (16, 64)])
def test_a_narrowing_weight_has_orthonormal_rows_and_uses_every_input(outputs, inputs):
    weights = linear(outputs, inputs)
    assert weights @ weights.T == pytest.approx(np.eye(outputs))
    assert np.all((weights > 0).sum(0) == 1)
    assert Isometric(dense_geometry(outputs, inputs)).row_sum == pytest.approx(np.sqrt(inputs / outputs))


@pytest.mark.parametrize(("outputs", "inputs"), [(10, 784), (7, 12), (300, 400), (11, 13)])
def test_uneven_widths_keep_one_row_sum_and_the_mean_square(outputs, inputs):
    weights = linear(outputs, inputs)
    assert weights.sum(1) == pytest.approx(Isometric(dense_geometry(outputs, inputs)).row_sum)
    assert np.square(weights).sum(1).mean() == pytest.approx(1.0)
    off_diagonal = weights @ weights.T - np.diag(np.square(weights).sum(1))
    assert off_diagonal == pytest.approx(0.0)
    counts = (weights > 0).sum(1)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("outputs", "inputs"), [(40, 10), (13, 11), (784, 1)])
def test_a_widening_weight_copies_every_input_about_as_often(outputs, inputs):
    weights = linear(outputs, inputs)
    assert np.array_equal(np.sort(weights, 1)[:, -1], np.ones(outputs))
    assert weights.sum(1) == pytest.approx(1.0)
    copies = weights.sum(0)
    assert copies.max() - copies.min() <= 1


def tensor_axes(transposed):
    return {"outputs": (1,), "inputs": (0,)} if transposed else {"outputs": (0,), "inputs": (1,)}


def as_matrix(weights, geometry, side):
    """The linear map of a layer (one dimension) from [inputs, side] to [outputs, positions], by its definition."""
    out, inn, taps = geometry.outputs_of_group, geometry.inputs_of_group, geometry.shape[2]
    stride, pad, dilation = geometry.stride[0], geometry.padding[0], (geometry.dilation or (1,))[0]
    if geometry.transposed:
        length = (side - 1) * stride - 2 * pad + dilation * (taps - 1) + 1
    else:
        length = (side + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
    groups = geometry.groups
    matrix = np.zeros((groups * out, length, groups * inn, side))
    for g in range(groups):
        for o in range(out):
            for i in range(inn):
                for t in range(taps):
                    for a in range(side if geometry.transposed else length):
                        to, source = a, a * stride + t * dilation - pad
                        if geometry.transposed:
                            to, source = source, a
                        if not (0 <= source < side and 0 <= to < length):
                            continue
                        value = weights[g * inn + i, o, t] if geometry.transposed else weights[g * out + o, i, t]
                        matrix[g * out + o, to, g * inn + i, source] += value
    return matrix.reshape(groups * out * length, groups * inn * side)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("taps", "stride", "padding", "dilation"),
    [(3, 1, 1, 1), (5, 1, 2, 1), (1, 1, 0, 1), (3, 1, 2, 2), (4, 2, 1, 1), (2, 2, 0, 1), (3, 2, 1, 1), (3, 3, 0, 1)],
)
def test_a_convolution_is_a_partial_permutation_of_channels_and_positions(groups, taps, stride, padding, dilation):
    """With as many outputs as there are sources (channels × phases) nothing is lost: the map itself is orthogonal."""
    channels, side = 4, 12
    outputs = channels * stride
    geometry = Geometry(
        (outputs, channels // groups, taps), (0,), (1,), (2,), groups, (stride,), (dilation,), (padding,)
    )
    weights = dense(Isometric(geometry))
    assert np.count_nonzero(weights) == outputs
    matrix = as_matrix(weights, geometry, side)
    assert set(np.unique(matrix)) == {0.0, 1.0}
    assert matrix.sum(1) == pytest.approx(1.0)  # no output reads padding
    assert matrix.sum(0).max() == 1.0
    lost = (matrix.sum(0) == 0).sum() / len(matrix[0])
    assert lost == pytest.approx(0.0 if stride * (matrix.shape[0] // outputs) == side else lost, abs=1e-12)
    if dilation == 1 and stride == 1:
        assert lost == 0.0


@pytest.mark.parametrize(("taps", "stride", "padding"), [(2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_repeats_every_channel_once_at_every_position(taps, stride, padding, groups):
    geometry = Geometry((4, 4 // groups, taps), (1,), (0,), (2,), groups, (stride,), (1,), (padding,), transposed=True)
    weights = dense(Isometric(geometry))
    assert np.count_nonzero(weights) == 4 * stride
    matrix = as_matrix(weights, geometry, 8)
    inner = matrix.reshape(4, -1, 32)[:, 1:-1].reshape(-1, 32)
    assert inner.sum(1) == pytest.approx(1.0)  # every output reads one channel at one position


@pytest.mark.parametrize(("outputs", "inputs", "taps"), [(8, 8, 3), (4, 8, 3), (8, 4, 3), (5, 8, 2)])
@pytest.mark.parametrize("background", [0.0, 1e-4])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_moments_are_those_of_the_tensor(outputs, inputs, taps, background, transposed):
    shape = (inputs, outputs, taps) if transposed else (outputs, inputs, taps)
    geometry = Geometry(shape, **tensor_axes(transposed), window=(2,), stride=(1,), transposed=transposed)
    law = Isometric(geometry, gain=1.5, background=background)
    weights = dense(law)
    assert law.mean == pytest.approx(weights.mean())
    assert law.variance == pytest.approx(weights.var())
    assert law.has_zeros == bool((weights == 0).any())
    assert law.fan_in == inputs * taps


def test_a_seed_decides_and_any_layout_of_the_tensor_holds_the_same_map():
    assert not np.array_equal(linear(60, 60, 0), linear(60, 60, 1))
    assert np.array_equal(linear(60, 60, 3), linear(60, 60, 3))
    torch_like = Geometry((6, 4, 3, 3), (0,), (1,), (2, 3))
    keras_like = Geometry((3, 3, 4, 6), (3,), (2,), (0, 1))
    assert np.array_equal(dense(Isometric(torch_like)), dense(Isometric(keras_like)).transpose(3, 2, 0, 1))


@pytest.mark.parametrize("layers", [1, 10, 100])
def test_signal_and_gradient_pass_any_depth_behind_relu(layers):
    """Dynamical isometry: the Jacobian of L hidden layers has the singular values of one hidden layer's."""
    rng, width = np.random.default_rng(5), 64
    first = rng.normal(0.0, width**-0.5, (width, width))
    x = rng.normal(size=width)
    s, jacobian = first @ x, first
    of_one = np.linalg.svd((s > 0)[:, None] * first, compute_uv=False)
    for seed in range(layers):
        weights = linear(width, width, seed)
        jacobian = weights @ ((s > 0)[:, None] * jacobian)
        s = weights @ np.maximum(s, 0.0)
    assert np.linalg.svd(jacobian, compute_uv=False) == pytest.approx(of_one, abs=1e-12)
    assert np.square(s).sum() == pytest.approx(np.square(np.maximum(first @ x, 0.0)).sum())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "softplus"])
@pytest.mark.parametrize(("outputs", "inputs"), [(256, 256), (200, 256), (512, 256)])
def test_copies_keep_the_mean_that_a_square_layer_has(activation, outputs, inputs):
    """Whatever the row sum, E[s] is that of a square layer: the excess is taken off at the features' mean."""
    phi = as_activation(activation)
    _, square = solve_isometric(dense_geometry(inputs, inputs), phi)
    law, layer = solve_isometric(dense_geometry(outputs, inputs), phi)
    mean = feature_moments(phi, 0.0).mean
    assert law.row_sum * mean + layer.bias_mean == pytest.approx(mean + square.bias_mean)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "softplus"])
@pytest.mark.parametrize(("outputs", "inputs", "variance"), [(128, 256, 1.0), (10, 784, 2.0), (1, 300, 1.0)])
def test_a_sum_of_independent_features_is_a_fresh_signal(activation, outputs, inputs, variance):
    """By Monte Carlo with 4000 samples, whose variance has a standard error of √(2/4000), its mean one of √(1/4000)."""
    phi = as_activation(activation)
    law, layer = solve_isometric(dense_geometry(outputs, inputs), phi, variance)
    features = phi(np.random.default_rng(0).normal(0.0, variance**0.5, (4000, inputs)))
    s = features @ dense(law).T[:, 0] + layer.bias_mean
    assert np.square(dense(law)).sum(1) == pytest.approx(np.square(dense(law)).sum(1).mean(), rel=0.05)
    spread = 4.0 * np.sqrt(2.0 / 4000) + (0.05 if inputs % outputs else 0.0)
    assert s.var() == pytest.approx(variance, rel=spread + 0.2 * (inputs / outputs < 4))
    assert s.mean() == pytest.approx(0.0, abs=4.0 * np.sqrt(variance / 4000))


@pytest.mark.parametrize("variance", [1.0, 4.0])
def test_a_skip_leaves_room_for_itself(variance):
    law, layer = solve_isometric(dense_geometry(9, 9), as_activation("relu"), variance, skip_share=0.19)
    assert law.gain == pytest.approx(0.9)
    assert layer.skip_variance == pytest.approx(0.19 * variance)


@pytest.mark.parametrize("positivity", ["exp", "softplus", "square", "abs", "relu", "projection"])
def test_every_map_holds_an_isometric_weight_and_can_train_all_of_it(positivity):
    geometry, through = dense_geometry(100, 100), as_positivity(positivity)
    recipe = positive_recipe(100, "relu", InitSettings(method="isometric"), positivity, geometry=geometry)
    off, places, values = structured_raw(recipe.weight, through, 3)
    raw = np.full(10_000, off)
    raw[places] = values
    weights = through.value(raw).reshape(100, 100)
    assert np.isfinite(raw).all()
    assert np.all(through.derivative(raw) > 0.0)  # the projection's is 1 everywhere: its zeros train, too
    # What is off the support sums to at most a thousandth of a row.
    assert weights.sum(1) == pytest.approx(1.0, abs=1.1e-3)
    assert weights.max(1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"correlation": 0.4}, "correlation"),
        ({"bias_noise": 0.5}, "bias_noise"),
        ({"distribution": "gamma"}, "distribution"),
        ({"match_moments": True}, "match_moments"),
    ],
)
def test_settings_of_independent_weights_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"{name}.*isometric"):
        InitSettings(method="isometric", **settings)


def test_what_is_missing_or_wrong_is_named():
    with pytest.raises(
        ValueError, match=r"method 'orthogonal' is unknown; known are auto, bounded_gain, log_normal, isometric"
    ):
        InitSettings(method="orthogonal")
    with pytest.raises(ValueError, match="geometry"):
        positive_recipe(4, "relu", InitSettings(method="isometric"))
    with pytest.raises(ValueError, match="every axis once"):
        Geometry((3, 4), (0,), (0,))
    with pytest.raises(ValueError, match="groups 2 does not divide"):
        Geometry((3, 4, 1), (0,), (1,), (2,), groups=2)
