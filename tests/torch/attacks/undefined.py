"""Values that are NaN for some inputs, where they are convex elsewhere, behind what hides that."""

from __future__ import annotations

import torch

from tests.torch.attacks.models import Attack

SPARSE = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])


def hidden(make, at=0.0):
    """``max(z, at)`` where z has a value, and ``at`` where it has none."""
    return Attack(lambda self, x: torch.where((z := make(x)) > at, z, at))


ATTACKS = {
    "log": hidden(lambda x: -x.log()),
    "square root": hidden(lambda x: -x.sqrt(), -1.0),
    "log1p": hidden(lambda x: -x.log1p()),
    "sum of logs": hidden(lambda x: (x - x.log()).sum(1)),
    "number on the left": Attack(
        lambda self, x: torch.where(torch.lt(torch.zeros(()), -x.log()), -x.log(), torch.zeros_like(x))
    ),
    "kept below": Attack(lambda self, x: torch.where((z := x.log()) < 0.0, -z, 0.0)),
    "filled": Attack(lambda self, x: (z := -x.log()).masked_fill(~(z > 0.0), 0.0)),
    "assigned": Attack(lambda self, x: torch.zeros(3, 4).masked_scatter((z := -x.log()) > 0.0, z)),
    "two smallest": Attack(lambda self, x: -x.log().topk(2, 1, largest=False)[0].sum(1)),
    "smallest": Attack(lambda self, x: -x.log().topk(1, 1, largest=False)[0]),
    "first of a sort": Attack(lambda self, x: -x.log().sort(1)[0][:, :1]),
    "first ones of a sort": Attack(lambda self, x: -x.log().sort(1)[0][:, :2].sum(1)),
    "running sum of a sort": Attack(lambda self, x: -x.log().sort(1)[0].cumsum(1)),
    "fmax": Attack(lambda self, x: torch.fmax(-x.log(), torch.zeros(()))),
    "sum without NaN": Attack(lambda self, x: (-x.log()).nansum(1)),
    "another number for NaN": Attack(lambda self, x: (-x.log()).nan_to_num(0.0)),
    # exp overflows from 89 on, and ∞ · 0 is NaN
    "weights of 0": hidden(lambda x: (30.0 * x).exp() @ SPARSE, 1.0),
    "a factor of 0": hidden(lambda x: x[:, :1].relu() + 0.0 * (30.0 * x[:, 1:2]).exp(), 0.5),
}
