"""Every experiment from end to end, at its smallest."""

from __future__ import annotations

import json

import pytest

from experiments.catalogue import catalogue
from experiments.command import main
from experiments.experiment import run_key


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all, so that what is slow to read is read once."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of libraries, on data as small as this
@pytest.mark.parametrize("name", catalogue())
def test_an_experiment_runs_and_reports(name, out, shared_data):
    pytest.importorskip("rdkit")
    pytest.importorskip("selfies")
    pytest.importorskip("sklearn")
    common = ["--out", str(out)]
    run = ["run", name, "--preset", "smoke", "--data", str(shared_data), "--workers", "1", "--threads", "1"]
    assert main([*run, "--resume", *common]) == 0
    experiment = catalogue()[name]
    lines = experiment.file(out, "smoke").read_text(encoding="utf-8").splitlines()
    done = {record["key"]: record for record in map(json.loads, lines)}
    for declared in experiment.runs("smoke", {}):
        record = done[run_key(declared)]
        assert record["settings"] == json.loads(json.dumps(declared))
        assert record["results"]
        assert record["versions"]["torch"]
    assert main(["report", name, *common]) == 0
    page = (out / "smoke" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {experiment.title}\n")
    assert f"All {len(list(experiment.runs('smoke', {'out': str(out)})))} runs" in page
