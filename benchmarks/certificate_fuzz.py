"""Certify 200,000 random graphs and look for counterexamples: ``python -m benchmarks.certificate_fuzz``.

Three of four are graphs that the judge sees as they are (``tests/core/graphs/random_graphs/``), one is a torch model
that is traced first (``tests/torch/random_graphs/``). Each is made from its own seed, so that a run can be cut into
pieces: it goes on where the result file ends. ``--parts 2 --part 0`` and ``--part 1`` may run side by side; each writes
a scratch file of its own, and ``--join 2`` makes one result of them. What is convex by construction is known from the
pieces, not from the calculus.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch

import convex_init.torch as ci
from benchmarks import measure
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.convexity.judge import certificate_of, judge
from tests.core.graphs.builder import NumpyFramework
from tests.core.graphs.random_graphs import chords as core_chords
from tests.core.graphs.random_graphs.graph import RandomGraph as CoreGraph
from tests.torch.random_graphs import chords as torch_chords
from tests.torch.random_graphs.graph import RandomGraph as TorchGraph
from tests.torch.random_graphs.pieces import CONTEXT, WIDTH

NAME = "certificate_fuzz"
SETTINGS = {
    "graphs": "numbers that 4 divides are models of torch, the others graphs of the core",
    "steps": "1 to 8 pieces per graph in torch, 1 to 6 in the core",
    "narrow types": "a certificate up to their rounding is checked on the same graph without it",
    "well_behaved": "half of the graphs avoid pieces that break convexity",
    "segments": "256 (torch) or 64 (core) random ones per graph, of lengths 0.03 to 20; for certified models of torch "
    "also 64 with a gradient step",
    "tolerance": "1e-8 of the largest value on the way, float64",
    "seeds": "the graph's number",
}


def _file(part: int, parts: int) -> Path:
    if parts == 1:
        return measure.RESULTS / f"{NAME}.json"
    return Path(tempfile.gettempdir()) / f"{NAME}-{part}-of-{parts}.json"


def _counts(path: Path | None = None) -> dict[str, Counter[str]]:
    found = json.loads(path.read_text()) if path and path.exists() else {}
    return {
        name: Counter(found.get(name, {}))
        for name in ("counts", "violations", "reasons", "reasons_of_convex", "seconds", "examples")
    }


def _kind(reason: str) -> str:
    """A reason without places, weights and numbers."""
    reason = re.sub(r"^output: ", "", reason)
    reason = re.sub(r" in '[^']*'", "", reason)
    reason = re.sub(r"'[^']*'( and '[^']*')*", "a weight", reason)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", reason)[:110]


def _in_torch(number: int) -> tuple[TorchGraph, Certificate, bool]:
    graph = TorchGraph(random.Random(number), well_behaved=number % 8 == 0, steps=8)
    generator = torch.Generator().manual_seed(number)
    sizes = (WIDTH, CONTEXT)
    x, y = (torch.randn(2, n, dtype=torch.float64, generator=generator) for n in sizes)
    certificate = ci.certify(graph, (x, graph.context(y)), 0, search=False)
    above = torch_chords.lies_above_a_chord(graph, generator)
    if certificate and not above:
        above = torch_chords.lies_above_a_chord(graph, generator, rows=64, climbs=1)
    return graph, certificate, above


def _in_the_core(number: int) -> tuple[CoreGraph, Certificate, bool]:
    graph = CoreGraph(random.Random(number), well_behaved=number % 2 == 0)
    values = judge(graph.b.graph, ["x"], framework=NumpyFramework())
    above = core_chords.lies_above_a_chord(graph, np.random.default_rng(number))
    return graph, certificate_of(graph.b.graph, values), above


def one(number: int, found: dict[str, Counter[str]]) -> None:
    """Certify one graph and note what came out."""
    graph, certificate, above = _in_the_core(number) if number % 4 else _in_torch(number)
    convex = graph.truth.shape in ("affine", "convex")
    found["counts"].update(
        graphs=1,
        graphs_of_torch=number % 4 == 0,
        pieces=len(graph.names),
        certified=bool(certificate),
        certified_up_to_a_note=bool(certificate) and bool(certificate.notes),
        violated=above,
        certified_and_violated=bool(certificate) and above,
        convex_by_construction=convex,
        convex_by_construction_and_violated=convex and above,
        convex_by_construction_and_certified=convex and bool(certificate),
        neither_certified_nor_violated=not certificate and not above,
    )
    if certificate and above:
        found["violations"][f"certified and violated: {number}"] = 1
    if convex and above:
        found["violations"][f"convex by construction and violated: {number}"] = 1
    if not certificate:
        kind = _kind(certificate.reasons[0])
        found["reasons"][kind] += 1
        if convex:
            found["reasons_of_convex"][kind] += 1
            found["examples"].setdefault(f"convex and not certified, {kind}: first graph", number)


def main() -> None:
    """Run until there are enough graphs, or time is up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--graphs", type=int, default=200_000)
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so long; run again to go on")
    parser.add_argument("--parts", type=int, default=1, help="of which this run does one")
    parser.add_argument("--part", type=int, default=0, help="counted from 0: every such graph of so many")
    parser.add_argument("--join", type=int, metavar="PARTS", help="make one result of so many parts, and run nothing")
    options = parser.parse_args()
    if options.join:
        found = _counts()
        for part in range(options.join):
            for name, counter in _counts(_file(part, options.join)).items():
                found[name].update(counter)
        _write(found, options.graphs, _file(0, 1))
        return
    warnings.simplefilter("ignore")  # of torch, for what random graphs do
    torch.set_num_threads(1)
    path = _file(options.part, options.parts)
    found, start, written = _counts(path), time.monotonic(), time.monotonic()
    # A part holds whole fours of numbers, of which the first is a model of torch.
    numbers = [n for n in range(options.graphs) if n // 4 % options.parts == options.part]
    for number in numbers[found["counts"]["graphs"] :]:
        one(number, found)
        if time.monotonic() - start > 60.0 * options.minutes:
            break
        if time.monotonic() - written > _PAUSE:  # so that little is lost if the run is ended
            found["seconds"]["total"] += time.monotonic() - written
            written = time.monotonic()
            _write(found, options.graphs, path)
    found["seconds"]["total"] += time.monotonic() - written
    _write(found, options.graphs, path)


_PAUSE = 30.0  # seconds between two writings of the result


def _write(found: dict[str, Counter[str]], graphs: int, path: Path) -> None:
    counts = found["counts"]
    payload = {
        "environment": measure.environment("torch"),
        "settings": SETTINGS,
        "complete": counts["graphs"] >= graphs,
        "completeness": counts["convex_by_construction_and_certified"] / max(counts["convex_by_construction"], 1),
        **{name: dict(counter.most_common(40)) for name, counter in found.items()},
    }
    path.write_text(json.dumps(payload, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
