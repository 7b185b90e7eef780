"""Figures 3 and 11 on a CPU: each network with the winner of the committed grid, and the others with ours."""

from __future__ import annotations

from experiments import records
from experiments.catalogue import named
from experiments.catalogue.figure3 import GRID, METHODS, OURS
from tests.architecture.checkout import CHECKOUT

CHOSEN = ("lr", "l2", "preprocessing", "layers")


def test_every_network_has_the_setting_that_the_grid_chose(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    best = {
        (record["settings"]["dataset"], record["settings"]["method"]): record["results"]["best"]
        for record in records.read(GRID)
    }
    assert len(best) == 12
    declared = list(named("figure3").runs("cpu", {}))
    for run in declared:
        of = best[run["dataset"], run.get("settings of", run["method"])]
        assert {name: run[name] for name in CHOSEN} == {name: of[name] for name in CHOSEN}
    found = {(run["dataset"], run["method"], run.get("settings of")) for run in declared}
    for dataset in ("mnist", "cifar10"):
        for ours, name in OURS.items():
            assert {(dataset, method, None) for method in METHODS[name]} <= found
            assert {(dataset, method, ours) for method in METHODS[name][1:]} <= found
    assert len(declared) == 10 * len(found)


def test_nothing_is_declared_without_the_grid(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert list(named("figure3").runs("cpu", {})) == []
