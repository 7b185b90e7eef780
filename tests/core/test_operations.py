"""Every row of the table of operations: it has a rule, computes what it says, and what is claimed of it is true."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convex_init_core.convexity.rules.element_wise import SINGLE, claim_of
from convex_init_core.graph.ops import OPS
from convex_init_core.theory import activations

GRID = np.linspace(-9.0, 9.0, 3601)  # 0 and all halves are on it
INF = math.inf
PARAMETERS = {
    "leaky_relu": [{"slope": slope} for slope in (-2.0, -0.5, 0.0, 0.3, 1.0, 1.5)],
    "elu": [
        {"alpha": alpha, "scale": scale, "input_scale": inner}
        for alpha in (-1.0, 0.0, 0.5, 1.0, 1.7, 3.0)
        for scale in (-1.0, 0.0, 0.5, 1.05)
        for inner in (-1.0, 0.0, 1 / 3.0, 0.5, 1.0, 2.0)
    ],
    "softplus": [
        {"beta": beta, "threshold": threshold}
        for beta in (-3.0, -1.0, 0.5, 1.0, 4.0)
        for threshold in (-5.0, 0.0, 2.0, 13.0, 20.0, INF)
    ],
    "squareplus": [{"b": b} for b in (-1.0, -1e-3, 0.0, 1.0, 4.0)],
    "threshold": [{"at": at, "value": value} for at in (-1.0, 0.0, 0.5) for value in (-1.0, 0.0, 0.5, 1.0)],
    "huber": [{"delta": delta} for delta in (-1.0, 0.0, 0.5, 1.0, 3.0)],
}
CASES = [(name, params) for name in (*SINGLE, "log", "reciprocal") for params in PARAMETERS.get(name, [{}])]


def false_claims(claim, values: np.ndarray, grid: np.ndarray) -> list[str]:
    """Claims that values on an even grid contradict, and values that a claim of shape does not allow to be absent."""
    finite = np.isfinite(values)
    gaps = not np.all(finite[np.argmax(finite) : len(finite) - np.argmax(finite[::-1])])
    grid, values = grid[finite], values[finite]
    first, second = np.diff(values), np.diff(values, 2)
    slack = 1e-9 * (1.0 + np.abs(values))
    positive = grid[:-1] >= 0.0
    mirrored = np.interp(-grid, grid, values)
    found = {
        "gaps": (claim.convex or claim.concave) and gaps,
        "convex": claim.convex and (second < -slack[1:-1]).any(),
        "concave": claim.concave and (second > slack[1:-1]).any(),
        "increasing": claim.increasing and (first < -slack[1:]).any(),
        "decreasing": claim.decreasing and (first > slack[1:]).any(),
        "increasing from zero": claim.increasing_from_zero and (first[positive] < -slack[1:][positive]).any(),
        "even": claim.even and not np.allclose(mirrored, values),
        "non-negative": claim.sign.is_non_negative and values.min() < 0.0,
        "non-positive": claim.sign.is_non_positive and values.max() > 0.0,
        "keeps the sign": claim.keeps_sign and (values * grid).min() < 0.0,
    }
    return [name for name, failed in found.items() if failed]


def values_of(name: str, params: dict[str, float], grid: np.ndarray = GRID) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(OPS[name].numpy(grid, **params), np.float64)


@pytest.mark.parametrize("name", OPS)
def test_every_operation_has_what_it_needs(name):
    op = OPS[name]
    assert op.convexity is not None
    assert not op.element_wise or op.numpy is not None
    assert op.name == name


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
def test_every_claim_is_true(name, params):
    assert not false_claims(claim_of(name, **params), values_of(name, params), GRID)


def test_unusual_parameters_are_among_the_cases():
    convex = [name for name, params in CASES if name in PARAMETERS and claim_of(name, **params).convex]
    others = [name for name, params in CASES if name in PARAMETERS and not claim_of(name, **params).convex]
    assert set(convex) == set(others) == set(PARAMETERS)


def test_the_check_sees_false_claims():
    softplus = claim_of("softplus", beta=1.0, threshold=INF)
    assert false_claims(softplus, values_of("softplus", {"beta": -1.0, "threshold": INF}), GRID) == [
        "convex",
        "non-negative",
    ]
    assert "gaps" in false_claims(claim_of("square"), values_of("squareplus", {"b": -1.0}), GRID)


REFERENCES = {
    "relu": lambda s: s * (s > 0),
    "leaky_relu": lambda s, slope: s if s > 0 else slope * s,
    "elu": lambda s, alpha, scale, input_scale: scale * (s if s > 0 else alpha * (math.exp(input_scale * s) - 1)),
    "softplus": lambda s, beta, threshold: s if beta * s > threshold else math.log(1 + math.exp(beta * s)) / beta,
    "squareplus": lambda s, b: (s + math.sqrt(s * s + b)) / 2 if s * s + b >= 0 else math.nan,
    "sparse_plus": lambda s: 0.0 if s <= -1 else s if s >= 1 else (s + 1) ** 2 / 4,
    "threshold": lambda s, at, value: s if s > at else value,
    "huber": lambda s, delta: s * s / 2 if abs(s) <= delta else delta * (abs(s) - delta / 2),
    "exp": math.exp,
    "expm1": lambda s: math.exp(s) - 1,
    "log": lambda s: math.log(s),
    "log1p": lambda s: math.log(1 + s),
    "square": lambda s: s * s,
    "sqrt": math.sqrt,
    "rsqrt": lambda s: s**-0.5 if s > 0 else math.nan,
    "reciprocal": lambda s: 1 / s,
    "abs": abs,
    "sign": lambda s: (s > 0) - (s < 0),
    "sigmoid": lambda s: 1 / (1 + math.exp(-s)),
    "log_sigmoid": lambda s: math.log(1 / (1 + math.exp(-s))),
    "tanh": math.tanh,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "asinh": math.asinh,
    "atan": math.atan,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "erf": math.erf,
    "gelu": lambda s: s * (1 + math.erf(s / math.sqrt(2))) / 2,
    "silu": lambda s: s / (1 + math.exp(-s)),
    "mish": lambda s: s * math.tanh(math.log(1 + math.exp(s))),
    "selu": lambda s: 1.0507009873554805 * (s if s > 0 else 1.6732632423543772 * (math.exp(s) - 1)),
    "hardswish": lambda s: s * min(max(s + 3, 0), 6) / 6,
    "hardsigmoid": lambda s: min(max(s + 3, 0), 6) / 6,
    "softsign": lambda s: s / (1 + abs(s)),
    "softshrink": lambda s: s - 0.5 if s > 0.5 else s + 0.5 if s < -0.5 else 0.0,
    "hardshrink": lambda s: s if abs(s) > 0.5 else 0.0,
    "tanhshrink": lambda s: s - math.tanh(s),
    "entropy": lambda s: -s * math.log(s) if s > 0 else 0.0 if s == 0 else -INF,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "frac": lambda s: math.fmod(s, 1.0),
}


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
def test_values_are_those_of_the_definition(name, params):
    places = np.array([-7.5, -2.5, -1.0, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0, 1.5, 3.0, 8.0])

    def reference(s: float) -> float:
        try:
            return float(REFERENCES[name](s, **params))
        except (ValueError, ZeroDivisionError):
            return math.nan

    found = values_of(name, params, places)
    found[np.isinf(found) & (name in ("log", "log1p", "rsqrt"))] = math.nan
    assert found == pytest.approx([reference(float(s)) for s in places], nan_ok=True, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "inputs", "params", "expected"),
    [
        ("multiply", (2.0, 3.0), {}, 6.0),
        ("divide", (3.0, 2.0), {}, 1.5),
        ("add", (2.0, 3.0), {}, 5.0),
        ("subtract", (2.0, 3.0), {}, -1.0),
        ("negate", (2.0,), {}, -2.0),
        ("maximum", (2.0, 3.0), {}, 3.0),
        ("minimum", (2.0, 3.0), {}, 2.0),
        ("power", (2.0, 3.0), {}, 8.0),
        ("log_add_exp", (0.0, 0.0), {}, math.log(2.0)),
        ("prelu", (-2.0, 0.25), {}, -0.5),
        ("prelu", (2.0, 0.25), {}, 2.0),
        ("where", (1.0, 2.0, 3.0), {}, 2.0),
        ("where", (False, 2.0, 3.0), {}, 3.0),
        *[
            ("compare", (2.0, 2.0), {"relation": r}, r in (">=", "<=", "=="))
            for r in (">", ">=", "<", "<=", "==", "!=")
        ],
        *[("compare", (1.0, 2.0), {"relation": r}, r in ("<", "<=", "!=")) for r in (">", ">=", "<", "<=", "==", "!=")],
    ],
)
def test_values_of_several_arrays(name, inputs, params, expected):
    arrays = [np.full((2, 1), inputs[0]), *(np.full(3, number) for number in inputs[1:])]
    found = OPS[name].numpy(*arrays, **params)
    assert found.shape == ((2, 3) if len(arrays) > 1 else (2, 1))
    assert found == pytest.approx(np.full(found.shape, expected))


@pytest.mark.parametrize(("name", "params"), [case for case in CASES if OPS[case[0]].activation], ids=str)
def test_an_activation_is_the_same_function(name, params):
    found = OPS[name].activation(**params)
    if found is not None:
        assert found(GRID) == pytest.approx(values_of(name, params), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("relu", {}, activations.relu()),
        ("leaky_relu", {"slope": 0.2}, activations.leaky_relu(0.2)),
        ("leaky_relu", {"slope": 1.0}, activations.identity()),
        ("leaky_relu", {"slope": 1.5}, None),
        ("elu", {"alpha": 0.5, "scale": 1.0, "input_scale": 1.0}, activations.elu(0.5)),
        ("elu", {"alpha": 2.0, "scale": 1.0, "input_scale": 0.5}, activations.celu(2.0)),
        ("elu", {"alpha": 1.67, "scale": 1.05, "input_scale": 1.0}, None),
        ("softplus", {"beta": 2.0, "threshold": 20.0}, activations.softplus(2.0, 20.0)),
        ("softplus", {"beta": -1.0, "threshold": 20.0}, None),
        ("threshold", {"at": 0.0, "value": 0.0}, activations.relu()),
        ("threshold", {"at": 0.0, "value": 1.0}, None),
        ("square", {}, activations.square()),
    ],
)
def test_activations_by_name(name, params, expected):
    assert OPS[name].activation(**params) == expected
