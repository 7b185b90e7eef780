"""Pieces of a choice with arguments of their own, and factors that depend on the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.torch.attacks.models import Attack

ATTACKS = {
    "div floor": Attack(lambda self, x: torch.where(x > 0, torch.div(x, 1.0, rounding_mode="floor"), 0.0)),
    "div trunc": Attack(lambda self, x: torch.where(x > 0, torch.div(x, 1.0, rounding_mode="trunc"), 0.0)),
    "rsub alpha": Attack(lambda self, x: -torch.rsub(x.abs(), 0.0, alpha=-2)),
    "alpha pos": Attack(lambda self, x: torch.where(x > 0, torch.ops.aten.add.Scalar(x, 1.0, 5), x + 1)),
    "where sub alpha": Attack(lambda self, x: torch.where(x > 0, torch.sub(x, 1.0, alpha=0.5), x * 0.5 - 1)),
    "where add alpha": Attack(lambda self, x: torch.where(x > 0, torch.add(x * 0.5, x, alpha=-1), x * 0.5)),
    "where mul": Attack(lambda self, x: torch.where(x > 0, x * -1, x * 0.5)),
    "where pow3": Attack(lambda self, x: torch.where(x > 0, x, x.pow(3) - x)),
    "where pow3 jumps": Attack(lambda self, x: torch.where(x > 0, x, -x.pow(3) - x + 1)),
    "where pow3 turns": Attack(lambda self, x: torch.where(x > 0, x, -x.pow(3) + 2 * x)),
    "where lerp": Attack(lambda self, x: torch.where(x > 0, torch.lerp(x, x * 0.5, 2.0), x * 0.5)),
    "where addcmul": Attack(
        lambda self, x: torch.where(x > 0, torch.addcmul(x, x, torch.ones(()), value=-0.9), x * 0.5)
    ),
    "where clamp": Attack(lambda self, x: torch.where(x > 0, x.clamp(max=1.0), 0.0)),
    "where clamp2": Attack(lambda self, x: torch.where(x > 0, x.clamp(min=-1.0, max=0.5), 0.0)),
    "where cast": Attack(lambda self, x: torch.where(x > 0, x.to(torch.int32).float(), 0.0)),
    "where cast mask": Attack(lambda self, x: torch.where((x * 2).long() > 0, x, 0.0)),
    "where reshape": Attack(lambda self, x: torch.where(x[:, :1] > 0, x, 0.0)),
    "where broadcast": Attack(lambda self, x: torch.where(x.sum() > 0, x, 0.0)),
    "where transpose": Attack(lambda self, x: torch.where(x[:3, :3].T > 0, x[:3, :3], 0.0)),
    "where flip": Attack(lambda self, x: torch.where(x.flip(1) > 0, x, 0.0)),
    "where view": Attack(lambda self, x: torch.where(x.reshape(4, 3) > 0, x.T.reshape(4, 3), 0.0)),
    "cmp other dtype": Attack(lambda self, x: torch.where(x.half() > 0.3, x, 0.3)),
    "cmp narrowed": Attack(lambda self, x: torch.where(x.bfloat16().float() > 1.003, x, 1.003)),
    "cmp rounding of number": Attack(lambda self, x: torch.where(x > 0.1, x, 0.3)),
    "mask mul": Attack(lambda self, x: x * (x > 0.5)),
    "mask mul2": Attack(lambda self, x: (x - 0.5) * (x > 0.4)),
    "mask neg": Attack(lambda self, x: x * (x < 0)),
    "mask square": Attack(lambda self, x: -x.square() * (x > 0)),
    "mask not": Attack(lambda self, x: x * (~(x > 0))),
    "mask cast int": Attack(lambda self, x: x * ((x > 0).int() * -1)),
    "mask long shift": Attack(lambda self, x: x * ((x > 0).long() - 1).float() * 2 - x.abs() * 0),
    "eq": Attack(lambda self, x: torch.where(x == 0, 5.0, x)),
    "exp of big": Attack(lambda self, x: torch.where(x > 0, x.exp() - 1, x * 2)),
    "exp minus": Attack(lambda self, x: torch.where(x > 0, x, 1 - (-x).exp())),
    "exp exp": Attack(lambda self, x: torch.where(x > 0, x * 3, (x.exp() - 1) * 1 - (x.exp() - 1).square())),
    "square left": Attack(lambda self, x: torch.where(x > 0, x, -(x.square()))),
    "prod in where": Attack(lambda self, x: torch.where(x > 0, x * 2, (x * x) * -1)),
    "minimum in where": Attack(lambda self, x: torch.where(x > 0, torch.minimum(x, torch.tensor(2.0)), 0.0)),
    "two compare": Attack(lambda self, x: torch.where((x > 0) & (x < 1), x, 0.0)),
    "ctx where": Attack(
        lambda self, x, y: torch.where(y > 0, x.abs(), -x.abs()), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "sum dim kw": Attack(lambda self, x: -x.abs().sum(dim=-1, keepdim=True)),
    "scale of input": Attack(
        lambda self, x: F.batch_norm(torch.ones(3, 4), torch.full((4,), 3.0), torch.ones(4), weight=x[0].abs(), eps=0.0)
    ),
    "var of input": Attack(lambda self, x: F.batch_norm(torch.ones(3, 4), torch.zeros(4), x[0].square() + 1, eps=0.0)),
    "mean of input": Attack(lambda self, x: F.batch_norm(torch.ones(3, 4), x[0].abs(), torch.ones(4), eps=0.0)),
    "bias of input": Attack(
        lambda self, x: F.batch_norm(torch.ones(3, 4), torch.zeros(4), torch.ones(4), torch.ones(4), -x[0].abs())
    ),
    "both": Attack(lambda self, x: F.batch_norm(x, torch.zeros(4), torch.ones(4), weight=x[0])),
    "ctx scale": Attack(
        lambda self, x, y: F.batch_norm(x.abs(), torch.zeros(4), torch.ones(4), weight=y[0]),
        torch.randn(3, 4),
        torch.randn(3, 4),
        convex=0,
    ),
    "ctx mean times x scale": Attack(
        lambda self, x, y: F.batch_norm(torch.zeros(3, 4), y[0].square(), torch.ones(4), weight=x[0].abs()),
        torch.randn(3, 4),
        torch.randn(3, 4),
        convex=0,
    ),
    "layer_norm": Attack(lambda self, x: F.layer_norm(torch.randn(3, 4), (4,), weight=-x[0].abs())),
    "layer_norm w": Attack(lambda self, x: F.layer_norm(torch.arange(12.0).reshape(3, 4), (4,), weight=x[0].abs())),
    "group": Attack(lambda self, x: F.group_norm(torch.arange(12.0).reshape(3, 4), 2, weight=x[0].abs())),
    "instance": Attack(
        lambda self, x: F.instance_norm(
            torch.arange(12.0).reshape(1, 3, 4),
            torch.full((3,), 3.0),
            torch.ones(3),
            weight=x[:, 0].abs(),
            use_input_stats=False,
        )
    ),
    "rms": Attack(lambda self, x: F.rms_norm(torch.arange(12.0).reshape(3, 4) - 5, (4,), weight=x[0].abs())),
    "conv weight x": Attack(lambda self, x: F.conv1d(-torch.ones(1, 1, 5), x[:1, :3].abs()[None])),
    "linear weight x": Attack(lambda self, x: F.linear(-torch.ones(1, 4), x.abs())),
    "prelu weight x": Attack(lambda self, x: F.prelu(torch.tensor([[-1.0, -1, -1, -1]]), x[0].abs())),
    "lerp weight x": Attack(lambda self, x: torch.lerp(torch.full((3, 4), 2.0), torch.zeros(3, 4), x.abs())),
    "addcmul x": Attack(lambda self, x: torch.addcmul(torch.zeros(3, 4), torch.full((3, 4), -1.0), x.abs())),
    "bilinear neg": Attack(lambda self, x: F.bilinear(x.abs(), torch.ones(3, 4), -torch.ones(1, 4, 4))),
    "norm weight": Attack(lambda self, x: torch._weight_norm(torch.ones(3, 4) * -1, x[:, :1].abs(), 0)),
    "bce weight x": Attack(
        lambda self, x: F.binary_cross_entropy_with_logits(torch.zeros(3, 4), torch.ones(3, 4), weight=-x.abs())
    ),
}
