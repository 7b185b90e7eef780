"""Certify 20,000 random functions of JAX and look for counterexamples: ``python -m benchmarks.certificate_fuzz_jax``.

The functions are those of ``tests/jax/test_random_functions.py``.
"""

from __future__ import annotations

import jax
import numpy as np

from benchmarks.functions_by_number import run
from convex_init.jax import certify
from tests.jax.test_random_functions import ROWS, WIDTH, lies_above_a_chord, random_function

SETTINGS = {
    "steps": "1 to 4 pieces per function",
    "segments": f"{ROWS} random ones per function, of lengths about 0.3 to 8",
    "tolerance": "0.001 + 0.0001 of the largest output, float32",
    "seeds": "the function's number",
}


def judged(number: int) -> tuple[bool, bool]:
    """Whether a function is certified, and whether it lies above a chord."""
    function, weights = random_function(number)
    x = jax.ShapeDtypeStruct((ROWS, WIDTH), "float32")
    certified = bool(certify((function, weights), x, search=False))
    return certified, lies_above_a_chord(function, weights, np.random.default_rng(number))


if __name__ == "__main__":
    run("certificate_fuzz_jax", SETTINGS, "jax", judged, str(__doc__))
