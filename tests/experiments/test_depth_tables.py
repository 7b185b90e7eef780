"""The tables on the pages on depth are those of the result files."""

from __future__ import annotations

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


def test_a_cell_says_how_many_seeds_it_has_if_they_are_not_five():
    table = depth_tables.Table(
        ("depth_mnist",), {"He": {"method": "non-convex, He"}}, {"50": {"depth": 50}}, {"width": 784}
    )
    assert table.text().splitlines()[-1].endswith("*3* |")
    assert "–" in depth_tables.Table(("depth_mnist",), {"none": {"method": "none"}}, {"50": {"depth": 50}}).text()
