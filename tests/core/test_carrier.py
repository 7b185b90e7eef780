"""The carrier in NumPy: weights at least 0, the same deviations, and what rounding does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convex_init_core import as_activation
from convex_init_core.carrier.activations import beside_carrier
from convex_init_core.carrier.rounding import Measured, ProductBound, checked, logit_bound
from convex_init_core.carrier.stages import Bend, Flat, Product, check_classes, convex_stages
from convex_init_core.carrier.weights import carried, ungrouped
from convex_init_core.theory.activation import custom

WIDTHS = (5, 9, 4, 7, 3)


def draws(seed=0):
    return np.random.default_rng(seed)


def signed(widths, seed=0):
    """He's weights."""
    rng = draws(seed)
    return [rng.normal(0.0, (2.0 / n) ** 0.5, (m, n)) for n, m in pairwise(widths)]


def trained(widths, seed=0, low=-0.03):
    """Weights like those that training makes of an isometric start: around a permutation, and not below −c."""
    rng, found = draws(seed), signed(widths, seed)
    for place in range(1, len(found) - 1):
        around = np.maximum(rng.normal(0.0, 0.03, found[place].shape), low)
        found[place] = around - around.mean() + np.eye(widths[place])[rng.permutation(widths[place])]
    return found


def explicit(weights, biases, x, dtype=np.float64):
    """Logits of the convex network, and what it reads at each product: units and carrier in one array."""
    h = np.maximum(x @ weights[0].T + biases[0], 0.0).astype(dtype)
    read = []
    for place, (weight, bias) in enumerate(zip(weights[1:], biases[1:], strict=True)):
        last = place == len(weights) - 2
        made = carried(weight, reads=place > 0, makes=not last)
        assert made.weight.min() >= 0.0
        s = h @ made.weight.T.astype(dtype) + np.pad(bias, (0, int(not last))).astype(dtype)
        read.append((made, h, s))
        h = s if last else np.concatenate([np.maximum(s[:, :-1], s[:, -1:]), s[:, -1:]], axis=1)
    return h, read


def ordinary(weights, biases, x):
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = np.maximum(x @ weight.T + bias, 0.0)
    return x @ weights[-1].T + biases[-1]


def probabilities(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("widths", [WIDTHS, (5, 8, 8, 8, 8, 8, 2), (3, 4, 2)])
def test_the_logits_differ_from_the_ordinary_ones_by_one_number_for_all_classes(widths):
    weights, rng = signed(widths), draws(1)
    biases = [rng.normal(size=len(weight)) for weight in weights]
    x = rng.normal(size=(50, widths[0]))
    found, _ = explicit(weights, biases, x)
    difference = found - ordinary(weights, biases, x)
    assert np.ptp(difference, axis=1).max() < 1e-9 * np.abs(found).max()
    assert np.ptp(difference) > 0.1  # there is something in common


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("makes", [True, False])
@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (4, 6, 3), (4, 6, 3, 3)])
def test_carried_weights(shape, makes, reads):
    weight = draws().normal(size=shape)
    made = carried(weight, makes=makes, reads=reads)
    outputs, inputs = shape[0] + makes, shape[1] + reads
    assert made.weight.shape == (outputs, inputs, *shape[2:])
    assert made.weight.min() >= 0.0
    common = made.weight[: shape[0], : shape[1]] - weight
    assert common == pytest.approx(np.broadcast_to(common[:1], common.shape))  # of every row alike
    if makes:
        assert made.weight[-1, : shape[1]] == pytest.approx(common[0])
    if reads:
        sums = made.weight.sum(1)
        assert sums == pytest.approx(np.broadcast_to(made.row_sums, sums.shape))  # at each tap by itself
        assert made.weight[:, -1].min(0) == pytest.approx(0.0)  # and as small as can be


def test_columns_that_are_positive_anyway_give_the_carrier_nothing_and_the_last_layer_gives_them_away():
    weight = [[1.0, -2.0], [3.0, 4.0]]
    assert carried(weight, reads=False).weight.tolist() == [[1.0, 0.0], [3.0, 6.0], [0.0, 2.0]]
    assert carried(weight, reads=False, makes=False).weight.tolist() == [[0.0, 0.0], [2.0, 6.0]]


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_convolution_keeps_its_deviations_at_the_border(padding):
    """A tap outside the image reads 0 of units and carrier: all outputs miss the same multiple of the carrier."""
    rng, size = draws(2), 7
    weight, u, r = rng.normal(size=(3, 2, 3)), rng.normal(size=(2, size)), rng.normal(size=size)
    h = np.concatenate([u + r, r[None]])
    made = carried(weight).weight
    mode = {"zeros": "constant", "reflect": "reflect"}[padding]

    def convolved(kernel, signal):
        padded = np.pad(signal, ((0, 0), (1, 1)), mode=mode)
        return sum(np.einsum("oi,it->ot", kernel[:, :, tap], padded[:, tap : tap + size]) for tap in range(3))

    s = convolved(made, h)
    assert s[:-1] - s[-1] == pytest.approx(convolved(weight, u))
    if padding == "zeros":  # the carrier itself is smaller there, which is nobody's business
        assert made[:, :, 0].sum() > 0.1


def test_groups_become_zeros():
    grouped = draws().normal(size=(4, 2, 3))
    whole = ungrouped(grouped, 2)
    assert whole.shape == (4, 4, 3)
    assert np.array_equal(whole[:2, :2], grouped[:2])
    assert np.array_equal(whole[2:, 2:], grouped[2:])
    assert not whole[:2, 2:].any()
    assert not whole[2:, :2].any()


@pytest.mark.parametrize("weight", [[[np.nan, 1.0]], [[np.inf, 1.0]], [1.0, 2.0]])
def test_no_weights_from_what_is_no_weight(weight):
    with pytest.raises(ValueError, match="weight"):
        carried(weight)


ACTIVATIONS = [
    ("relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": 1.0}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("celu", {"alpha": 2.0}),
    ("softplus", {}),
    ("softplus", {"beta": 5.0}),
]


@pytest.mark.parametrize(("name", "parameters"), ACTIVATIONS)
def test_what_takes_the_place_of_an_activation(name, parameters):
    phi = as_activation(name, **parameters)
    beside = beside_carrier(phi)
    rng = draws()
    s, r = rng.normal(0.0, 3.0, (2, 4000))
    assert beside(s, r) == pytest.approx(r + phi(s - r), abs=1e-8)  # softplus of frameworks is s above 20
    step = rng.exponential(size=s.shape)
    assert np.all(beside(s + step, r) >= beside(s, r) - 1e-12)
    assert np.all(beside(s, r + step) >= beside(s, r) - 1e-12)
    other_s, other_r = rng.normal(0.0, 3.0, (2, 4000))
    middle = beside((s + other_s) / 2.0, (r + other_r) / 2.0)
    assert np.all(middle <= (beside(s, r) + beside(other_s, other_r)) / 2.0 + 1e-12)


@pytest.mark.parametrize(
    "phi",
    [as_activation("squared_softplus"), custom(lambda s: 1.5 * np.maximum(s, 0.0), bends=(0.0,), name="steep")],
    ids=["squared_softplus", "steep"],
)
def test_a_slope_above_1_is_refused(phi):
    with pytest.raises(ValueError, match=r"slope of .* fall in r; use relu"):
        beside_carrier(phi)
    r = np.array([0.0, 1.0])  # what would be wrong: it falls in r
    assert np.diff(r + phi(5.0 - r))[0] < 0.0


@pytest.mark.parametrize("draw", [trained, signed])
@pytest.mark.parametrize("depth", [3, 6])
def test_rounding_stays_below_its_bound_and_follows_the_common_part(depth, draw):
    weights = draw((20, *[32] * depth, 4))
    biases = [np.zeros(len(weight)) for weight in weights]
    x = draws(3).normal(size=(200, 20))
    exact = ordinary(weights, biases, x)
    rounded, _ = explicit(weights, biases, x, np.float32)
    _, read = explicit(weights, biases, x)
    epsilon = float(np.finfo(np.float32).eps)
    bound = logit_bound(
        [
            ProductBound(h.shape[1], made.row_sum, float(max(np.abs(h).max(), np.abs(s).max())), np.abs(a).sum(1).max())
            for a, (made, h, s) in zip(weights[1:], read, strict=True)
        ],
        epsilon,
    )
    error = np.abs(probabilities(rounded.astype(np.float64)) - probabilities(exact)).max()
    common = np.abs(rounded - exact).max()
    assert epsilon * common / 1e3 < error < min(bound / 2.0, 30.0 * epsilon * common)


def dense(outputs, inputs):
    return Product(draws().normal(size=(outputs, inputs)), None, path=f"{inputs} to {outputs}")


RELU = Bend(as_activation("relu"), "bend")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([RELU], "no layer with weights"),
        ([dense(4, 3), RELU, dense(1, 4)], "one output is no softmax"),
        ([dense(4, 3), Bend(as_activation("squared_softplus"), "steep"), dense(2, 4)], "steep: activation"),
        ([dense(4, 3), RELU, dense(4, 4), RELU, dense(2, 4), Flat(9)], "carriers at 9 positions"),
        ([dense(4, 3), RELU, Product(np.full((2, 4), np.nan), None, "broken")], "broken: its weight holds NaN"),
        ([Product(np.full((2, 4), np.inf), None, "broken")], "broken: its weight holds NaN"),
        ([Product(np.ones((4, 3)), np.full(4, -np.inf), "off"), RELU, dense(2, 4)], "off: its bias holds NaN"),
        ([dense(4, 3), RELU, Product(np.ones((2, 4)), np.full(2, np.nan), "end")], "end: its bias holds NaN"),
    ],
)
def test_what_has_no_convex_form(stages, message):
    with pytest.raises(ValueError, match=message):
        convex_stages(stages)


@pytest.mark.parametrize("outputs", [0, 1])
def test_one_output_is_refused_with_the_reason(outputs):
    with pytest.raises(ValueError, match=r"regression, a sigmoid, an energy or a potential .* two logits"):
        check_classes(outputs)
    check_classes(2)


@pytest.mark.parametrize(
    ("error", "dtype", "message"),
    [
        (0.5, "float32", r"in float32 class probabilities are off by 0.5 .* 2 in each layer; pass dtype float64, or"),
        (0.5, "float64", r"2 in each layer; train with weights"),
        (np.nan, "float16", r"in float16 class probabilities are no numbers on the examples: .* pass dtype float64"),
    ],
)
def test_rounding_is_refused_with_what_helps(error, dtype, message):
    with pytest.raises(ValueError, match=message):
        checked(Measured((1.5, 2.0), 1e9, error), 1e-3, dtype)
    assert checked(Measured((), 1e9, 1e-4), 1e-3, dtype).error == 1e-4
