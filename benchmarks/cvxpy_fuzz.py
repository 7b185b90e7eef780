"""Are certified random graphs convex by cvxpy's rules as well, and is what cvxpy evaluates what the model computes?

``python -m benchmarks.cvxpy_fuzz --graphs 2000`` writes results/cvxpy_fuzz.json: how many random graphs of the
certificate's fuzz are certified, how many of those have an expression that ``is_convex()`` and has the model's value
within 1e-6 at three points, and each of the others with the reason. A run that was cut off goes on where it was, if the
code of the certificate, the translation and the graphs is what it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
import warnings
from collections import Counter
from typing import Any

import torch

import convex_init.torch as ci
from benchmarks import measure
from tests.cvxpy.agreement import NEAR, worst
from tests.cvxpy.test_torch_models import random_case

NAME = "cvxpy_fuzz"
_CODE = ("convex_init_core", "plugins/convex_init/torch", "integrations/convex_init/cvxpy", "tests/torch/random_*.py")
_PLACE = re.compile(r" in the model's forward \([^)]*\)| \([a-z_]+\.py:\d+\)")


def reason_of(error: ValueError) -> str:
    """Why there is no expression, without the place."""
    return _PLACE.sub("", str(error)).partition(". The model is certified")[0]


def main() -> None:
    """Go through the graphs one by one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--graphs", type=int, default=2000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    before = earlier()
    counts: Counter[str] = Counter(before.get("counts", {}))
    apart: list[dict[str, object]] = before.get("apart", [])
    largest = before.get("largest_gap_of_those_that_agree", 0.0)
    start = time.monotonic() - before.get("seconds", 0.0)
    for seed in range(counts["graphs"], options.graphs):
        largest = max(largest, one(seed, counts, apart))
        if (seed + 1) % 100 == 0 or seed + 1 == options.graphs:
            write(counts, apart, largest, time.monotonic() - start, complete=seed + 1 == options.graphs)


def code() -> str:
    """A digest of everything that decides what is found."""
    root, found = measure.RESULTS.parent, hashlib.sha256()
    for pattern in _CODE:
        folder = root / pattern
        for path in sorted(folder.rglob("*.py") if folder.is_dir() else root.glob(pattern)):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def earlier() -> dict[str, Any]:
    """What a run of the same code has found before it was cut off."""
    path = measure.RESULTS / f"{NAME}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("settings") == settings() and not found["complete"] else {}


def settings() -> dict[str, object]:
    """What a run depends on."""
    return {"near": NEAR, "points": 3, "dtype": "float64", "code": code()}


def one(seed: int, counts: Counter[str], apart: list[dict[str, object]]) -> float:
    """Count a graph, and return the largest difference of values, if they agree."""
    model, inputs, run = random_case(seed)
    counts["graphs"] += 1
    if not ci.certify(model, inputs, 0, search=False):
        return 0.0
    counts["certified"] += 1
    try:
        gap = worst(model, (4,), run, inputs, convex_inputs=0)
    except ValueError as error:
        counts["certified_without_an_expression"] += 1
        apart.append({"seed": seed, "pieces": model.names, "reason": reason_of(error)})
        return 0.0
    counts["convex_by_cvxpy"] += 1
    if gap < NEAR:
        counts["same_value"] += 1
        return gap
    apart.append({"seed": seed, "pieces": model.names, "reason": f"values differ by {gap:.3g}"})
    return 0.0


def write(
    counts: Counter[str], apart: list[dict[str, object]], largest: float, seconds: float, *, complete: bool
) -> None:
    """Write what was found so far."""
    measure.write(
        NAME,
        {
            "environment": measure.environment("torch", "cvxpy"),
            "settings": settings(),
            "counts": dict(counts),
            "largest_gap_of_those_that_agree": largest,
            "seconds": seconds,
            "complete": complete,
            "apart": apart,
        },
    )


if __name__ == "__main__":
    main()
