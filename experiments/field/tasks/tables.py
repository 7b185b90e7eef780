"""Regression on small tables."""

from __future__ import annotations

import numpy as np
import torch

from experiments.data.uci import read_uci
from experiments.experiment import Context
from experiments.field.tasks.task import Drawn, Task, divided


def table(name: str, raw: bool = False) -> Task:
    """A set of UCI's: a fifth of the rows tests, a fifth validates, columns standardised by the others.

    Args:
        name: of :data:`experiments.data.uci.SETS`.
        raw: whether the targets are left as they stand in the table.
    """

    def draw(seed: int, context: Context) -> Drawn:
        inputs, targets = read_uci(context.folder("uci"), name)
        rows = np.random.default_rng(seed).permutation(len(inputs))[:4000]
        columns = torch.tensor(np.column_stack([inputs, targets])[rows])
        fifth = len(rows) // 5
        sizes = (len(rows) - 2 * fifth, fifth, fifth)
        mean, deviation = columns[: sizes[0]].mean(0), columns[: sizes[0]].std(0) + 1e-9
        if raw:
            mean[-1], deviation[-1] = 0.0, 1.0
        columns = ((columns - mean) / deviation).float()
        return divided((columns[:, :-1], columns[:, -1:]), sizes)

    return Task(f"{name}{', raw targets' if raw else ''}", "tables", "value", draw)
