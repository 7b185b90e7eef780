"""Contract, point 8: a bad argument is refused by its name, with what to pass, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.frameworks import adapter
from tests.contract.small_models import POSITIVE, dense, network

BAD = {
    "correlation of 0": ({"correlation": 0.0}, ValueError, "correlation"),
    "correlation of 1": ({"correlation": 1.0}, ValueError, "correlation"),
    "a word for a number": ({"correlation": "half"}, TypeError, "correlation"),
    "no variance": ({"variance": 0.0}, ValueError, "variance"),
    "NaN": ({"variance": float("nan")}, ValueError, "variance"),
    "all noise": ({"bias_noise": 1.0}, ValueError, "bias_noise"),
    "negative noise": ({"bias_noise": -0.1}, ValueError, "bias_noise"),
    "an unknown law": (
        {"distribution": "cauchy"},
        ValueError,
        "distribution 'cauchy' is unknown; known",
    ),
    "an unknown method": ({"method": "magic"}, ValueError, "method 'magic' is unknown; known are auto, bounded_gain"),
    "an unknown map": ({"positivity": "sigmoid"}, ValueError, "positivity 'sigmoid'"),
    "no map": ({"positivity": 3}, TypeError, "positivity"),
    "a concave activation": ({"fed_by": "tanh"}, ValueError, "activation 'tanh'"),
    "an unknown activation": ({"fed_by": "nonsense"}, ValueError, "activation 'nonsense'"),
    "no activation": ({"fed_by": 3}, TypeError, "fed_by"),
    "the old word": ({"activation": "relu"}, TypeError, "activation= is called fed_by="),
    "a misspelt word": ({"corelation": 0.5}, TypeError, r"no argument corelation=; did you mean correlation=\?"),
    "a misspelt word of the function": ({"example_input": 0}, TypeError, r"did you mean example_inputs=\?"),
    "another old word": ({"batch": 0}, TypeError, "batch= is called example_inputs="),
    "a mode": ({"calibrate": "yes"}, TypeError, "calibrate must be True, False or None"),
    "a pattern without a layer": ({"free": "nowhere"}, ValueError, "nowhere"),
    "a sum of settings": ({"method": "isometric", "distribution": "gamma"}, ValueError, "distribution='gamma'.*method"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named_and_nothing_is_written(framework, case):
    arguments, error, said = BAD[case]
    found = adapter(framework, network())
    before = [found.raw(layer) for layer in ("free", *POSITIVE)]
    with pytest.raises(error, match=said):
        found.plan(**arguments)
    with pytest.raises(error, match=said):
        found.apply(**arguments)
    for layer, kernel in zip(("free", *POSITIVE), before, strict=True):
        np.testing.assert_array_equal(found.raw(layer), kernel)


def test_a_misspelt_argument_of_a_report_is_named(framework):
    with pytest.raises(TypeError, match=r"no argument los=; did you mean loss=\?"):
        adapter(framework, network()).report(los=None)


def test_a_law_with_zeros_does_not_go_behind_exp(framework):
    found = adapter(framework, dense(5, 4, "exp", distribution="two_point"))
    before = found.raw("layer")
    with pytest.raises(ValueError, match="distribution 'two_point'"):
        found.apply()
    np.testing.assert_array_equal(found.raw("layer"), before)
