"""Run one check in this process, ``python -m convex_init.command.doctor.probe NAME``, and print its answer last."""

from __future__ import annotations

import json
import sys
import warnings

from convex_init.command.doctor.checks import check


def main(name: str) -> None:
    """Print ``{"devices": […]}`` or ``{"error": "…"}``."""
    warnings.simplefilter("ignore")
    try:
        found: dict[str, list[str] | str] = {"devices": check(name)}
    except Exception as error:  # whatever an installed package raises
        lines = str(error).strip().splitlines()
        found = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
