"""Which small faults the tests notice: ``python -m tools.mutation_score core [--mutants 250] [--seed 0]``.

Samples mutants of one part of the library (the operators of cosmic-ray, and swapped arguments), and runs for each the
test files that reach its line, in a copy of the checkout; ``--minutes`` ends the sample early. Writes counts and
survivors to ``results/mutation_score.json``, part by part; a ``remark`` that was written beside a survivor stays.
``--more`` adds a sample with another seed to the one on file. ``--again tests/core/test_new.py`` tries tests on the
survivors that have no remark. Needs ``pip install cosmic-ray coverage``.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import importlib.metadata
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

import coverage

from tools.mutants import Mutant, mutants_of

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = CHECKOUT / "results" / "mutation_score.json"
COPIED = ("convex_init_core", "plugins", "integrations", "pyproject.toml")
# Tests of sharding are left out: they start processes of their own.
_TORCH = "init_functions layers network write/drawing write/positivity"
_TORCH_TESTS = "contract draws examples methods network positivity signal_through_layers tensor_level"
_KERAS = "initializers model/fans draws/filling draws/drawing layers network"
_KERAS_TESTS = (
    "agrees_with_torch examples fans initializers methods network_and_report saving signal_through_layers training"
)
_PLANS = [path.stem.removeprefix("test_") for path in sorted((CHECKOUT / "tests" / "torch").glob("test_plan_*.py"))]
# The judge's own tests, the quickest first; those of other folders reach it, too, and would take an hour.
_JUDGED = (
    "calculus constraints convex_functions input_parts judge judge_fuzz judge_lines judge_models "
    "not_convex_reasons operations rounded_choices values written_functions"
)
_CERTIFIED = (
    "attacks certificate certificate_attacks certificate_containers certificate_edges certificate_idioms evidence "
    "monotone proofs"
)
_NUMPY = ["numpy", "mpmath", "scipy.integrate", "scipy.stats"]
PARTS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "core": (
        [f"convex_init_core/{place}.py" for place in ("theory/*", "signal/*", "methods/*", "weights/*", "settings")],
        ["tests/core", "tests/contract"],
        _NUMPY,
    ),
    **{
        folder: ([f"convex_init_core/{folder}/**/*.py"], ["tests/core", *tests], [*_NUMPY, "torch"])
        for folder, tests in {
            "graph": ["tests/torch/trace/test_evaluated.py"],
            "reading": [f"tests/torch/test_{name}.py" for name in ("reading", "reading_of_kinds", *_PLANS)],
            "reporting": ["tests/torch/test_signal_report.py"],
        }.items()
    },
    "convexity": (
        ["convex_init_core/convexity/**/*.py"],
        [
            *(f"tests/core/test_{name}.py" for name in _JUDGED.split()),
            *(f"tests/torch/test_{name}.py" for name in _CERTIFIED.split()),
        ],
        [*_NUMPY, "torch"],
    ),
    "planning": (
        ["convex_init_core/planning/**/*.py"],
        [
            *("tests/core/planning", "tests/contract/test_plans_and_reports.py", "tests/contract/test_refusals.py"),
            *(f"tests/torch/test_{name}.py" for name in ("calibration", "all_or_nothing", "methods", *_PLANS)),
        ],
        [*_NUMPY, "torch"],
    ),
    "torch": (
        [f"plugins/convex_init/torch/{name}.py" for name in _TORCH.split()],
        [f"tests/torch/test_{name}.py" for name in _TORCH_TESTS.split()],
        ["torch"],
    ),
    "keras": (
        [f"plugins/convex_init/keras/{name}.py" for name in _KERAS.split()],
        [f"tests/keras/test_{name}.py" for name in _KERAS_TESTS.split()],
        ["torch", "keras"],
    ),
    "timm": (["integrations/convex_init/timm/networks.py"], ["tests/timm"], ["torch"]),
}
"""Sources and tests of each part, and what all tests import: it is imported once."""

Reached: TypeAlias = dict[str, tuple[float, dict[str, set[int]]]]
"""Of each test file: its seconds, and for every source the lines that it runs."""


def run_apart(root: Path, tests: list[str], limit: float | None = None, sources: list[str] | None = None) -> int:
    """Run tests in a fork of this process, which has imported the framework already; return pytest's exit status.

    With ``sources``, the lines of them that run are left in ``root / ".coverage"``. A run beyond ``limit`` seconds is
    ended and counts as failed.
    """
    process = multiprocessing.get_context("fork").Process(target=_run, args=(root, tests, sources))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode or 0


def _run(root: Path, tests: list[str], sources: list[str] | None) -> None:
    import pytest

    folders = [str(root / folder) for folder in (".", "plugins", "integrations")]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)  # for what tests start
    sys.dont_write_bytecode = True
    os.chdir(root)
    with (root / "log").open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    meter = coverage.Coverage(data_file=str(root / ".coverage"), include=sources) if sources else None
    with meter.collect() if meter else contextlib.nullcontext():
        status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])
    if meter:
        meter.save()
    sys.stdout.flush()
    os._exit(status)


def reach(root: Path, sources: list[str], tests: list[str]) -> Reached:
    """Run every test file alone; return its seconds and the lines of each source that it reaches."""
    found = {}
    for test in tests:
        begun = time.monotonic()
        status = run_apart(root, [test], sources=sources)
        if status == 5:  # nothing there to run
            continue
        if status:
            raise SystemExit(f"{test} fails without a mutant:\n{(root / 'log').read_text()[-3000:]}")
        read = coverage.CoverageData(basename=str(root / ".coverage"))
        read.read()
        lines = {file: set(read.lines(str(root / file)) or ()) for file in sources}
        found[test] = (time.monotonic() - begun, lines)
        print(f"{test}: {found[test][0]:.1f} s", file=sys.stderr, flush=True)
    return found


def tests_for(root: Path, mutant: Mutant, found: Reached) -> list[str]:
    """Return the test files that run the statement of a mutant, the fastest first.

    What runs when the module is imported is reached by all; then those count that run anything else of it.
    """
    first, last = _statement((root / mutant.file).read_text(encoding="utf-8"), mutant.line)
    importing = [lines[mutant.file] for _, lines in found.values() if lines[mutant.file]]
    always = set.intersection(*importing) if importing else set()
    place = set(range(first, last + 1))
    if place & always:
        chosen = [test for test, (_, lines) in found.items() if lines[mutant.file] - always]
    else:
        chosen = [test for test, (_, lines) in found.items() if lines[mutant.file] & place]
    return sorted(chosen, key=lambda test: found[test][0])


def _statement(source: str, line: int) -> tuple[int, int]:
    best = (line, line)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            inside = getattr(node, "body", None)  # of a compound statement its head alone
            last = inside[0].lineno - 1 if inside else node.end_lineno or node.lineno
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            if first <= line <= last:
                best = (first, last)
    return best


def survives(root: Path, mutant: Mutant, tests: list[str], limit: float) -> bool:
    """Run tests against a mutant; whether all pass."""
    if not tests:
        return True
    path = root / mutant.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.code, encoding="utf-8")
    try:
        return run_apart(root, tests, limit) == 0
    finally:
        path.write_text(source, encoding="utf-8")


def copied(places: list[str], folder: str) -> Path:
    """Copy what runs and the tests at ``places`` to a folder."""
    root = Path(folder).resolve()
    # Of the tests no more than this part needs: pytest imports the framework of every folder that it finds.
    helpers = (path.relative_to(CHECKOUT) for path in (CHECKOUT / "tests").glob("*.py"))
    parents = {"/".join(Path(place).parts[:2]) for place in places}
    for name in (*COPIED, *map(str, helpers), *{"tests/core", "tests/contract", *parents}):
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, root / name)
    return root


def score(part: str, root: Path, count: int, seed: int, minutes: float, *, more: bool = False) -> None:
    """Try a sample of all mutants of a part and write what lived, or add it to the sample on file."""
    patterns, places, _ = PARTS[part]
    begun = time.monotonic()
    sources = sorted(str(path.relative_to(root)) for pattern in patterns for path in root.glob(pattern))
    tests = sorted(
        str(path.relative_to(root))
        for place in places
        for path in ([root / place] if place.endswith(".py") else (root / place).rglob("test_*.py"))
    )
    everything = [mutant for file in sources for mutant in mutants_of(root, file)]
    sample = random.Random(seed).sample(everything, min(count, len(everything)))
    print(f"{len(everything)} mutants, {len(sample)} of them tried", file=sys.stderr, flush=True)
    found = reach(root, sources, tests)
    lived: list[Mutant] = []
    per_file: dict[str, dict[str, int]] = collections.defaultdict(lambda: {"tried": 0, "killed": 0})
    for number, mutant in enumerate(sample, start=1):
        if time.monotonic() - begun > 60.0 * minutes:
            sample = sample[: number - 1]
            break
        reaching = tests_for(root, mutant, found)
        alive = survives(root, mutant, reaching, 60.0 + 3.0 * sum(found[test][0] for test in reaching))
        per_file[mutant.file]["tried"] += 1
        per_file[mutant.file]["killed"] += not alive
        if alive:
            lived.append(mutant)
            print(f"{number} lives: {mutant.file}:{mutant.line} {mutant.change}", file=sys.stderr, flush=True)
    if not sample:
        raise SystemExit(
            f"nothing was tried in {minutes:g} minutes: finding all mutants and what reaches them took longer"
        )
    before = {(row["file"], row["change"]): row for row in _read().get(part, {}).get("survived", ())}
    rows = []
    for mutant in sorted(lived, key=lambda m: (m.file, m.line)):
        row = {"file": mutant.file, "line": mutant.line, "operator": mutant.operator, "change": mutant.change}
        known = before.get((mutant.file, mutant.change), {})
        rows.append({**row, "remark": known["remark"]} if "remark" in known else row)
    killed = len(sample) - len(lived)
    report = {
        "tool": f"operators of cosmic-ray {importlib.metadata.version('cosmic-ray')} and swapped arguments",
        "python": ".".join(map(str, sys.version_info[:3])),
        "seed": seed,
        "possible": len(everything),
        "tried": len(sample),
        "killed": killed,
        "score": round(killed / len(sample), 3),
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "files": dict(sorted(per_file.items())),
        "survived": rows,
    }
    on_file = _read().get(part)
    _save(part, joined(on_file, report) if more and on_file else report)


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the report on two samples of one part."""
    files: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for report in (first, second):
        for file, counts in report["files"].items():
            files[file].update(counts)
    known = {(row["file"], row["change"]) for row in first["survived"]}
    rows = [row for row in second["survived"] if (row["file"], row["change"]) not in known]
    tried, killed = (first[key] + second[key] for key in ("tried", "killed"))
    return {
        **first,
        "seed": [*(first["seed"] if isinstance(first["seed"], list) else [first["seed"]]), second["seed"]],
        "possible": second["possible"],
        "tried": tried,
        "killed": killed,
        "score": round(killed / tried, 3),
        "minutes": round(first["minutes"] + second["minutes"], 1),
        "files": {file: dict(counts) for file, counts in sorted(files.items())},
        "survived": sorted([*first["survived"], *rows], key=lambda row: (row["file"], row["line"])),
    }


def try_again(part: str, root: Path, tests: list[str]) -> None:
    """Run some tests against the survivors without a remark, and note beside each the one that now notices it."""
    report = _read()[part]
    if run_apart(root, tests):
        raise SystemExit(f"a test fails without a mutant:\n{(root / 'log').read_text()[-3000:]}")
    for row in report["survived"]:
        if "remark" in row or "noticed_since_by" in row:
            continue
        every = mutants_of(root, row["file"], row["operator"])
        same = [mutant for mutant in every if mutant.change == row["change"]]
        if not same:
            row["remark"] = "the line is gone"
            continue
        mutant = min(same, key=lambda found: abs(found.line - row["line"]))  # lines may have moved since
        if not survives(root, mutant, tests, 600.0):
            said = re.search(r"^(?:FAILED|ERROR) ([^:\s]+)", (root / "log").read_text(encoding="utf-8"), re.MULTILINE)
            row["noticed_since_by"] = said[1] if said else "a run without end"
        print(row["file"], row["change"], row.get("noticed_since_by"), file=sys.stderr, flush=True)
        report["noticed_since"] = sum("noticed_since_by" in each for each in report["survived"])
        _save(part, report)


def _read() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def _save(part: str, report: dict[str, Any]) -> None:
    reports = _read() | {part: report}
    ordered = {name: reports[name] for name in PARTS if name in reports}
    RESULTS.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Score one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--mutants", type=int, default=250)
    parser.add_argument("--minutes", type=float, default=120.0, help="stop after so long; what was tried counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", action="store_true", help="add to the sample on file; give another --seed")
    parser.add_argument("--again", nargs="+", metavar="TEST", help="run these against the survivors on file")
    chosen = parser.parse_args()
    _, places, shared = PARTS[chosen.part]
    os.environ |= {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch"}  # a fork of torch is safe, of others not
    for name in shared:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        root = copied(places, folder)
        if chosen.again:
            try_again(chosen.part, root, chosen.again)
        else:
            score(chosen.part, root, chosen.mutants, chosen.seed, chosen.minutes, more=chosen.more)


if __name__ == "__main__":
    main()
