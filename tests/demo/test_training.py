"""The networks are what their names say, and the principled initialisation is what makes the difference."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from convex_init.demo.data import load  # noqa: E402
from convex_init.demo.networks import VARIANTS  # noqa: E402
from convex_init.demo.settings import DEFAULTS  # noqa: E402
from convex_init.demo.training import Batches, train  # noqa: E402

BY_NAME = {variant.name: variant for variant in VARIANTS}
SMALL = replace(DEFAULTS["digits"], epochs=6, seeds=3)


@pytest.fixture(scope="module")
def digits():
    return Batches.of(load("digits", None, None), "cpu")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(name, seed=0):
    return BY_NAME[name].build(64, 10, SMALL, torch.Generator().manual_seed(seed))


def trained(name, data, settings, seeds):
    return [train(BY_NAME[name], data, settings, seed, lambda: None) for seed in range(seeds)]


@pytest.mark.parametrize("name", BY_NAME)
def test_depth_width_and_sign_of_the_weights(name):
    network = build(name)
    assert [layer.weight.shape[0] for layer in network.layers] == [128] * 5 + [10]
    assert (network.layers[0].weight < 0).any()
    assert (network.skips is not None) == (name == "ICNN + skip")
    if name.endswith("init"):
        assert all((layer.weight >= 0).all() for layer in network.layers[1:])
        # Bias noise 1/2 at ρ = 1/2 and σ² = 1: variance 1/4. For 128 normal draws the sample deviation has a standard
        # error of 0.5/√256 = 0.031; four of them.
        assert float(network.layers[1].bias.detach().std()) == pytest.approx(0.5, abs=0.125)


def test_he_has_the_usual_variances():
    network = build("ICNN + skip")
    # The relative standard error of a variance of n normal draws is √(2/n); five of them (n = 8,192 and 16,384).
    for layer, expected in ((network.layers[0], 1 / 64), (network.layers[1], 2 / 128), (network.skips[0], 1 / 64)):
        weight = layer.weight.detach()
        assert float(weight.var()) == pytest.approx(expected, rel=5 * (2 / weight.numel()) ** 0.5)
        assert layer.bias is None or not layer.bias.any()


def test_icnns_stay_convex_and_the_baseline_does_not(digits):
    # One step of gradient descent is enough to make some weights negative if nothing keeps them from it.
    kept = {}
    original = type(BY_NAME["ICNN"]).build

    def build_and_keep(variant, *arguments):
        kept[variant.name] = original(variant, *arguments)
        return kept[variant.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(BY_NAME["ICNN"]), "build", build_and_keep)
        for name in BY_NAME:
            trained(name, digits, replace(SMALL, epochs=1), 1)
    for name, network in kept.items():
        non_negative = all(bool((layer.weight >= 0).all()) for layer in network.layers[1:])
        assert non_negative == (name != "non-convex")


def test_one_seed_repeats_and_another_differs(digits):
    settings = replace(SMALL, epochs=1)
    first, second = trained("ICNN + init", digits, settings, 2)
    (again,) = trained("ICNN + init", digits, settings, 1)
    assert first.losses == again.losses
    assert first.losses != second.losses


def test_the_principled_initialisation_learns_where_the_usual_one_does_not(digits):
    usual = trained("ICNN", digits, SMALL, SMALL.seeds)
    principled = trained("ICNN + init", digits, SMALL, SMALL.seeds)
    assert median(run.losses[-1] for run in usual) > 2.0  # guessing is ln 10 = 2.303
    assert max(run.losses[-1] for run in principled) < 1.0
    assert min(run.accuracy for run in principled) > 2 * max(run.accuracy for run in usual)
