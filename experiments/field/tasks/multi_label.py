"""Several labels at once, as the minimum of an energy that is convex in the labels (Amos, Xu & Kolter 2017).

What the inputs have in place of the labels is where a start may look: uniform in the cube.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from experiments.data.tox21 import ASSAYS, read_tox21
from experiments.descriptors import features
from experiments.experiment import Context
from experiments.field.tasks.small_images import small_images
from experiments.field.tasks.task import Drawn, Task, divided

COMPOUNDS, COMPONENTS = 3000, 32
_EFFORT = (300, 32)


def toxicity() -> Task:
    """Twelve assays of Tox21, unknown where they were not made, of the main components of Morgan fingerprints."""

    def draw(seed: int, context: Context) -> Drawn:
        compounds = read_tox21(context.folder("tox21")).train.first(COMPOUNDS)
        fingerprints, _ = features("morgan", context, compounds, compounds.picked(np.arange(1)))
        rows = np.random.default_rng(seed).permutation(len(fingerprints))
        x, y = torch.tensor(fingerprints[rows]), torch.tensor(compounds.labels[rows])
        fifth = len(rows) // 5
        sizes = (len(rows) - 2 * fifth, fifth, fifth)
        train = x[: sizes[0]]
        axes = torch.linalg.svd(train - train.mean(0), full_matrices=False).Vh[:COMPONENTS]
        components = (x - train.mean(0)) @ axes.T
        return divided((_with_guess(y, components / components[: sizes[0]].std(), seed), y), sizes)

    return Task("Tox21", "labels", "labels", draw, form="partial", decisions=len(ASSAYS), effort=_EFFORT)


def completion() -> Task:
    """The lower pixels of a digit at 7 × 7, each brighter than the mean or not, from the upper ones."""
    sizes, seen = (3000, 400, 600), 28

    def draw(seed: int, context: Context) -> Drawn:
        x, _ = small_images("mnist", sum(sizes[:2]), sizes[2], seed, context)
        x = x.view(-1, 7, 2, 7, 2).mean((2, 4)).flatten(1)
        y = (x[:, seen:] > 0.0).float()
        mean, deviation = x[: sizes[0], :seen].mean(), x[: sizes[0], :seen].std()
        return divided((_with_guess(y, (x[:, :seen] - mean) / deviation, seed), y), sizes)

    return Task("digits completed", "labels", "labels", draw, form="partial", decisions=49 - seen, effort=_EFFORT)


def _with_guess(y: Tensor, context: Tensor, seed: int) -> Tensor:
    guess = torch.rand(y.shape, generator=torch.Generator().manual_seed(seed))
    return torch.cat([guess, context], 1)
