"""One table of models, written in every framework, gets the same plan and the same certificate from each."""

from __future__ import annotations

import json

import pytest

from tests.contract.models import MODELS
from tests.contract.same_plan import EXPECTED, in_any_order, outcome_of

EXPECTATIONS = json.loads(EXPECTED.read_text(encoding="utf-8"))
CLOSE = 1e-4  # what is measured on inputs is measured in float32


def test_every_model_has_its_expectation():
    assert set(EXPECTATIONS) == set(MODELS)
    assert len(MODELS) >= 15


@pytest.mark.parametrize("name", MODELS)
def test_the_plan_and_the_verdicts_are_the_expected_ones(framework, name):
    found, expected = outcome_of(framework, MODELS[name]), dict(EXPECTATIONS[name])
    if framework == "keras":  # whose functional models run layers that stand side by side as they like
        found, expected = in_any_order(found), in_any_order(expected)
    check(found, expected)


def check(found, expected):
    assert found.pop("rows", []) == [_forgiving(row) for row in expected.pop("rows", [])]
    assert found == expected


def _forgiving(row):
    """A row with its numbers in a form that forgives rounding."""
    return {
        key: pytest.approx(value, rel=CLOSE, abs=1e-6) if _is_number(value) else value for key, value in row.items()
    }


def _is_number(value):
    return isinstance(value, float) or (isinstance(value, list) and any(isinstance(part, float) for part in value))
