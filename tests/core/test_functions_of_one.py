"""Random functions of one number that are certified lie above no chord; what was found once stays found."""

from __future__ import annotations

import pytest

from tests.core.graphs.functions_of_one import FunctionOfOne

COUNT, PARTS = 1500, 6


@pytest.mark.parametrize("part", range(PARTS))
def test_no_certified_function_is_violated(part):
    certified = 0
    for number in range(part, COUNT, PARTS):
        function = FunctionOfOne(number)
        if function.is_certified:
            certified += 1
            assert not function.is_violated(), number
    assert certified > COUNT // PARTS // 10  # or nothing is tried


def test_the_check_sees_a_violation():
    violated = sum(not function.is_certified and function.is_violated() for function in map(FunctionOfOne, range(60)))
    assert violated > 10
