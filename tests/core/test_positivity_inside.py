"""Maps of a scaled and shifted raw parameter, ``map(slope · raw + offset)``."""

from __future__ import annotations

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.weights.positivity import Abs, Exp, Projection, Relu, Softplus, Square

MAPS = [
    kind(slope=slope, offset=offset, scale=0.1)
    for kind in (Exp, Softplus, Square, Abs, Relu)
    for slope, offset in ((2.0, 0.0), (1.0, -4.0), (1.0, -1.0), (0.3, 1.5))
]
WEIGHTS = np.logspace(-6, 2, 100)


@pytest.mark.parametrize("through", MAPS, ids=str)
def test_round_trips(through: core.Positivity) -> None:
    raw = through.inverse(WEIGHTS)
    np.testing.assert_allclose(through.value(raw), WEIGHTS, rtol=1e-9)
    np.testing.assert_allclose(through.inverse_log(np.log(WEIGHTS)), raw, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("through", MAPS, ids=str)
def test_the_plain_map_of_what_is_inside(through: core.Positivity) -> None:
    plain = type(through)(scale=through.scale)
    raw = np.linspace(-3.0, 3.0, 61)
    np.testing.assert_array_equal(through.value(raw), plain.value(through.slope * raw + through.offset))


@pytest.mark.parametrize("through", MAPS, ids=str)
def test_derivative(through: core.Positivity) -> None:
    raw, step = np.linspace(-3.0, 3.0, 60) + 0.013, 1e-6
    numerical = (through.value(raw + step) - through.value(raw - step)) / (2 * step)
    np.testing.assert_allclose(through.derivative(raw), numerical, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("through", "shown"),
    [
        (Exp(offset=-4.0), "exp[raw-4]"),
        (Softplus(0.5, beta=3.0, slope=2.0, offset=1.0), "0.5·softplus(beta=3)[2·raw+1]"),
        (Square(slope=0.5), "square[0.5·raw]"),
    ],
)
def test_as_text(through: core.Positivity, shown: str) -> None:
    assert str(through) == shown
    assert str(through.scaled(2.0)).endswith(shown.partition("·softplus")[2] or shown)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="slope"):
        Exp(slope=0.0)
    with pytest.raises(ValueError, match="offset"):
        Exp(offset=float("nan"))
    with pytest.raises(ValueError, match="projection takes the raw parameter as it is"):
        Projection(offset=1.0)
