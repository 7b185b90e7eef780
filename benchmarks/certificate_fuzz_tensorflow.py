"""Certify 20,000 random functions of TensorFlow and look for counterexamples.

``python -m benchmarks.certificate_fuzz_tensorflow``; the functions are those of
``tests/tensorflow/random_functions.py``.
"""

from __future__ import annotations

import numpy as np

from benchmarks.functions_by_number import run
from tests.tensorflow.random_functions import ROWS, RandomFunction, lies_above_a_chord

SETTINGS = {
    "steps": "1 to 4 pieces per function",
    "segments": f"{ROWS} random ones per function, of lengths 0.03 to 20",
    "tolerance": "1e-8 of the largest value on the way, float64",
    "seeds": "the function's number",
}


def judged(number: int) -> tuple[bool, bool]:
    """Whether a function is certified, and whether it lies above a chord."""
    function = RandomFunction(number)
    return bool(function.certificate()), lies_above_a_chord(function, np.random.default_rng(number))


if __name__ == "__main__":
    run("certificate_fuzz_tensorflow", SETTINGS, "tensorflow", judged, str(__doc__))
