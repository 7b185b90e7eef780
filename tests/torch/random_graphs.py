"""Random computations from allowed and forbidden pieces, for the fuzz of the certificate.

Every value is a tensor of shape (rows, 4). A piece takes values made so far and makes one more, in one of the many ways
in which people write it; what it does to convexity is known by construction and kept beside the value, independently
of the calculus: see :class:`~tests.core.graphs.truth.Truth`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.core.graphs.truth import Truth, joined, largest, smallest
from tests.torch.random_kinds import CONTAINERS, WIDTH, Kinds

CONTEXT = 2


Made = tuple[Callable[[list[Tensor], Tensor], Tensor], Truth]


class RandomGraph(Kinds, nn.Module):
    """A random computation; ``truth`` is what it is by construction.

    Args:
        source: of all choices; a failing graph can be shrunk if it is hypothesis's.
        well_behaved: whether to avoid pieces that break convexity.
        steps: at most so many pieces.
    """

    running: RandomGraph  # whose weights the pieces take, so that a copy of a graph uses its own

    def __init__(self, source: random.Random, well_behaved: bool, steps: int = 6):
        super().__init__()
        self.exact, self.container = False, source.choice(list(CONTAINERS))
        self.source = source
        self.numbers = torch.Generator().manual_seed(source.randrange(2**31))
        self.truths, self.steps, self.names = [Truth("affine")], [], []
        self.weights = nn.ParameterList()
        for _ in range(source.randint(1, steps)):
            for _ in range(6 if well_behaved else 1):
                name = source.choice(NAMES)
                step, truth = getattr(self, name)(len(self.truths) - 1)
                if truth.shape != "?":
                    break
            if well_behaved and truth.shape == "?":
                continue
            self.add(name, step, truth)
        if self.truths[-1].shape == "concave" and (well_behaved or source.random() < 0.5):
            last = len(self.truths) - 1
            self.add("negated", lambda z, y: -z[last], self.truths[-1].scaled(-1))
        del self.source, self.numbers

    def add(self, name: str, step: Callable[[list[Tensor], Tensor], Tensor], truth: Truth) -> None:
        self.names.append(name)
        self.steps.append(step)
        self.truths.append(truth)

    @property
    def truth(self) -> Truth:
        return self.truths[-1]

    def forward(self, x: Tensor, context: object) -> Tensor:
        return self.trail(x, CONTAINERS[self.container][1](context))[-1]

    def context(self, y: Tensor) -> object:
        """The context as the model takes it."""
        return CONTAINERS[self.container][0](y)

    @staticmethod
    def is_exact() -> bool:
        """Whether the graph that runs leaves out casts to narrow types."""
        return RandomGraph.running.exact

    # What a value is

    unknown, affine = staticmethod(lambda: Truth("?")), staticmethod(lambda: Truth("affine"))

    @staticmethod
    def joined(*truths: Truth) -> Truth:
        return joined(*truths)

    @staticmethod
    def largest(*truths: Truth) -> Truth:
        return largest(*truths)

    @staticmethod
    def smallest(truth: Truth) -> Truth:
        return Truth(smallest(truth, truth).shape if truth.shape != "affine" else "concave")

    def trail(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """All values that are made on the way."""
        RandomGraph.running = self
        made = [x]
        for step in self.steps:
            made.append(step(made, y))
        return made

    # Choices

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.numbers, dtype=torch.float64)

    def parameter(self, *shape: int) -> Callable[[], Tensor]:
        place = len(self.weights)
        self.weights.append(nn.Parameter(0.7 * self.randn(*shape)))
        return lambda: RandomGraph.running.weights[place]

    def other(self, last: int) -> int:
        return self.source.randint(0, last)

    def weight(self, *shape: int) -> tuple[Callable[[], Tensor], int]:
        """A weight through some map, and its sign: 1, −1, or 0 for both."""
        raw = self.parameter(*shape)
        kind = self.source.choice(
            ["abs_", "abs_", "softplus", "exp", "square", "relu", "clamp", "abs", "scaled", "negative", "signed", "one"]
        )
        if kind in ("abs_", "negative", "one"):
            with torch.no_grad():
                tensor = self.weights[-1].abs_()
                if kind == "negative":
                    tensor.neg_()
                if kind == "one":  # a single negative weight
                    tensor.view(-1)[0] = -1e-2
        made: dict[str, tuple[Callable[[], Tensor], int]] = {
            "abs_": (raw, 1),
            "negative": (raw, -1),
            "signed": (raw, 0),
            "one": (raw, 0),
            "softplus": (lambda: F.softplus(raw()), 1),
            "exp": (lambda: raw().exp(), 1),
            "square": (lambda: raw() ** 2, 1),
            "relu": (lambda: F.relu(raw()), 1),
            "clamp": (lambda: raw().clamp(min=0.0), 1),
            "abs": (lambda: raw().abs(), 1),
            "scaled": (lambda: raw().exp().transpose(0, -1).contiguous().transpose(0, -1) / shape[-1], 1),
        }
        return made[kind]

    # Pieces: linear

    def linear(self, i: int) -> Made:
        weight, sign = self.weight(WIDTH, WIDTH)
        bias = self.parameter(WIDTH) if self.source.random() < 0.5 else None
        kind = self.source.choice(
            ["linear", "right", "left", "einsum", "addmm", "bmm", "baddbmm", "conv", "three", "mv", "sums", "tensordot"]
        )

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a, w = z[i], weight()
            if kind == "linear":
                return F.linear(a, w, bias() if bias is not None else None)
            if kind == "left":
                out = (w @ a.T).T
            elif kind == "einsum":
                out = torch.einsum("oi,bi->bo", w, a)
            elif kind == "addmm" and bias is not None:
                return torch.addmm(bias(), a, w)
            elif kind == "bmm":
                out = torch.bmm(a[None], w[None])[0]
            elif kind == "baddbmm":
                out = torch.baddbmm(a[None], a[None], w[None], alpha=0.5)[0]
            elif kind == "conv":
                out = F.conv1d(a[:, :, None], w[:, :, None])[:, :, 0]
            elif kind == "three":
                out = F.linear(a.reshape(1, -1, WIDTH), w)[0]
            elif kind == "mv":
                out = torch.stack([torch.mv(a, row) for row in w], 1)
            elif kind == "sums":
                out = (a[:, None, :] * w).sum(-1)
            elif kind == "tensordot":
                out = torch.tensordot(a, w, dims=([1], [0]))
            else:
                out = a @ w
            return out if bias is None else out + bias()

        truth = self.truths[i].scaled(sign)
        if kind == "baddbmm":
            truth = joined(truth, self.truths[i])
        return run, Truth(truth.shape, truth.sign if bias is None else 0)

    def blocks(self, i: int) -> Made:
        """A layer that sees features and the input side by side, with weights that are free for the input alone."""
        weight, sign = self.weight(WIDTH, WIDTH)
        free = self.parameter(WIDTH, WIDTH)
        kind = self.source.choice(["linear", "right", "conv", "apart"])

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            both, w = torch.cat([z[i], z[0]], 1), torch.cat([weight(), free()], 1)
            if kind == "right":
                return both @ w.T
            if kind == "conv":
                return F.conv1d(both[:, :, None], w[:, :, None])[:, :, 0]
            if kind == "apart":
                return z[i] @ weight() + z[0] @ free()
            return F.linear(both, w)

        return run, Truth(self.truths[i].scaled(sign).shape)

    def convolution(self, i: int) -> Made:
        groups = self.source.choice([1, 2])
        weight, sign = self.weight(2, 2 // groups, 3)
        mode = self.source.choice(["zeros", "circular", "reflect", "replicate", "transposed"])

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a, w = z[i].reshape(-1, 2, 2), weight()
            if mode == "transposed":
                out = F.conv_transpose1d(a, w, padding=1, groups=groups)
            elif mode == "zeros":
                out = F.conv1d(a, w, padding=1, groups=groups)
            else:
                out = F.conv1d(F.pad(a, (1, 1), mode=mode), w, groups=groups)
            return out.reshape(-1, WIDTH)

        return run, self.truths[i].scaled(sign)

    def image(self, i: int) -> Made:
        """Pools and interpolations of a small image."""
        kind = self.source.choice(
            ["max", "avg", "adaptive avg", "adaptive max", "bilinear", "nearest", "unfold", "shuffle", "max3d", "avg3d"]
        )

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i].reshape(-1, 1, 2, 2)
            if kind == "max":
                a = F.max_pool2d(a, 3, 1, 1)
            elif kind == "avg":
                a = F.avg_pool2d(a, 3, 1, 1)
            elif kind == "adaptive avg":
                a = F.adaptive_avg_pool2d(a, 1).expand_as(a)
            elif kind == "adaptive max":
                a = F.adaptive_max_pool2d(a, 1).expand_as(a)
            elif kind == "bilinear":
                a = F.avg_pool2d(F.interpolate(a, scale_factor=2, mode="bilinear"), 2)
            elif kind == "nearest":
                a = F.interpolate(a, scale_factor=2)[:, :, 1::2, ::2]
            elif kind == "unfold":
                a = F.unfold(a, 2, padding=1).sum(1)[:, :WIDTH]
            elif kind == "max3d":
                a = F.max_pool3d(a[:, None], (1, 2, 1)).repeat(1, 1, 1, 2, 1)
            elif kind == "avg3d":
                a = F.avg_pool3d(a[:, None], (1, 1, 2)).repeat(1, 1, 1, 1, 2)
            else:
                a = F.pixel_unshuffle(F.pixel_shuffle(z[i].reshape(-1, 4, 1, 1), 2), 2)
            return a.reshape(-1, WIDTH)

        truth = self.truths[i]
        return run, largest(truth, truth) if "max" in kind else truth

    def moved(self, i: int) -> Made:
        """Elements moved, repeated or summed."""
        kind = self.source.randrange(16)
        places = torch.tensor([2, 0, 3, 1])

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            a = z[i]
            if kind == 0:
                return a.flip(1)
            if kind == 1:
                return a.roll(1, 1)
            if kind == 2:
                return a.index_select(1, places)
            if kind == 3:
                return a.gather(1, places.expand(a.shape[0], -1))
            if kind == 4:
                return torch.cat(a.chunk(2, 1)[::-1], 1)
            if kind == 5:
                return torch.stack([a, a.flip(1)]).mean(0)
            if kind == 6:
                return a.cumsum(1)
            if kind == 7:
                return a.unfold(1, 2, 1).sum(-1).repeat(1, 2)[:, :WIDTH]
            if kind == 8:
                return a[:, None].expand(-1, 3, -1).mean(1)
            if kind == 9:
                return a.sum(1, keepdim=True).expand_as(a)
            if kind == 10:
                return torch.stack(a.unbind(1), 1).contiguous()
            if kind == 11:
                return a.t().contiguous().t().clone()
            if kind == 12:
                return a[:, places]
            if kind == 13:
                return F.dropout(a, 0.5, training=False).to(torch.float64).detach()
            if kind == 14:
                return a.reshape(-1, 2, 2).permute(0, 2, 1).reshape(-1, WIDTH)
            return torch.zeros_like(a).index_add(1, places[:2], a[:, :2]).scatter_add(1, places.expand(len(a), -1), a)

        return run, self.truths[i]

    # Pieces: functions

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
        return (lambda z, y: functions[at](z[i])), Truth("?")

    # Pieces: several values

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
            (lambda z, y: z[i] * z[j], Truth("?")),
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
            Truth("?"),  # nobody writes this; it must not be overlooked
        ]
        return run, truths[kind]

    def normalised(self, i: int) -> Made:
        scale, sign = self.weight(WIDTH)
        shift, mean = self.randn(WIDTH), self.randn(WIDTH)
        variance = self.randn(WIDTH).square() + 0.1

        def run(z: list[Tensor], y: Tensor) -> Tensor:
            return F.batch_norm(z[i], mean, variance, scale(), shift, training=False)

        return run, Truth(self.truths[i].scaled(sign).shape)

    def residual(self, i: int) -> Made:
        weight, sign = self.weight(WIDTH, WIDTH)
        truth = self.truths[i]
        return (lambda z, y: z[i] + F.linear(F.relu(z[i]), weight())), Truth(
            joined(truth, truth.rising(1).scaled(sign)).shape
        )


NAMES = [
    *("linear", "linear", "linear", "rising", "rising", "rising", "blocks", "convolution", "image", "moved", "moved"),
    *(
        "even",
        "whole",
        "spread",
        "by_hand",
        "falling",
        "forbidden",
        "summed",
        "summed",
        "extreme",
        "product",
        "product",
    ),
    *("in_place", "normalised", "residual"),
    *("arguments", "where_pieces", "aliases", "scales", "sizes", "casts", "forms", "stabilised", "masks", "losses"),
]


def lies_above_a_chord(graph: RandomGraph, generator: torch.Generator, rows: int = 256, climbs: int = 0) -> bool:
    """Whether some of ``rows`` segments of many lengths (or ``climbs`` gradient steps from them) is a counterexample.

    Rounding is that of the largest value on the way, and torch's softplus drops by 2e-9 at its threshold.
    """
    graph.exact = True  # a certificate with casts to narrow types holds up to their rounding
    size = 10.0 ** (torch.rand(2, rows, 1, generator=generator, dtype=torch.float64) * 2.8 - 1.5)
    ends = torch.randn(2, rows, WIDTH, generator=generator, dtype=torch.float64) * size
    near = torch.rand(rows, 1, generator=generator) < 0.5
    ends[1] = torch.where(near, ends[0] + ends[1], ends[1])
    y = torch.randn(rows, CONTEXT, generator=generator, dtype=torch.float64)
    for climb in range(climbs + 1):
        ends = ends.detach().requires_grad_(climb < climbs)
        try:
            with torch.set_grad_enabled(climb < climbs):
                trails = [graph.trail(point, y) for point in (ends[0], ends[1], 0.5 * (ends[0] + ends[1]))]
                above = trails[2][-1] - 0.5 * (trails[0][-1] + trails[1][-1])
                scale = torch.stack([value.detach().abs().amax(1) for trail in trails for value in trail]).amax(0) + 1.0
                relative = above / scale[:, None]
            if bool((relative.detach().nan_to_num(-1.0, -1.0, -1.0) > 1e-8).any()):
                return True
            if climb < climbs:
                (gradient,) = torch.autograd.grad(relative.nan_to_num(0.0, 0.0, 0.0).amax(1).sum(), ends)
                step = gradient / (gradient.square().mean(-1, keepdim=True).sqrt() + 1e-12)
                ends = ends + 0.3 * size * step.nan_to_num(0.0, 0.0, 0.0)
        except RuntimeError:
            if climb == climbs:
                raise
            return False  # has no gradient, since it writes in place
    return False
