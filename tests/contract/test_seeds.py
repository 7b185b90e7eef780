"""Contract, point 3: one seed reproduces, layers differ, and the generators that a program shares are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.description import described
from tests.contract.frameworks import adapter
from tests.contract.small_models import dense


def alike(x):
    """Layers of one shape."""
    for name in ("one", "two", "three"):
        x = x.dense(name, 30).act("relu")
    return x


@pytest.mark.parametrize("through", ["", "exp"])
def test_one_seed_reproduces_and_another_differs(framework, through):
    found = adapter(framework, dense(20, 30, through))
    draws = []
    for seed in (5, 5, 6):
        found.apply(seed)
        draws.append(found.raw("layer"))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.isclose(draws[0], draws[2], rtol=1e-6).any()


def test_layers_of_one_shape_differ(framework):
    found = adapter(framework, described(alike, (30,), bias_noise=0.5))
    found.apply()
    first, second = found.effective("two"), found.effective("three")
    assert not np.isclose(first, second, rtol=1e-3).any(1).all()
    # 900 pairs: a correlation of unrelated numbers has a standard error of 1/30.
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5.0 / 30.0
    assert not np.isclose(found.bias("two"), found.bias("three")).any()
    assert abs(np.corrcoef(first[0], found.bias("two"))[0, 1]) < 5.0 / np.sqrt(30.0)


@pytest.mark.parametrize("distribution", ["log_normal", "gamma"])
def test_shared_generators_are_untouched_when_a_seed_is_given(framework, distribution):
    found = adapter(framework, dense(20, 30, distribution=distribution, bias_noise=0.2))

    def everything():
        found.plan()
        found.apply(seed=1)
        found.certificate()
        found.report()

    assert found.shared_numbers(everything) == found.shared_numbers(lambda: None)
