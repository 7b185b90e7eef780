"""Values, slopes and declared properties of the activations, against mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import convex_init_core as core
from tests.core.references import SQUARE, USABLE, Case

POINTS = (-700.0, -40.0, -6.3, -1.0, -0.02, -1e-9, 1e-9, 0.013, 0.7, 3.9, 4.1, 7.1, 19.9, 20.1, 36.0, 700.0)
CASES = {**USABLE, "square": SQUARE}
# exp(x) multiplies the rounding of x by |x| ≤ 700, two or three times over.
ROUNDING = 3 * 700 * np.finfo(float).eps


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_value(case: Case) -> None:
    with mp.workdps(40):
        expected = np.array([float(case.value(mp.mp, mp.mpf(s))) for s in POINTS])
    np.testing.assert_allclose(case.activation(np.array(POINTS)), expected, rtol=ROUNDING)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_derivative(case: Case) -> None:
    with mp.workdps(40):
        expected = np.array([float(case.slope(mp.mp, mp.mpf(s))) for s in POINTS])
    # A custom function is differentiated numerically: what its values round off comes back divided by the step.
    is_custom = case.activation.name == "bent_function"
    loose = {"rtol": 1e-9, "atol": 1e-9} if is_custom else {"rtol": ROUNDING}
    np.testing.assert_allclose(case.activation.derivative(np.array(POINTS)), expected, **loose)


@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_shape_is_kept(case: Case) -> None:
    s = np.linspace(-2.0, 2.0, 12).reshape(3, 1, 4)
    for function in (case.activation, case.activation.derivative):
        assert function(s).shape == s.shape
        np.testing.assert_array_equal(function(s).ravel(), function(s.ravel()))


@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_usable_activations_pass_the_check_for_unknown_functions(case: Case) -> None:
    if case.activation != core.softplus(2.0, 14.0):  # its drop of 4e-7 is lost in float32, not in the float64 here
        core.custom(case.activation.function)
    assert case.activation.refusal == ""


@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
def test_slope_jumps_only_at_declared_kinks(case: Case) -> None:
    s = np.arange(-12.0, 12.0, 0.005) + 0.0013
    jumps = np.abs(np.diff(case.activation.derivative(s)))
    curvature = 8.0 * 0.005 * 2.0  # no smooth piece above bends faster than this over two grid steps
    for where in s[:-1][jumps > curvature]:
        assert any(abs(where + 0.0025 - kink) < 0.005 for kink in case.activation.kinks)
    assert set(case.kinks) == set(case.activation.kinks)


def test_defaults_are_those_of_the_frameworks() -> None:
    assert core.softplus() == core.softplus(1.0, 20.0)
    assert core.squared_softplus() == core.squared_softplus(1.0, 20.0)
    assert core.elu() == core.elu(1.0)
    assert core.celu() == core.celu(1.0)
    assert core.leaky_relu() == core.leaky_relu(0.01)
    assert core.prelu() == core.prelu(0.25)


def test_square_falls_on_the_left() -> None:
    square = SQUARE.activation
    with pytest.raises(ValueError, match=r"square.*not non-decreasing"):
        core.custom(square.function, name="square")


@pytest.mark.parametrize(
    ("activation", "shown"),
    [
        (core.relu(), "relu"),
        (core.identity(), "identity"),
        (core.leaky_relu(0.2), "leaky_relu(0.2)"),
        (core.prelu(), "prelu(0.25)"),
        (core.softplus(2.0), "softplus(2, 20)"),
        (core.custom(np.exp), "exp"),
        (core.custom(np.exp, name="mine"), "mine"),
    ],
)
def test_shown_name(activation: core.Activation, shown: str) -> None:
    assert str(activation) == shown
