"""``convex-init doctor``: versions, devices, and which plug-ins work here, with what to do about those that do not."""

from __future__ import annotations

import json
import os
import platform
import sys
from argparse import ArgumentParser, Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import convex_init
from convex_init.command.doctor.findings import ABSENT, FAILS, Finding, finding_of
from convex_init.command.doctor.parts import all_parts
from convex_init.command.doctor.versions import installed_version, too_old
from convex_init.command.failure import CommandError

DESCRIPTION = """\
Show versions and devices, and run each plug-in once on a small network, in a process of its own.

Exit code: 0 if all that is installed works, 1 if something does not or, where parts are named, is not installed."""


def add_options(parser: ArgumentParser) -> None:
    """Give ``parser`` the arguments of ``doctor``."""
    parser.add_argument("parts", nargs="*", metavar="PART", help="look at these only, such as torch or keras-jax")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: Namespace) -> int:
    """Print the findings and return the exit code.

    Raises:
        CommandError: if there is no part of a given name.
    """
    parts = {part.name: part for part in all_parts()}
    if unknown := [name for name in options.parts if name not in parts]:
        raise CommandError(f"there is no part {unknown[0]!r}; there are {', '.join(parts)}")
    shown = [] if options.json else _about()
    for line in shown:
        print(line)
    found = [_own()]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # each waits for a process
        for finding in pool.map(finding_of, [parts[name] for name in options.parts or parts]):
            found.append(finding)
            if not options.json:
                print(finding, flush=True)
    if options.json:
        about = {"convex-init": convex_init.__version__, "python": platform.python_version(), "numpy": np.__version__}
        print(json.dumps({**about, "parts": [each.to_dict() for each in found]}, indent=2, ensure_ascii=False))
    elif found[0].status == FAILS:
        print(found[0])
    bad = {FAILS, ABSENT} if options.parts else {FAILS}
    return int(any(each.status in bad for each in found))


def _about() -> list[str]:
    folder = Path(convex_init.__file__).parent
    python = f"Python {platform.python_version()} ({sys.executable})"
    return [
        f"convex-init {convex_init.__version__} ({folder})",
        f"{python}, NumPy {np.__version__}",
        f"{platform.platform()}, {os.cpu_count()} CPU cores",
        "",
    ]


def _own() -> Finding:
    """Whether what is imported is what pip installed, and NumPy is new enough."""
    versions = {"convex_init": convex_init.__version__, "numpy": np.__version__}
    known = installed_version()
    if known and known != convex_init.__version__:
        problem = f"pip knows version {known}, and Python imports {convex_init.__version__}"
        return Finding("core", FAILS, versions, (), problem, "pip install --force-reinstall --no-deps convex-init")
    if least := too_old("numpy", ""):
        problem = f"NumPy {np.__version__} is older than {least}"
        return Finding("core", FAILS, versions, (), problem, f"pip install 'numpy>={least}'")
    return Finding("core", "works", versions)
