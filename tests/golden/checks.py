"""What a test asks of a golden file; each failure says how the file is written anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.golden import files
from tests.golden.comparison import changed_digests, differences


def parameters(names: dict[str, Iterable[str]]) -> list[Any]:
    """Every case of every file, as the arguments ``file`` and ``name`` of a test."""
    return [pytest.param(file, name, id=f"{file}-{name}") for file, cases in names.items() for name in cases]


def assert_same_cases(file: str, names: Iterable[str]) -> None:
    recorded, now = set(files.read(file)["cases"]), set(names)
    if recorded != now:
        _fail(file, f"not recorded: {sorted(now - recorded)}; recorded, but no case: {sorted(recorded - now)}")


def assert_unchanged(file: str, name: str, found: dict[str, Any]) -> None:
    """Fail with every difference from what was recorded, but for those in the last digits of weights."""
    recorded = files.read(file)["cases"].get(name)
    if recorded is None:
        _fail(file, f"{name!r} is not recorded")
    if lines := list(differences(recorded, found)):
        _fail(file, f"{name!r} is not as recorded\n  " + "\n  ".join(lines))


def assert_same_draws(file: str, name: str, found: dict[str, Any], made_with: dict[str, str]) -> None:
    """Fail if a weight that was drawn differs in any digit; skip where other software or processors draw otherwise."""
    document = files.read(file)
    if other := [f"{key} {value}, here {made_with.get(key)}" for key, value in document["made_with"].items()
                 if value != made_with.get(key)]:  # fmt: skip
        pytest.skip(f"digests are compared on like machines: they were made with {'; '.join(other)}")
    before, now = (record.get("weights", {}).get("drawn", {}) for record in (document["cases"].get(name, {}), found))
    if changed := changed_digests(before, now):
        _fail(file, f"{name!r}: other numbers in {', '.join(changed)}")


def _fail(file: str, message: str) -> None:
    framework, _, backend = file.partition("_weights_")
    command = f"python -m tests.golden.update {framework.partition('_')[0]}"
    pytest.fail(
        f"tests/golden/recorded/{file}.json: {message}\n"
        f"If that is meant: {f'KERAS_BACKEND={backend} ' if backend else ''}{command}, and read the diff.",
        pytrace=False,
    )
