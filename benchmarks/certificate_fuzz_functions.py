"""Certify 20,000 random functions of one number and look for counterexamples.

``python -m benchmarks.certificate_fuzz_functions``; they are those of ``tests/core/graphs/functions_of_one.py``:
choices on what a function computes, bounds, exponentials that vanish, sums that cancel.
"""

from __future__ import annotations

from benchmarks.functions_by_number import run
from tests.core.graphs.functions_of_one import PLACES, FunctionOfOne

SETTINGS = {
    "depth": "2 to 5 levels of operations, whose parts are used again",
    "places": f"{sum(map(len, PLACES))} on lines of three lengths and near seven numbers; chords of neighbours",
    "tolerance": "1e-10 of the largest value on the way, float64",
    "seeds": "the function's number",
}


def judged(number: int) -> tuple[bool, bool]:
    """Whether a function is certified, and whether it lies on the wrong side of a chord."""
    function = FunctionOfOne(number)
    return function.is_certified, function.is_violated()


if __name__ == "__main__":
    run("certificate_fuzz_functions", SETTINGS, "numpy", judged, str(__doc__))
