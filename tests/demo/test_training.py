"""The networks are what their names say, and the initialisation is what makes the difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from convex_init.demo.data import load  # noqa: E402
from convex_init.demo.functions import SHOWN, sample  # noqa: E402
from convex_init.demo.networks import VARIANTS  # noqa: E402
from convex_init.demo.settings import DEFAULTS  # noqa: E402
from convex_init.demo.training import Problem, train  # noqa: E402

BY_LABEL = {variant.label: variant for variant in VARIANTS}
DEPTH = 5
SMALL = replace(DEFAULTS["digits"], epochs=5)


@pytest.fixture(scope="module")
def digits():
    return Problem.of_images(load("digits", None, None), "cpu")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(label, digits, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return BY_LABEL[label].build(digits.train, 10, DEPTH, SMALL, generator)


@pytest.mark.parametrize("label", BY_LABEL)
def test_depth_width_and_sign_of_the_weights(label, digits):
    network = build(label, digits)
    assert [layer.weight.shape[0] for layer in network.layers] == [128] * 5 + [10]
    assert (network.layers[0].weight < 0).any()
    assert (network.skips is not None) == ("skip" in label)
    assert all((layer.weight >= 0).all() for layer in network.layers[1:]) == (label != "non-convex, He")


def test_the_default_is_that_of_torch(digits):
    network = build("ICNN + skip, default", digits)
    usual = torch.nn.Linear(128, 128)
    for mine, reference, clamped in (
        (network.layers[1].weight, usual.weight, True),
        (network.layers[0].weight, torch.nn.Linear(64, 128).weight, False),
        (network.skips[0].weight, torch.nn.Linear(64, 128).weight, False),
    ):
        bound = float(reference.detach().abs().max())
        # The largest of 8,192 even draws is within 0.2 % of the end, but for a chance of e^-16.
        assert float(mine.detach().max()) == pytest.approx(bound, rel=4e-3)
        # Half of the draws are below 0; five standard errors of a share, n = 8,192.
        share = float((mine <= 0.0 if clamped else mine < 0.0).float().mean())
        assert share == pytest.approx(0.5, abs=5 * 0.5 / 8192**0.5)
    assert float(network.layers[1].bias.detach().min()) < 0.0


def test_he_has_the_usual_variances(digits):
    network = build("non-convex, He", digits)
    # The relative standard error of a variance of n normal draws is √(2/n); five of them (n = 8,192 and 16,384).
    for layer, expected in ((network.layers[0], 1 / 64), (network.layers[1], 2 / 128)):
        weight = layer.weight.detach()
        assert float(weight.var()) == pytest.approx(expected, rel=5 * (2 / weight.numel()) ** 0.5)
        assert not layer.bias.any()


def test_icnns_stay_convex_and_the_baseline_does_not(digits):
    # One step of gradient descent is enough to make some weights negative if nothing keeps them from it.
    kept = {}
    original = type(VARIANTS[0]).build

    def build_and_keep(variant, *arguments):
        kept[variant.label] = original(variant, *arguments)
        return kept[variant.label]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(VARIANTS[0]), "build", build_and_keep)
        for variant in VARIANTS:
            train(variant, digits, DEPTH, replace(SMALL, epochs=1), 0)
    for label, network in kept.items():
        non_negative = all(bool((layer.weight >= 0).all()) for layer in network.layers[1:])
        assert non_negative == (label != "non-convex, He")


def test_one_seed_repeats_and_another_differs(digits):
    settings = replace(SMALL, epochs=1)
    first, again, second = (train(BY_LABEL["ICNN, ours"], digits, DEPTH, settings, seed) for seed in (0, 0, 1))
    assert first.losses == again.losses
    assert first.losses != second.losses


def test_on_digits_ours_learns_more_than_the_default(digits):
    default, ours = (train(BY_LABEL[f"ICNN, {start}"], digits, DEPTH, SMALL, 0) for start in ("default", "ours"))
    assert ours.losses[-1] < 0.5 * default.losses[-1]
    assert ours.score > default.score


@pytest.mark.parametrize("task", SHOWN)
def test_on_functions_ours_learns_where_the_default_does_not(task):
    problem = Problem.of_points(sample(SHOWN[task], 0), "cpu")
    settings = replace(DEFAULTS[task], epochs=DEFAULTS[task].epochs // 2)
    default, ours = (train(BY_LABEL[f"ICNN, {start}"], problem, 10, settings, 0) for start in ("default", "ours"))
    assert ours.score < 0.2 < 0.7 < default.score
    assert len(ours.drawn) == len(problem.grid)


def test_the_global_generator_is_left_alone(digits):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for label in BY_LABEL:
        build(label, digits)
    assert torch.equal(before, torch.get_rng_state())
