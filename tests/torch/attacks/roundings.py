"""Tolerances that hide a bend, and types that leave a staircase."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.torch.attacks.models import Attack

SMALL = torch.diag(torch.tensor([1.0, 1.0, 1.0, -9e-7]))
DOUBLE = torch.diag(torch.tensor([1.0, 1.0, 1.0, -9e-7], dtype=torch.float64))
TINY = torch.diag(torch.tensor([1.0, 1.0, 1.0, -1e-13], dtype=torch.float64))
BRAIN = torch.diag(torch.tensor([1.0, 1.0, 1.0, -1e-3])).bfloat16()
HALF = torch.diag(torch.tensor([1.0, 1.0, 1.0, -2e-3])).half()


def eight_bits(x):
    return x.to(torch.float8_e4m3fn).float()


ATTACKS = {
    "eight bits in a choice": Attack(lambda self, x: torch.where(x > 0, eight_bits(x), 0.0)),
    "eight bits under a mask": Attack(lambda self, x: eight_bits(x) * (x > 0)),
    "eight bits of a part": Attack(lambda self, x: torch.cat([eight_bits(x), x.relu()], 1)[:, :4]),
    "eight bits of a concatenation": Attack(lambda self, x: eight_bits(torch.cat([x, x.relu()], 1))[:, :4]),
    "eight bits before a layer": Attack(
        lambda self, x: eight_bits(torch.cat([x, x.relu()], 1)) @ torch.cat([self.W, self.W.abs()]), W=torch.randn(4, 4)
    ),
    "eight bits in a form": Attack(lambda self, x: (eight_bits(x) * x).sum(1)),
    "eight bits before a log-sum-exp": Attack(
        lambda self, x: torch.log(torch.exp(x - eight_bits(x.amax(1, True))).sum(1, True)) + x.amax(1, True)
    ),
    "f32 -9e-7": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), Q=SMALL),
    "f64 -9e-7": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), torch.randn(3, 4, dtype=torch.float64), Q=DOUBLE),
    "f64 -1e-13": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), torch.randn(3, 4, dtype=torch.float64), Q=TINY),
    "bf16 -1e-3": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), torch.randn(3, 4).bfloat16(), Q=BRAIN),
    "bf16 mat in f32": Attack(lambda self, x: ((x @ self.Q.float()) * x).sum(1), Q=BRAIN),
    "f16 -2e-3": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), torch.randn(3, 4).half(), Q=HALF),
    "exact f32 -1e-7": Attack(
        lambda self, x: ((x @ self.Q) * x).sum(1), Q=torch.diag(torch.tensor([1.0, 1.0, 1.0, -1e-7]))
    ),
    "big const": Attack(lambda self, x: ((x @ self.Q) * x).sum(1), Q=torch.diag(torch.tensor([1e8, 1.0, 1.0, -1.0]))),
    "pieces f64 1e-9": Attack(lambda self, x: torch.where(x > 0, x, x + 1e-9), torch.randn(3, 4, dtype=torch.float64)),
    "pieces f64 1e-14": Attack(
        lambda self, x: torch.where(x > 0, x, x + 1e-14), torch.randn(3, 4, dtype=torch.float64)
    ),
    "pieces f32 1e-6": Attack(lambda self, x: torch.where(x > 0, x, x + 1e-6)),
    "slopes f64": Attack(lambda self, x: torch.where(x > 0, x, x * (1 + 1e-9)), torch.randn(3, 4, dtype=torch.float64)),
    "slope of prelu": Attack(
        lambda self, x: F.leaky_relu(x, 1 + 1e-7).double(), torch.randn(3, 4, dtype=torch.float64)
    ),
    "elu alpha": Attack(lambda self, x: F.elu(x, 1 + 1e-12), torch.randn(3, 4, dtype=torch.float64)),
    "weight -1e-45": Attack(lambda self, x: x.abs() @ self.Q, Q=torch.full((4, 1), -1e-45)),
    "softplus 14.5 f64": Attack(
        lambda self, x: F.softplus(x, threshold=14.5) * 1e6, torch.randn(3, 4, dtype=torch.float64)
    ),
    "pieces terms": Attack(
        lambda self, x: torch.where(x > 0, x + 1e6 - 1e6, x + 1e-2), torch.randn(3, 4, dtype=torch.float64)
    ),
    "nonsym": Attack(
        lambda self, x: ((x @ self.Q) * x).sum(1),
        Q=torch.tensor([[1.0, 5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ),
    "fp8": Attack(lambda self, x: x.to(torch.float8_e4m3fn).float()),
    "int": Attack(lambda self, x: x.int().float()),
    "fake quant": Attack(lambda self, x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)),
    "quant": Attack(lambda self, x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()),
    "frexp": Attack(lambda self, x: torch.frexp(x)[0]),
    "cast complex": Attack(lambda self, x: x.to(torch.complex64).abs() * -1),
    "e5m2": Attack(lambda self, x: x.to(torch.float8_e5m2).float()),
    "bool": Attack(lambda self, x: x.bool().float()),
    "uint8": Attack(lambda self, x: x.to(torch.uint8).float()),
}
