"""Lines of code that use torch's operations, by family; each is a function of ``x`` (3, 4) and weights W, S (4, 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Line(nn.Module):
    """One line as a model; W holds numbers above 0, S numbers of both signs."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.W, self.S = nn.Parameter(torch.rand(4, 4) + 0.1), nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return self.function(x, self.W, self.S)


def written(out, x):
    out[:, 1] = x[:, 0]
    return out


def in_two_parts(x):
    out = torch.empty_like(x)
    out[:, :2], out[:, 2:] = x[:, 2:], x[:, :2].square()
    return out


MOVED = {
    "views": lambda x, W, S: x.view(2, 6).unsqueeze(0).squeeze(0).reshape(3, 4).contiguous().clone().detach(),
    "transposed": lambda x, W, S: x.t().transpose(0, 1)[:, :, None].permute(2, 0, 1),
    "expanded": lambda x, W, S: x[:, None].expand(-1, 2, -1),
    "sliced": lambda x, W, S: x[1:, ::2] + x[:-1, 1::2],
    "selected": lambda x, W, S: x[-1] + x[:, 0].sum(),
    "narrowed": lambda x, W, S: x.narrow(1, 1, 2),
    "split": lambda x, W, S: torch.cat(x.split([1, 3], 1)[::-1], 1) + torch.cat(x.chunk(3, 1)[::-1], 1),
    "unbound": lambda x, W, S: torch.stack(x.unbind(1)[::-1], 1),
    "rearranged": lambda x, W, S: 2 * x.flip(1).roll(1, 0).repeat(1, 2).unfold(1, 2, 2),
    "looked up": lambda x, W, S: x[:, [2, 0]] + x.index_select(1, torch.tensor([1, 3])),
    "padded": lambda x, W, S: F.pad(x, (1, 2, 0, 1), value=0.5) * F.pad(x, (2, 1, 1, 0)),
    "cropped": lambda x, W, S: F.pad(x, (-1, 2)),
    "unfolded": lambda x, W, S: F.unfold(x[None, None], 2, padding=1),
    "cast": lambda x, W, S: x.double().float().bfloat16(),
    "reflected": lambda x, W, S: 2 * F.pad(x, (1, 1), mode="reflect"),
    "triangle": lambda x, W, S: x.tril() + torch.diag(x[0])[:3],
}
SUMS = {
    "with a factor": lambda x, W, S: torch.add(x, S[:3], alpha=0.4) - torch.sub(x, 1.0, alpha=2),
    "to itself": lambda x, W, S: torch.add(x, x, alpha=-1) + torch.sub(x, x, alpha=-1),
    "reversed": lambda x, W, S: 1.0 - x + torch.rsub(x, 2.0, alpha=3),
    "mixed": lambda x, W, S: torch.lerp(x, S[:3], 0.3) + torch.lerp(x, S[:3], W[:3]),
    "plus a product": lambda x, W, S: torch.addcmul(x, x, S[:3], value=0.5),
    "plus a quotient": lambda x, W, S: torch.addcdiv(x, x, W[:3], value=0.5),
    "in place": lambda x, W, S: x.clone().add_(S[:3], alpha=2).mul_(0.5).sub_(1).div_(2),
    "sums": lambda x, W, S: x.sum() + x.sum(1, keepdim=True) + x.mean((0, 1)) + x.cumsum(1),
    "wider": lambda x, W, S: x.double().sum(1, dtype=torch.float32),
    "trace": lambda x, W, S: 2 * x.trace(),
}
PRODUCTS = {
    "mm": lambda x, W, S: x @ W,
    "mv and dot": lambda x, W, S: x.mv(W[0]) + torch.dot(W[0], S[1]),
    "linear": lambda x, W, S: F.linear(x[None], W, S[0]),
    "addmm": lambda x, W, S: torch.addmm(x, x, W, beta=0.5, alpha=2),
    "addmm without": lambda x, W, S: torch.addmm(x, x, W, beta=0),
    "addmv": lambda x, W, S: torch.addmv(x[:, 0], x, W[0], alpha=3),
    "baddbmm": lambda x, W, S: torch.baddbmm(x[None], x[None], W[None], alpha=0.5),
    "addbmm": lambda x, W, S: torch.addbmm(x, x.expand(2, 3, 4), W.expand(2, 4, 4), beta=2),
    "addr and outer": lambda x, W, S: torch.addr(W, x[0], S[0]) + torch.outer(x[0], W[1]),
    "einsum": lambda x, W, S: torch.einsum("bi,ij,bj->b", x, W, x),
    "bilinear": lambda x, W, S: F.bilinear(x, S[:3], torch.stack([W, S]), S[0, :2]),
    "convolution": lambda x, W, S: F.conv1d(x[:, None], S[:2, None, :3], S[0, :2], padding=1, stride=2),
    "dilated": lambda x, W, S: F.conv1d(x[:, None], S[:2, None, :2], dilation=2),
    "grouped": lambda x, W, S: F.conv2d(x.view(3, 2, 2, 1), S.view(4, 1, 2, 2), padding=1, groups=2),
    "transposed": lambda x, W, S: F.conv_transpose1d(
        x.view(3, 2, 2), S.view(2, 2, 4), S[0, :2], stride=2, padding=1, output_padding=1
    ),
}
FUNCTIONS = {
    "activations": lambda x, W, S: sum(
        f(x) for f in (F.relu, F.elu, F.celu, F.selu, F.leaky_relu, F.softplus, F.silu, F.mish, F.gelu, F.hardswish)
    ),
    "with numbers": lambda x, W, S: F.leaky_relu(x, 0.3) + F.elu(x, 0.5) + F.celu(x, 2.0) + F.softplus(x, 2.0, 3.0),
    "more": lambda x, W, S: F.logsigmoid(x) + F.hardsigmoid(x) + F.softsign(x) + F.threshold(x, 0.1, -1.0),
    "prelu": lambda x, W, S: F.prelu(x, W[0]) + F.prelu(x, W[0, :1]),
    "exponentials": lambda x, W, S: x.exp() + x.expm1() + torch.exp2(x) + 1.5**x + x.sinh() + x.cosh(),
    "logarithms": lambda x, W, S: (x.abs() + 0.1).log() + x.abs().log1p() + x.abs().log2() + x.abs().log10(),
    "powers": lambda x, W, S: x**2 + x.square() + (x.abs() + 0.1) ** 0.5 + x.abs().sqrt() + x.abs().rsqrt(),
    "trigonometry": lambda x, W, S: x.sin() + x.cos() + x.tan() + x.asinh() + x.atan() + x.tanh() + x.erf(),
    "steps": lambda x, W, S: x.sign() + x.floor() + x.ceil() + x.trunc() + x.frac(),
    "quotients": lambda x, W, S: x / W[:3] + 1.0 / (x.abs() + 1) + x.abs().add(1).reciprocal(),
    "clamps": lambda x, W, S: x.clamp(-1, 1) + x.clamp(min=W[:3]) + x.clamp_max(0.5) + F.hardtanh(x, -2, 0.3),
    "hypotenuse": lambda x, W, S: torch.hypot(x, W[:3]) + torch.logaddexp(x, W[:3]) + torch.logaddexp2(x, W[:3]),
    "losses": lambda x, W, S: (
        F.mse_loss(x, S[:3])
        + F.mse_loss(x, S[:3], reduction="none")
        + F.huber_loss(x, S[:3], delta=0.7)
        + F.smooth_l1_loss(x, S[:3], beta=0.3, reduction="sum")
        + F.smooth_l1_loss(x, S[:3], beta=0.3, reduction="none")
        + F.l1_loss(x, S[:3])
    ),
}
WHOLE = {
    "extremes": lambda x, W, S: x.max() + x.amax(1).sum() + x.max(1).values.sum() + x.amin(0) + x.min(0).values,
    "of two": lambda x, W, S: torch.maximum(x, S[:3]) + torch.min(x, S[:3]),
    "both": lambda x, W, S: sum(x.aminmax(dim=1)),
    "ranks": lambda x, W, S: x.topk(2, 1).values + x.sort(1, descending=True).values[:, :2],
    "pools": lambda x, W, S: F.max_pool1d(x[None], 2) + F.avg_pool1d(x[None], 2) + x.cummax(1).values[:, :2],
    "norms": lambda x, W, S: x.norm() + x.norm(dim=1) + torch.linalg.vector_norm(x, 3, dim=1) + torch.dist(x, S[:3]),
    "norms of any order": lambda x, W, S: x.norm(1) + torch.linalg.vector_norm(x, float("inf"), dim=0),
    "distances": lambda x, W, S: torch.cdist(x, S, p=1),
    "log-sum-exp": lambda x, W, S: torch.logsumexp(x, (0, 1)) + x.logsumexp(1, keepdim=True) + x.logcumsumexp(1),
    "shares": lambda x, W, S: x.softmax(1) + x.log_softmax(1),
    "spreads": lambda x, W, S: x.var() + x.var(1, correction=0).sum() + x.std(0) + x.std(0, correction=2),
    "spreads and means": lambda x, W, S: sum(torch.var_mean(x, dim=1)) + sum(torch.std_mean(x, dim=1)),
    "normalised": lambda x, W, S: F.batch_norm(x, S[0], W[0], S[1], S[2]) + F.batch_norm(x, S[0], W[0]),
    "scaled by the input": lambda x, W, S: F.batch_norm(x, S[0], W[0], x[0], x[1]),
}
WRITES = {
    "masked": lambda x, W, S: x.masked_fill(torch.tensor([True, False, True, False]), 0.5),
    "where": lambda x, W, S: torch.where(x > 0, x, 0.2 * x) + torch.where(S[:3] > 0, x, 0.0),
    "by a mask": lambda x, W, S: x * (x > 0) + x * (x < 0).float() + x * (x >= 0).long(),
    "part": lambda x, W, S: written(torch.zeros(3, 4), x),
    "parts": lambda x, W, S: in_two_parts(x),
    "at places": lambda x, W, S: torch.zeros(3, 4).index_add(1, torch.tensor([0, 2]), x[:, :2], alpha=2),
    "scattered": lambda x, W, S: x.scatter(1, torch.zeros(3, 1, dtype=torch.long), x[:, 1:2]),
    "filled": lambda x, W, S: x.clone().fill_(2.0) + torch.full_like(x, 3.0) + x.new_zeros(3, 4),
    "out": lambda x, W, S: torch.abs(x, out=torch.empty(3, 4)),
    "list": lambda x, W, S: (lambda y: (torch._foreach_neg_([y]), y)[1])(x.clone()),
}
FAMILIES = {
    "moved": MOVED,
    "sums": SUMS,
    "products": PRODUCTS,
    "functions": FUNCTIONS,
    "whole": WHOLE,
    "writes": WRITES,
}
