"""More pieces for random computations: the kinds of code that once got a false certificate, and their honest forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.core.graphs.truth import UNKNOWN, Truth, joined, largest, smallest
from tests.torch.random_graphs.pieces import WIDTH, Made, Pieces


class Kinds(Pieces):
    def arguments(self, i: int) -> Made:
        """Functions and operations with unusual arguments."""
        truth = self.truths[i]
        a = self.source.choice([-2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 1.7, 3.0])
        t = self.source.choice([-1.0, 0.0, 2.0, 20.0])
        kept = truth.scaled(0 if a == 0 else math.copysign(1, a)) if a else Truth("affine")
        plus = joined(truth, truth.scaled(math.copysign(1, a))) if a else truth
        rounding = self.source.choice(["floor", "trunc"])
        return self.one(
            (lambda z, y: F.softplus(z[i], beta=a or 1.0, threshold=t), UNKNOWN),
            (lambda z, y: F.elu(z[i], alpha=a), UNKNOWN),
            (lambda z, y: F.celu(z[i], alpha=a or 1.0), UNKNOWN if a < 0 else truth.rising()),
            (lambda z, y: F.leaky_relu(z[i], a), truth.rising() if 0 <= a <= 1 else UNKNOWN),
            (lambda z, y: F.threshold(z[i], a, a), truth.rising(1 if a >= 0 else 0)),
            (lambda z, y: F.threshold(z[i], a, t), UNKNOWN if a != t else truth.rising(1 if a >= 0 else 0)),
            (lambda z, y: torch.add(z[i], z[i], alpha=a), plus),
            (lambda z, y: torch.sub(z[i], z[i].flip(1), alpha=-a), plus),
            (lambda z, y: torch.rsub(z[i], 0.0, alpha=-a), kept),
            (lambda z, y: torch.div(z[i], a or 1.0), kept if a else truth),
            (lambda z, y: torch.div(z[i], 1.0, rounding_mode=rounding), UNKNOWN),
            (lambda z, y: torch.addcmul(z[i], z[i], torch.ones(WIDTH, dtype=z[i].dtype), value=a), plus),
            (lambda z, y: torch.addmm(z[i], z[i], torch.eye(WIDTH, dtype=z[i].dtype), beta=a), plus),
            (lambda z, y: torch.round(z[i], decimals=2), UNKNOWN),
            (lambda z, y: F.hardtanh(z[i], -abs(a) - 1, abs(a)), UNKNOWN),
            (lambda z, y: z[i].abs().pow(abs(a)), UNKNOWN),
            (lambda z, y: z[i].norm(abs(a) + 0.5, 1, keepdim=True).expand_as(z[i]), UNKNOWN),
            (lambda z, y: z[i].var(1, correction=int(t) - 1, keepdim=True).expand_as(z[i]), UNKNOWN),
        )

    def where_pieces(self, i: int) -> Made:
        """Choices by a comparison, with pieces that meet or not, bend up or down."""
        c, p, q, s = (self.source.choice([-1.0, -0.2, 0.0, 0.2, 1.0]) for _ in range(4))
        strict = self.source.random() < 0.5
        kind = self.source.randrange(6)
        meets = self.source.random() < 0.6

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i]
            mask = a > c if strict else ~(a <= c)
            above = (p * a, p * a + (q - p) * c, torch.addcmul(q * a, a - c, torch.ones_like(a), value=p),
                     (a - c).square() + p * a, torch.maximum(a, torch.full_like(a, c)) * p,
                     torch.div(a, 1.0, rounding_mode="floor"))[kind]  # fmt: skip
            below = q * a if meets else q * a + s
            return torch.where(mask, above, below)

        return run, UNKNOWN  # what it is depends on the numbers: the check finds out

    def aliases(self, i: int) -> Made:
        """Tensors that share memory, or whose memory is exchanged."""
        kind, truth = self.source.randrange(9), self.truths[i]

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            out = z[i].clone(memory_format=torch.contiguous_format)
            if kind == 0:
                view = out[:]
                out.data = z[i].clone()
                view.copy_(z[i].neg())
            elif kind == 1:
                view = out[:, :]
                view.neg_()
            elif kind == 2:
                other = -out
                out.data, other.data = other.data, out.data
            elif kind == 3:
                out.set_(-out)
            elif kind == 4:
                rows = out.unbind(0)
                torch._foreach_neg_(list(rows))
            elif kind == 5:
                out.as_strided((2,), (1,)).neg_()
            elif kind == 6:
                out.detach().numpy().__imul__(-1.0)
            elif kind == 7:
                kept = out.expand(2, *out.shape)
                out.neg_()
                out = kept[1]
            else:
                weight = torch.full((WIDTH,), -1.0, dtype=out.dtype)
                product = out * weight
                weight.abs_()
                out = product
            return out

        turned = truth.scaled(-1)
        truths = [truth, turned, turned, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, turned, turned]
        return run, truths[kind]

    def scales(self, i: int) -> Made:
        """Normalisations and products with a factor, a shift or a variance of the input."""
        size = lambda z: 0.1 + z[i].abs()  # noqa: E731
        ones = lambda z: torch.ones_like(z[i])  # noqa: E731
        mean = torch.full((WIDTH,), self.source.choice([-3.0, 3.0]), dtype=torch.float64)
        unit = torch.ones(WIDTH, dtype=torch.float64)
        return self.one(
            (lambda z, y: F.batch_norm(ones(z)[:1], mean, unit, weight=size(z)[0], eps=0.0).expand_as(z[i]), UNKNOWN),
            (lambda z, y: F.layer_norm(y.repeat(1, 2), (WIDTH,)) * size(z), UNKNOWN),
            (lambda z, y: F.prelu(z[i], torch.tensor([0.5, 0.0, 1.0, 1.5], dtype=torch.float64)), UNKNOWN),
            (lambda z, y: torch.lerp(ones(z), 0 * ones(z), size(z)), UNKNOWN),
            (lambda z, y: torch.addcmul(z[i], -ones(z), size(z)), UNKNOWN),
            (lambda z, y: z[i] * (y.sum(1, keepdim=True) - y.sum(1, keepdim=True).amin()), self.truths[i]),
            (lambda z, y: z[i] * (1 - torch.sigmoid(y.sum(1, keepdim=True))), self.truths[i]),
            (lambda z, y: z[i] * (1 - 2 * torch.sigmoid(y.sum(1, keepdim=True))), self.truths[i].scaled(0)),
            (lambda z, y: z[i] * (1 + torch.tanh(y.sum(1, keepdim=True))), self.truths[i]),
        )  # fmt: skip

    def sizes(self, i: int) -> Made:
        """Branches on sizes, finiteness, text and errors; one way is convex."""
        asked = (
            lambda a: a[a > 3.0].numel() > 0,
            lambda a: len(torch.nonzero(a > 3.0)) > 0,
            lambda a: torch.unique(a.div(3.0).trunc()).numel() > 1,
            lambda a: not torch.isfinite(1.0 / torch.relu(a.amax() - 3.0)).item(),
            lambda a: bool((a.sum() - 3.0).sqrt().isnan()),
            lambda a: not torch.equal(a, a.clamp(max=3.0)),
            lambda a: "e+" in str(a),
            lambda a: torch.ones(1).repeat_interleave((a.sum() > 3.0).long().reshape(1)).numel() > 0,
            lambda a: torch.tensor_split(torch.ones(3), (a.sum() > 3.0).long().reshape(1))[0].numel() > 0,
            lambda a: (a * (a > 3.0)).to_sparse().indices().shape[1] > 0,
            lambda a: raises(lambda: torch.linalg.cholesky(torch.eye(2).double() * (3.0 - a.sum()))),
            lambda a: raises(lambda: torch.ones(4)[a.sum().abs().long()]),
        )
        ask = self.source.choice(asked)

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            return -z[i].abs() if ask(z[i]) else z[i].clone()

        return run, UNKNOWN

    def casts(self, i: int) -> Made:
        """Types that round; up to that they are the identity."""
        dtype = self.source.choice([torch.bfloat16, torch.float16, torch.float32, torch.float8_e4m3fn, torch.int32])
        narrow = dtype in (torch.float8_e4m3fn, torch.int32)

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            return z[i] if self.is_exact() and not narrow else z[i].to(dtype).to(torch.float64)

        return run, UNKNOWN if narrow else self.truths[i]

    def forms(self, i: int) -> Made:
        """Squares and quadratic forms in all their spellings."""
        kind = self.source.randrange(9)
        root = self.parameter(WIDTH, self.source.choice([2, WIDTH]))
        shift = self.parameter(WIDTH)
        flips = self.source.random() < 0.3
        spread = torch.diag(torch.tensor([1.0, 1.0, 1.0, -1.0 if flips else 1.0], dtype=torch.float64))

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a, matrix = z[i], root() @ root().T + spread
            if kind == 0:
                row = (a * (a @ matrix)).sum(1)
            elif kind == 1:
                row = torch.einsum("bi,ij,bj->b", a, matrix, a)
            elif kind == 2:
                row = (a * (a @ matrix + shift())).sum(1)
            elif kind == 3:
                row = F.bilinear(a, a, matrix[None])[:, 0]
            elif kind == 4:
                row = (a[:, None] @ matrix @ a[:, :, None]).flatten()
            elif kind == 5:
                row = torch.einsum("bi,bi->b", a, a)
            elif kind == 6:
                row = torch.einsum("bi,bi,i->b", a, a, spread.diagonal())
            elif kind == 7:
                return (a @ matrix) * (a @ matrix)
            else:
                row = 0.5 * (a * (0.5 * (a @ matrix) - shift())).sum(1)
            return row[:, None].expand_as(a)

        truth = self.truths[i].of_affine(0 if kind in (2, 8) else 1)
        return run, UNKNOWN if flips and kind not in (5, 7) else truth

    def stabilised(self, i: int) -> Made:
        """Log-sum-exp and softplus by hand, with and without mistakes."""
        kind, axis = self.source.randrange(7), self.source.choice([1, 1, 1, 0])
        heat = self.source.choice([0.5, 1.0, 2.0])

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i]
            top = a.amax(axis, keepdim=True)
            if kind == 0:
                row = torch.log(torch.exp(a - top).sum(axis, keepdim=True)) + top
            elif kind == 1:
                row = heat * torch.log(torch.exp((a - top) / heat).sum(axis, keepdim=True)) + top
            elif kind == 2:
                row = torch.log(torch.exp(a - top).sum(axis, keepdim=True)) + heat * top
            elif kind == 3:
                row = torch.log(torch.exp(a - top).sum(1, keepdim=True)) + a.amax(1, keepdim=True)
            elif kind == 4:
                return F.relu(a) + torch.log1p(torch.exp(-heat * a.abs())) / heat
            elif kind == 5:
                return F.relu(a) + torch.log1p(torch.exp(-a.abs())) / heat
            else:
                return torch.log1p(torch.exp(-a.abs())) + F.relu(-a)
            return row.expand_as(a)

        truth = self.truths[i]
        falling = truth.scaled(-1).rising(1)
        fits = {0: truth.rising(), 1: truth.rising(), 4: truth.rising(), 6: falling}
        fits[2] = truth.rising() if heat == 1.0 else UNKNOWN
        fits[3] = truth.rising() if axis == 1 else UNKNOWN
        fits[5] = truth.rising() if heat == 1.0 else UNKNOWN
        return run, fits[kind] if axis == 1 or kind > 3 else UNKNOWN

    def masks(self, i: int) -> Made:
        """Infinities before an extreme, and parts that are cut out again."""
        truth, j = self.truths[i], self.other(i)
        other = self.truths[j]
        mask = torch.tensor([True, False, False, False])
        inf = math.inf
        top, low = largest(truth, truth).unsigned(), smallest(truth, truth).unsigned()
        wide = lambda row, a: row.expand_as(a)  # noqa: E731
        return self.one(
            (lambda z, y: wide(z[i].masked_fill(mask, -inf).amax(1, keepdim=True), z[i]), top),
            (lambda z, y: wide(z[i].masked_fill(mask, -inf).logsumexp(1, keepdim=True), z[i]), truth.rising()),
            (lambda z, y: wide(F.pad(z[i], (1, 1), value=-inf).amax(1, keepdim=True), z[i]), top),
            (lambda z, y: z[i].clamp(min=-inf), truth),
            (lambda z, y: torch.cat([z[i], torch.tanh(z[j])], 1)[:, :WIDTH], truth),
            (lambda z, y: torch.stack([z[i], z[j]], 1)[:, 0], truth),
            (lambda z, y: F.relu(torch.cat([z[i], z[j]], 1)).chunk(2, 1)[0], truth.rising(1)),
            (lambda z, y: torch.cat([z[j], z[i]], 1)[:, 2:6], joined(truth, other)),
            (lambda z, y: (torch.cat([z[i], torch.tanh(z[j])], 1) * 2.0).view(-1, 2, WIDTH)[:, 0], truth),
            (lambda z, y: wide(z[i].masked_fill(mask, inf).amin(1, keepdim=True), z[i]), low),
        )

    def losses(self, i: int) -> Made:
        """Losses of logits."""
        targets = torch.tensor([0.0, 1.0, 0.3, self.source.choice([0.5, 2.0])], dtype=torch.float64)
        truth, wild = self.truths[i], float(targets[3]) > 1.0
        one = lambda a: torch.zeros(len(a), dtype=torch.long)  # noqa: E731
        wide = lambda row, a: row[:, None].expand_as(a)  # noqa: E731
        return self.one(
            (lambda z, y: wide(F.cross_entropy(z[i], one(z[i]), reduction="none"), z[i]), truth.of_affine()),
            (lambda z, y: wide(F.cross_entropy(z[i], one(z[i]), reduction="none", label_smoothing=0.1), z[i]),
             truth.of_affine()),
            (lambda z, y: wide(F.nll_loss(z[i], one(z[i]), reduction="none"), z[i]), truth.scaled(-1)),
            (lambda z, y: F.binary_cross_entropy_with_logits(z[i], targets.expand_as(z[i]), reduction="none"),
             UNKNOWN if wild else truth.of_affine()),
            (lambda z, y: F.binary_cross_entropy_with_logits(
                z[i], targets.expand_as(z[i]), pos_weight=targets - 0.5, reduction="none"), UNKNOWN),
            (lambda z, y: torch.zeros_like(z[i]).scatter_reduce(1, one(z[i])[:, None].expand_as(z[i]), z[i], "amax"),
             largest(truth, Truth("affine"))),
            (lambda z, y: z[i].scatter_reduce(1, one(z[i])[:, None].expand_as(z[i]), z[i], "mean"), truth),
            (lambda z, y: z[i].scatter_reduce(1, one(z[i])[:, None].expand_as(z[i]), z[i], "prod"), UNKNOWN),
        )  # fmt: skip


def raises(function: Callable[[], object]) -> bool:
    try:
        function()
    except (RuntimeError, IndexError):
        return True
    return False
