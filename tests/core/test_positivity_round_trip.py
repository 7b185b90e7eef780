"""Value and inverse of the positivity maps: exact where weights are as small as the log-normal law makes them."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.weights.positivity import Abs, Exp, Projection, Relu, Softplus, Square

PLAIN = [Projection(), Relu(), Exp(), Softplus(), Softplus(beta=0.3), Softplus(beta=7.0), Square(), Abs()]
MAPS = [*PLAIN, *(through.scaled(1 / 300) for through in PLAIN)]
WEIGHTS = np.concatenate([np.logspace(-30, 3, 331), [np.log(2.0)]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_value_of_inverse(through: core.Positivity, dtype: Any) -> None:
    weight = WEIGHTS.astype(dtype)
    raw = through.inverse(weight)
    back = through.value(raw)
    assert raw.dtype == back.dtype == weight.dtype
    # exp multiplies the rounding of its argument by the argument: here, by the logarithm of the weight.
    amplification = 4.0 + 2.0 * np.abs(np.log(weight / through.scale))
    assert np.all(np.abs(back - weight) <= np.finfo(dtype).eps * amplification * weight)


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_inverse_of_value(through: core.Positivity) -> None:
    raw = np.linspace(0.01, 20.0, 100)
    np.testing.assert_allclose(through.inverse(through.value(raw)), raw, rtol=1e-12)


def exact_raw(through: core.Positivity, log_weight: float) -> float:
    with mp.workdps(50):
        w = mp.exp(mp.mpf(log_weight)) / mp.mpf(through.scale)
        if isinstance(through, Exp):
            return float(mp.log(w))
        if isinstance(through, Softplus):
            return float(mp.log(mp.expm1(through.beta * w)) / through.beta)
        return float(mp.sqrt(w) if isinstance(through, Square) else w)


LOG_WEIGHTS = np.concatenate(
    [np.linspace(-1000.0, 6.0, 504), -40.0 + np.linspace(-3.0, 3.0, 25), np.linspace(-2, 2, 41)]
)


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_inverse_of_a_logarithm(through: core.Positivity) -> None:
    expected = np.array([exact_raw(through, float(x)) for x in LOG_WEIGHTS])
    # Relative to the weight the argument of exp carries 1000 ulp; where it is the raw value itself, one.
    tolerance = 4e-15 if isinstance(through, (Exp, Softplus)) else 2e-13
    found = through.inverse_log(LOG_WEIGHTS)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance if tolerance < 1e-13 else 1e-300)


@pytest.mark.parametrize("through", [Exp(), Softplus(), Softplus(beta=7.0), Exp(0.01), Softplus(0.01)], ids=repr)
def test_inverse_of_a_logarithm_in_float32(through: core.Positivity) -> None:
    log_weight = np.linspace(-1000.0, 6.0, 1007).astype(np.float32)
    expected = np.array([exact_raw(through, float(x)) for x in log_weight])
    found = through.inverse_log(log_weight)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=5e-7, atol=1e-6)


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_both_inverses_agree(through: core.Positivity) -> None:
    np.testing.assert_allclose(through.inverse_log(np.log(WEIGHTS)), through.inverse(WEIGHTS), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("through", [m for m in MAPS if m.reparametrises], ids=repr)
def test_values_are_non_negative(through: core.Positivity) -> None:
    raw = np.concatenate([np.linspace(-60.0, 60.0, 241), [-1e-300, 0.0, 1e-300]])
    assert np.all(through.value(raw) >= 0.0)


@pytest.mark.parametrize("through", MAPS, ids=repr)
def test_nan_stays_visible(through: core.Positivity) -> None:
    raw = np.array([np.nan, 1.0])
    assert np.isnan(through.value(raw)).tolist() == [True, False]
    assert np.isnan(through.inverse(raw)).tolist() == [True, False]


@pytest.mark.parametrize("beta", [1.0, 7.0])
def test_softplus_neither_overflows_nor_loses_its_tail(beta: float) -> None:
    through = Softplus(beta=beta)
    raw = np.array([-700.0, -100.0, 100.0, 1e5]) / beta
    with mp.workdps(40):
        expected = [float(mp.log1p(mp.exp(mp.mpf(x) * beta)) / beta) for x in raw]
    np.testing.assert_allclose(through.value(raw), expected, rtol=1e-12)


def test_only_the_projection_holds_the_weight_itself() -> None:
    for through in PLAIN:
        is_projection = isinstance(through, Projection)
        assert through.reparametrises is not is_projection
        assert through.takes_zero is is_projection
