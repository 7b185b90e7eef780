"""More pieces for random computations: forms of an affine base, values that are hidden, and modules with hooks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.core.graphs.truth import UNKNOWN
from tests.torch.random_graphs.pieces import WIDTH, Made, Pieces


class Turned(nn.ReLU):
    def __call__(self, *args):
        return -super().__call__(*args)


def hooked(kind: int) -> nn.Module:
    """A ReLU, and what is done around it."""
    module = Turned() if kind == 0 else nn.ReLU()
    if kind == 1:
        module.register_forward_hook(lambda module, args, out: -out)
    elif kind == 2:
        module.register_forward_hook(lambda module, args, kwargs, out: -out, with_kwargs=True, always_call=True)
    elif kind == 3:
        module.register_forward_pre_hook(lambda module, args: (-args[0],))
    elif kind == 4:
        module.forward = lambda x: -x.relu()
    return module


class Bases(Pieces):
    def bases(self, i: int) -> Made:
        """Squares of ``z @ Q + b``, written as squares, as inner products, and as a form with linear terms."""
        kind, size = self.source.randrange(12), self.source.choice([2, WIDTH])
        root, shift = self.parameter(WIDTH, size), self.parameter(size)
        turned = self.source.choice([1.0, 1.0, -1.0])
        gains = torch.tensor([0.5, 2.0, 0.0, self.source.choice([1.0, -1.0])], dtype=torch.float64)[-size:]

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a, q, b = z[i], root(), shift()
            base = torch.addmm(b, a, q) if kind % 2 else a @ q + b
            if kind == 0:
                row = base.square().sum(1)
            elif kind == 1:
                row = (base * base).mean(1)
            elif kind == 2:
                row = base.pow(2) @ gains
            elif kind == 3:
                row = torch.einsum("bi,bi->b", base, base)
            elif kind == 4:
                row = (base[:, None] @ base[:, :, None]).flatten()
            elif kind == 5:
                row = torch.linalg.vector_norm(base, dim=1) ** 2
            elif kind == 6:
                row = ((a @ q @ q.T) * a).sum(1) + 2.0 * (a @ (q @ b)) + b @ b
            elif kind == 7:
                row = (base * (base - b)).sum(1)
            elif kind == 8:
                row = torch.einsum("bi,ij,bj->b", a, q @ torch.diag(gains) @ q.T, a)
            elif kind == 9:
                row = F.mse_loss(base, torch.zeros_like(base), reduction="none").sum(1)
            elif kind == 10:
                row = ((base @ q.T) * a).sum(1)
            else:
                row = (base * (base @ torch.diag(gains))).sum(1)
            return turned * row[:, None].expand_as(a)

        held = kind not in (2, 8, 11) or float(gains.min()) >= 0.0
        truth = self.truths[i].of_affine(0 if kind in (6, 7, 10) else 1).scaled(int(turned))
        return run, truth if held else UNKNOWN

    def hidden(self, i: int) -> Made:
        """Values that are NaN for some inputs, before a choice that shows it and before one that hides it."""
        kind, c = self.source.randrange(9), self.source.choice([-1.0, 0.0, 1.0])

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = (-z[i].log(), -z[i].sqrt(), z[i] ** 1.5)[kind % 3]
            wide = lambda row: row.expand_as(a)  # noqa: E731
            if kind < 3:
                return torch.where(a > c, a, c)
            if kind < 5:
                return torch.where(a <= c, c, a)
            if kind == 5:
                return a.clamp(min=c)
            if kind == 6:
                return wide(-(-a).topk(2, 1, largest=False)[0].sum(1, keepdim=True))
            if kind == 7:
                return torch.where(a < 5.0, a, 5.0)
            return wide((-a).sort(1)[0][:, :1])

        return run, UNKNOWN

    def hooks(self, i: int) -> Made:
        """A module with hooks, or with a call of its own."""
        kind = self.source.randrange(6)
        module, truth = hooked(kind), self.truths[i]
        found = truth.scaled(-1).rising(1) if kind == 3 else truth.rising(1)
        return lambda z, y: module(z[i]), found.scaled(-1) if kind in (0, 1, 2, 4) else found
