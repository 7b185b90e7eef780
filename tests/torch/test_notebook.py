"""The notebook for torch."""

from __future__ import annotations

import json

import pytest

from tests.notebooks import FOLDER, check_committed, check_executed


def test_what_is_committed_was_executed_in_one_go():
    check_committed("torch")


@pytest.mark.slow
def test_it_does_the_same_here(tmp_path):
    check_executed("torch", tmp_path)


def test_the_notebooks_take_less_than_a_minute_of_a_processor():
    rows = json.loads((FOLDER.parents[1] / "results" / "notebooks.json").read_text(encoding="utf-8"))["rows"]
    assert {row["notebook"] for row in rows} == {path.stem for path in FOLDER.glob("*.ipynb")}
    assert all(row["processor_seconds"] < 60.0 for row in rows)
