"""What is decided for the weights and biases of a model."""

import dataclasses

import numpy as np
import pytest

from convex_init_core import InitSettings, free_recipe, positive_recipe, skip_recipe
from convex_init_core.methods.sum_budget import Fed, gain_limit, solve_sum
from convex_init_core.signal.signal_moments import activated, pre_activation
from convex_init_core.weights.laws import Normal, NumpyDraw
from convex_init_core.weights.sampling import sample_raw
from tests.core.planning.models import (
    FEATURES,
    WIDTH,
    by_name,
    chain,
    dense,
    planned,
    recurrent,
    residual,
    sample,
    skips,
)
from tests.core.planning.numpy_framework import NumpyFramework

SETTINGS = {
    "the paper's": {},
    "noisy biases": {"bias_noise": 0.3},
    "another target": {"correlation": 0.3, "variance": 2.0},
    "gamma": {"distribution": "gamma"},
    "matched": {"match_moments": True},
}
everywhere = pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)


@everywhere
def test_a_chain_of_the_paper_has_its_recipes_number_by_number(options: dict) -> None:
    settings = InitSettings(**options)
    made = planned(chain(), method="log_normal", output_variance=settings.variance, **options)
    first, *others = made.layers
    assert first.recipe == free_recipe(FEATURES, settings)
    expected = positive_recipe(WIDTH, "relu", settings)
    for layer in others:
        assert layer.recipe == expected
        assert made.biases[layer.bias] == expected.bias
    assert made.biases["0.bias"] == Normal(0.0, 0.0)
    assert [str(found) for found in made.measured] == [others[-1].path]  # what is asked of the output


@everywhere
def test_skips_of_the_paper_have_its_recipes_number_by_number(options: dict) -> None:
    settings = InitSettings(skip_share=0.4, **options)
    wanted = {"output_variance": settings.variance}
    layers = by_name(planned(skips(), method="log_normal", skip_share=0.4, **wanted, **options))
    beside = positive_recipe(WIDTH, "softplus", settings, has_skip=True)
    for i in (1, 2, 3):
        assert layers[f"z{i}.weight"].recipe == beside
        assert layers[f"x{i}.weight"].recipe == skip_recipe(FEATURES, beside)
        assert layers[f"x{i}.weight"].beside == (f"z{i}",)


@pytest.mark.parametrize("depth", [3, 6])
def test_a_bounded_gain_depends_on_the_depth(depth: int) -> None:
    made = by_name(planned(skips(depth)))
    features = activated("softplus", pre_activation())
    budget = solve_sum([Fed(WIDTH, features)], free=1, gain_limit=gain_limit(depth))
    layer = made["z1.weight"].recipe.statistics
    assert layer.weight_mean == budget.layers[0].weight_mean
    assert layer.weight_variance == budget.layers[0].weight_variance
    assert layer.bias_mean == budget.bias_mean
    assert layer.fan_in * layer.weight_mean <= gain_limit(depth) * (1.0 + 1e-12)
    paper = by_name(planned(skips(depth), method="log_normal"))["z1.weight"].recipe.statistics
    assert layer.weight_mean < paper.weight_mean


def test_residuals_share_the_growth() -> None:
    for method in ("bounded_gain", "log_normal"):
        layers = by_name(planned(residual(), method=method))
        assert [layers[f"h{i}.weight"].role for i in range(3)] == ["positive"] * 3
        # each sum adds at least a share of 1/(4R) to a signal that is there already, and no more
        added = [layers[f"h{i}.weight"].recipe.statistics for i in range(3)]
        assert all(layer.weight_variance < 0.5 / WIDTH / 2 for layer in added)
        assert "beside" in layers["h1.weight"].note
        assert "beside" not in layers["h0.weight"].note  # its identity is still affine


def test_the_mean_of_a_residual_is_left_alone() -> None:
    made = planned(residual())
    layer = by_name(made)["h1.weight"].recipe.statistics
    # what the bias removes is what the weights add: relu has a positive mean
    assert made.biases["h1.bias"].mean == layer.bias_mean < 0.0
    assert abs(layer.bias_mean) < WIDTH * layer.weight_mean


def test_a_weight_of_many_steps_is_tied() -> None:
    made = planned(recurrent())
    layers = by_name(made)
    w = layers["w.weight"].recipe.statistics
    assert WIDTH * w.weight_mean == pytest.approx(0.5, rel=1e-12, abs=0.0)
    assert layers["u.weight"].role == "skip"
    # the bias of the free map stands beside the positive one in each step, and takes the shift
    assert layers["w.weight"].shift_into == "u"
    assert made.biases["u.bias"].mean == w.bias_mean


def test_a_layer_without_bias_passes_its_mean_on() -> None:
    made = planned(chain(bias=False))
    assert all("no bias: the mean goes on as" in layer.note for layer in made.layers[1:])
    assert set(made.biases) == {"0.bias"}


def test_behind_a_layer_without_bias_the_papers_law_is_left() -> None:
    """Its recipe is for a signal at its target, and this one has a mean."""
    framework = chain(4)
    del framework.arrays["1.bias"]
    made = planned(framework, method="log_normal")
    layers, paper = by_name(made), positive_recipe(WIDTH, "relu", InitSettings())
    assert layers["2.weight"].recipe != paper
    assert layers["3.weight"].recipe == paper  # behind a bias again
    off = {}
    for law, recipe in {"own": layers["2.weight"].recipe, "paper": paper}.items():
        framework.write(made.fills(), 0)
        (values,) = framework.at(("relu", 1))
        draw = NumpyDraw(np.random.default_rng(1), (WIDTH, WIDTH))
        off[law] = (values @ sample_raw(recipe.weight, None, draw).T + recipe.bias.mean).mean()
    # It is taken for Gaussian, and is not: all of it is above 0.
    assert abs(off["own"]) < 0.3 < 0.5 < abs(off["paper"])


def test_a_missing_bias_is_added_where_it_is_wanted() -> None:
    made = planned(chain(bias=False), register_missing_bias=True, method="log_normal")
    expected = positive_recipe(WIDTH, "relu", InitSettings())
    for layer in made.layers[1:]:
        assert layer.add_bias
        assert layer.shift_into == layer.path
        assert made.biases[layer.bias] == expected.bias
        assert "a bias is added" in layer.note


def test_of_two_layers_in_a_sum_one_gets_the_bias() -> None:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        return b.map("add", b.linear(h, "a"), b.linear(h, "b"))

    shapes = dense(("in", FEATURES, WIDTH)) | dense(("a", WIDTH, WIDTH), ("b", WIDTH, WIDTH), bias=False)
    made = planned(NumpyFramework(forward, shapes, sample()), register_missing_bias=True)
    assert [layer.add_bias for layer in made.layers] == [False, True, False]
    assert made.layers[2].shift_into == "a"


def of_bias(build) -> NumpyFramework:
    """A positive layer without bias, and what ``build`` makes of it and the bias ``c``."""

    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        return build(b, b.linear(h, "a"))

    shapes = dense(("in", FEATURES, WIDTH)) | dense(("a", WIDTH, WIDTH), bias=False) | {"c": (WIDTH,)}
    return NumpyFramework(forward, shapes, sample())


@pytest.mark.parametrize("operations", [["add"], ["subtract"], ["add"] * 2, ["subtract"] * 3])
def test_a_bias_gets_what_its_sum_needs(operations: list[str]) -> None:
    def several_times(b, z):
        for operation in operations:
            z = b.map(operation, z, b.parameter("c"))
        return z

    made = planned(of_bias(several_times), method="log_normal", bias_noise=0.2)
    factor = sum({"add": 1.0, "subtract": -1.0}[operation] for operation in operations)
    expected = positive_recipe(WIDTH, "relu", InitSettings(bias_noise=0.2)).bias
    assert made.biases["c"].mean == pytest.approx(expected.mean / factor, rel=1e-12, abs=0.0)
    assert made.biases["c"].std == pytest.approx(expected.std / abs(factor), rel=1e-12, abs=0.0)


def test_numbers_in_the_code_are_taken_off_the_bias() -> None:
    plain = planned(of_bias(lambda b, z: b.map("add", z, b.parameter("c"))))
    moved = planned(of_bias(lambda b, z: b.map("add", b.map("add", z, b.parameter("c")), 0.25)))
    assert moved.biases["c"].mean == pytest.approx(plain.biases["c"].mean - 0.25, rel=1e-12, abs=0.0)


def test_a_bias_inside_a_square_shifts_nothing() -> None:
    def forward(b):
        x = b.input()
        h = b.relu(b.linear(x, "in"))
        return b.map("add", b.linear(h, "a"), b.map("square", b.linear(x, "q")))

    shapes = dense(("in", FEATURES, WIDTH), ("q", FEATURES, WIDTH)) | dense(("a", WIDTH, WIDTH), bias=False)
    made = planned(NumpyFramework(forward, shapes, sample()))
    assert made.biases["q.bias"] == Normal(0.0, 0.0)
    layers = by_name(made)
    assert layers["a.weight"].shift_into == ""
    assert "no bias: the mean goes on" in layers["a.weight"].note
    # N squares of variance v have mean v, the rest is the positive layer's
    assert layers["q.weight"].note.startswith("squares")


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_factor_of_a_square_is_taken_off_its_weight(factor: float) -> None:
    def variance(number: float) -> float:
        def forward(b):
            x = b.input()
            squared = b.map("multiply", b.map("square", b.linear(x, "q")), number)
            return b.map("add", b.linear(b.relu(b.linear(x, "0")), "1"), squared)

        shapes = dense(("0", FEATURES, WIDTH), ("q", FEATURES, WIDTH), ("1", WIDTH, WIDTH))
        made = planned(NumpyFramework(forward, shapes, sample()))
        return by_name(made)["q.weight"].recipe.statistics.weight_variance

    assert variance(factor) * factor == pytest.approx(variance(1.0), rel=1e-9, abs=0.0)


def test_what_feeds_a_layer_may_be_said() -> None:
    made = planned(chain(), method="log_normal", fed_by={"2": "softplus"})
    assert [str(layer.recipe.activation) for layer in made.layers[1:]] == ["relu", "softplus(1, 20)", "relu"]
    assert made.layers[2].recipe == positive_recipe(WIDTH, "softplus", InitSettings())


def test_excluded_layers_are_left_alone() -> None:
    made = planned(chain(), exclude=["1", "3"])
    assert [layer.path for layer in made.layers] == ["0", "2"]
    assert set(made.biases) == {"0.bias", "2.bias"}


def test_a_weight_behind_a_map_is_positive_although_it_sees_the_input() -> None:
    def forward(b):
        x = b.linear(b.input(), "0", through=lambda weight: b.map("softplus", weight, beta=1.0, threshold=20.0))
        return b.linear(b.relu(x), "1")

    framework = NumpyFramework(forward, dense(("0", FEATURES, WIDTH), ("1", WIDTH, 1)), sample())
    first = planned(framework).layers[0]
    assert first.role == "positive"
    assert str(first.recipe.positivity) == "softplus"
    assert "made non-negative (by softplus)" in first.reason


def test_the_isometric_method_takes_geometries() -> None:
    settings = InitSettings(method="isometric")
    framework = chain()
    made = planned(framework, method="isometric")
    where = framework.geometry("1.weight", WIDTH)
    assert made.layers[1].recipe == positive_recipe(WIDTH, "relu", settings, geometry=where)


@pytest.mark.parametrize("method", ["bounded_gain", "auto"])
def test_one_layer_alone_knows_no_model(method: str) -> None:
    with pytest.raises(ValueError, match=f"method '{method}' looks at a whole model, which one layer does not know"):
        positive_recipe(WIDTH, "relu", InitSettings(method=method))


def test_a_thousand_layers_take_no_more_time_for_each() -> None:
    made = planned(chain(1000), method="isometric")
    assert len(made.layers) == 1000
    assert dataclasses.astuple(made.layers[1].recipe.statistics) == dataclasses.astuple(
        made.layers[998].recipe.statistics
    )
    assert np.isfinite(made.layers[-1].recipe.bias.mean)


def test_a_bias_that_all_steps_share_centres_those_behind_the_first() -> None:
    def forward(b):
        x, softplus = b.input(), {"beta": 1.0, "threshold": 20.0}
        u, v = (b.map("softplus", b.parameter(f"{name}.weight"), **softplus) for name in "uv")
        h = b.relu(b.with_bias(b.product(x, u), "u"))
        return b.with_bias(b.map("add", b.product(x, u), b.product(h, v)), "u")

    shapes = dense(("u", FEATURES, WIDTH)) | dense(("v", WIDTH, WIDTH), bias=False)
    made = planned(NumpyFramework(forward, shapes, sample()))
    layers = by_name(made)
    assert layers["u.weight"].role == "positive"
    assert layers["v.weight"].beside == ("u",)
    assert made.biases["u.bias"].mean == layers["v.weight"].recipe.bias.mean < -0.1
