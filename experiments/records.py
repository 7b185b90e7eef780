"""Result files: one JSON line for each run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments.experiment import Record
from experiments.failure import ExperimentError


def read(path: Path) -> list[Record]:
    """Return the records of a file, the last one of each run; none if there is no file.

    A last line without its end, left by a run that was killed, is passed over.

    Raises:
        ExperimentError: if another line is no JSON.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    found: dict[str, Record] = {}
    for number, line in enumerate(lines[:-1], 1):  # behind the last line end there is nothing, or half a line
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ExperimentError(f"{path}, line {number} is not JSON: {error}") from error
        found[record["key"]] = record
    return list(found.values())


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records to a file, so that they are there even if the machine stops right after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _cut_half_line(path)
    with path.open("a", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _cut_half_line(path: Path) -> None:
    if path.exists():
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            path.write_bytes(content[: content.rfind(b"\n") + 1])


def plain(value: Any) -> Any:
    """Return ``value`` for JSON: floats with six digits, ``None`` for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
