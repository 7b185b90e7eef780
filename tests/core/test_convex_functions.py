"""What is claimed of functions with parameters, and of functions written out by a choice, against their values."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity import calculus
from convex_init_core.convexity import functions as convex_functions
from convex_init_core.convexity import piecewise as pieces
from convex_init_core.convexity.calculus import Curvature, Sign, Under
from convex_init_core.convexity.certificate import Certificate, verdict_on

GRID = np.linspace(-8.0, 8.0, 3201)


def claims_that_fail(function: calculus.ElementWise, values: np.ndarray, grid: np.ndarray = GRID) -> list[str]:
    """Claims that the values on an even grid contradict."""
    first, second = np.diff(values), np.diff(values, 2)
    slack = 1e-9 * (1.0 + np.abs(values).max())
    positive = grid[:-1] >= 0.0
    found = {
        "convex": function.convex and second.min() < -slack,
        "concave": function.concave and second.max() > slack,
        "increasing": function.increasing and first.min() < -slack,
        "decreasing": function.decreasing and first.max() > slack,
        "increasing from zero": function.increasing_from_zero and first[positive].min() < -slack,
        "even": function.even and not np.allclose(values, values[::-1]),
        "non-negative": function.sign.is_non_negative and values.min() < 0.0,
        "keeps the sign": function.keeps_sign and (values * grid).min() < 0.0,
    }
    return [name for name, failed in found.items() if failed]


def leaky(slope):
    return np.where(GRID > 0.0, GRID, slope * GRID)


def elu(alpha, scale=1.0, inner=1.0):
    return scale * np.where(GRID > 0.0, GRID, alpha * np.expm1(np.minimum(GRID, 0.0) * inner))


CASES = {
    "leaky": (lambda s: convex_functions.leaky_relu(s), leaky, [-2.0, -0.5, 0.0, 0.3, 1.0, 1.5]),
    "elu": (lambda a: convex_functions.elu(a), elu, [-1.0, 0.0, 0.5, 1.0, 1.5]),
    "scaled elu": (lambda c: convex_functions.elu(0.5, c, 1.8), lambda c: elu(0.5, c, 1.8), [-1.0, 0.5, 2.0]),
    "steep elu": (lambda c: convex_functions.elu(0.7, 1.0, c), lambda c: elu(0.7, 1.0, c), [-1.0, 1.0, 2.0]),
    "celu": (lambda a: convex_functions.celu(a), lambda a: elu(a, 1.0, 1.0 / a), [0.1, 1.0, 3.0, -1.0]),
    "softplus": (
        lambda t: convex_functions.softplus(2.0, t),
        lambda t: np.where(t < 2.0 * GRID, GRID, np.logaddexp(0.0, 2.0 * GRID) / 2.0),
        [1.0, 5.0, 20.0, np.inf],
    ),
    "threshold": (
        lambda v: convex_functions.threshold(0.5, v),
        lambda v: np.where(GRID > 0.5, GRID, v),
        [-1.0, 0.0, 0.5, 1.0],
    ),
    "exponential": (lambda b: convex_functions.exponential(b), lambda b: b**GRID, [0.3, 1.0, 1.7]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_claim_holds_for_every_parameter(name):
    function, values, parameters = CASES[name]
    claimed = [function(parameter) for parameter in parameters]
    for parameter, claim in zip(parameters, claimed, strict=True):
        assert not claims_that_fail(claim, values(parameter)), (parameter, claim)
    assert any(claim.convex for claim in claimed)


def test_the_check_sees_a_false_claim():
    assert claims_that_fail(convex_functions.leaky_relu(0.5), leaky(1.5)) == ["convex"]


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 0.9, 1.5, 3.0])
def test_powers_of_non_negative_values(exponent):
    grid = np.linspace(0.01, 8.0, 2000)
    assert not claims_that_fail(convex_functions.power(exponent, Sign.NON_NEGATIVE), grid**exponent, grid)
    assert convex_functions.power(3.0, Sign.ANY).refusal


def test_norms_and_log_sum_exp_that_are_written_out():
    x = calculus.variable("x")
    squares = calculus.apply(convex_functions.FUNCTIONS["square"], x, "square")
    exponentials = calculus.apply(convex_functions.FUNCTIONS["exp"], x, "exp")
    one = calculus.numbers(1.0, 1.0, "1")
    root, logarithm = convex_functions.FUNCTIONS["sqrt"], convex_functions.FUNCTIONS["log"]
    assert squares.convex_under is Under.ROOT
    assert exponentials.convex_under is Under.LOGARITHM
    for value in (squares, exponentials):
        assert calculus.apply(root, calculus.add([value, one], "+"), "sqrt").curvature is Curvature.CONVEX
    assert calculus.apply(logarithm, calculus.add([exponentials, one], "+"), "log").curvature is Curvature.CONVEX
    assert calculus.apply(logarithm, calculus.add([squares, one], "+"), "log").curvature is Curvature.UNKNOWN
    minus = calculus.add([squares, calculus.numbers(-1.0, -1.0, "-1")], "+")
    assert calculus.apply(root, minus, "sqrt").curvature is Curvature.UNKNOWN
    product = calculus.multiply(exponentials, exponentials, "*")
    assert product.curvature is Curvature.CONVEX
    assert calculus.multiply(squares, squares, "*").curvature is Curvature.UNKNOWN


def test_zero_has_both_signs():
    zero, x = calculus.numbers(0.0, 0.0, "0"), calculus.variable("x")
    relu = calculus.apply(convex_functions.FUNCTIONS["relu"], x, "relu")
    for value in (relu, calculus.negate(relu)):
        assert calculus.add([value, zero], "+").sign is value.sign
    assert calculus.maximum([calculus.negate(relu), zero], "max").sign is Sign.ZERO
    assert calculus.maximum([x, zero], "max").sign is Sign.NON_NEGATIVE
    assert calculus.minimum([relu, zero], "min").sign is Sign.ZERO


def test_numbers_that_are_none_spoil_what_they_meet():
    x, bad = calculus.variable("x"), calculus.numbers(float("nan"), float("nan"), "'w'")
    for value in (
        calculus.add([x, bad], "add"),
        calculus.multiply(bad, x, "multiply"),
        calculus.maximum([x, bad], "max"),
        calculus.add([x, calculus.multiply(bad, calculus.constant(), "product")], "add"),
    ):
        assert value.curvature is Curvature.UNKNOWN
    assert "'w' holds NaN or infinite values" in calculus.add([x, bad], "add").reason


# Functions written out by a choice


def random_piece(rng: np.random.Generator, place: float, above: bool):
    """A piece as the core sees it, and as a function of numbers."""
    piece, function = pieces.here(place), lambda s: s
    for _ in range(rng.integers(0, 4)):
        kind, c, inner = rng.integers(5), float(rng.choice([-1.0, -0.5, 0.5, 2.0])), function
        if kind == 0:
            piece, function = piece.times(c), lambda s, c=c, f=inner: c * f(s)
        elif kind == 1:
            piece, function = piece + pieces.flat(c), lambda s, c=c, f=inner: f(s) + c
        elif kind == 2:
            piece, function = piece.exp(1.0), lambda s, f=inner: np.expm1(f(s))
        elif kind == 3:
            piece, function = piece.square(above), lambda s, f=inner: f(s) ** 2
        else:
            piece, function = piece + pieces.here(place), lambda s, f=inner: f(s) + s
    return piece, function


def test_no_false_claim_on_random_choices():
    rng, certified = np.random.default_rng(0), 0
    for _ in range(4000):
        place = float(rng.choice([0.0, 0.5, -1.0]))
        (above, f), (below, g) = random_piece(rng, place, True), random_piece(rng, place, False)
        claim = pieces.meeting(below, above)
        with np.errstate(over="ignore"):
            values = np.where(place < GRID, f(GRID), g(GRID))
        if np.isfinite(values).all() and np.abs(values).max() < 1e6:
            assert not claims_that_fail(claim, values)
            certified += claim.convex
    assert certified > 200


@pytest.mark.parametrize(
    ("below", "above", "reason"),
    [
        (pieces.here(0.0).times(0.2), pieces.here(0.0), ""),
        (pieces.flat(0.0), pieces.here(0.0), ""),
        (pieces.here(0.0).exp(1.0), pieces.here(0.0), ""),
        (pieces.here(0.0), pieces.here(0.0).times(0.2), "slope drops from 1 to 0.2"),
        (pieces.here(0.0).exp(0.5), pieces.here(0.0), "jumps from 0.5 to 0"),
        (pieces.here(0.0), pieces.here(0.0).times(-1.0).exp(1.0).times(-1.0), "not convex"),
    ],
)
def test_choices_are_convex_or_told_why_not(below, above, reason):
    function = pieces.meeting(below, above)
    assert function.convex == (not reason)
    assert reason in function.refusal


# Verdicts


def test_a_verdict_on_outputs():
    x = calculus.variable("x")
    relu = calculus.apply(convex_functions.FUNCTIONS["relu"], x, "relu")
    good = verdict_on({"output": relu}, notes=["a note"])
    assert isinstance(good, Certificate)
    assert good
    assert str(good) == "convex\nnote: a note"
    assert not verdict_on({"output": relu}, ["a doubt"])
    assert "output.1 is concave" in str(verdict_on({"output.0": relu, "output.1": calculus.negate(relu)}))
    assert "no floating-point tensor" in str(verdict_on({}))
    assert "NaN" in str(verdict_on({"output": calculus.numbers(float("nan"), 0.0, "'w'")}))


@pytest.mark.parametrize("scale", [-2.0, -0.5, -1e-3])
def test_an_elu_that_is_turned_over_is_not_convex(scale):
    claim = convex_functions.elu(1.0, scale)
    assert not claim.convex
    assert not claim.increasing
    assert convex_functions.elu(1.0, -scale).convex
