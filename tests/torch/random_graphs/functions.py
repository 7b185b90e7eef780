"""Pieces of random models that are functions of one value: of its elements or of its rows, allowed and forbidden."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.core.graphs.truth import UNKNOWN, Truth
from tests.torch.random_graphs.pieces import WIDTH, Made, Pieces


class Functions(Pieces):
    def rising(self, i: int) -> Made:
        slope = self.parameter(WIDTH)
        with torch.no_grad():
            self.weights[-1].abs_().clamp_(max=1.0)
        number = self.source.choice([0.3, 1.0, 2.0])
        functions: list[tuple[Callable[[Tensor], Tensor], int]] = [
            (F.relu, 1),
            (lambda a: a.clamp(min=0.0), 1),
            (lambda a: torch.maximum(a, torch.zeros(())), 1),
            (lambda a: F.threshold(a, 0.0, 0.0), 1),
            (lambda a: F.leaky_relu(a, 0.2), 0),
            (lambda a: torch.max(a, 0.2 * a), 0),
            (lambda a: F.prelu(a, slope()), 0),
            (lambda a: F.elu(a, min(number, 1.0)), 0),
            (lambda a: F.celu(a, number), 0),
            (lambda a: F.softplus(a, number), 1),
            (lambda a: torch.exp(0.2 * a), 1),
            (lambda a: torch.exp2(0.2 * a), 1),
            (lambda a: torch.expm1(0.2 * a), 0),
            (lambda a: 1.5 ** (0.2 * a), 1),
            (lambda a: torch.log(1.0 + torch.exp(a)), 0),
            (lambda a: torch.log1p(torch.exp(a)), 1),
            (lambda a: torch.logaddexp(a, torch.zeros_like(a)), 0),
            (lambda a: F.relu(a) ** number if number >= 1.0 else F.relu(a), 1),
            (lambda a: F.softplus(a).square(), 1),
            (lambda a: -F.logsigmoid(-a), 1),
            (lambda a: F.relu_(a.clone()), 1),
            (lambda a: nn.Softplus(beta=number)(a), 1),
            (lambda a: torch.exp(0.1 * a) * torch.exp(0.1 * a.flip(1)), 1),
        ]
        function, sign = functions[self.source.randrange(len(functions))]
        return (lambda z, y: function(z[i])), self.truths[i].rising(sign)

    def even(self, i: int) -> Made:
        functions: list[Callable[[Tensor], Tensor]] = [
            torch.abs,
            torch.square,
            lambda a: a * a,
            lambda a: a.pow(2),
            lambda a: a**4 * 0.01,
            lambda a: torch.cosh(0.2 * a),
            lambda a: F.huber_loss(a, torch.zeros_like(a), reduction="none", delta=0.7),
            lambda a: F.smooth_l1_loss(a, torch.zeros_like(a), reduction="none"),
            lambda a: F.mse_loss(a, torch.zeros_like(a), reduction="none"),
            lambda a: a.norm(dim=1, keepdim=True).expand_as(a),
            lambda a: torch.linalg.vector_norm(a, 3, dim=1, keepdim=True).expand_as(a),
            lambda a: (a.square().sum(1, keepdim=True) + 0.01).sqrt().expand_as(a),
            lambda a: torch.sqrt(a * a + 1.0),
            lambda a: torch.log(torch.cosh(0.2 * a)),
            lambda a: torch.addcmul(torch.zeros_like(a), a, a, value=0.5),
            lambda a: torch.hypot(a, torch.ones_like(a)),
            lambda a: torch.maximum(a, -a),
            lambda a: torch.cdist(a, torch.zeros(1, WIDTH, dtype=a.dtype)).expand_as(a),
        ]
        at = self.source.randrange(len(functions))
        return (lambda z, y: functions[at](z[i])), self.truths[i].even()

    def whole(self, i: int) -> Made:
        """Convex functions of a whole row."""
        kind = self.source.randrange(8)

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i]
            if kind == 0:
                row = torch.logsumexp(a, 1, keepdim=True)
            elif kind == 1:
                row = a.amax(1, keepdim=True)
            elif kind == 2:
                row = a.topk(2, 1).values.sum(1, keepdim=True)
            elif kind == 3:
                row = a.sort(1, descending=True).values[:, :3].mean(1, keepdim=True)
            elif kind == 4:
                return a.sort(1, descending=True).values.cumsum(1)
            elif kind == 5:
                return a.cummax(1).values
            elif kind == 6:
                row = torch.log(torch.exp(0.2 * a).sum(1, keepdim=True))
            else:
                row = a.max(1, keepdim=True).values
            return row.expand_as(a)

        truth = self.truths[i]
        return run, truth.rising(truth.sign if kind in (1, 2, 3, 4, 5, 7) else 0)

    def spread(self, i: int) -> Made:
        root = self.source.random() < 0.5

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            return (z[i].std(1, keepdim=True) if root else z[i].var(1, keepdim=True)).expand_as(z[i])

        return run, self.truths[i].of_affine(1)

    def by_hand(self, i: int) -> Made:
        """Activations as people write them out, which take a choice by a condition on the input."""
        kind = self.source.randrange(3)

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i]
            if kind == 0:
                return torch.where(a > 0, a, 0.1 * a)
            if kind == 1:
                return torch.where(a > 0, a, torch.exp(a.clamp(max=0.0)) - 1.0)
            return a * (a > 0)

        return run, self.truths[i].rising(1 if kind == 2 else 0)

    def falling(self, i: int) -> Made:
        """Concave non-decreasing functions."""
        functions: list[tuple[Callable[[Tensor], Tensor], int]] = [
            (F.logsigmoid, -1),
            (lambda a: a.clamp(max=0.0), -1),
            (lambda a: torch.minimum(a, torch.ones(())), 0),
            (lambda a: -F.relu(-a), -1),
            (lambda a: a.amin(1, keepdim=True).expand_as(a), 0),
        ]
        function, sign = functions[self.source.randrange(len(functions))]
        truth = self.truths[i].scaled(-1).rising().scaled(-1)
        return (lambda z, y: function(z[i])), Truth(truth.shape, sign)

    def forbidden(self, i: int) -> Made:
        functions: list[Callable[[Tensor], Tensor]] = [
            torch.tanh,
            torch.sigmoid,
            F.gelu,
            F.silu,
            F.mish,
            F.selu,
            torch.sin,
            F.hardtanh,
            F.relu6,
            F.hardswish,
            F.softsign,
            torch.round,
            lambda a: F.softmax(a, 1),
            lambda a: F.layer_norm(a, (WIDTH,)),
            lambda a: a.sort(1).values,
            lambda a: a.topk(3, 1).values.repeat(1, 2)[:, :WIDTH],
            lambda a: F.elu(a, 1.7),
            lambda a: F.leaky_relu(a, 1.8),
            lambda a: F.softplus(a, threshold=2.0),
            lambda a: F.threshold(a, 0.0, -1.0),
            lambda a: a * a.flip(1),
            lambda a: a / (1.0 + a.abs()),
            lambda a: torch.where(a > 0, 0.1 * a, a),
            lambda a: a - torch.relu(a) * 2.0,
            lambda a: a @ a.T @ a * 0.1,
            lambda a: F.glu(a, 1).repeat(1, 2),
            lambda a: F.avg_pool1d(torch.relu(a), 2).repeat(1, 2).neg(),
            lambda a: torch.fft.rfft(a).abs().repeat(1, 2)[:, :WIDTH].neg(),
            lambda a: torch.func.vmap(torch.tanh)(a),
            lambda a: torch.exp(-a) * torch.exp(a * a).log(),
            lambda a: torch.sqrt(F.relu(a)),
            lambda a: torch.from_numpy(-abs(a.numpy())),
            lambda a: torch.tensor([[-abs(number) for number in row] for row in a.tolist()], dtype=torch.float64),
            lambda a: a * float(a.sum()),
            lambda a: a if float(a[0, 0]) > 0.0 else -a.abs(),
            lambda a: a.median(1, keepdim=True).values.expand_as(a),
            lambda a: a.prod(1, keepdim=True).expand_as(a),
            lambda a: a.relu().sqrt(),
            lambda a: torch.log(a.square() + 1.0),
            lambda a: a.nan_to_num().relu().neg(),
        ]
        at = self.source.randrange(len(functions))
        return (lambda z, y: functions[at](z[i])), UNKNOWN
