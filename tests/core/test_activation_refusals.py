"""What may not be passed as an activation, and what the message says."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import convex_init_core as core
from convex_init_core.theory.activations import FACTORIES, NOT_CONVEX, square


@pytest.mark.parametrize("name", NOT_CONVEX)
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_known_but_unusable_name(name: str, spelling: Any) -> None:
    given = spelling(name)
    with pytest.raises(ValueError, match=f"activation '{given}'.*{re.escape(NOT_CONVEX[name])}.*; use relu"):
        core.as_activation(given)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"activation 'relux' is unknown.*softplus.*pass a function"):
        core.as_activation("relux")


@pytest.mark.parametrize("spec", ["square", square()])
def test_square_behind_a_signed_signal(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"activation square.*decreases on s < 0"):
        core.as_activation(spec)


@pytest.mark.parametrize("spec", [None, 3, 0.2, ["relu"], b"relu"])
def test_no_activation_at_all(spec: Any) -> None:
    with pytest.raises(TypeError, match="activation must be a name, an Activation or a callable"):
        core.as_activation(spec)


@pytest.mark.parametrize("spec", [core.relu(), np.exp])
def test_parameters_only_with_a_name(spec: Any) -> None:
    with pytest.raises(TypeError, match="negative_slope"):
        core.as_activation(spec, negative_slope=0.1)


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - {"square"}))
def test_usable_names(name: str) -> None:
    made = core.as_activation(name)
    assert made == FACTORIES[name]()
    assert core.as_activation(made) is made
    assert core.as_activation(name.upper()) == made


def test_name_with_parameters() -> None:
    assert core.as_activation("leaky_relu", negative_slope=0.2) == core.leaky_relu(0.2)
    assert core.as_activation("softplus", beta=3.0, threshold=40.0) == core.softplus(3.0, 40.0)


OUT_OF_RANGE = [
    (core.leaky_relu, "negative_slope", -0.1, "decrease"),
    (core.leaky_relu, "negative_slope", 1.1, "not be convex"),
    (core.prelu, "negative_slope", -1e-9, "prelu would decrease"),
    (core.prelu, "negative_slope", 2.0, "prelu would not be convex"),
    (core.elu, "alpha", -0.5, "at least 0"),
    (core.elu, "alpha", 1.0001, "not convex"),
    (core.celu, "alpha", 0.0, "greater than 0"),
    (core.celu, "alpha", -1.0, "greater than 0"),
    (core.softplus, "beta", 0.0, "greater than 0"),
    (core.softplus, "beta", -2.0, "greater than 0"),
    (core.softplus, "threshold", 13.0, "at least 14"),
    (core.softplus, "threshold", 0.0, "at least 14"),
    (core.softplus, "threshold", -1000.0, "at least 14"),
    (core.squared_softplus, "beta", -1.0, "greater than 0"),
    (core.squared_softplus, "threshold", -5.0, "at least 14"),
]


@pytest.mark.parametrize(("make", "argument", "value", "reason"), OUT_OF_RANGE)
def test_parameter_out_of_range(make: Any, argument: str, value: float, reason: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){argument} must be.*{re.escape(f'got {value:g}')}") as caught:
        make(**{argument: value})
    assert reason in str(caught.value)


@pytest.mark.parametrize(("make", "argument"), sorted({(row[0], row[1]) for row in OUT_OF_RANGE}, key=str))
@pytest.mark.parametrize("value", [math.nan, -math.inf, "0.1", None, True])
def test_parameter_that_is_no_finite_number(make: Any, argument: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=argument):
        make(**{argument: value})


@pytest.mark.parametrize(("make", "value"), [(core.elu, 1.0), (core.elu, 0.0), (core.leaky_relu, 1.0)])
def test_ends_of_a_range_are_usable(make: Any, value: float) -> None:
    core.custom(make(value).function)


@pytest.mark.parametrize(("threshold", "lost"), [(14.0, True), (13.0, False)])
def test_lowest_threshold_is_where_the_drop_drowns_in_float32(threshold: float, lost: bool) -> None:
    above = np.float32(np.logaddexp(0.0, threshold))
    assert (above - np.float32(threshold) <= np.spacing(np.float32(threshold))) == lost
