"""Certify 100,000 random graphs and look for counterexamples: ``python -m benchmarks.certificate_fuzz``.

Each graph is made from its own seed, so that a run can be cut into pieces: it goes on where the result file ends. What
is convex by construction is known from the pieces, not from the calculus (see ``tests/torch/random_graphs.py``).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
import warnings
from collections import Counter

import torch

import convex_init.torch as ci
from benchmarks import measure
from tests.torch.random_graphs import CONTEXT, WIDTH, RandomGraph, lies_above_a_chord

NAME = "certificate_fuzz"
SETTINGS = {
    "steps": "1 to 8 pieces per graph",
    "well_behaved": "half of the graphs avoid pieces that break convexity",
    "segments": "256 random ones per graph, of lengths 0.03 to 20; for certified graphs also 64 with a gradient step",
    "tolerance": "1e-8 of the largest value on the way, float64",
    "seeds": "the graph's number",
}


def _counts() -> dict[str, Counter[str]]:
    path = measure.RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {
        name: Counter(found.get(name, {})) for name in ("counts", "reasons", "reasons_of_convex", "seconds", "examples")
    }


def _kind(reason: str) -> str:
    """A reason without places, weights and numbers."""
    reason = re.sub(r"^output: ", "", reason)
    reason = re.sub(r" in '[^']*'", "", reason)
    reason = re.sub(r"'[^']*'( and '[^']*')*", "a weight", reason)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", reason)[:110]


def one(number: int, found: dict[str, Counter[str]]) -> None:
    """Certify one graph and note what came out."""
    source = random.Random(number)
    graph = RandomGraph(source, well_behaved=number % 2 == 0, steps=8)
    generator = torch.Generator().manual_seed(number)
    x, y = (torch.randn(2, n, dtype=torch.float64, generator=generator) for n in (WIDTH, CONTEXT))
    start = time.process_time()
    certificate = ci.certify(graph, (x, y), 0, search=False)
    found["seconds"]["certifying"] += time.process_time() - start
    above = lies_above_a_chord(graph, generator)
    if certificate and not above:
        above = lies_above_a_chord(graph, generator, rows=64, climbs=1)
    convex = graph.truth.shape in ("affine", "convex")
    found["counts"].update(
        graphs=1,
        pieces=len(graph.names),
        certified=bool(certificate),
        violated=above,
        certified_and_violated=bool(certificate) and above,
        convex_by_construction=convex,
        convex_by_construction_and_violated=convex and above,
        convex_by_construction_and_certified=convex and bool(certificate),
        neither_certified_nor_violated=not certificate and not above,
    )
    if certificate and above:
        found["examples"][f"certified and violated: {number}"] = 1
    if not certificate:
        kind = _kind(certificate.reasons[0])
        found["reasons"][kind] += 1
        if convex:
            found["reasons_of_convex"][kind] += 1
            found["examples"].setdefault(f"convex and not certified, {kind}: first graph", number)


def main() -> None:
    """Run until there are enough graphs, or time is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--graphs", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so long; run again to go on")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of torch, for what random graphs do
    torch.set_num_threads(1)
    found, start = _counts(), time.monotonic()
    for number in range(found["counts"]["graphs"], options.graphs):
        one(number, found)
        if time.monotonic() - start > 60.0 * options.minutes:
            break
    counts = found["counts"]
    found["seconds"]["total"] += time.monotonic() - start
    measure.write(
        NAME,
        {
            "environment": measure.environment("torch"),
            "settings": SETTINGS,
            "complete": counts["graphs"] >= options.graphs,
            "completeness": counts["convex_by_construction_and_certified"] / max(counts["convex_by_construction"], 1),
            **{name: dict(counter.most_common(40)) for name, counter in found.items()},
        },
    )


if __name__ == "__main__":
    main()
