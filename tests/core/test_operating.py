"""Where an activation can be applied again and again."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core import celu, custom, elu, identity, leaky_relu, prelu, relu, softplus, squared_softplus
from convex_init_core.theory.operating_point import operating_point

USABLE = [
    identity(),
    relu(),
    leaky_relu(0.2),
    prelu(0.25),
    elu(),
    elu(0.5),
    celu(2.0),
    softplus(),
    softplus(5.0),
    custom(lambda s: np.maximum(s - 1.0, 0.0), bends=(1.0,), name="shifted"),
    custom(lambda s: 2.0 * np.maximum(s, 0.1 * s), bends=(0.0,), name="steep"),
    custom(lambda s: s + 3.0 * np.maximum(s - 1.0, 0.0), bends=(1.0,), name="shifted and steep"),
    custom(lambda s: 0.2 * s + 0.1 * np.maximum(s - 1.0, 0.0), bends=(1.0,), name="flat"),
]


def iterate(activation, s, layers):
    point = operating_point(activation)
    for _ in range(layers):
        s = point.gain * activation(s) + point.bias
    return s


@pytest.mark.parametrize("activation", USABLE, ids=str)
def test_nothing_grows_at_any_depth_and_the_point_stays(activation):
    point = operating_point(activation)
    s = np.linspace(-6.0, 12.0, 200)
    deep = iterate(activation, s, 300)
    # T is non-expansive: distances never grow, and the fixed point stays where it is.
    assert np.all(np.diff(deep) <= np.diff(s) * (1.0 + 1e-9))
    assert np.all(np.diff(deep) >= 0.0)
    assert iterate(activation, np.array([point.location]), 300) == pytest.approx(point.location, abs=1e-6)
    assert 0.5 <= point.slope <= 1.0


@pytest.mark.parametrize("activation", USABLE, ids=str)
def test_the_point_is_the_first_where_the_slope_is_half_of_what_it_comes_to(activation):
    point = operating_point(activation)
    slopes = activation.derivative(np.array([point.location - 1e-3, point.location + 1e-3, 30.0]))
    assert slopes[1] >= 0.499 * slopes[2]
    assert point.location == 0.0 or slopes[0] < 0.5 * slopes[2]
    assert point.gain == pytest.approx(1.0 / slopes[2])


@pytest.mark.parametrize("activation", [relu(), leaky_relu(0.2), elu(), celu(2.0), identity()], ids=str)
def test_what_is_positive_passes_unchanged(activation):
    point = operating_point(activation)
    assert (point.location, point.bias, point.least_variance) == (0.0, 0.0, 0.0)
    s = np.linspace(0.0, 9.0, 50)
    assert iterate(activation, s, 1000) == pytest.approx(s)


def test_what_is_left_of_a_negative_signal():
    s = np.array([-1.5])
    assert iterate(relu(), s, 1) == 0.0
    assert iterate(leaky_relu(0.2), s, 7) == pytest.approx(-1.5 * 0.2**7)
    assert iterate(elu(), s, 1000) == pytest.approx(-2.0 / 1000.0, rel=0.02)


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_softplus_by_its_linear_recursion(beta):
    """u = exp(βs) obeys u' = (1 + u)/2, hence u_L = 1 + (u_0 − 1)/2^L."""
    phi = softplus(beta, float("inf"))
    assert operating_point(phi).bias == pytest.approx(-np.log(2.0) / beta)
    s = np.linspace(-3.0, 3.0, 13)
    for layers in (1, 5, 20):
        exact = np.log1p(np.expm1(beta * s) / 2.0**layers) / beta
        assert iterate(phi, s, layers) == pytest.approx(exact, abs=1e-9)
    assert operating_point(phi).least_variance == pytest.approx(16.0 / beta**2)


@pytest.mark.parametrize("activation", [squared_softplus(), custom(np.exp), custom(np.zeros_like)], ids=str)
def test_a_slope_without_bound_or_of_0_is_refused(activation):
    with pytest.raises(ValueError, match=r"bounded, positive slope.*log_normal"):
        operating_point(activation)
