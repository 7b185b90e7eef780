"""Activations are values: they compare, hash and travel."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from tests.core.references import USABLE, Case, bent_function


@pytest.mark.parametrize("case", USABLE.values(), ids=USABLE.keys())
@pytest.mark.parametrize("carry", [lambda a: pickle.loads(pickle.dumps(a)), copy.deepcopy, copy.copy])
def test_round_trip(case: Case, carry: Any) -> None:
    other = carry(case.activation)
    assert other == case.activation
    assert hash(other) == hash(case.activation)
    s = np.linspace(-3.0, 3.0, 13)
    np.testing.assert_array_equal(other(s), case.activation(s))
    np.testing.assert_array_equal(other.derivative(s), case.activation.derivative(s))


def test_all_cases_differ() -> None:
    assert len({case.activation for case in USABLE.values()}) == len(USABLE)


def test_made_twice_is_equal() -> None:
    assert core.elu(0.3) == core.elu(0.3)
    assert hash(core.elu(0.3)) == hash(core.elu(0.3))
    assert core.elu(0.3) != core.elu(0.4)
    assert core.softplus(1.0, 20.0) != core.softplus(1.0, 30.0)
    assert core.leaky_relu(0.25) != core.prelu(0.25)


def test_custom_is_told_by_its_function() -> None:
    assert core.custom(bent_function, bends=(1.0,)) == core.custom(bent_function, bends=(1.0,))
    assert core.custom(np.exp, name="f") != core.custom(np.exp2, name="f")


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        core.relu().name = "other"
