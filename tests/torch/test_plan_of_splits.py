"""A layer whose outputs are divided among several uses belongs to none of their sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import apply_, plan, signal_report
from tests.torch.networks import generator


class Split(nn.Module):
    """One free layer makes the first features and the skip at once."""

    def __init__(self, divide):
        super().__init__()
        self.free, self.second, self.last = nn.Linear(6, 60), nn.Linear(30, 30), nn.Linear(30, 1)
        self.divide = divide

    def forward(self, x):
        first, skip = self.divide(self.free(x))
        return self.last((self.second(first.relu()) + skip).relu())


WAYS = {
    "chunk": lambda s: s.chunk(2, -1),
    "split": lambda s: s.split(30, -1),
    "unbind": lambda s: s.unflatten(-1, (2, 30)).unbind(-2),
    "slices": lambda s: (s[:, :30], s[:, 30:]),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_free_layer_is_a_layer_of_its_own(way):
    model, x = Split(WAYS[way]), torch.randn(200, 6, generator=generator(1))
    rows = {layer.path: layer for layer in plan(model, x, method="bounded_gain", calibrate=False).layers}
    assert {path: layer.role for path, layer in rows.items()} == {
        "free": "free",
        "second": "positive",
        "last": "positive",
    }
    assert rows["free"].recipe.statistics.weight_variance == pytest.approx(1 / 6)
    apply_(model, x, generator=generator())
    assert [layer.path for layer in signal_report(model, x).layers] == ["free", "second", "last"]
