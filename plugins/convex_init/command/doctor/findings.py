"""What the doctor finds of one part: whether it works here, and if not, what would help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from convex_init.command.doctor.parts import Part
from convex_init.command.doctor.versions import too_old, version_of

WORKS, ABSENT, FAILS = "works", "not installed", "fails"
_SECONDS = 300.0
"""After which a check is given up."""

# Words of an error, and what helps: what we have met, and pip's own messages do not say.
_KNOWN = {
    "torchvision::nms": "torch and torchvision are not made for each other: install both from one index, the CPU's "
    "or that of your CUDA",
    "compiled using NumPy 1": "a package was built for another NumPy: update it, or pip install 'numpy<2'",
    "numpy.core.multiarray failed to import": "a package was built for another NumPy: update it",
    "CUDA driver": "the driver of the GPU is older than the package: update it, or install the package for the CPU",
}


@dataclass(frozen=True)
class Finding:
    """The state of one part.

    Attributes:
        name: of the part.
        status: ``"works"``, ``"not installed"`` or ``"fails"``.
        versions: of the modules that it needs, those that are installed.
        devices: that it sees.
        problem: what went wrong; empty if nothing did.
        remedy: what to do about it.
    """

    name: str
    status: str
    versions: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as texts."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a line for a terminal, and more below it if something is wrong."""
        versions = ", ".join(f"{module} {version}" for module, version in self.versions.items())
        if self.status == ABSENT:
            return f"{self.status:15}{self.name:18}{self.remedy}"
        first = f"{self.status:15}{self.name:18}{versions}" + (f"; {', '.join(self.devices)}" if self.devices else "")
        rest = [f"{'':15}{line}" for line in (self.problem, self.remedy and f"remedy: {self.remedy}") if line]
        return "\n".join((first, *rest))


def finding_of(part: Part) -> Finding:
    """Look at one part: what is installed, its versions, and a check in a process of its own."""
    versions = {module: version for module in part.modules if (version := version_of(module))}
    install = f"pip install 'convex-init[{part.extra}]'"
    if part.missing:
        return Finding(part.name, ABSENT, versions, problem=f"{', '.join(part.missing)} is missing", remedy=install)
    for module in part.modules:
        for extra in part.extra.split(","):
            if least := too_old(module, extra):
                problem = f"{module} {versions[module]} is older than {least}"
                return Finding(part.name, FAILS, versions, (), problem, f"pip install --upgrade 'convex-init[{extra}]'")
    found = _probed(part)
    if "error" not in found:
        return Finding(part.name, WORKS, versions, tuple(found["devices"]))
    return Finding(part.name, FAILS, versions, (), found["error"], _remedy(part, found["error"]))


def _probed(part: Part) -> dict[str, Any]:
    command = [sys.executable, "-m", "convex_init.command.doctor.probe", part.name]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **part.environment}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"its check did not end within {_SECONDS:g} s"}
    lines = ended.stdout.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if ended.returncode == 0 and lines else None
    except json.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return found
    last = (ended.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    return {"error": f"Python ended with {_end(ended.returncode)}: {last}"}


def _end(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def _remedy(part: Part, error: str) -> str:
    for words, known in _KNOWN.items():
        if words in error:
            return known
    if error.startswith("WrongResultError"):
        return "please report this, with the whole output of `convex-init doctor`"
    chosen = "".join(f"{name}={value} " for name, value in part.environment.items())
    return (
        f"see the whole error with {chosen}python -c 'import {', '.join(part.modules)}'; "
        f"then pip install --upgrade --force-reinstall 'convex-init[{part.extra}]'"
    )
