"""Pieces of random models that are linear in what they take, and layers made of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.core.graphs.truth import Truth, joined, largest
from tests.torch.random_graphs.pieces import WIDTH, Made, Pieces


class Linear(Pieces):
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
