"""The table and the picture show what happened, failures included; the README shows the committed results."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from convex_init.demo.results.record import read, write
from convex_init.demo.results.table import as_markdown, as_text, caption

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "results" / "demo_digits.json"


def results(*losses, name="ICNN + init"):
    """Results of one network, one run per final loss."""
    runs = [
        {"seed": seed, "losses": [2.5, loss], "accuracy": 0.1 * seed, "seconds": float(seed)}
        for seed, loss in enumerate(losses)
    ]
    return {
        "settings": {
            "dataset": "digits", "depth": 5, "width": 128, "lr": 0.002, "batch_size": 32, "epochs": 1,
            "seeds": len(losses),
        },
        "images": {"train": 1437, "test": 360, "pixels": 64, "classes": 10},
        "device": "CPU, threads: 1",
        "networks": [{"name": name, "initialisation": "bias_noise 0.5", "runs": runs}],
    }  # fmt: skip


def cells(content):
    return [cell.strip() for cell in as_markdown(content).splitlines()[2].strip("|").split("|")]


def test_medians_and_extremes():
    assert cells(results(0.5, 0.01, 0.2)) == ["ICNN + init", "bias_noise 0.5", "0.200", "0.010–0.500", "10.0 %", "1.0"]


def test_a_run_that_diverged_is_shown_and_counts_as_the_worst():
    assert cells(results(None, 0.01, 0.2))[2:4] == ["0.200", "0.010–diverged"]
    assert cells(results(None, None, 0.2))[2:4] == ["diverged", "0.200–diverged"]
    assert cells(results(5e4, 1e-4, 5e4))[2:4] == ["5.0e+04", "1.0e-04–5.0e+04"]


def test_the_text_is_aligned_and_names_the_settings():
    lines = as_text(results(0.5, 0.01, 0.2)).splitlines()
    assert lines[0].index("training loss") + len("training loss") == lines[2].index("0.200") + len("0.200")
    text = caption(results(0.5, 0.01, 0.2))
    for part in ("8×8 digits", "1,437", "5 hidden layers of 128", "Adam 0.002", "batch 32", "1 epoch;", "3 seeds"):
        assert part in text


def test_results_are_read_back(tmp_path):
    content = results(0.5, None)
    write(content, tmp_path / "a.json")
    assert read(tmp_path / "a.json") == content


@pytest.mark.parametrize("losses", [(0.5, 0.1), (0.5,), (None, 0.1), (None, None)])
def test_the_picture_is_drawn_whatever_happened(tmp_path, losses):
    pytest.importorskip("matplotlib")
    from convex_init.demo.results.picture import draw

    draw(results(*losses), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def readme_tables():
    path = CHECKOUT / "tools" / "readme_tables.py"
    spec = importlib.util.spec_from_file_location("readme_tables", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["readme_tables"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["readme_tables"]


def test_the_readme_says_what_the_results_say(readme_tables):
    assert readme_tables.main(["--check"]) == 0


def test_a_readme_that_says_something_else_is_found(readme_tables, monkeypatch, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    write(results(0.5, 0.1), tmp_path / "results" / "demo_digits.json")
    (tmp_path / "README.md").write_text("a\n<!-- table:demo_digits -->\nold\n<!-- /table -->\nb\n", encoding="utf-8")
    monkeypatch.setattr(readme_tables, "CHECKOUT", tmp_path)
    assert readme_tables.main(["--check"]) == 1
    assert "does not say" in capsys.readouterr().out
    assert readme_tables.main([]) == 0
    assert readme_tables.main(["--check"]) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("a\n<!-- table:demo_digits -->\n8×8 digits")
    assert text.endswith("<!-- /table -->\nb\n")
    assert "| ICNN + init | bias_noise 0.5 | 0.300 |" in text
    assert "old" not in text


def test_a_readme_without_a_table_is_an_error(readme_tables):
    with pytest.raises(ValueError, match="table:NAME"):
        readme_tables.with_tables("nothing here", CHECKOUT)


def test_the_committed_result_shows_what_the_project_claims():
    runs = {network["name"]: network["runs"] for network in read(RESULTS)["networks"]}
    worst = max(run["losses"][-1] for run in runs["ICNN + init"])
    best = min(run["losses"][-1] for run in runs["ICNN"])
    assert len(runs["ICNN"]) >= 5
    assert worst < 0.2 < 1.0 < best
