"""The tests that are marked ``gpu``, each framework in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import OutOfTimeError, Place, SkippedError

CHECKOUT = Path(__file__).resolve().parents[2]

# Name: (what must be importable beside pytest, folder of tests, backend of Keras).
FRAMEWORKS = {
    "torch": (("torch",), "torch", None),
    "jax": (("jax",), "jax", None),
    "keras on torch": (("keras", "torch"), "keras", "torch"),
    "keras on jax": (("keras", "jax"), "keras", "jax"),
    "keras on tensorflow": (("keras", "tensorflow"), "keras", "tensorflow"),
}


def run(place: Place, journal: Journal) -> None:
    """Run them, and add a row for each framework: how many passed, were skipped, and what failed and why.

    Raises:
        SkippedError: if there is no pytest.
    """
    if find_spec("pytest") is None:
        raise SkippedError("pytest cannot be imported")
    for name, (needed, folder, backend) in FRAMEWORKS.items():
        if journal.has(name):
            continue
        missing = [package for package in needed if find_spec(package) is None]
        files = _marked(CHECKOUT / "tests" / folder)
        if place.device.type == "cpu" and name != "torch":
            journal.add(name, skipped="the tests of torch are rehearsal enough: without a GPU all of them are skipped")
            continue
        if missing or not files:
            reason = f"{', '.join(missing)} cannot be imported" if missing else f"no test of {folder} is marked gpu"
            journal.add(name, skipped=reason)
            continue
        try:
            found = _outcomes(folder, files, backend, place.left())
        except subprocess.TimeoutExpired as error:
            raise OutOfTimeError(f"tests of {name} had not ended after {error.timeout:.0f} s") from error
        journal.add(name, files=files, **found)
        shown = f"{found['passed']} passed, {len(found['failures'])} failed, {found['skipped']} skipped"
        print(f"  tests of {name}: {shown}", flush=True)


def _marked(folder: Path) -> list[str]:
    files = (path for path in sorted(folder.rglob("test_*.py")) if "mark.gpu" in path.read_text(encoding="utf-8"))
    return [path.relative_to(CHECKOUT).as_posix() for path in files]


def _outcomes(folder: str, files: list[str], backend: str | None, seconds: float) -> dict[str, Any]:
    # Collecting the folder of another framework imports that.
    others = [path for path in sorted((CHECKOUT / "tests").iterdir()) if path.is_dir() and path.name != folder]
    paths = [CHECKOUT, CHECKOUT / "plugins", CHECKOUT / "integrations"]
    more = {} if backend is None else {"KERAS_BACKEND": backend}
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **more}
    with tempfile.TemporaryDirectory() as written:
        report = Path(written) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
        command += ["--continue-on-collection-errors", *(f"--ignore={path}" for path in others)]
        ended = subprocess.run(
            [*command, f"--junitxml={report}", *files],
            cwd=CHECKOUT,
            env=variables,
            timeout=max(1.0, seconds),
            capture_output=True,
            text=True,
        )
        cases = list(ElementTree.parse(report).getroot().iter("testcase")) if report.is_file() else []
    return {"exit_status": ended.returncode, **_counted(cases), "output": ended.stdout.splitlines()[-3:]}


def _counted(cases: list[ElementTree.Element]) -> dict[str, Any]:
    passed, reasons, failures = 0, set(), {}
    for case in cases:
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if bad is not None:
            name = f"{case.get('classname')}.{case.get('name')}"
            failures[name] = (bad.text or bad.get("message") or "")[-2000:]
        elif skip is not None:
            reasons.add(skip.get("message") or "")
        else:
            passed += 1
    skipped = len(cases) - passed - len(failures)
    return {"passed": passed, "skipped": skipped, "why_skipped": sorted(reasons), "failures": failures}
