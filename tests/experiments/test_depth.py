"""Scopes of the experiments on depth: which seeds are declared, and how networks are named."""

from __future__ import annotations

import json

import pytest

from experiments import depth
from experiments.depth_report import label

NETWORK = {"width": 8, "depth": 3, "method": "isometric"}


def test_more_seeds_are_declared_at_the_best_of_the_scope_s_own_rates(tmp_path, monkeypatch):
    """A rate outside of the scope, tried for another experiment in the same file, is not taken."""
    losses = {1e-4: 0.3, 3e-4: 0.2, 1e-2: 0.1}
    (tmp_path / "cpu").mkdir()
    lines = [
        json.dumps({"key": str(rate), "settings": {**NETWORK, "lr": rate, "seed": 0}, "results": {"loss": loss}})
        for rate, loss in losses.items()
    ]
    (tmp_path / "cpu" / "here.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr(depth, "FOLDER", tmp_path)
    runs = list(depth.runs_of([depth.Scope([NETWORK], (1e-4, 3e-4), 3)], "here", "cpu"))
    assert [(run["lr"], run["seed"]) for run in runs] == [(1e-4, 0), (3e-4, 0), (3e-4, 1), (3e-4, 2)]
    assert len(list(depth.runs_of([depth.Scope([NETWORK], (1e-4, 1e-3), 3)], "here", "cpu"))) == 2  # 1e-3 is not there


@pytest.mark.parametrize(
    ("key", "text"),
    [((10, True, None), "depth 10, skip"), ((10, None, 7), "depth 10, first kernel 7"), ((5, None, None), "depth 5")],
)
def test_a_network_s_name(key, text):
    assert label(key, ("depth", "skip", "first_kernel")) == text
