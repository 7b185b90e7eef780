"""The signal of every model in the zoo after ``apply_``, measured at what enters each non-linearity."""

from __future__ import annotations

import pytest
import torch

from tests.torch.zoo import IMAGES, ZOO
from tests.torch.zoo.cases import cases, initialised
from tests.torch.zoo.effective import effective_weight
from tests.torch.zoo.pre_activations import living_share, pre_activations, variance

# Deep chains without skips are in the zoo, too.
pytestmark = pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")


@pytest.mark.parametrize(("name", "depth"), cases())
def test_signal_and_weights_after_apply(name, depth):
    model, shown, fresh = initialised(name, depth, count=128 if name in IMAGES else 1024)
    for row in ZOO[name].rows(depth):
        if row.role == "positive":
            weight = effective_weight(model, row)
            assert bool(torch.isfinite(weight).all()), row.path
            assert float(weight.min()) >= 0.0, row.path
            assert float(weight.max()) > 0.0, row.path
    # What all units share has heavy tails over the data in deep chains: a kurtosis of 100 is seen, with which the
    # variance over 1024 samples has a standard error of √(100 / 1024) = 0.3 at each of two batches.
    for inputs, others, low, high in ((shown, fresh, 0.5, 2.0), (fresh, shown, 0.2, 5.0)):
        found = pre_activations(model, inputs, others, ZOO[name].entry)
        assert len(found) >= ZOO[name].bends(depth)
        variances = [variance(s) for s in found if s[0].numel() > 1]  # one number for a sample says nothing of the law
        assert all(low <= value <= high for value in variances), ", ".join(f"{value:.3g}" for value in variances)
        assert all(living_share(s) > 0.5 for s in found)
