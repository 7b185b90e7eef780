"""A result file that is complete after every row, so that a run may be cut off at any time and go on later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Journal:
    """The file of one part: its settings, the environment of each run that added to it, and its rows.

    Rows of an earlier run are kept if that had the same settings, and not measured again; other content is replaced.

    Args:
        path: of the JSON file.
        settings: everything that decides what is measured, sizes and device included.
        environment: of this run: versions, load, date.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Read what is there; see the class."""
        self.path = path
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        plain = json.loads(json.dumps(_finite(settings)))  # as the file has it: lists for tuples
        same = before.get("settings") == plain
        self.content: dict[str, Any] = {
            "status": "running",
            "settings": plain,
            "runs": [*(before["runs"] if same else ()), environment],
            "rows": before["rows"] if same else [],
        }
        self._write()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows so far."""
        found: list[dict[str, Any]] = self.content["rows"]
        return found

    def has(self, key: str) -> bool:
        """Whether the row ``key`` is there."""
        return any(row["key"] == key for row in self.rows)

    def add(self, key: str, **row: Any) -> None:
        """Add a row and write the file."""
        self.rows.append({"key": key, "run": len(self.content["runs"]) - 1, **row})
        self._write()

    def end(self, status: str, **more: Any) -> None:
        """Say how it ended: ``done``, ``stopped`` (out of time), ``skipped`` or ``failed``; why; and write the file."""
        self.content.update(status=status, **more)
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(_finite(self.content), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


def _finite(value: Any) -> Any:
    """As JSON has it: what is not finite becomes ``None``."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
