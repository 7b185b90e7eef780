"""Pieces of random models that take several values, and writes in place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.core.graphs.truth import UNKNOWN, Truth, joined, largest, smallest
from tests.torch.random_graphs.pieces import CONTEXT, WIDTH, Made, Pieces


class Several(Pieces):
    def summed(self, i: int) -> Made:
        j, kind = self.other(i), self.source.randrange(9)
        a, b = self.truths[i], self.truths[j]
        mask = torch.tensor([True, False, False, True])
        halves = joined(a, b)
        made: list[Made] = [
            (lambda z, y: z[i] + z[j], halves),
            (lambda z, y: z[i] - z[j], joined(a, b.scaled(-1))),
            (lambda z, y: torch.cat([z[i][:, :2], z[j][:, 2:]], 1), halves),
            (lambda z, y: torch.stack([z[i], z[j]]).mean(0), halves),
            (lambda z, y: torch.lerp(z[i], z[j], 0.3), halves),
            (lambda z, y: torch.where(mask, z[i], z[j]), halves),
            (lambda z, y: torch.add(z[i], z[j], alpha=0.4), halves),
            (lambda z, y: torch.lerp(z[i], z[j], 1.6), joined(a.scaled(-1), b)),
            (lambda z, y: sum([z[i], z[j], z[0]]), joined(halves, self.truths[0])),
        ]
        step, truth = made[kind]
        if kind == 1 and i == j:
            truth = Truth("affine")
        return step, truth

    def extreme(self, i: int) -> Made:
        j, kind = self.other(i), self.source.randrange(5)
        a, b = self.truths[i], self.truths[j]
        made: list[Made] = [
            (lambda z, y: torch.maximum(z[i], z[j]), largest(a, b)),
            (lambda z, y: torch.stack([z[i], z[j]], -1).amax(-1), largest(a, b)),
            (lambda z, y: torch.max(torch.stack([z[i], z[j]]), 0).values, largest(a, b)),
            (lambda z, y: torch.logaddexp(z[i], z[j]), joined(a, b).rising()),
            (lambda z, y: torch.minimum(z[i], z[j]), smallest(a, b)),
        ]
        return made[kind]

    def product(self, i: int) -> Made:
        """With constants, functions of the context, and another value."""
        j, kind = self.other(i), self.source.randrange(10)
        gate = self.parameter(CONTEXT, WIDTH)
        truth = self.truths[i]
        factor = torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64)
        signed = torch.tensor([0.5, -2.0, 0.0, 1.0], dtype=torch.float64)
        made: list[Made] = [
            (lambda z, y: z[i] * F.softplus(y @ gate()), truth),
            (lambda z, y: z[i] * torch.sigmoid(y @ gate()), truth),
            (lambda z, y: z[i] * (y @ gate()), truth.scaled(0)),
            (lambda z, y: z[i] + torch.tanh(y @ gate()), Truth(truth.shape)),
            (lambda z, y: z[i] * factor, truth),
            (lambda z, y: z[i] * signed, truth.scaled(0)),
            (lambda z, y: z[i] / (factor + 1.0), truth),
            (lambda z, y: z[i] / -2.0, truth.scaled(-1)),
            (lambda z, y: z[i] * z[j], UNKNOWN),
            (lambda z, y: torch.addcmul(z[j], z[i], factor), joined(truth, self.truths[j])),
        ]
        return made[kind]

    def in_place(self, i: int) -> Made:
        """Writes, some of them through views."""
        j, kind = self.other(i), self.source.randrange(12)
        a, b = self.truths[i], self.truths[j]
        relu, zeros = a.rising(1), Truth("affine", 1)

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            out = z[i].clone(memory_format=torch.contiguous_format)
            if kind == 0:
                out[:, :2].relu_()
            elif kind == 1:
                out[:, 1:3].neg_()
            elif kind == 2:
                out.add_(z[j]).mul_(0.5)
            elif kind == 3:
                out = torch.zeros_like(out)
                out[:, :2] = z[i][:, 2:]
                out[:, 2:] = z[j][:, :2]
            elif kind == 4:
                view = out.view(-1)
                F.relu_(view)
            elif kind == 5:
                out.data.neg_()
            elif kind == 6:
                out.masked_fill_(torch.tensor([True, False, False, True]), 0.25)
            elif kind == 7:
                out.t()[0].copy_(z[j][:, 1])
            elif kind == 8:
                view = out[:, ::2]
                out.neg_()
                out = torch.cat([view, view], 1)
            elif kind == 9:
                out[:, torch.tensor([0, 2])] = z[j][:, :2]
            elif kind == 10:
                torch.add(z[i], z[j], out=out)
            else:
                torch._foreach_neg_([out])
            return out

        truths = [
            joined(relu, a),
            joined(a, a.scaled(-1)),
            joined(a, b),
            joined(a, b),
            relu,
            a.scaled(-1),
            joined(a, zeros),
            joined(a, b),
            a.scaled(-1),
            joined(a, b),
            joined(a, b),
            UNKNOWN,  # nobody writes this; it must not be overlooked
        ]
        return run, truths[kind]
