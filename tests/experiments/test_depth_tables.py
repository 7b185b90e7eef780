"""The tables on the pages on depth are those of the result files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import depth_tables

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(CHECKOUT)


@pytest.mark.parametrize("page", depth_tables.PAGES, ids=str)
def test_a_page_has_the_tables_that_its_files_make(page):
    text = page.read_text(encoding="utf-8")
    assert depth_tables.names_on(text)
    assert depth_tables.written(text) == text, "python -m experiments.depth_tables writes them"


def test_every_table_stands_on_a_page():
    found = {name for page in depth_tables.PAGES for name in depth_tables.names_on(page.read_text(encoding="utf-8"))}
    assert found == {*depth_tables.TABLES, "digits"}


def test_a_cell_says_how_many_seeds_it_has_if_they_are_not_five(monkeypatch, tmp_path):
    def record(width, seed):
        settings = {
            "dataset": "mnist",
            "width": width,
            "depth": 50,
            "method": "non-convex, He",
            "lr": 1e-4,
            "seed": seed,
        }
        return {
            "key": f"{width} {seed}",
            "settings": settings,
            "seed": seed,
            "results": {"loss": 0.25, "accuracy": 0.5},
        }

    made = [record(784, seed) for seed in range(3)] + [record(256, seed) for seed in range(5)]
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "made.jsonl").write_text("\n".join(map(json.dumps, made)) + "\n", encoding="utf-8")
    monkeypatch.setattr(depth_tables, "FOLDER", tmp_path)

    def shown(method, width):
        table = depth_tables.Table(("made",), {"row": {"method": method}}, {"50": {"depth": 50}}, {"width": width})
        return table.text().splitlines()[-1]

    assert shown("non-convex, He", 784) == "| row | 0.250 (50.0 %) *3* |"
    assert shown("non-convex, He", 256) == "| row | 0.250 (50.0 %) |"
    assert shown("none", 784) == "| row | – |"
