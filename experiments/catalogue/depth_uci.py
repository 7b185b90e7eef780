"""Convex regression on small tables: test error of convex networks by depth, and of the non-convex one."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from experiments.data.uci import SETS, read_uci
from experiments.depth import RATES, Scope, build, declare, of_last_epoch
from experiments.depth_report import depth_report
from experiments.experiment import Context, Results, Run
from experiments.training import Schedule, fit, outputs_of

_METHODS = ("non-convex, He", "ICNN, He", "paper", "isometric", "isometric, relu map, bends apart")


def _execute(run: Run, context: Context) -> Results:
    """A quarter of the rows is the test set; all columns are standardised by the others."""
    inputs, targets = read_uci(context.folder("uci"), run["dataset"])
    order = np.random.default_rng(run["seed"]).permutation(len(inputs))
    table = np.column_stack([inputs, targets])[order][: run["limit"]]
    test, train = np.split(table, [len(table) // 4])
    mean, deviation = train.mean(0), train.std(0) + 1e-9
    parts = [torch.tensor((part - mean) / deviation, dtype=torch.float32) for part in (train, test)]
    x, z = (part[:, :-1].to(context.device) for part in parts)
    y, target = (part[:, -1:].to(context.device) for part in parts)
    network = build(run, x.shape[1], 1).to(context.device)
    schedule = Schedule(run["epochs"], 64, run["lr"], points=1)
    losses = fit(network, x, y, schedule, run["seed"], loss=nn.functional.mse_loss)
    error = float((outputs_of(network, z) - target).square().mean().sqrt())
    return {"loss": of_last_epoch(losses, run["epochs"]), "test_rmse": error, "losses": losses}


def _scopes(preset: str) -> list[Scope]:
    limit, epochs, width = {"smoke": (100, 2, 8), "cpu": (1500, 60, 64), "paper": (None, 200, 256)}[preset]
    sets = SETS[:1] if preset == "smoke" else SETS
    scopes = []
    for depth in (3,) if preset == "smoke" else (10, 3):
        settings: list[Run] = [
            {"dataset": name, "limit": limit, "epochs": epochs, "width": width, "depth": depth, "method": method}
            for name in sets
            for method in _METHODS
        ]
        rates = RATES[2:3] if preset == "smoke" else RATES[1:3] if preset == "cpu" else RATES
        scopes.append(Scope(settings, rates, 5 if preset == "cpu" else 10))
    return scopes


EXPERIMENT = declare("depth_uci", "Depth on small tables: convex regression", _scopes, depth_report, _execute)
