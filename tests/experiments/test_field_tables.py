"""docs/field.md shows what the result files have."""

from __future__ import annotations

from pathlib import Path

from experiments import field_tables

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_have_the_numbers_of_the_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in field_tables.PAGES]
    for text in texts:
        assert field_tables.written(text) == text, "python -m experiments.field_tables writes them"
    assert all(any(f"<!-- field table: {name} -->" in text for text in texts) for name in field_tables.tables())
