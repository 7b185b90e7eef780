"""Functions written out of pieces, or of terms that are convex only together, and their neighbours that are not."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from convex_init_core.convexity.calculus import Curvature, Monotonicity, Sign
from convex_init_core.convexity.judge import judge
from tests.core.graphs.builder import Builder, NumpyFramework

ROOT_HALF, ROOT_2_PI = math.sqrt(0.5), math.sqrt(2.0 * math.pi)
UP, DOWN, NEITHER = Monotonicity.INCREASING, Monotonicity.DECREASING, Monotonicity.ANY


def density(b, s, factor=1.0):
    return b.multiply(b.exp(b.multiply(b.square(s), -0.5)), factor / ROOT_2_PI)


def expected_relu(b, s, factor=1.0):
    """``s Φ(s) + φ(s)``, the mean of ``relu(s + ε)``."""
    return b.add(b.multiply(b.multiply(s, 0.5), b.add(b.erf(b.multiply(s, ROOT_HALF)), 1.0)), density(b, s, factor))


def huber(b, s, edge=1.0, offset=0.5):
    inside = b.multiply(b.multiply(s, s), 0.5)
    below = b.where(b.compare(s, "<", -edge), b.subtract(b.negate(s), offset), inside)
    return b.where(b.compare(s, ">", edge), b.subtract(s, offset), below)


def smoothed_relu(b, s, width=1.0):
    """``max(clamp(sign(s) s² / 2d, 0, d/2), s − d/2)``."""
    square = b.multiply(b.multiply(b.sign(s), 0.5 / width), b.square(s))
    return b.maximum(b.minimum(b.maximum(square, 0.0), 0.5 * width), b.subtract(s, 0.5 * width))


def three_pieces(b, s, first=0.0, slope=1.0, between=">="):
    middle = b.where(b.compare(s, "<", 1.0), b.multiply(b.square(s), 0.5), b.subtract(b.multiply(s, slope), 0.5))
    return b.where(b.compare(s, between, 0.0), middle, first)


def laplace(b, s, factor=0.5):
    return b.add(b.relu(s), b.multiply(b.exp(b.negate(b.abs(s))), factor))


def log_cosh(b, s, rate=-2.0):
    return b.add(b.abs(s), b.log(b.add(b.exp(b.multiply(b.abs(s), rate)), 1.0)))


def cauchy(b, s, factor=2.0):
    """``(π s − log(1 + s²) + 2 s atan(s)) / 2π``."""
    inside = b.subtract(b.multiply(s, math.pi), b.log(b.add(b.square(s), 1.0)))
    return b.divide(b.add(inside, b.multiply(b.multiply(s, factor), b.atan(s))), 2.0 * math.pi)


def gap_at_one_place(b, s):
    """As relu, but 1 at 0 itself."""
    return b.where(b.compare(s, ">", 0.0), s, b.where(b.compare(s, "<", 0.0), b.multiply(s, 0.0), 1.0))


def expected_abs(b, s):
    return b.add(b.multiply(s, b.erf(b.multiply(s, ROOT_HALF))), density(b, s, 2.0))


def masked(b, s):
    """ELU by masks, with a bounded exponent."""
    below = b.multiply(b.expm1(b.minimum(s, 0.0)), b.cast(b.compare(s, "<=", 0.0)))
    return b.add(b.multiply(s, b.cast(b.compare(s, ">", 0.0))), below)


def where_it_touches(b, s, there, place=0.0, factor=1.0, strictly=False):
    """``|s|``, but another number where a parabola touches 0."""
    parabola = b.multiply(b.square(b.subtract(s, place)), factor)
    relation = {(True, True): ">", (True, False): "<=", (False, True): "<", (False, False): ">="}[
        factor > 0.0, strictly
    ]
    at_zero, elsewhere = b.add(b.multiply(s, 0.0), there), b.abs(s)
    return b.where(b.compare(parabola, relation, 0.0), *((elsewhere, at_zero) if strictly else (at_zero, elsewhere)))


def cut_erf(b, s, rate, place):
    """``erf(k (s − c))`` up to c, and 0 from there."""
    rising = b.erf(b.multiply(b.subtract(s, place), rate))
    return b.where(b.compare(s, "<", place), rising, 0.0)


CONVEX = {
    "expected relu": (expected_relu, UP, Sign.NON_NEGATIVE),
    "expected relu with a denser density": (lambda b, s: expected_relu(b, s, 1.5), UP, Sign.NON_NEGATIVE),
    "expected abs": (expected_abs, NEITHER, Sign.ANY),
    "expected relu of a scaled value": (lambda b, s: expected_relu(b, b.multiply(s, 3.0)), UP, Sign.NON_NEGATIVE),
    "gelu and a density": (lambda b, s: b.add(b.gelu(s), density(b, s)), UP, Sign.NON_NEGATIVE),
    "huber": (huber, NEITHER, Sign.ANY),
    "smoothed relu": (smoothed_relu, UP, Sign.NON_NEGATIVE),
    "smoothed relu, narrow": (lambda b, s: smoothed_relu(b, s, 0.1), UP, Sign.NON_NEGATIVE),
    "three pieces": (three_pieces, UP, Sign.NON_NEGATIVE),
    "three pieces, strict": (lambda b, s: three_pieces(b, s, between=">"), UP, Sign.NON_NEGATIVE),
    "laplace": (laplace, UP, Sign.NON_NEGATIVE),
    "log cosh": (log_cosh, NEITHER, Sign.ANY),
    "cauchy": (cauchy, UP, Sign.ANY),
    "masked": (masked, UP, Sign.ANY),
    "the same number where a parabola touches 0": (lambda b, s: where_it_touches(b, s, 0.0), NEITHER, Sign.ANY),
    "the same, at another place": (lambda b, s: where_it_touches(b, s, 2.0, 2.0, -0.5), NEITHER, Sign.ANY),
}
NOT_CONVEX = {
    "gelu": lambda b, s: b.multiply(b.multiply(s, 0.5), b.add(b.erf(b.multiply(s, ROOT_HALF)), 1.0)),
    "expected relu with a thin density": lambda b, s: expected_relu(b, s, 0.8),
    "expected relu with a far too dense density": lambda b, s: expected_relu(b, s, 2.5),
    "expected relu of another width": lambda b, s: b.add(
        b.multiply(b.multiply(s, 0.5), b.add(b.erf(b.multiply(s, 0.7)), 1.0)), density(b, s)
    ),
    "huber that jumps": lambda b, s: huber(b, s, 1.0, 0.4),
    "huber cut late": lambda b, s: huber(b, s, 1.5, 0.5),
    "huber whose slope drops": lambda b, s: huber(b, s, 1.5, 0.375),
    "pieces with a drop": lambda b, s: three_pieces(b, s, slope=0.9),
    "pieces with a jump": lambda b, s: three_pieces(b, s, first=0.1),
    "a gap at one place": gap_at_one_place,
    **{
        f"{there} where {factor} (s - {place})² is 0{', strictly' * strictly}": partial(
            where_it_touches, there=there, place=place, factor=factor, strictly=strictly
        )
        for there, place in ((1.0, 0.0), (-1.0, 0.0), (3.0, 2.0))
        for factor in (1.0, -0.5)
        for strictly in (True, False)
    },
    "a parabola upwards at one place alone": lambda b, s: b.where(
        b.compare(b.multiply(b.square(s), -0.5), ">=", 0.0),
        b.multiply(b.square(s), 0.1),
        b.subtract(b.multiply(b.square(s), -0.1), 1.0),
    ),
    "the sign of a square": lambda b, s: b.add(b.abs(s), b.sign(b.square(s))),
    "erf cut where it is steep, far from 0": lambda b, s: cut_erf(b, s, 20.0, 2.0),
    "the same, farther": lambda b, s: cut_erf(b, s, 200.0, 2.0),
    "the same, much farther": lambda b, s: cut_erf(b, s, 1e4, 4.0),
    "laplace, too strong": lambda b, s: laplace(b, s, 0.51),
    "laplace, concave": lambda b, s: laplace(b, s, -0.5),
    "log cosh of another rate": lambda b, s: log_cosh(b, s, -2.1),
    "cauchy with a thin part": lambda b, s: cauchy(b, s, 0.9),
    "sign added": lambda b, s: b.add(b.relu(s), b.abs(b.sign(s))),
    "smoothed relu, turned": lambda b, s: b.minimum(smoothed_relu(b, s), b.subtract(s, 0.25)),
    "a mask over what overflows": lambda b, s: b.multiply(b.exp(s), b.cast(b.compare(s, "<", 0.0))),
    "a parabola downwards between": lambda b, s: b.where(
        b.compare(b.abs(s), "<", 1.0), b.subtract(1.0, b.square(s)), b.subtract(b.abs(s), 1.0)
    ),
}

ONLY_FAR_OUT = {
    "expected relu with a slightly thin density": lambda b, s: expected_relu(b, s, 0.999),
    "expected relu with a rounded constant": lambda b, s: expected_relu(b, s, 0.3989 * ROOT_2_PI),
}
"""They bend down where the density is lost in what is added to it."""


def judged(make, argument=lambda b, x: x):
    b = Builder()
    x = b.input("x", (4, 3))
    s = argument(b, x)
    node = make(b, s)
    return judge(b.graph, framework=NumpyFramework())[node], b, node


@pytest.mark.parametrize("name", CONVEX)
def test_what_is_convex_together_is_proved(name):
    make, monotone, sign = CONVEX[name]
    value, _, _ = judged(make)
    assert value.curvature is Curvature.CONVEX, value.reason
    assert (value.monotone["x"], value.sign) == (monotone, sign)


@pytest.mark.parametrize("name", [name for name, (_, monotone, _) in CONVEX.items() if monotone is UP])
def test_an_increasing_one_of_a_convex_value_is_convex(name):
    value, _, _ = judged(CONVEX[name][0], lambda b, x: b.softplus(x))
    assert value.curvature is Curvature.CONVEX, value.reason


@pytest.mark.parametrize("name", [name for name, (_, monotone, _) in CONVEX.items() if monotone is NEITHER])
def test_one_that_falls_is_convex_of_an_affine_value_or_of_a_convex_one_above_zero(name):
    assert judged(CONVEX[name][0], lambda b, x: b.softplus(x))[0].curvature is Curvature.CONVEX
    assert judged(CONVEX[name][0], lambda b, x: b.elu(x))[0].curvature is Curvature.UNKNOWN


@pytest.mark.parametrize("name", [*NOT_CONVEX, *ONLY_FAR_OUT])
def test_its_neighbours_are_not(name):
    value, _, _ = judged({**NOT_CONVEX, **ONLY_FAR_OUT}[name])
    assert value.curvature is Curvature.UNKNOWN


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_the_neighbours_are_truly_not_convex(name):
    """The control of the test above."""
    _, b, node = judged(NOT_CONVEX[name])
    s = np.linspace(-6.0, 6.0, 1201) if name != "a mask over what overflows" else np.array([-1.0, 0.5, 800.0])
    values = np.array([float(b.evaluate({"x": np.full((4, 3), place)})[node].flat[0]) for place in s])
    chords = 0.5 * (values[:-2] + values[2:]) - values[1:-1]
    assert not np.all(chords >= -1e-9)


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-7])
def test_a_constant_is_rounded_as_the_type_is(factor):
    b = Builder()
    s = b.input("x", (4, 3), "float32" if factor != 1.0 else "float64")
    node = expected_relu(b, s, factor)
    assert judge(b.graph)[node].curvature is Curvature.CONVEX
    c = Builder()
    other = expected_relu(c, c.input("x", (4, 3)), 1.0 - 1e-7)
    assert judge(c.graph)[other].curvature is Curvature.UNKNOWN


SLOPES = {
    "a number": (lambda b, s: 0.5, True),
    "a number for each unit": (lambda b, s: np.linspace(0.0, 1.0, 4), True),
    "that changes with s": (lambda b, s: b.subtract(0.5, b.multiply(s, 0.1)), False),
    "that is s": (lambda b, s: s, False),
    "an exponential": (lambda b, s: b.exp(s), False),
    "a share": (lambda b, s: b.sigmoid(s), False),
}


@pytest.mark.parametrize("name", SLOPES)
def test_a_slope_that_changes_is_none(name):
    make, is_convex = SLOPES[name]
    b = Builder()
    s = b.input("x", (3, 4))
    slopes = make(b, s)
    for found in (b.prelu(s, slopes), b.add(b.prelu(s, slopes), 1.0)):
        assert judge(b.graph)[found].curvature is (Curvature.CONVEX if is_convex else Curvature.UNKNOWN)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_condition_that_is_no_truth_value_is_none(shift):
    b = Builder()
    s = b.input("x", (3, 4))
    found = b.where(b.add(s, shift), b.square(s), b.relu(s), run=np.where)
    assert judge(b.graph)[found].curvature is Curvature.UNKNOWN


@pytest.mark.parametrize("threshold", [-1000.0, -1.0, 0.0, 2.0, 13.0])
def test_a_softplus_that_jumps_is_refused_wherever_it_stands(threshold):
    b = Builder()
    s = b.input("x", (3, 4))
    for made in (b.softplus(s, threshold=threshold), b.add(b.softplus(s, threshold=threshold), b.relu(s))):
        assert judge(b.graph)[made].curvature is Curvature.UNKNOWN


@pytest.mark.parametrize("beta", [0.0, np.inf, -np.inf, np.nan])
def test_a_softplus_without_values_is_refused(beta):
    b = Builder()
    made = b.softplus(b.input("x", (3, 4)), beta=beta)
    found = judge(b.graph)[made]
    assert found.curvature is Curvature.UNKNOWN
    assert f"with beta {beta:g} it has no values" in found.reason
