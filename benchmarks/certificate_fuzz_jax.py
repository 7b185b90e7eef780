"""Certify 20,000 random functions of JAX and look for counterexamples: ``python -m benchmarks.certificate_fuzz_jax``.

Each function is made from its own seed (see ``tests/jax/test_random_functions.py``), so that a run can be cut into
pieces: it goes on where the result file ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

import jax
import numpy as np

from benchmarks import measure
from convex_init.jax import certify
from tests.jax.test_random_functions import ROWS, WIDTH, lies_above_a_chord, random_function

NAME = "certificate_fuzz_jax"
SETTINGS = {
    "steps": "1 to 4 pieces per function",
    "segments": f"{ROWS} random ones per function, of lengths about 0.3 to 8",
    "tolerance": "0.001 + 0.0001 of the largest output, float32",
    "seeds": "the function's number",
}


def one(number: int, counts: Counter[str]) -> None:
    """Certify one function and note what came out."""
    function, weights = random_function(number)
    x = jax.ShapeDtypeStruct((ROWS, WIDTH), "float32")
    certified = bool(certify((function, weights), x, search=False))
    above = lies_above_a_chord(function, weights, np.random.default_rng(number))
    counts.update(functions=1, certified=certified, violated=above, certified_and_violated=certified and above)
    if certified and above:
        counts[f"certified and violated: {number}"] = 1


def main() -> None:
    """Run until there are enough functions, or time is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so long; run again to go on")
    options = parser.parse_args()
    path = measure.RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    counts, start = Counter(found.get("counts", {})), time.monotonic()
    for number in range(counts["functions"], options.functions):
        one(number, counts)
        if time.monotonic() - start > 60.0 * options.minutes:
            break
    measure.write(
        NAME,
        {
            "environment": measure.environment("jax"),
            "settings": SETTINGS,
            "complete": counts["functions"] >= options.functions,
            "counts": dict(counts),
            "seconds": found.get("seconds", 0.0) + time.monotonic() - start,
        },
    )


if __name__ == "__main__":
    main()
