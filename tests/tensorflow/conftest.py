"""Keras and its backends warn about each other while they are imported and traced; our own code is not to warn."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            for line in FOREIGN:
                item.add_marker(pytest.mark.filterwarnings(line))
