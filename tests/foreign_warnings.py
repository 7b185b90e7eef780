"""Keras and its backends warn about each other while they are imported and traced; our own code is not to warn."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FOLDERS = ("command", "keras", "tensorflow", "contract", "cvxpy")
"""Of tests that run Keras, or what it traces with."""

FOREIGN = (
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::FutureWarning",
    "ignore:Dynamo detected:UserWarning",
    "ignore:.*lru_cache.*:UserWarning",
    "ignore:.*TensorFloat32.*:UserWarning",
    "ignore:.*NumPy array is not writable.*:UserWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
)


def forgive(items: Iterable[pytest.Item]) -> None:
    """Let tests of these folders go on where a framework warns."""
    folders = {TESTS / name for name in FOLDERS}
    for item in items:
        if folders & set(item.path.parents):
            for line in FOREIGN:
                item.add_marker(pytest.mark.filterwarnings(line))
