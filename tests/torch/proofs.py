"""Honest models that need more than the sign and the curvature of each step, one expression each."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

INF, MASK = math.inf, torch.tensor([True, False, False, True])


class Line(nn.Module):
    """One expression of x (3, 4) and context y (3, 4), with weights ``W`` ≥ 0 and ``S`` of both signs, both (4, 4)."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.W, self.S = nn.Parameter(torch.rand(4, 4)), nn.Parameter(torch.randn(4, 4))

    def forward(self, x, y):
        return self.function(x, self.W, self.S, y)


def gram(S):
    return S @ S.T


def running_maximum(x):
    best = torch.full((3,), -INF)
    for i in range(4):
        best = torch.maximum(best, x[:, i])
    return best


def layers_with_a_skip(x, W):
    both = torch.cat([F.relu(x), x], 1)
    for _ in range(3):
        both = torch.cat([F.relu(both[:, :4] @ W + both[:, 4:]), both[:, 4:]], 1)
    return both[:, :4]


CONVEX = {
    "where minus a cube": lambda x, W, S, y: torch.where(x > 0, x, -x.pow(3) - x),
    "where zeros_like": lambda x, W, S, y: torch.where(x > 0, x, torch.zeros_like(x)),
    "where zeros": lambda x, W, S, y: torch.where(x > 0, x, torch.zeros(3, 4)),
    "where new_zeros": lambda x, W, S, y: torch.where(x > 0, x, x.new_zeros(3, 4)),
    "where full_like": lambda x, W, S, y: torch.where(x > 0.5, x, torch.full_like(x, 0.5)),
    "log over a choice that keeps NaN": lambda x, W, S, y: torch.where((z := -x.log()) <= 0, torch.zeros(()), z),
    "log under a maximum": lambda x, W, S, y: (-x.log()).clamp(min=0),
    "where over softplus by hand": lambda x, W, S, y: torch.where((z := (1 + x.exp()).log() - 1) > 0, z, 0.0),
    "where over a norm": lambda x, W, S, y: torch.where((z := x.square().sum(1).sqrt()) > 1, z, 1.0),
    "where over weights of an exponential": lambda x, W, S, y: torch.where((z := x.exp() @ (W + 0.1)) > 1, z, 1.0),
    "where over ELU by hand": lambda x, W, S, y: torch.where(
        (z := torch.where(x > 0, x, x.clamp(max=0).exp() - 1) @ W) > 0, z, 0.0
    ),
    "gram of a thin matrix": lambda x, W, S, y: ((x @ S[:, :2] @ S[:, :2].T) * x).sum(1),
    "gram with an affine base": lambda x, W, S, y: (((x @ S[:, :2] + S[0, :2]) @ S[:, :2].T) * x).sum(1),
    "square of an affine base with linear terms apart": lambda x, W, S, y: (
        ((x @ S[:, :2] @ S[:, :2].T) * x).sum(1) + 2 * (x @ (S[:, :2] @ S[0, :2])) + S[0, :2] @ S[0, :2]
    ),
    "gram with weights": lambda x, W, S, y: torch.einsum("bi,ij,bj->b", x, S @ torch.diag(MASK.float()) @ S.T, x),
    "weights of squares of an affine base": lambda x, W, S, y: ((z := x @ S + S[0]) * z * MASK).sum(1),
    "product with weights of an affine base": lambda x, W, S, y: ((z := x @ S + S[0]) * (z @ torch.diag(W[0]))).sum(1),
    "where 0*x": lambda x, W, S, y: torch.where(x > 0, x, 0 * x),
    "where zeros expand": lambda x, W, S, y: torch.where(x > 0, x, torch.zeros(1).expand_as(x)),
    "where relu of affine": lambda x, W, S, y: torch.where(x @ S > 0, x @ S, torch.zeros_like(x @ S)),
    "masked_fill -inf max": lambda x, W, S, y: x.masked_fill(MASK, -INF).amax(1),
    "masked_fill -inf lse": lambda x, W, S, y: x.masked_fill(MASK, -INF).logsumexp(1),
    "masked_fill -inf max2": lambda x, W, S, y: F.relu(x).masked_fill(MASK, -INF).max(1).values,
    "masked_fill rows": lambda x, W, S, y: torch.where(MASK, -INF, x).amax(1),
    "masked_fill finfo": lambda x, W, S, y: x.masked_fill(MASK, torch.finfo(x.dtype).min).logsumexp(1),
    "pad -inf max": lambda x, W, S, y: F.pad(x, (1, 1), value=-INF).unfold(1, 3, 1).amax(-1),
    "pad -inf max_pool": lambda x, W, S, y: F.max_pool1d(F.pad(x[:, None], (1, 1), value=-INF), 3, 1),
    "cat -inf": lambda x, W, S, y: torch.cat([x, torch.full((3, 1), -INF)], 1).amax(1),
    "clamp -inf": lambda x, W, S, y: x.clamp(min=-INF),
    "clamp both inf": lambda x, W, S, y: F.relu(x).clamp(-INF, INF),
    "maximum -inf": lambda x, W, S, y: torch.maximum(x, torch.tensor(-INF)),
    "logaddexp -inf": lambda x, W, S, y: torch.logaddexp(x, torch.full((4,), -INF)),
    "running max from -inf": lambda x, W, S, y: running_maximum(x),
    "mask added": lambda x, W, S, y: (x + torch.where(MASK, -INF, 0.0)).amax(1),
    "minus softmax mask": lambda x, W, S, y: -(F.log_softmax(x, 1)[:, 0]),
    "topk1": lambda x, W, S, y: x.topk(1, 1).values,
    "topk1 squeeze": lambda x, W, S, y: x.topk(1).values.squeeze(-1),
    "topk1 [..0]": lambda x, W, S, y: x.topk(1, 1).values[:, 0],
    "topk first of 2": lambda x, W, S, y: x.topk(2, 1).values[:, 0],
    "sort last": lambda x, W, S, y: x.sort(1).values[:, -1],
    "sort last k": lambda x, W, S, y: x.sort(1).values[:, -2:].sum(1),
    "sort last k mean": lambda x, W, S, y: x.sort(1).values[:, 2:].mean(1),
    "sort first k desc": lambda x, W, S, y: x.sort(1, descending=True).values[:, :2].sum(1),
    "sort last narrow": lambda x, W, S, y: x.sort(1).values.narrow(1, 3, 1),
    "sort select -1": lambda x, W, S, y: torch.sort(x, 1)[0].select(1, -1),
    "topk minus": lambda x, W, S, y: -x.topk(2, 1, largest=False).values.sum(1),
    "(Wx)*(Wx)": lambda x, W, S, y: (x @ S) * (x @ S),
    "Wx pow": lambda x, W, S, y: ((x @ S) * (x @ S)).sum(1),
    "linear twice": lambda x, W, S, y: F.linear(x, S) * F.linear(x, S),
    "einsum sq": lambda x, W, S, y: torch.einsum("bi,bi->b", x, x),
    "einsum sq wx": lambda x, W, S, y: torch.einsum("bi,bi->b", x @ S, x @ S),
    "einsum ij": lambda x, W, S, y: torch.einsum("bi,ij,bj->b", x, gram(S), x),
    "einsum elem": lambda x, W, S, y: torch.einsum("bi,bi->bi", x, x),
    "einsum three": lambda x, W, S, y: torch.einsum("bi,bi,i->b", x, x, W[0]),
    "einsum mat": lambda x, W, S, y: torch.einsum("ki,bi,kj,bj->b", S, x, S, x),
    "einsum xx diag": lambda x, W, S, y: torch.einsum("bi,bi,ij->bj", x, x, W),
    "matmul xTx": lambda x, W, S, y: (x[:, None] @ x[:, :, None])[:, 0, 0],
    "bmm quad": lambda x, W, S, y: (x[:, None] @ gram(S) @ x[:, :, None]).flatten(),
    "dot": lambda x, W, S, y: torch.dot(x[0], x[0]),
    "inner": lambda x, W, S, y: torch.inner(x[0], x[0]),
    "norm by hand": lambda x, W, S, y: torch.sqrt(torch.einsum("bi,bi->b", x, x) + 1e-6),
    "x*(xQ+b)": lambda x, W, S, y: (x * (x @ gram(S) + W[0])).sum(1),
    "x*(xQ+b) half": lambda x, W, S, y: 0.5 * (x * (x @ gram(S) - W[0])).sum(1),
    "(xQ+b)*x linear": lambda x, W, S, y: (F.linear(x, gram(S), W[0]) * x).sum(-1),
    "x*(xQ/2+b)": lambda x, W, S, y: (x * (0.5 * (x @ gram(S)) + W[0])).sum(1),
    "x*(xQ+b)+c": lambda x, W, S, y: (x * (x @ gram(S) + W[0]) + W[1]).sum(1),
    "two forms": lambda x, W, S, y: (x * (x @ gram(S)) + x * x).sum(1),
    "scaled x form": lambda x, W, S, y: ((2 * x) * (x @ gram(S))).sum(1),
    "mv form": lambda x, W, S, y: torch.dot(x[0], gram(S).mv(x[0])),
    "bilinear": lambda x, W, S, y: F.bilinear(x, x, gram(S)[None]),
    "bilinear outs": lambda x, W, S, y: F.bilinear(x, x, torch.stack([gram(S), torch.eye(4), gram(W)]), W[0, :3]),
    "bilinear module": lambda x, W, S, y: F.bilinear(x, x, torch.eye(4)[None]),
    "bilinear ctx": lambda x, W, S, y: F.bilinear(x, y, S[None]),
    "1-sigmoid": lambda x, W, S, y: F.relu(x) * (1 - torch.sigmoid(y)),
    "1+tanh": lambda x, W, S, y: F.relu(x) * (1 + torch.tanh(y)),
    "(1+tanh)/2": lambda x, W, S, y: F.relu(x) * (1 + torch.tanh(y)) / 2,
    "y-ymin": lambda x, W, S, y: F.relu(x) * (y - y.min()),
    "y-amin": lambda x, W, S, y: F.relu(x) * (y - y.amin(1, keepdim=True)),
    "ymax-y": lambda x, W, S, y: F.relu(x) * (y.max() - y),
    "y-min.values": lambda x, W, S, y: F.relu(x) * (y - y.min(1, keepdim=True).values),
    "y-min()/(max-min)": lambda x, W, S, y: F.relu(x) * ((y - y.min()) / (y.max() - y.min() + 1e-6)),
    "1-y²/(1+y²)": lambda x, W, S, y: F.relu(x) * (1 - torch.sigmoid(y) ** 2),
    "1-cos": lambda x, W, S, y: F.relu(x) * (1 - torch.cos(y)),
    "softmax-": lambda x, W, S, y: F.relu(x) * (1 - torch.softmax(y, 1)),
    "exp-of": lambda x, W, S, y: F.relu(x) * (1 - torch.exp(-y.square())),
    "hardtanh+1": lambda x, W, S, y: F.relu(x) * (F.hardtanh(y) + 1),
    "clamp": lambda x, W, S, y: F.relu(x) * (2 - y.clamp(0, 1)),
    "elu+1": lambda x, W, S, y: F.relu(x) * (F.elu(y) + 1),
    "atan+2": lambda x, W, S, y: F.relu(x) * (torch.atan(y) + 2),
    "erf+1": lambda x, W, S, y: F.relu(x) * (torch.erf(y) + 1),
    "sqrt(1+y²)-y": lambda x, W, S, y: F.relu(x) * (torch.sqrt(1 + y * y)),
    "gate mix": lambda x, W, S, y: (lambda g: g * F.relu(x) + (1 - g) * x.square())(torch.sigmoid(y @ S)),
    "lerp gate": lambda x, W, S, y: torch.lerp(F.relu(x), x.square(), torch.sigmoid(y @ S)),
    "y/sum": lambda x, W, S, y: F.relu(x) * (y.abs() / y.abs().sum()),
    "y.exp/sum": lambda x, W, S, y: F.relu(x) * (y.exp() / y.exp().sum(1, keepdim=True)),
    "relu6": lambda x, W, S, y: F.relu(x) * (6 - F.relu6(y)),
    "celu+1": lambda x, W, S, y: F.relu(x) * (F.celu(y) + 1),
    "hardsigmoid": lambda x, W, S, y: F.relu(x) * (1 - F.hardsigmoid(y)),
    "var+": lambda x, W, S, y: F.relu(x) * y.var(1, keepdim=True),
    "sig mean": lambda x, W, S, y: F.relu(x) * (1 - torch.sigmoid(y).mean(1, keepdim=True)),
    "lse stab amax": lambda x, W, S, y: (lambda m: m + torch.log(torch.exp(x - m).sum(1, keepdim=True)))(
        x.amax(1, keepdim=True)
    ),
    "lse stab max": lambda x, W, S, y: (lambda m: torch.log(torch.exp(x - m).sum(1, keepdim=True)) + m)(
        x.max(1, keepdim=True).values
    ),
    "lse stab max()": lambda x, W, S, y: (lambda m: torch.log(torch.exp(x - m).sum()) + m)(x.max()),
    "lse stab squeeze": lambda x, W, S, y: (lambda m: torch.log(torch.exp(x - m[:, None]).sum(1)) + m)(x.amax(1)),
    "lse stab detach": lambda x, W, S, y: (lambda m: torch.log(torch.exp(x - m).sum(1, keepdim=True)) + m)(
        x.amax(1, keepdim=True).detach()
    ),
    "lse stab convex": lambda x, W, S, y: (
        lambda h: (lambda m: torch.log(torch.exp(h - m).sum(1, keepdim=True)) + m)(h.amax(1, keepdim=True))
    )(F.relu(x) @ W),
    "lse stab temp": lambda x, W, S, y: (lambda m: 0.1 * torch.log(torch.exp((x - m) / 0.1).sum(1, keepdim=True)) + m)(
        x.amax(1, keepdim=True)
    ),
    "lse stab weights": lambda x, W, S, y: (lambda m: torch.log((W[0] * torch.exp(x - m)).sum(1, keepdim=True)) + m)(
        x.amax(1, keepdim=True)
    ),
    "lse stab mean": lambda x, W, S, y: (lambda m: torch.log(torch.exp(x - m).mean(1, keepdim=True)) + m)(
        x.amax(1, keepdim=True)
    ),
    "softplus stab": lambda x, W, S, y: torch.clamp(x, min=0) + torch.log1p(torch.exp(-x.abs())),
    "softplus stab relu": lambda x, W, S, y: F.relu(x) + torch.log(1 + torch.exp(-torch.abs(x))),
    "softplus stab max": lambda x, W, S, y: torch.maximum(x, torch.zeros_like(x)) + torch.log1p(torch.exp(-x.abs())),
    "softplus stab of affine": lambda x, W, S, y: (lambda a: F.relu(a) + torch.log1p((-a.abs()).exp()))(x @ S),
    "softplus stab rev": lambda x, W, S, y: torch.log1p(torch.exp(-x.abs())) + F.relu(x),
    "softplus stab minus": lambda x, W, S, y: F.relu(-x) + torch.log1p(torch.exp(-x.abs())),
    "softplus stab bce": lambda x, W, S, y: F.relu(x) - x * MASK + torch.log1p(torch.exp(-x.abs())),
    "softplus stab convex": lambda x, W, S, y: (lambda a: F.relu(a) + torch.log1p((-a.abs()).exp()))(F.relu(x) @ W),
    "softplus beta stab": lambda x, W, S, y: F.relu(x) + torch.log1p(torch.exp(-5 * x.abs())) / 5,
    "softplus stab logaddexp": lambda x, W, S, y: torch.logaddexp(torch.zeros(()), x),
    "-log sigmoid": lambda x, W, S, y: -torch.log(torch.sigmoid(x)),
    "-log sigmoid(-x)": lambda x, W, S, y: -torch.log(torch.sigmoid(-x)),
    "-log softmax": lambda x, W, S, y: -torch.log(torch.softmax(x, 1)),
    "slice cut": lambda x, W, S, y: torch.cat([F.relu(x), -F.relu(x)], 1)[:, :4],
    "slice cut2": lambda x, W, S, y: -torch.cat([F.relu(x), -F.relu(x)], 1)[:, 4:],
    "chunk": lambda x, W, S, y: torch.cat([F.relu(x), -F.relu(x)], 1).chunk(2, 1)[0],
    "split": lambda x, W, S, y: torch.split(torch.cat([F.relu(x), torch.tanh(x)], 1), 4, 1)[0],
    "unbind stack": lambda x, W, S, y: torch.stack([F.relu(x), torch.tanh(x)]).unbind(0)[0],
    "stack idx": lambda x, W, S, y: torch.stack([F.relu(x), torch.tanh(x)], 1)[:, 0],
    "stack slice": lambda x, W, S, y: torch.stack([F.relu(x), torch.tanh(x)], 1)[:, :1],
    "cat then layer": lambda x, W, S, y: F.relu(torch.cat([F.relu(x), -x], 1))[:, :4],
    "cat mul slice": lambda x, W, S, y: (2 * torch.cat([F.relu(x), torch.tanh(x)], 1))[:, :4],
    "cat add slice": lambda x, W, S, y: (torch.cat([F.relu(x), torch.tanh(x)], 1) + torch.ones(8))[:, :4],
    "cat reshape slice": lambda x, W, S, y: torch.cat([F.relu(x), torch.tanh(x)], 1).view(3, 2, 4)[:, 0],
    "pad slice": lambda x, W, S, y: F.pad(F.relu(x), (1, 1), value=-INF)[:, 1:-1],
    "skip state": lambda x, W, S, y: layers_with_a_skip(x, W),
    "cross_entropy": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2])),
    "cross_entropy none": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2]), reduction="none"),
    "cross_entropy sum": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2]), reduction="sum"),
    "cross_entropy ls": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2]), label_smoothing=0.1),
    "cross_entropy probs": lambda x, W, S, y: F.cross_entropy(x, torch.softmax(torch.ones(3, 4), 1)),
    "cross_entropy w": lambda x, W, S, y: F.cross_entropy(
        x, torch.tensor([0, 1, 2]), weight=torch.tensor([1.0, 2, 3, 4])
    ),
    "cross_entropy ignore": lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, -100, 2])),
    "cross_entropy 2d": lambda x, W, S, y: F.cross_entropy(x.T[None], torch.tensor([[0, 1, 2]])),
    "cross_entropy affine": lambda x, W, S, y: F.cross_entropy(x @ S, torch.tensor([0, 1, 2])),
    "nll log_softmax": lambda x, W, S, y: F.nll_loss(F.log_softmax(x, 1), torch.tensor([0, 1, 2])),
    "bce": lambda x, W, S, y: F.binary_cross_entropy_with_logits(x, torch.ones(3, 4) * 0.3),
    "bce none": lambda x, W, S, y: F.binary_cross_entropy_with_logits(x, MASK.float().expand(3, 4), reduction="none"),
    "bce w": lambda x, W, S, y: F.binary_cross_entropy_with_logits(x, torch.ones(3, 4) * 0.3, weight=W[0]),
    "bce posw": lambda x, W, S, y: F.binary_cross_entropy_with_logits(
        x, torch.ones(3, 4) * 0.3, pos_weight=torch.tensor([1.0, 2, 3, 4])
    ),
    "bce posw sum": lambda x, W, S, y: F.binary_cross_entropy_with_logits(
        x @ S, torch.ones(3, 4), pos_weight=torch.tensor([1.0, 2, 3, 4]), reduction="sum"
    ),
    "soft_margin": lambda x, W, S, y: F.soft_margin_loss(x, torch.ones(3, 4)),
    "var_mean": lambda x, W, S, y: torch.var_mean(x, 1),
    "var_mean0": lambda x, W, S, y: torch.var_mean(x, 1)[0],
    "var_mean1": lambda x, W, S, y: torch.var_mean(F.relu(x), 1)[1],
    "std_mean": lambda x, W, S, y: torch.std_mean(x, 1, keepdim=True, correction=0)[0],
    "scatter_reduce sum": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(
        1, torch.zeros(3, 4).long(), F.relu(x), "sum"
    ),
    "scatter_reduce mean": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(
        1, torch.zeros(3, 4).long(), F.relu(x), "mean"
    ),
    "scatter_reduce mean excl": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(
        1, torch.zeros(3, 4).long(), F.relu(x), "mean", include_self=False
    ),
    "scatter_reduce amax": lambda x, W, S, y: torch.full((3, 4), -5.0).scatter_reduce(
        1, torch.zeros(3, 4).long(), x, "amax"
    ),
    "scatter_reduce amax excl": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce(
        1, torch.zeros(3, 4).long(), x, "amax", include_self=False
    ),
    "scatter_reduce_ inplace": lambda x, W, S, y: torch.zeros(3, 4).scatter_reduce_(
        1, torch.zeros(3, 4).long(), F.relu(x), reduce="amax"
    ),
    "index_reduce amax": lambda x, W, S, y: torch.zeros(3, 4).index_reduce(0, torch.tensor([0, 0, 1]), x, "amax"),
    "index_reduce mean": lambda x, W, S, y: torch.zeros(3, 4).index_reduce(0, torch.tensor([0, 0, 1]), x, "mean"),
    "scatter_add": lambda x, W, S, y: torch.zeros(3, 4).scatter_add(1, torch.zeros(3, 4).long(), F.relu(x)),
    "minus scatter amin": lambda x, W, S, y: -torch.zeros(3, 4).scatter_reduce(1, torch.zeros(3, 4).long(), x, "amin"),
}
