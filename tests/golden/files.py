"""Reading and writing golden files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"


@cache
def read(name: str) -> dict[str, Any]:
    """The file's ``made_with`` and its ``cases``; empty ones where there is no file yet."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return {"made_with": {}, "cases": {}}
    document = json.loads(path.read_text(encoding="utf-8"))
    cases = document["cases"]
    return {**document, "cases": {name: cases[case["as"]] if "as" in case else case for name, case in cases.items()}}


def write(name: str, made_with: dict[str, str], cases: dict[str, Any]) -> Path:
    """Write the file with one line for each layer of a plan and each weight; a case like an earlier one names that."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    first: dict[str, str] = {}
    shown = {}
    for case, outcome in cases.items():
        earlier = first.setdefault(json.dumps(outcome), case)
        shown[case] = outcome if earlier == case else {"as": earlier}
    path.write_text(_indented({"made_with": made_with, "cases": shown}) + "\n", encoding="utf-8")
    read.cache_clear()
    return path


def _indented(value: Any, margin: str = "") -> str:
    holds = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not any(isinstance(item, dict | list) and item for item in holds):
        return json.dumps(value, ensure_ascii=False)
    within = margin + " "
    if isinstance(value, dict):
        lines = [
            f"{within}{json.dumps(key, ensure_ascii=False)}: {_indented(item, within)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    return "[\n" + ",\n".join(within + _indented(item, within) for item in value) + f"\n{margin}]"
