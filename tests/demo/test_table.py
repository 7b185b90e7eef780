"""The table and the picture show what happened, failures included; the README shows the committed results."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from convex_init.demo.results.record import read, write
from convex_init.demo.results.table import as_markdown, as_text, caption

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "results"
TASKS = ("digits", "curve", "surface")


def results(*losses, task="digits", depths=(5,)):
    """Results of the two plain networks at each depth, one run per final loss; of a fit, losses are errors, too."""
    drawn = {"curve": 5, "surface": 9}.get(task, 0)
    runs = [
        {"seed": seed, "losses": [2.5, loss], "score": 0.1 * seed if task == "digits" else loss, "seconds": float(seed)}
        | ({"drawn": [loss] * drawn} if drawn else {})
        for seed, loss in enumerate(losses)
    ]
    starts = {"default": "torch's default, clamped", "ours": "ours: isometric"}
    return {
        "task": task,
        "settings": {"depths": list(depths), "width": 128, "batch_size": 32, "epochs": 1, "seeds": len(losses)},
        "examples": {"train": 1437, "test": 360, "pixels": 64, "classes": 10}
        if task == "digits"
        else {"formula": "x²", "train": 256, "test": 2048, "target": [float(k) for k in range(drawn)]},
        "device": "CPU, threads: 1",
        "notes": [],
        "networks": [
            {"name": "ICNN", "initialisation": name, "start": start, "depth": depth, "lr": 0.002, "runs": runs}
            for start, name in starts.items()
            for depth in depths
        ],
    }


def cells(content):
    return [cell.strip() for cell in as_markdown(content).splitlines()[3].strip("|").split("|")]


def test_medians_and_extremes():
    assert cells(results(0.5, 0.01, 0.2)) == ["ICNN", "ours: isometric", "0.200 (0.010–0.500)", "10.0 %"]
    assert cells(results(0.5)) == ["ICNN", "ours: isometric", "0.500", "0.0 %"]


def test_a_fit_has_a_column_for_each_depth():
    content = results(0.5, 0.01, 1.5, task="curve", depths=(1, 3))
    assert as_markdown(content).splitlines()[0] == "| network | start | 1 layer | 3 layers |"
    assert cells(content)[2:] == ["50 % (1–150)"] * 2


def test_a_run_that_diverged_is_shown_and_counts_as_the_worst():
    assert cells(results(None, 0.01, 0.2))[2] == "0.200 (0.010–diverged)"
    assert cells(results(None, None, 0.2))[2] == "diverged (0.200–diverged)"
    assert cells(results(5e4, 1e-4, 5e4))[2] == "5.0e+04 (1.0e-04–5.0e+04)"
    assert cells(results(None, 0.01, 2e4, task="surface"))[2] == "2e+06 % (1–diverged)"


def test_the_text_is_aligned_and_names_the_settings():
    lines = as_text(results(0.5, 0.01, 0.2)).splitlines()
    end = lines[0].index("training loss") + len("training loss")
    assert end == lines[2].index("0.200 (0.010–0.500)") + len("0.200 (0.010–0.500)")
    text = caption(results(0.5, 0.01, 0.2))
    for part in ("8×8 digits", "1,437", "5 hidden layers of 128", "Adam 0.002", "batch 32", "1 epoch;", "3 seeds"):
        assert part in text
    text = caption(results(0.5, task="surface", depths=(3, 5, 10)))
    for part in ("two inputs, x²: 256 points", "3, 5 and 10 hidden layers", "1 seed"):
        assert part in text


def test_results_are_read_back(tmp_path):
    content = results(0.5, None)
    write(content, tmp_path / "a.json")
    assert read(tmp_path / "a.json") == content


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("losses", [(0.5, 0.1), (0.5,), (None, 0.1), (None, None)])
def test_the_picture_is_drawn_whatever_happened(tmp_path, losses, task):
    pytest.importorskip("matplotlib")
    from convex_init.demo.results.pictures import draw

    draw(results(*losses, task=task, depths=(3, 10)), tmp_path / "a.png")
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


def test_the_pages_say_what_the_results_say(readme_tables):
    assert readme_tables.main(["--check"]) == 0


def test_a_page_that_says_something_else_is_found(readme_tables, monkeypatch, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    (tmp_path / "docs").mkdir()
    write(results(0.5, 0.1), tmp_path / "results" / "demo_digits.json")
    (tmp_path / "docs" / "field.md").write_text("# A\n\ntext\n\n| a |\n|---|\n| 1 |\n\n| b |\n", encoding="utf-8")
    of_demo = "a\n<!-- table:demo_digits -->\nold\n<!-- /table -->\nb\n"
    (tmp_path / "README.md").write_text(of_demo, encoding="utf-8")
    (tmp_path / "docs" / "demo.md").write_text("<!-- table:docs/field.md -->\n<!-- /table -->\n", encoding="utf-8")
    monkeypatch.setattr(readme_tables, "CHECKOUT", tmp_path)
    assert readme_tables.main(["--check"]) == 1
    assert capsys.readouterr().out.count("does not say") == 2
    assert readme_tables.main([]) == 0
    assert readme_tables.main(["--check"]) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("a\n<!-- table:demo_digits -->\n8×8 digits")
    assert text.endswith("<!-- /table -->\nb\n")
    assert "| ICNN | ours: isometric | 0.300 (0.100–0.500) |" in text
    assert "old" not in text
    copied = (tmp_path / "docs" / "demo.md").read_text(encoding="utf-8")
    assert copied == "<!-- table:docs/field.md -->\n| a |\n|---|\n| 1 |\n<!-- /table -->\n"


def test_a_page_without_a_table_is_an_error(readme_tables, tmp_path):
    with pytest.raises(ValueError, match="table:NAME"):
        readme_tables.with_tables("nothing here", CHECKOUT)
    (tmp_path / "a.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.md has no table"):
        readme_tables.with_tables("<!-- table:a.md -->\n<!-- /table -->", tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_the_committed_results_show_what_the_project_claims(task):
    content = read(RESULTS / f"demo_{task}.json")
    assert content["settings"]["method"] is content["settings"]["threshold"] is content["settings"]["lr"] is None
    worst: dict[tuple[str, str, int], list[float]] = {}
    for network in content["networks"]:
        runs = network["runs"]
        assert len(runs) >= 3
        worst[network["name"], network["start"], network["depth"]] = [
            run["losses"][-1] if task == "digits" else run["score"] for run in runs
        ]
    deepest = content["settings"]["depths"][-1]
    assert max(worst["ICNN", "ours", deepest]) < 0.2 * min(worst["ICNN", "default", deepest])


@pytest.mark.parametrize("task", TASKS)
def test_the_committed_pictures_are_there(task):
    assert (CHECKOUT / "docs" / "img" / f"demo_{task}.png").read_bytes().startswith(b"\x89PNG")
