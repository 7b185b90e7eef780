"""The command line: what is run, what is kept, and what is said when something is wrong."""

from __future__ import annotations

import json

import pytest

from experiments import catalogue as catalogue_module
from experiments import command, records, schedule
from experiments.command import main
from experiments.experiment import Experiment, run_key, without_seed
from experiments.failure import ExperimentError


@pytest.fixture
def fake(monkeypatch):
    """An experiment of six runs that notes what it was asked to do; a run with ``seed`` 1 and ``x`` 2 fails."""
    asked = []

    def runs(preset, options):
        for seed in range(3):
            for x in (1, 2):
                yield {"x": x, "preset": preset, "seed": seed}

    def execute(run, context):
        asked.append((run["x"], run["seed"]))
        if run["x"] == 2 and run["seed"] == 1 and not context.options:
            raise ZeroDivisionError("as asked")
        return {"value": run["x"] / 3.0, "lost": float("nan")}

    def together(runs, context):
        asked.append(tuple(run["seed"] for run in runs))
        return [{"value": run["x"] + run["seed"]} for run in runs]

    def report(found, page):
        page.table(("seed", "x"), [(record["seed"], record["settings"]["x"]) for record in found])

    experiment = Experiment("fake", "A title", runs, execute, report, together)
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"fake": experiment})
    monkeypatch.setattr(command, "catalogue", lambda: {"fake": experiment})
    for module in (catalogue_module, command, schedule):
        monkeypatch.setattr(module, "named", lambda _: experiment)
    return asked


@pytest.fixture
def run(tmp_path):
    def call(*arguments):
        return main(["run", "fake", "--preset", "smoke", "--out", str(tmp_path), "--workers", "1", *arguments])

    return call


def lines_of(folder):
    return [json.loads(line) for line in (folder / "smoke" / "fake.jsonl").read_text().splitlines()]


def test_each_run_becomes_a_line_and_a_failure_stops_no_other(fake, run, tmp_path, capsys):
    assert run() == 1
    lines = lines_of(tmp_path)
    assert [(line["settings"]["x"], line["seed"]) for line in lines] == [(1, 0), (2, 0), (1, 1), (1, 2), (2, 2)]
    assert lines[0]["results"] == {"value": 0.333333, "lost": None}
    assert lines[0]["key"] == run_key({"seed": 0, "preset": "smoke", "x": 1})
    assert {"experiment", "preset", "versions", "device", "seconds", "together"} <= lines[0].keys()
    assert "ZeroDivisionError: as asked" in capsys.readouterr().out


def test_resuming_does_what_is_not_there(fake, run, tmp_path):
    run()
    fake.clear()
    assert run("--resume", "--cddd", "so that it does not fail") == 0
    assert fake == [(2, 1)]
    assert len(lines_of(tmp_path)) == 6


def test_results_are_not_added_to_by_accident(fake, run, capsys):
    run()
    assert run() == 2
    assert "--resume" in capsys.readouterr().err


def test_half_a_line_is_done_again(fake, run, tmp_path):
    run("--cddd", "x")
    path = tmp_path / "smoke" / "fake.jsonl"
    content = path.read_text()
    path.write_text(content[:-30])  # killed while it wrote
    fake.clear()
    assert run("--resume", "--cddd", "x") == 0
    assert fake == [(2, 2)]
    assert len(lines_of(tmp_path)) == 6  # every line is whole


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "1"}\n{"key": \n{"key": "2"}\n')
    with pytest.raises(ExperimentError, match="line 2"):
        records.read(path)


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        (["seed=2"], [(1, 2), (2, 2)]),
        (["seed=2", "seed=0", "x=1"], [(1, 0), (1, 2)]),
        (["preset=paper"], []),
    ],
)
def test_runs_are_picked_by_their_settings(fake, run, conditions, wanted):
    assert run(*(part for condition in conditions for part in ("--only", condition))) == 0
    assert fake == wanted


def test_a_condition_without_a_value_is_refused(fake, run, capsys):
    assert run("--only", "seed") == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_runs_that_differ_in_their_seed_are_done_together(fake, run, tmp_path):
    assert run("--together", "2") == 0
    # Three seeds of each x: two at once, and the one that is left by itself.
    assert fake == [(0, 1), (1, 2), (0, 1), (2, 2)]
    found = {(line["settings"]["x"], line["seed"]): line for line in lines_of(tmp_path)}
    assert found[2, 1]["results"] == {"value": 3}
    assert found[2, 1]["together"] == 2
    assert found[2, 2]["together"] == 1


def test_no_run_begins_when_the_time_is_over(fake, run, capsys):
    assert run("--minutes", "0") == 0
    assert fake == []
    assert "6 runs are left" in capsys.readouterr().out


def test_processes_share_the_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVEX_INIT_DATA", str(tmp_path))
    arguments = ["run", "figure1", "--preset", "smoke", "--out", str(tmp_path), "--workers", "2", "--threads", "1"]
    assert main(arguments) == 0
    lines = (tmp_path / "smoke" / "figure1.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == 5


def test_the_report_comes_from_the_file_alone_and_in_declared_order(fake, run, tmp_path):
    run("--cddd", "x")
    path = tmp_path / "smoke" / "fake.jsonl"
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), reverse=True)))
    fake.clear()
    assert main(["report", "--out", str(tmp_path), "--pages", str(tmp_path / "pages")]) == 0
    assert fake == []
    text = (tmp_path / "pages" / "smoke" / "fake.md").read_text()
    assert text.startswith("# A title\n\nAll 6 runs of the preset `smoke`.")
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [f"| {seed} | {x} |" for seed in range(3) for x in (1, 2)]


def test_an_incomplete_report_names_the_command_that_completes_it(fake, run, tmp_path):
    run()
    main(["report", "--out", str(tmp_path)])
    text = (tmp_path / "smoke" / "fake.md").read_text()
    assert "5 of 6 runs" in text
    assert "`python -m experiments run fake --preset smoke --resume`" in text


def test_without_results_there_is_nothing_to_report(fake, tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path)]) == 2
    assert "no results" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["figure5", "table1"])
def test_missing_data_is_named_before_anything_is_done(name, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CONVEX_INIT_DATA", raising=False)
    arguments = ["run", name, "--preset", "smoke", "--out", str(tmp_path), "--workers", "1"]
    assert main(arguments) == 2
    assert "pass --data DIR or set CONVEX_INIT_DATA" in capsys.readouterr().err
    assert main([*arguments, "--data", str(tmp_path)]) == 2
    assert f"no folder {'mnist' if name == 'figure5' else 'tox21'}" in capsys.readouterr().err


def test_settings_are_told_apart_but_for_their_order():
    run = {"a": 1, "b": [1, 2], "seed": 0}
    assert run_key(run) == run_key(dict(reversed(run.items())))
    assert run_key(run) != run_key({**run, "b": [2, 1]})
    assert without_seed(run) == without_seed({**run, "seed": 5})


@pytest.mark.parametrize("preset", ["smoke", "cpu", "paper"])
def test_every_declared_run_is_json_and_none_is_declared_twice(preset):
    for name, experiment in command.catalogue().items():
        runs = list(experiment.runs(preset, {}))
        assert runs, name
        assert len({run_key(run) for run in runs}) == len(runs), name
