"""Functions outside of their usual parameters, and operations with arguments that turn them round."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.torch.attacks.models import Attack

ATTACKS = {
    "softplus b-1": Attack(lambda self, x: F.softplus(x, beta=-1) * x.square()),
    "softplus b-1 gate ctx": Attack(
        lambda self, x, y: F.softplus(y, beta=-1) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "softplus thr-1": Attack(lambda self, x: F.softplus(x, threshold=-1)),
    "softplus thr ctx": Attack(
        lambda self, x, y: F.softplus(y, threshold=-50.0) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "softplus weight": Attack(lambda self, x: F.relu(x) @ F.softplus(self.W, beta=-1), W=torch.randn(4, 4)),
    "elu alpha-1": Attack(lambda self, x: F.elu(x, alpha=-1.0)),
    "elu alpha 2": Attack(lambda self, x: F.elu(x, alpha=2.0)),
    "elu ctx": Attack(
        lambda self, x, y: (F.elu(y, alpha=2.0) + 1) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "elu ctx neg": Attack(
        lambda self, x, y: (F.elu(y, alpha=-3.0) + 1) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "celu": Attack(lambda self, x: F.celu(x, alpha=-1.0)),
    "leaky neg": Attack(lambda self, x: F.leaky_relu(F.leaky_relu(x, -1.0) - 1, -1.0)),
    "leaky 2": Attack(lambda self, x: F.leaky_relu(x, 2.0)),
    "leaky ctx": Attack(
        lambda self, x, y: F.relu(F.leaky_relu(y, -0.5)) * 0 + F.leaky_relu(-y.abs(), -0.5) * -x.square(),
        torch.randn(3, 4),
        torch.randn(3, 4),
        convex=0,
    ),
    "rrelu": Attack(lambda self, x: torch.rrelu(x, -2.0, 2.0, training=True)),
    "rrelu eval": Attack(lambda self, x: F.rrelu(x, 1.5, 2.5)),
    "hardtanh": Attack(lambda self, x: F.hardtanh(x, -100.0, 1.0)),
    "hardtanh inverted": Attack(lambda self, x: F.hardtanh(x, 1.0, 1.0) + x.clamp(2.0, 1.0) - F.relu(x)),
    "clamp inverted": Attack(lambda self, x: torch.clamp(x, min=2.0, max=1.0) - x.abs()),
    "threshold": Attack(lambda self, x: F.threshold(x, 1.0, 0.0)),
    "threshold2": Attack(lambda self, x: F.threshold(x, 0.0, 1.0)),
    "softshrink": Attack(lambda self, x: F.softshrink(x, 0.0)),
    "softshrink ctx": Attack(
        lambda self, x, y: (F.softshrink(y, 2.0)) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "hardshrink": Attack(lambda self, x: F.hardshrink(x, -1.0) - x.abs()),
    "huber neg": Attack(lambda self, x: -F.huber_loss(x, torch.zeros_like(x), delta=0.5)),
    "smooth beta": Attack(lambda self, x: -F.smooth_l1_loss(x, torch.zeros_like(x), beta=0.5)),
    "round dec": Attack(lambda self, x: torch.round(x, decimals=1) - torch.round(x)),
    "gelu": Attack(lambda self, x: F.gelu(x, approximate="tanh") - F.gelu(x)),
    "gelu ctx": Attack(
        lambda self, x, y: (F.gelu(y) + 0.1) * x.square(), torch.randn(3, 4), torch.randn(3, 4), convex=0
    ),
    "logsoftmax": Attack(lambda self, x: F.log_softmax(x, 1)),
    "norm p": Attack(lambda self, x: x.norm(p=0.5, dim=1)),
    "norm p-1": Attack(lambda self, x: x.norm(p=-1, dim=1)),
    "norm -inf": Attack(lambda self, x: x.norm(p=-float("inf"), dim=1)),
    "norm 0": Attack(lambda self, x: x.norm(p=0, dim=1)),
    "norm nuc": Attack(lambda self, x: -torch.linalg.matrix_norm(x, "nuc")),
    "var corr": Attack(lambda self, x: -x.var(1, correction=7)),
    "var corr7": Attack(lambda self, x: x.var(1, correction=7)),
    "std corr": Attack(lambda self, x: x.std(1, correction=5)),
    "var unb": Attack(lambda self, x: torch.var_mean(x, 1, correction=7)[0]),
    "pool divisor": Attack(lambda self, x: F.avg_pool2d(x.abs()[None], (1, 2), divisor_override=-2)),
    "bn eps": Attack(
        lambda self, x: (
            F.batch_norm(F.relu(x), torch.zeros(4), torch.full((4,), -0.5), torch.ones(4), eps=1.0) - 2 * F.relu(x)
        )
    ),
    "bn training": Attack(lambda self, x: F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True)),
    "dropout p": Attack(lambda self, x: F.dropout(x.abs(), 1.0, training=True) - x.abs()),
    "pow": Attack(lambda self, x: torch.pow(x.abs(), 0.5)),
    "pow neg": Attack(lambda self, x: torch.pow(x.square() + 0.1, -1.0)),
    "pow ctx": Attack(lambda self, x, y: torch.pow(x.abs(), y), torch.randn(3, 4), torch.randn(3, 4), convex=0),
    "pow tens": Attack(lambda self, x: torch.pow(x.abs(), self.W), W=torch.tensor([0.5, 2.0, 2.0, 2.0])),
    "logit": Attack(lambda self, x: torch.logit(torch.sigmoid(x), 0.1)),
    "xlogy": Attack(lambda self, x: -torch.xlogy(x, x)),
    "prelu": Attack(lambda self, x: F.prelu(x, self.W), W=torch.tensor([0.5, 0.5, 0.5, 1.5])),
    "prelu neg": Attack(lambda self, x: F.prelu(F.prelu(x, self.W) - 1, self.W), W=torch.tensor([-0.5])),
    "glu": Attack(lambda self, x: F.glu(x, 1)),
    "cross smoothing": Attack(lambda self, x: -F.cross_entropy(x, torch.tensor([0, 1, 2]), label_smoothing=0.1)),
    "cross weights": Attack(
        lambda self, x: F.cross_entropy(x, torch.tensor([0, 1, 2]), weight=torch.tensor([-1.0, 1, 1, -3]))
    ),
    "bce posw": Attack(
        lambda self, x: F.binary_cross_entropy_with_logits(
            x, torch.ones(3, 4), pos_weight=torch.tensor([-1.0, 1, 1, -3])
        )
    ),
    "bce target": Attack(lambda self, x: F.binary_cross_entropy_with_logits(x, torch.full((3, 4), 5.0)) - 2 * x.abs()),
    "nll": Attack(lambda self, x: F.nll_loss(x.abs(), torch.tensor([0, 1, 2]))),
    "kl": Attack(lambda self, x: F.kl_div(x.abs(), torch.full((3, 4), 0.2))),
    "kl log": Attack(lambda self, x: F.kl_div(x.abs(), torch.full((3, 4), -2.0), log_target=True)),
    "gaussian": Attack(lambda self, x: F.gaussian_nll_loss(x, torch.ones(3, 4), x.square() + 1)),
    "hinge margin": Attack(lambda self, x: -F.hinge_embedding_loss(x, torch.ones(3, 4))),
    "soft margin": Attack(lambda self, x: F.multilabel_soft_margin_loss(x, torch.full((3, 4), -2.0)) * 1),
    "softmin": Attack(lambda self, x: F.softmin(x, 1)),
    "interp": Attack(lambda self, x: F.interpolate(F.relu(x)[None, None], (8, 8), mode="bicubic")),
    "grid": Attack(lambda self, x: F.grid_sample(F.relu(x)[None, None], torch.rand(1, 2, 2, 2), mode="bicubic")),
    "grid2": Attack(lambda self, x: F.grid_sample(torch.rand(1, 1, 4, 4), x.tanh().reshape(1, 3, 2, 2))),
    "emb max_norm": Attack(lambda self, x: F.embedding(torch.tensor([0, 1]), x, max_norm=1.0)),
    "emb bag": Attack(
        lambda self, x: (
            F.embedding_bag(
                torch.tensor([0, 1]), x, torch.tensor([0]), mode="sum", per_sample_weights=torch.tensor([-1.0, 1.0])
            )
            + x.abs().sum()
        )
    ),
    "lp_pool": Attack(lambda self, x: -F.lp_pool1d(x.abs()[None], 2.0, 2)),
    "lp_pool half": Attack(lambda self, x: F.lp_pool1d(x.abs()[None], 0.5, 2)),
    "pixel": Attack(lambda self, x: F.local_response_norm(x[None], 2)),
    "cosine": Attack(lambda self, x: F.cosine_similarity(x, torch.ones(3, 4))),
    "pdist": Attack(lambda self, x: F.pdist(x, 0.5)),
    "cdist": Attack(lambda self, x: torch.cdist(x, torch.zeros(1, 4), p=0.5)),
    "cdist2": Attack(lambda self, x: -torch.cdist(x, torch.zeros(1, 4), p=3)),
    "tripl": Attack(lambda self, x: F.triplet_margin_loss(x, torch.zeros(3, 4), x.abs())),
    "renorm": Attack(lambda self, x: torch.renorm(x, 2, 0, 1.0)),
    "cumsum dt": Attack(lambda self, x: x.abs().cumsum(1, dtype=torch.float16) - x.abs().cumsum(1)),
    "sum dtype int": Attack(lambda self, x: x.abs().sum(1, dtype=torch.long).float()),
    "logaddexp": Attack(lambda self, x: -torch.logaddexp(x, x * 0)),
    "topk smallest": Attack(lambda self, x: x.topk(2, 1, largest=False).values.sum(1)),
    "kth": Attack(lambda self, x: x.kthvalue(2, 1).values),
    "quantile": Attack(lambda self, x: torch.quantile(x, 0.5, 1)),
    "aminmax": Attack(lambda self, x: torch.aminmax(x, dim=1)[0]),
    "cummin": Attack(lambda self, x: x.cummin(1).values),
    "trapz": Attack(lambda self, x: torch.trapezoid(x.abs(), torch.tensor([0.0, -1, -2, -3.0]))),
    "diff": Attack(lambda self, x: torch.diff(x.abs())),
    "rot90": Attack(lambda self, x: x.square() - 2 * x.rot90(2).abs()),
    "cov": Attack(lambda self, x: torch.cov(x)),
    "corr": Attack(lambda self, x: torch.corrcoef(x)),
    "cross": Attack(lambda self, x: torch.cross(x[:, :3], x[:, 1:], dim=1)),
    "addmm beta": Attack(lambda self, x: torch.addmm(x.abs(), x.abs(), self.W, beta=-1.0), W=torch.rand(4, 4)),
    "addmm alpha": Attack(lambda self, x: torch.addmm(x.abs(), x.abs(), self.W, alpha=-1.0), W=torch.rand(4, 4)),
    "_addmm_activation": Attack(
        lambda self, x: torch._addmm_activation(torch.zeros(4), x, self.W, use_gelu=True), W=torch.rand(4, 4)
    ),
    "addbmm": Attack(
        lambda self, x: torch.addbmm(x.abs(), x[None].abs(), self.W[None], alpha=-1.0), W=torch.rand(4, 4)
    ),
    "baddbmm": Attack(
        lambda self, x: torch.baddbmm(x[None].abs(), x[None].abs(), self.W[None], beta=-1.0), W=torch.rand(4, 4)
    ),
    "addr": Attack(lambda self, x: torch.addr(torch.zeros(3, 4), x[:, 0].abs(), torch.ones(4), alpha=-1)),
    "addmv": Attack(lambda self, x: torch.addmv(x[:, 0].abs(), x.abs(), torch.ones(4), beta=-2.0)),
    "addcmul": Attack(lambda self, x: torch.addcmul(x.abs(), x.abs(), torch.ones(3, 4), value=-2.0)),
    "addcdiv": Attack(lambda self, x: torch.addcdiv(x.abs(), x.abs(), torch.ones(3, 4), value=-2.0)),
    "lerp": Attack(lambda self, x: torch.lerp(x.abs(), 2 * x.abs(), -2.0)),
    "lerp2": Attack(lambda self, x: torch.lerp(x.abs(), torch.zeros(3, 4), 2.0)),
    "sub alpha": Attack(lambda self, x: torch.sub(x.abs(), x.abs(), alpha=3)),
    "sub neg": Attack(lambda self, x: torch.sub(-x.abs(), x.abs(), alpha=-0.5)),
    "float_power": Attack(lambda self, x: torch.float_power(x.abs(), 0.5)),
    "ldexp": Attack(lambda self, x: torch.ldexp(x.abs(), torch.tensor(-1)) - x.abs()),
    "copysign": Attack(lambda self, x: torch.copysign(x, torch.tensor(-1.0))),
    "heaviside": Attack(lambda self, x: torch.heaviside(x, torch.tensor(0.5))),
    "fmod": Attack(lambda self, x: torch.fmod(x, 2.0)),
    "remainder": Attack(lambda self, x: x % 2.0),
    "floordiv": Attack(lambda self, x: x // 2.0),
    "nextafter": Attack(lambda self, x: (torch.nextafter(x, torch.tensor(9.0)) - x) * 1e7),
    "polygamma": Attack(lambda self, x: torch.polygamma(2, x.abs() + 1)),
    "mvlgamma": Attack(lambda self, x: -torch.mvlgamma(x.abs() + 3, 2)),
    "i0": Attack(lambda self, x: -torch.i0(x)),
    "logcumsumexp": Attack(lambda self, x: -torch.logcumsumexp(x, 1)),
    "square sqrt": Attack(lambda self, x: torch.sqrt(F.relu(x))),
    "index_reduce": Attack(
        lambda self, x: torch.zeros(3, 4).index_reduce(0, torch.tensor([0, 0, 1]), x, "amin", include_self=False)
    ),
    "scatter_reduce amin": Attack(
        lambda self, x: torch.zeros(3, 4).scatter_reduce(0, torch.zeros(3, 4).long(), x, "amin")
    ),
    "scatter_reduce prod": Attack(
        lambda self, x: torch.ones(3, 4).scatter_reduce(0, torch.zeros(3, 4).long(), x, "prod")
    ),
    "scatter mult": Attack(lambda self, x: torch.ones(3, 4).scatter(0, torch.zeros(3, 4).long(), x, reduce="multiply")),
    "scatter alpha": Attack(lambda self, x: x.abs().index_add(0, torch.tensor([0, 1, 2]), x.abs(), alpha=-2)),
    "take": Attack(lambda self, x: -x.abs().take(torch.tensor([0, 1]))),
    "put": Attack(lambda self, x: x.abs().put(torch.tensor([0, 1]), -x[0, :2].abs())),
    "masked_scatter": Attack(
        lambda self, x: x.abs().masked_scatter(torch.tensor([True, False, False, True]), -x.abs())
    ),
    "conv neg pad": Attack(lambda self, x: F.conv1d(x.abs()[:, None], -torch.ones(1, 1, 2))),
    "linear bias": Attack(lambda self, x: F.linear(x.abs(), torch.ones(1, 4), None) - 2 * x.abs().sum(1, keepdim=True)),
    "pad const of input": Attack(lambda self, x: F.pad(-x.abs(), (1, 1), value=3.0)),
    "triu": Attack(lambda self, x: -x.abs().triu()),
    "softmax dtype": Attack(lambda self, x: F.softmax(x, 1, dtype=torch.float64)),
    "instance norm": Attack(lambda self, x: F.instance_norm(x[None])),
    "mul out": Attack(lambda self, x: torch.mul(x, x.flip(1))),
    "std 0": Attack(lambda self, x: x.abs().std(1)),
    "where self mask scalar": Attack(lambda self, x: torch.where(x > 0, x, -x * 0.5 - 0.5)),
}
