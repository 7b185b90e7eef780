"""The calculus of convexity: each rule by itself, and no false claim on random expressions that are evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import Curvature, ElementWise, Monotonicity, Sign, Value
from convex_init_core.convexity.functions import FUNCTIONS, power

X = calculus.variable("x")
CONVEX = calculus.apply(FUNCTIONS["relu"], X, "relu")
CONCAVE = calculus.negate(CONVEX)
PLUS = calculus.constant(Sign.NON_NEGATIVE, "w")
MINUS = calculus.constant(Sign.NON_POSITIVE, "w")
MIXED = calculus.constant(Sign.ANY, "w", "w goes down to -1")


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("relu", X, Curvature.CONVEX),
        ("relu", CONVEX, Curvature.CONVEX),
        ("relu", CONCAVE, Curvature.UNKNOWN),
        ("square", X, Curvature.CONVEX),
        ("square", CONVEX, Curvature.CONVEX),  # relu is non-negative, where the square rises
        ("square", calculus.add([CONVEX, X], "+"), Curvature.UNKNOWN),  # of any sign
        ("square", CONCAVE, Curvature.CONVEX),  # −relu ≤ 0: turned round it is relu
        ("abs", CONCAVE, Curvature.CONVEX),
        ("log", X, Curvature.CONCAVE),
        ("log", CONVEX, Curvature.UNKNOWN),
        ("sqrt", CONCAVE, Curvature.CONCAVE),
        ("tanh", X, Curvature.UNKNOWN),
        ("tanh", PLUS, Curvature.CONSTANT),
        ("exp", CONVEX, Curvature.CONVEX),
        ("exp", CONCAVE, Curvature.UNKNOWN),
    ],
)
def test_composition(function, value, expected):
    assert calculus.apply(FUNCTIONS[function], value, "op").curvature is expected


def test_a_decreasing_convex_function_takes_concave_arguments():
    falling = ElementWise("exp(-s)", convex=True, decreasing=True, sign=Sign.NON_NEGATIVE)
    assert calculus.apply(falling, CONCAVE, "op").curvature is Curvature.CONVEX
    assert calculus.apply(falling, CONVEX, "op").curvature is Curvature.UNKNOWN
    assert calculus.apply(falling, X, "op").monotone == {"x": Monotonicity.DECREASING}


@pytest.mark.parametrize(
    ("factor", "value", "expected"),
    [
        (PLUS, CONVEX, Curvature.CONVEX),
        (MINUS, CONVEX, Curvature.CONCAVE),
        (MINUS, CONCAVE, Curvature.CONVEX),
        (MIXED, CONVEX, Curvature.UNKNOWN),
        (MIXED, X, Curvature.AFFINE),
        (PLUS, MIXED, Curvature.CONSTANT),
        (X, X, Curvature.UNKNOWN),
        (CONVEX, CONVEX, Curvature.UNKNOWN),  # a product of convex functions need not be convex
    ],
)
def test_products(factor, value, expected):
    assert calculus.multiply(factor, value, "op").curvature is expected
    assert calculus.multiply(value, factor, "op").curvature is expected


def test_a_failure_names_the_operation_the_weight_and_why():
    failed = calculus.multiply(MIXED, CONVEX, "addmm in 'layers.1'")
    assert "addmm in 'layers.1'" in failed.reason
    assert "w goes down to -1" in failed.reason
    later = calculus.add([failed, X], "add in 'layers.2'")
    assert later.reason == failed.reason  # the first cause, not the last operation


def test_sums_extremes_and_norms():
    assert calculus.add([CONVEX, X, PLUS], "+").curvature is Curvature.CONVEX
    assert calculus.add([CONVEX, CONCAVE], "+").curvature is Curvature.UNKNOWN
    assert calculus.maximum([CONVEX, X], "max").curvature is Curvature.CONVEX
    assert calculus.maximum([CONVEX, CONCAVE], "max").curvature is Curvature.UNKNOWN
    assert calculus.minimum([CONCAVE, X], "min").curvature is Curvature.CONCAVE
    assert calculus.maximum([X, PLUS], "max").sign is Sign.NON_NEGATIVE
    assert calculus.norm(X, "norm").curvature is Curvature.CONVEX
    assert calculus.norm(CONVEX, "norm").curvature is Curvature.CONVEX
    assert calculus.norm(calculus.add([CONVEX, X], "+"), "norm").curvature is Curvature.UNKNOWN


def test_an_unknown_value_without_operands_is_not_taken_for_a_constant():
    assert calculus.unknown("why").curvature is Curvature.UNKNOWN


def test_monotonicity_follows_each_input():
    y = calculus.variable("y")
    both = calculus.add([CONVEX, calculus.negate(y)], "+")
    assert both.monotone == {"x": Monotonicity.INCREASING, "y": Monotonicity.DECREASING}
    assert calculus.multiply(MINUS, both, "*").monotone == {"x": Monotonicity.DECREASING, "y": Monotonicity.INCREASING}
    assert calculus.multiply(MIXED, y, "*").monotone == {"y": Monotonicity.ANY}


# Random expressions in two variables, built next to a NumPy function that computes them.

ARITHMETIC = {
    "relu": lambda s: np.maximum(s, 0.0),
    "softplus": lambda s: np.logaddexp(0.0, s),
    "exp": np.exp,
    "square": np.square,
    "abs": np.abs,
    "tanh": np.tanh,
    "sigmoid": lambda s: 1.0 / (1.0 + np.exp(-np.clip(s, -500, 500))),
    "log_sigmoid": lambda s: -np.logaddexp(0.0, -s),
    "elu": lambda s: np.where(s > 0, s, np.expm1(np.minimum(s, 0.0))),
    "sin": np.sin,
    "expm1": np.expm1,
    "cosh": np.cosh,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda s: 1.0 / np.sqrt(s),
    "reciprocal": lambda s: 1.0 / s,
    "huber": lambda s: np.where(np.abs(s) < 1.0, 0.5 * s**2, np.abs(s) - 0.5),
    "squareplus": lambda s: 0.5 * (s + np.sqrt(s**2 + 4.0)),
    "sparse_plus": lambda s: np.where(s > 1.0, s, np.where(s < -1.0, 0.0, 0.25 * (s + 1.0) ** 2)),
    "entropy": lambda s: -s * np.log(s),
    "softsign": lambda s: s / (1.0 + np.abs(s)),
}


def random_expression(rng: np.random.Generator, depth: int):
    """Return what the calculus says of a random expression, and the expression as a function of (x, y)."""
    if depth == 0:
        name = rng.choice(["x", "y"])
        place = 0 if name == "x" else 1
        return calculus.variable(str(name)), lambda p, place=place: p[place]
    kind = rng.choice(
        ["function", "power", "sum", "scale", "maximum", "minimum", "product"],
        p=[0.35, 0.06, 0.19, 0.16, 0.1, 0.06, 0.08],
    )
    value, f = random_expression(rng, depth - 1)
    if kind == "function":
        name = str(rng.choice(list(ARITHMETIC)))
        return calculus.apply(FUNCTIONS[name], value, name), lambda p: ARITHMETIC[name](f(p))
    if kind == "power":
        p = float(rng.choice([-1.0, 0.5, 0.7, 1.5, 2.0, 3.0, 4.0]))
        return calculus.apply(power(p, value.sign), value, "power"), lambda s: f(s) ** p
    if kind == "scale":
        c = float(rng.normal())
        constant = calculus.constant(Sign.NON_NEGATIVE if c >= 0 else Sign.NON_POSITIVE)
        return calculus.multiply(constant, value, "scale"), lambda p: c * f(p)
    other, g = random_expression(rng, int(rng.integers(depth)))
    if kind == "sum":
        return calculus.add([value, other], "sum"), lambda p: f(p) + g(p)
    if kind == "product":
        return calculus.multiply(value, other, "product"), lambda p: f(p) * g(p)
    if kind == "maximum":
        return calculus.maximum([value, other], "max"), lambda p: np.maximum(f(p), g(p))
    return calculus.minimum([value, other], "min"), lambda p: np.minimum(f(p), g(p))


def excess(f, a, b):
    """How far f lies above its chord in the middle, and what rounding could account for."""
    ends, middle = np.array([f(a), f(b)]), f(0.5 * (a + b))
    largest = np.maximum(np.abs(ends).max(0), np.abs(middle))
    return middle - ends.mean(0), 1e-9 * (largest + 1.0)


def claims_that_fail(value: Value, f, rng: np.random.Generator) -> list[str]:
    """Claims about the expression that some sample contradicts."""
    a, b = rng.normal(size=(2, 2, 400)) * 10.0 ** rng.uniform(-1, 0.7, size=(2, 1, 400))
    with np.errstate(all="ignore"):  # outside its domain, an expression claims nothing
        above, slack = excess(f, a, b)
        samples = f(a)
    usable = np.isfinite(above) & np.isfinite(slack)
    failed = []
    if value.curvature.is_convex and (above > slack)[usable].any():
        failed.append("convex")
    if value.curvature.is_concave and (-above > slack)[usable].any():
        failed.append("concave")
    if value.sign is Sign.NON_NEGATIVE and (samples < 0).any():
        failed.append("non-negative")
    if value.sign is Sign.NON_POSITIVE and (samples > 0).any():
        failed.append("non-positive")
    for name, how in value.monotone.items():
        step = np.zeros_like(a)
        step[0 if name == "x" else 1] = np.abs(rng.normal(size=400))
        with np.errstate(all="ignore"):
            rise = f(a + step) - samples
        ok = np.isfinite(rise)
        tiny = 1e-9 * (np.abs(samples[ok]) + 1.0)
        if how is Monotonicity.INCREASING and (rise[ok] < -tiny).any():
            failed.append(f"increasing in {name}")
        if how is Monotonicity.DECREASING and (rise[ok] > tiny).any():
            failed.append(f"decreasing in {name}")
    return failed


def test_no_false_claim_on_random_expressions():
    rng = np.random.default_rng(0)
    certified = 0
    for _ in range(6000):
        value, f = random_expression(rng, int(rng.integers(1, 6)))
        assert not claims_that_fail(value, f, rng), value
        certified += value.curvature.is_convex or value.curvature.is_concave
    assert certified > 1200  # the check would be empty if the calculus never claimed anything


def test_the_check_sees_a_false_claim():
    rng = np.random.default_rng(1)
    wrong = Value(Curvature.CONVEX, Sign.NON_NEGATIVE, {"x": Monotonicity.DECREASING})
    assert claims_that_fail(wrong, lambda p: np.tanh(p[0]), rng) == ["convex", "non-negative", "decreasing in x"]
