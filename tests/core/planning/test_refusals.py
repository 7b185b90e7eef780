"""What is refused, with the place and the remedy, and that nothing is written then."""

import numpy as np
import pytest

from convex_init_core import as_positivity
from convex_init_core.planning.build import execute
from tests.core.planning.models import FEATURES, WIDTH, chain, dense, planned, sample, skips
from tests.core.planning.numpy_framework import NumpyFramework


def of(forward, *layers, **known) -> NumpyFramework:
    shapes = dense(*layers)
    shapes |= known.pop("shapes", {})
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def used_twice() -> NumpyFramework:
    def forward(b):
        return b.linear(b.relu(b.linear(b.input(), "a")), "a")

    return of(forward, ("a", FEATURES, FEATURES))


def fed_in_two_ways() -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        h = b.map("softplus", b.linear(h, "a"), beta=1.0, threshold=20.0)
        return b.linear(h, "a")

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, WIDTH))


def subtracted() -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        return b.map("subtract", b.linear(h, "a"), b.linear(h, "b"))

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, 1), ("b", WIDTH, 1))


def concatenated() -> NumpyFramework:
    def forward(b):
        x = b.input()
        h = b.relu(b.linear(x, "in"))
        return b.linear(b.make("concatenate", (h, x), (h.shape[0], WIDTH + FEATURES), axis=1), "a")

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH + FEATURES, 1))


def scaled_weight() -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        return b.linear(h, "a", through=lambda weight: b.map("multiply", weight, 0.5))

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, 1))


def behind_a_map() -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        return b.linear(h, "a", through=lambda weight: b.map("exp", weight))

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, 1))


def not_convex() -> NumpyFramework:
    def forward(b):
        return b.linear(b.map("tanh", b.linear(b.input(), "in")), "a")

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, 1))


def without_weights() -> NumpyFramework:
    return NumpyFramework(lambda b: b.relu(b.input()), {}, sample())


def frozen(name: str) -> NumpyFramework:
    kind = name.rpartition(".")[2]
    why = f"its {kind} is frozen (requires_grad=False); unfreeze it, or leave the layer out with exclude="
    return chain(obstacle={name: why})


def mixed_weight() -> NumpyFramework:
    def forward(b):
        h = b.relu(b.linear(b.input(), "in"))
        weight = b.parameter("a.weight")
        return b.product(h, b.map("subtract", weight, b.make("mean", (weight,), (WIDTH, 1), axes=(1,), keepdims=True)))

    return of(forward, ("in", FEATURES, WIDTH), ("a", WIDTH, WIDTH))


REFUSED = {
    "a weight that is no function of one number": (mixed_weight, {}, "'a': its weight"),
    "free and positive": (used_twice, {}, "'a': its weight is used both as free and as positive; untie them"),
    "fed in two ways": (fed_in_two_ways, {}, "'a': its weight is fed by relu and by softplus.*; untie them"),
    "a difference": (subtracted, {}, "'a', 'b': subtract subtracts it, or scales it .* a convex term has to be added"),
    "a concatenation": (concatenated, {}, "'a': its columns 0 to 63 are positive, and 64 to 83 free.* two layers"),
    "a scaled weight": (scaled_weight, {}, "'a': its weight is scaled by 0.5 without a positivity map"),
    "another map": (
        behind_a_map,
        {"positivity": "softplus"},
        "'a': positivity='softplus' was given, but its .* by exp",
    ),
    "no map": (chain, {"positivity": "softplus"}, "'1': positivity='softplus' was given, but its weight is used as it"),
    "a map on a free weight": (
        lambda: chain(positivity={"0.weight": as_positivity("projection")}),
        {"free": "0"},
        r"'0': its weight is made non-negative \(by projection\), but it is free \(named in free=\)",
    ),
    "a method that clamps": (
        lambda: chain(kept_by={"0.weight": "clamp_weights()"}),
        {},
        "clamp_weights.. makes its weight non-negative, but it is free .* in free= .* else name it in positive=",
    ),
    "not known to be convex": (not_convex, {}, "output is not known to be convex, whatever its weights: .*free="),
    "nothing to initialise": (without_weights, {}, "the model has no weight to initialise"),
    "a frozen weight": (lambda: frozen("1.weight"), {}, "'1': its weight is frozen .* exclude="),
    "a frozen bias": (lambda: frozen("1.bias"), {}, "'1': its bias is frozen .* exclude="),
    "a selection of nothing": (chain, {"exclude": "nope"}, "exclude= pattern 'nope' matches no layer or parameter"),
    "what feeds nothing": (
        chain,
        {"fed_by": {"nope": "relu"}},
        "fed_by= pattern 'nope' matches no layer; there are: 0",
    ),
    "an input that is none": (chain, {"convex_inputs": "y"}, "convex_inputs names 'y'.*x"),
    "no share for skips": (skips, {"skip_share": 0.0}, "'x1'.*|skip_share must be above 0"),
    "two laws of one weight": (
        lambda: chain(tied_to={"2.weight": "0.weight"}),
        {},
        "'2': its weight is tied to that of '0', which needs another law",
    ),
}


@pytest.mark.parametrize(("build", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_place_and_the_remedy(build, options: dict, message: str) -> None:
    framework = build()
    before = {name: values.copy() for name, values in framework.arrays.items()}
    with pytest.raises(ValueError, match=message):
        planned(framework, **options)
    for name, values in before.items():
        np.testing.assert_array_equal(values, framework.arrays[name])
    assert framework.marked == set()


def test_all_problems_are_listed() -> None:
    why = "its weight is frozen"
    with pytest.raises(ValueError, match=r"(?s)nothing was written: .*'1': its weight.*'3': its weight"):
        planned(chain(obstacle={"1.weight": why, "3.weight": why}))


def test_an_excluded_layer_is_its_users_business() -> None:
    assert planned(frozen("1.weight"), exclude="1").layers
    assert planned(scaled_weight(), exclude="a").layers


def test_free_is_the_users_word_against_the_calculus() -> None:
    made = planned(not_convex(), free=["in", "a"])
    assert [layer.role for layer in made.layers] == ["free", "free"]


def test_positive_is_the_users_word() -> None:
    made = planned(chain(), positive="0")
    assert made.layers[0].role == "positive"


def test_a_predicate_chooses_layers() -> None:
    made = planned(chain(), exclude=lambda path: path in ("1", "2"))
    assert [layer.path for layer in made.layers] == ["0", "3"]


@pytest.mark.parametrize("at", ["write", "mark", "scale", "add_bias"])
def test_a_failure_half_way_leaves_everything_as_it_was(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    framework = chain(bias=False, inputs=3.0 * sample())
    made = planned(framework, register_missing_bias=True)
    before = {name: values.copy() for name, values in framework.arrays.items()}
    calls, original = [], getattr(framework, at)

    def fails(*arguments):
        calls.append(arguments)
        original(*arguments)
        if at != "add_bias" or len(calls) == 2:
            raise RuntimeError("half-way")

    monkeypatch.setattr(framework, at, fails)
    with pytest.raises(RuntimeError, match="half-way"):
        execute(made, framework, 0)
    assert set(framework.arrays) == set(before)
    for name, values in before.items():
        np.testing.assert_array_equal(values, framework.arrays[name])
    assert framework.marked == set()


def with_context(signed: bool) -> NumpyFramework:
    """Convex in x, the smaller input, for any y; or in neither."""

    def forward(b):
        shift = b.map("tanh", b.linear(b.input("y"), "y"))
        h = b.relu(b.map("add", b.linear(b.input("x"), "x"), shift))
        return b.linear(b.map("sin", h) if signed else h, "1")

    inputs = {"y": sample(64, 2 * FEATURES), "x": sample(64, FEATURES)}
    return of(forward, ("x", FEATURES, WIDTH), ("y", 2 * FEATURES, WIDTH), ("1", WIDTH, 1), inputs=inputs)


def test_another_request_is_named_that_would_do() -> None:
    with pytest.raises(ValueError, match="in a part of its inputs, the rest being context: pass convex_inputs='x'"):
        planned(with_context(False))
    assert [layer.path for layer in planned(with_context(False), convex_inputs="x").layers if layer.role == "positive"]
    with pytest.raises(ValueError, match="not known to be convex") as refusal:
        planned(with_context(True))
    assert "convex_inputs=" not in str(refusal.value)
