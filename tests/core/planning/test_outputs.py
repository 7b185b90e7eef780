"""What a user wants of the outputs: how it is read, and that the model has it afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.planning.outputs.level import moved_by
from convex_init_core.planning.outputs.wanted import outputs_of
from tests.core.planning.models import FEATURES, WIDTH, applied, by_name, chain, dense, planned, sample
from tests.core.planning.numpy_framework import NumpyFramework
from tests.core.reading.drawn_graphs import Drawing

UNITS = 3


def ending(end, units: int = UNITS, **known) -> NumpyFramework:
    """Two layers and an end."""

    def forward(b):
        return end(b, b.linear(b.relu(b.linear(b.input(), "0")), "1"))

    shapes = dense(("0", FEATURES, WIDTH), ("1", WIDTH, units)) | known.pop("shapes", {})
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


def largest(b, s):
    return b.make("max", (s,), s.shape[:1], axes=(1,), keepdims=False)


def plain(b, s):
    return s


def output(framework: NumpyFramework) -> np.ndarray:
    framework.run([], lambda node, values: None)
    return np.asarray(framework.output)


# How far an output moves with its last sum


MOVED = {
    "the largest": (lambda g, s: g.reduce("max", s, 1), 1.0),
    "twice the largest": (lambda g, s: g.multiply(2.0, g.reduce("max", s, 1)), 2.0),
    "a quarter of it": (lambda g, s: g.divide(g.reduce("max", s, 1), 4.0), 0.25),
    "what is divided by it": (lambda g, s: g.divide(4.0, g.reduce("max", s, 1)), None),
    "its square": (lambda g, s: g.multiply(g.reduce("max", s, 1), g.reduce("max", s, 1)), None),
    "the smallest, turned over twice": (lambda g, s: g.negate(g.reduce("max", g.negate(s), 1)), -1.0),  # of −s
    "the larger of two units": (lambda g, s: g.maximum(unit(g, s, 0), unit(g, s, 1)), 1.0),
    "the larger of one and its double": (lambda g, s: g.maximum(unit(g, s, 0), g.multiply(2.0, unit(g, s, 1))), None),
    "the larger of one and a number": (lambda g, s: g.maximum(unit(g, s, 0), 0.0), None),
    "a number and the larger of two": (lambda g, s: g.add(3.0, g.maximum(unit(g, s, 0), unit(g, s, 1))), 1.0),
    "the sum of two": (lambda g, s: g.add(g.reduce("max", s, 1), g.reduce("min", s, 1)), 2.0),
    "the distance of two": (lambda g, s: g.subtract(g.reduce("max", s, 1), g.reduce("min", s, 1)), None),
    "three times less one": (
        lambda g, s: g.subtract(g.multiply(3.0, g.reduce("max", s, 1)), g.reduce("min", s, 1)),
        2.0,
    ),
    "the sum of all largest": (lambda g, s: g.reduce("sum", g.reduce("max", s, 1)), 4.0),
    "a choice between two that move alike": (
        lambda g, s: g.where(
            g.compare(unit(g, s, 0), unit(g, s, 1), relation=">"), g.reduce("max", s, 1), g.reduce("min", s, 1)
        ),
        1.0,
    ),
    "a choice by a number": (
        lambda g, s: g.where(g.compare(unit(g, s, 0), 0.0, relation=">"), g.reduce("max", s, 1), g.reduce("min", s, 1)),
        None,
    ),
    "a choice between two that do not": (
        lambda g, s: g.where(
            g.compare(unit(g, s, 0), unit(g, s, 1), relation=">"), g.reduce("max", s, 1), g.multiply(2.0, unit(g, s, 0))
        ),
        None,
    ),
    "a ReLU of the largest": (lambda g, s: g.relu(g.reduce("max", s, 1)), None),
    "the sum itself": (lambda g, s: s, None),
    "its mean": (lambda g, s: g.reduce("mean", s, 1), None),
}


def unit(g, s, place):
    return g.node("slice", s, shape=(4, 1), starts=(0, place), stops=(4, place + 1), steps=(1, 1))


@pytest.mark.parametrize("name", MOVED)
def test_how_far_an_output_moves_with_its_last_sum(name):
    make, gain = MOVED[name]
    g = Drawing()
    last = g.linear(g.relu(g.linear(g.input(4, 6), "0", 8)), "1", 3)
    g.graph.outputs["output"] = make(g, last)
    reading = g.read()
    found = moved_by(reading)
    assert (found and found[1]) == gain
    if found is not None:
        assert found[0] is reading.sums[-1]
        assert moved_by(reading, reading.sums) is None  # the model returns that sum, too
        g.graph.outputs["other"] = reading.sums[0].root
        assert moved_by(reading) is None


# What the output has afterwards


@pytest.mark.parametrize("calibrate", [None, True, False])
def test_an_output_gets_its_mean(calibrate):
    mean = 0.7
    framework = ending(plain, units=64)
    given = {} if calibrate is None else {"calibrate": calibrate}
    applied(framework, output_mean=mean, **given)
    assert output(framework).mean() == pytest.approx(mean, abs=0.5 if calibrate is not True else 5e-3)
    shifted, centred = (planned(ending(plain), **given, **asked) for asked in ({"output_mean": mean}, {}))
    assert shifted.biases["1.bias"].mean - centred.biases["1.bias"].mean == pytest.approx(mean, abs=1e-12)


def test_a_number_in_the_code_takes_part():
    made = planned(ending(lambda b, s: b.map("add", s, 5.0)), calibrate=False, output_mean=0.7)
    bare = planned(ending(plain), calibrate=False)
    assert made.biases["1.bias"].mean - bare.biases["1.bias"].mean == pytest.approx(0.7 - 5.0, abs=1e-12)


def test_each_output_gets_its_mean_and_variance():
    framework = ending(plain)
    means, variances = np.array([-2.0, 0.0, 3.0]), np.array([0.5, 1.0, 4.0])
    applied(framework, output_mean=means, output_variance=variances)
    found = output(framework)
    np.testing.assert_allclose(found.mean(0), means, atol=5e-3)
    np.testing.assert_allclose(found.var(0), variances, rtol=0.01)


def test_each_output_beside_a_value_that_stays_gets_its_mean_and_variance():
    def end(b, s):
        return b.map("add", s, b.input("y"))

    rng = np.random.default_rng(0)
    beside = rng.standard_normal((512, UNITS)) * np.array([0.1, 0.5, 0.9]) + np.array([5.0, 0.0, -1.0])
    framework = ending(end, inputs={"x": sample(), "y": beside})
    means, variances = np.array([-2.0, 0.0, 3.0]), np.array([2.0, 1.5, 4.0])
    applied(framework, output_mean=means, output_variance=variances)
    found = output(framework)
    np.testing.assert_allclose(found.mean(0), means, atol=5e-3)
    np.testing.assert_allclose(found.var(0), variances, rtol=0.02)


ENDS = {
    "the largest": (largest, {}),
    "twice the largest": (lambda b, s: b.map("multiply", largest(b, s), 2.0), {}),
    "the largest, turned over": (lambda b, s: largest(b, b.map("negate", s)), {"free": "1"}),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("mean", [None, 0.0, 1.5])
def test_an_output_behind_a_maximum_gets_its_mean_by_the_bias_before_it(mean, name):
    end, options = ENDS[name]
    framework = ending(end)
    made = applied(framework, **options, **({} if mean is None else {"output_mean": mean}))
    assert output(framework).mean() == pytest.approx(mean or 0.0, abs=2e-3)
    assert "is set by the bias '1.bias'" in by_name(made)["1.weight"].note


def test_an_output_behind_a_maximum_is_left_alone_where_its_mean_is_not_asked_for():
    for options in ({"method": "log_normal"}, {"calibrate": False}, {"method": "log_normal", "calibrate": False}):
        assert planned(ending(largest), **options).measured == ()
    assert planned(ending(largest, has_inputs=False)).measured == ()


NOT_SET = {
    "too few inputs": (lambda: ending(largest, inputs=sample(31, FEATURES)), {}, "behind a maximum .* pass 32 example"),
    "no inputs": (lambda: ending(largest, has_inputs=False), {}, "behind a maximum .* pass 32 example_inputs"),
    "no measurement": (lambda: ending(largest), {"calibrate": False}, "leave calibrate=False out"),
    "a bias of two sums": (
        lambda: ending(lambda b, s: largest(b, shared(b, s)), shapes=dense(("2", UNITS, UNITS), bias=False)),
        {},
        "needs a bias that moves the output and nothing else",
    ),
}


def shared(b, s):
    """The bias of the last sum is that of the one before."""
    return b.map("add", b.linear(b.relu(s), "2"), b.parameter("1.bias"))


@pytest.mark.parametrize("name", NOT_SET)
def test_a_mean_behind_a_maximum_that_cannot_be_set_is_refused(name):
    build, options, message = NOT_SET[name]
    with pytest.raises(ValueError, match=message):
        planned(build(), output_mean=1.0, **options)


@pytest.mark.parametrize(("count", "is_enough"), [(31, False), (32, True)])
def test_numbers_for_each_output_are_measured_on_enough_inputs(count, is_enough):
    asked = {"output_mean": np.arange(3.0)}
    if is_enough:
        assert planned(ending(plain, inputs=sample(count, FEATURES)), **asked).measured
    else:
        with pytest.raises(ValueError, match="has numbers for each output, which are set by measuring: pass 32"):
            planned(ending(plain, inputs=sample(count, FEATURES)), **asked)
    with pytest.raises(ValueError, match="which are set by measuring"):
        planned(ending(plain, has_inputs=False), **asked)


# What is wanted


def test_targets_say_mean_and_variance():
    targets = np.random.default_rng(0).normal(3.0, 2.0, (100, 2)) * np.array([1.0, 1e-3])
    found = outputs_of({"targets": targets})
    np.testing.assert_allclose(found.mean, targets.mean(0))
    np.testing.assert_allclose(found.variance, targets.var(0, ddof=1))
    assert outputs_of({"targets": targets[:, 0]}).units == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"targets": np.ones((9, 1))}, "targets= are constant, which"),
        ({"targets": np.stack([np.arange(9.0), np.full(9, 3.0)], 1)}, "constant in column 1"),
        ({"output_mean": [1.0, 2.0], "output_variance": [1.0, 2.0, 3.0]}, "are for 2 and 3 outputs"),
        ({"output_variance": [1.0, 0.0]}, "output_variance must be above 0"),
    ],
)
def test_what_cannot_be_wanted_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        outputs_of(given)


@pytest.mark.parametrize(("mean", "variance"), [([1.0, 2.0], 3.0), (0.5, [1.0, 2.0]), ([0.5], [1.0, 2.0]), (1.0, 2.0)])
def test_one_number_goes_with_any_count(mean, variance):
    assert outputs_of({"output_mean": mean, "output_variance": variance}).units == max(np.size(mean), np.size(variance))


def test_a_wrong_count_of_outputs_is_refused():
    with pytest.raises(ValueError, match="has 2 columns, and the model has 64 outputs"):
        planned(chain(), output_mean=[1.0, 2.0])
