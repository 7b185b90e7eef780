"""Two to thirty-one examples: a sum without a theory is measured on what there is, and the plan says that it is few."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from convex_init_core.planning.measurement.calibrate import scale_for


class Pooled(nn.Module):
    """Convolutions, a mean over positions, and one number of each image."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, stride=2), nn.Linear(16, 1)

    def forward(self, x):
        z = F.relu(self.a(x))
        z = F.relu(F.conv2d(z, self.b.weight.exp(), self.b.bias, stride=2)).mean((2, 3))
        return F.linear(z, self.c.weight.exp(), self.c.bias)


class Hinges(nn.Module):
    """A maximum over windows, and a layer over all that is left."""

    def __init__(self):
        super().__init__()
        self.a, self.c = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8 * 16, 1)

    def forward(self, x):
        z = F.max_pool2d(F.leaky_relu(self.a(x), 0.2), 4)
        return F.linear(z.flatten(1), F.softplus(self.c.weight), self.c.bias)


class Squared(nn.Module):
    """Squares of sequences, summed with a kernel, and their mean."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.raw = nn.Conv1d(2, 8, 5), nn.Conv1d(8, 8, 3), nn.Parameter(torch.zeros(8))

    def forward(self, x):
        z = F.softplus(F.conv1d(self.a(x) ** 2, self.b.weight.abs(), self.b.bias)).mean(2)
        return (F.softplus(self.raw) * z).sum(1)


KINDS = {"pooled": (Pooled, (1, 20, 20)), "hinges": (Hinges, (1, 16, 16)), "squared": (Squared, (2, 40))}


def started(name, count, seed):
    torch.manual_seed(seed)
    make, shape = KINDS[name]
    model, x, fresh = make(), torch.randn(count, *shape), torch.randn(256, *shape)
    note = ci.plan(model, x).layers[-1].note
    ci.apply_(model, x, generator=torch.Generator().manual_seed(seed))
    return model, x, float(model(fresh).detach().var()), note


@pytest.mark.parametrize("count", [12, 24, 64])
@pytest.mark.parametrize("name", KINDS)
def test_from_a_dozen_on_the_output_is_in_range(name, count):
    model, x, variance, note = started(name, count, seed=0)
    assert 0.25 < variance < 4.0
    assert (f"its sum shows {count} numbers only" in note) is (count < 32)
    assert ci.certify(model, x)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("name", KINDS)
def test_with_less_it_is_near_and_the_plan_says_so(name, count):
    variances = []
    for seed in range(5):
        *_, variance, note = started(name, count, seed)
        variances.append(variance)
        assert f"its sum shows {count} numbers only, so that its scale is uncertain: pass 32 examples" in note
    assert 0.03 < np.median(variances) < 4.0


@pytest.mark.parametrize("count", [2, 3, 8, 31])
def test_the_scale_from_a_few_numbers_is_right_on_average_and_careful(count):
    rng = np.random.default_rng(0)
    logs = [
        np.log(scale_for(rng.standard_normal(count) * deviation, np.zeros(count), 1.0, 2)) / -np.log(deviation)
        for deviation in (0.1, 10.0)
        for _ in range(2000)
    ]
    # By a part of the way on average, all of it with many numbers, and never back.
    assert {2: 0.6, 3: 0.8, 8: 0.93, 31: 0.98}[count] < np.mean(logs) < 1.0
    assert scale_for(rng.standard_normal(count) * 0.1, np.zeros(count), 1.0) == 1.0  # where there is a theory
