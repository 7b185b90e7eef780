"""``kinks="spread"``: the units of the first layer bend at inputs as they occur, one at each share of them."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from tests.contract.description import Model, Value, described
from tests.contract.frameworks import adapter

UNITS = 40


def two_layers(**options: object) -> Model:
    def layers(x: Value) -> Value:
        return x.dense("first", UNITS).act("relu").dense("second", 8).act("relu").dense("last", 1)

    return described(layers, (3,), kinks="spread", **options)


def pre_activations(found) -> np.ndarray:
    (x,) = found.model.inputs()
    return x.astype(np.float64) @ found.effective("first") + found.bias("first")


@pytest.mark.parametrize("method", ["log_normal", "bounded_gain", "isometric"])
def test_each_unit_bends_at_its_own_share_of_the_inputs(framework, method):
    found = adapter(framework, two_layers(method=method))
    (x,) = found.model.inputs()
    found.apply()
    on = (pre_activations(found) > 0.0).mean(axis=0)
    due = (np.arange(UNITS) + 0.5) / UNITS
    # Shares of a golden sequence are at most 1/√5 of a step from evenly spaced, and quantiles one sample off.
    assert np.abs(np.sort(on) - due).max() < 2.0 / UNITS + 1.0 / len(x)
    assert (found.effective("second") >= 0.0).all()


def test_the_paper_bends_them_all_in_one_point(framework):
    found = adapter(framework, two_layers(method="log_normal"))
    found.apply(kinks="origin")
    assert not found.bias("first").any()


def test_where_nothing_is_measured_the_biases_are_those_of_a_gaussian(framework):
    found = adapter(framework, two_layers(method="log_normal", calibrate=False, variance=2.0))
    biases = []
    for seed in range(12):
        found.apply(seed)
        biases.append(found.bias("first"))
    numbers = np.concatenate(biases)
    # Half of the variance is the biases'. Mean and variance of n independent numbers: 5 standard deviations.
    n = numbers.size
    assert abs(numbers.mean()) < 5.0 / math.sqrt(n)
    assert abs(numbers.var() - 1.0) < 5.0 * math.sqrt(2.0 / n)
    assert found.plan().layers[0].recipe.bias.std == pytest.approx(1.0)


@pytest.mark.parametrize("number", [0.0, 1.0])
def test_inputs_that_are_all_alike_say_no_more_than_none(framework, number):
    found = adapter(framework, two_layers(method="bounded_gain"))
    is_one = not isinstance(found.inputs, tuple)
    found.inputs = number + 0 * found.inputs if is_one else tuple(number + 0 * x for x in found.inputs)
    found.apply()
    bias, n = np.sort(found.bias("first")), UNITS
    due = [math.sqrt(0.5) * NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)]
    assert bias == pytest.approx(due, abs=0.25)
    assert bias.std() == pytest.approx(math.sqrt(0.5), rel=0.1)
