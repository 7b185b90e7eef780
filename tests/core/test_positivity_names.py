"""Maps by name, with their parameters."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.weights.positivity import POSITIVITIES, Exp, Projection, Softplus


@pytest.mark.parametrize("name", POSITIVITIES)
def test_by_name(name: str) -> None:
    through = core.as_positivity(name)
    assert through.name == name
    assert str(through) == name
    assert through.scale == 1.0
    assert core.as_positivity(through) is through
    assert pickle.loads(pickle.dumps(through)) == through


def test_names_are_these() -> None:
    assert set(POSITIVITIES) == {"projection", "relu", "exp", "softplus", "square", "abs"}


@pytest.mark.parametrize("name", ["sigmoid", "Exp", "", "softplus "])
def test_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"positivity {name!r} is unknown; known are projection, relu"):
        core.as_positivity(name)


@pytest.mark.parametrize("spec", [None, 1.0, np.exp, Exp])
def test_neither_name_nor_map(spec: Any) -> None:
    with pytest.raises(TypeError, match="positivity must be a name or a Positivity"):
        core.as_positivity(spec)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_scale_out_of_range(scale: float) -> None:
    with pytest.raises(ValueError, match=r"^scale must"):
        Exp(scale)
    with pytest.raises(ValueError, match=r"^scale must"):
        Exp().scaled(scale)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_beta_out_of_range(beta: float) -> None:
    with pytest.raises(ValueError, match=r"^beta must"):
        Softplus(beta=beta)
    with pytest.raises(ValueError, match=r"^scale must"):
        Softplus(scale=-1.0)


def test_scales_multiply_and_parameters_stay() -> None:
    through = Softplus(beta=3.0).scaled(0.5).scaled(0.1)
    assert through == Softplus(scale=0.05, beta=3.0)
    raw = np.linspace(-2.0, 2.0, 9)
    np.testing.assert_allclose(through.value(raw), 0.05 * Softplus(beta=3.0).value(raw), rtol=1e-15)
    np.testing.assert_allclose(through.derivative(raw), 0.05 * Softplus(beta=3.0).derivative(raw), rtol=1e-15)


@pytest.mark.parametrize(
    ("through", "shown"),
    [
        (Projection(), "projection"),
        (Exp(0.01), "0.01·exp"),
        (Softplus(beta=2.0), "softplus(beta=2)"),
        (Softplus(0.5, 2.0), "0.5·softplus(beta=2)"),
    ],
)
def test_shown(through: core.Positivity, shown: str) -> None:
    assert str(through) == shown
