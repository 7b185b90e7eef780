"""Models written in the many ways of the field, for the certificate: each with its inputs and convex inputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


def positive_(*modules: nn.Module) -> None:
    with torch.no_grad():
        for module in modules:
            module.weight.abs_()


class Skips(nn.Module):
    """Free maps of the input added to every layer, the positive ones clamped by a method."""

    def __init__(self):
        super().__init__()
        self.first, self.free = nn.Linear(5, 8), nn.ModuleList([nn.Linear(5, 8), nn.Linear(5, 1)])
        self.positive = nn.ModuleList([nn.Linear(8, 8, bias=False), nn.Linear(8, 1, bias=False)])
        positive_(*self.positive)

    def forward(self, x):
        z = F.softplus(self.first(x))
        z = F.celu(self.positive[0](z) + self.free[0](x), 0.5)
        return self.positive[1](z) + self.free[1](x)


class BareParameters(nn.Module):
    """Weights as bare parameters, through softplus, in the transposed layout."""

    def __init__(self):
        super().__init__()
        self.A, self.raw = nn.Parameter(torch.randn(5, 8)), nn.Parameter(torch.randn(8, 3))

    def forward(self, x):
        return F.relu(x @ self.A) @ F.softplus(self.raw) / 8


class Recurrent(nn.Module):
    """One weight used three times, and the input fed again at each step."""

    def __init__(self):
        super().__init__()
        self.inward, self.onward = nn.Linear(5, 6), nn.Linear(6, 6)
        positive_(self.onward)

    def forward(self, x):
        z = torch.zeros(x.shape[0], 6)
        for _ in range(3):
            z = F.leaky_relu(self.onward(z) + self.inward(x), 0.2)
        return z.sum(1)


class Context(nn.Module):
    """Convex in x for every context y: products with non-negative functions of y."""

    def __init__(self):
        super().__init__()
        self.x, self.y, self.gate, self.out = nn.Linear(5, 8), nn.Linear(3, 8), nn.Linear(3, 8), nn.Linear(8, 1)
        positive_(self.out)

    def forward(self, x, y):
        return self.out(F.relu(self.x(x) + torch.tanh(self.y(y))) * F.softplus(self.gate(y)))


class Concatenated(nn.Module):
    """The input is concatenated to the features, with free weights for it alone."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(9, 2)
        with torch.no_grad():
            self.second.weight[:, :4].abs_()

    def forward(self, x):
        features = F.elu(self.first(x))
        weight = self.second.weight
        return F.linear(features, weight[:, :4]) + F.linear(x, weight[:, 4:]) + self.second.bias


class Quadratic(nn.Module):
    """A quadratic form, a log-sum-exp, a norm and a maximum."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(5, 6)

    def forward(self, x):
        quadratic = self.a(x).pow(2).sum(1)
        return quadratic + torch.logsumexp(self.b(x), 1) + x.norm(dim=1) + torch.maximum(x[:, 0], x[:, 1])


class InPlace(nn.Module):
    """Functional activations in place, and on a view of part of the features."""

    def __init__(self):
        super().__init__()
        self.first, self.raw = nn.Linear(5, 8), nn.Parameter(torch.randn(2, 8))

    def forward(self, x):
        z = self.first(x)
        z[:, :4].relu_()
        z = F.relu_(z)
        return F.linear(z, self.raw.square())


class Residual(nn.Module):
    """A convolutional residual block with batch normalisation of non-negative scale."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.norm = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4),
        )
        self.head = nn.Linear(4, 1)
        positive_(self.conv, self.head)

    def forward(self, x):
        z = F.relu(self.stem(x))
        z = F.relu(z + self.norm(self.conv(z)))
        return self.head(F.avg_pool2d(F.max_pool2d(z, 2), 4).flatten(1))


class DictOfInputs(nn.Module):
    """Inputs in a dict, outputs in a dict, weights outside the parameter list."""

    def __init__(self):
        super().__init__()
        self.plain = [nn.Linear(5, 4), nn.Linear(4, 1)]
        positive_(self.plain[1])

    def forward(self, batch):
        z = F.relu(self.plain[0](batch["x"]))
        return {"energy": self.plain[1](z), "features": z}


def x() -> torch.Tensor:
    return torch.randn(3, 5)


CONVEX = {
    "ours": lambda: (ci.ICNN(5, [8, 8], 2), x(), None),
    "ours with skips": lambda: (ci.ICNN(5, [8, 8], 2, skip=True), x(), None),
    "ours with exp": lambda: (ci.ICNN(5, [8, 8], 2, positivity="exp"), x(), None),
    "squared leaky relu": lambda: (nn.Sequential(nn.Linear(5, 4), Squared(nn.LeakyReLU(0.2))), x(), None),
    "squared prelu": lambda: (nn.Sequential(nn.Linear(5, 4), Squared(nn.PReLU())), x(), None),
    "ours with prelu": lambda: (ci.ICNN(5, [8, 8], activation=nn.PReLU()), x(), None),
    "skips": lambda: (Skips(), x(), None),
    "bare parameters": lambda: (BareParameters(), x(), None),
    "recurrent": lambda: (Recurrent(), x(), None),
    "context": lambda: (Context(), (x(), torch.randn(3, 3)), 0),
    "concatenated": lambda: (Concatenated(), x(), None),
    "quadratic": lambda: (Quadratic(), x(), None),
    "in place": lambda: (InPlace(), x(), None),
    "residual": lambda: (Residual().eval(), torch.randn(2, 1, 8, 8), None),
    "dict of inputs": lambda: (DictOfInputs(), ({"x": x()},), "0.x"),
    "dropout": lambda: (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout()), x(), None),
}


class Squared(nn.Module):
    """Convex behind an affine map only: the square of what takes both signs folds its left side up."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) ** 2


class Product(nn.Module):
    def forward(self, x, y):
        return x.relu() * y.relu()


class Branch(nn.Module):
    def forward(self, x):
        return x.relu() if x.sum() > 0 else -x.relu()


class ThroughNumpy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(-abs(x.detach().numpy())) + x


class ThroughLists(nn.Module):
    def forward(self, x):
        return torch.tensor([[-abs(number) for number in row] for row in x.tolist()])


class NegativeViews(nn.Module):
    def forward(self, x):
        z = x.relu()
        z[:, 1:3].neg_()
        return z


NOT_CONVEX = {
    "signed weights": (lambda: (ci.ICNN(5, [8, 8], 1, positivity=None), x(), None), "'layers.1.weight' goes down to"),
    "tanh": (lambda: (nn.Sequential(nn.Linear(5, 4), nn.Tanh()), x(), None), "tanh is neither convex nor concave"),
    "squared leaky relu of features": (
        lambda: (nn.Sequential(nn.Linear(5, 4), nn.ELU(), Squared(nn.LeakyReLU(0.2))), x(), None),
        "the power 2 is convex, but not non-decreasing",
    ),
    "squared sum of leaky relus": (
        lambda: (nn.Sequential(nn.Linear(5, 4), nn.LeakyReLU(0.2), Squared(nn.AvgPool1d(4))), x(), None),
        "the power 2 is convex, but not non-decreasing",
    ),
    "selu": (lambda: (nn.Sequential(nn.Linear(5, 4), nn.SELU()), x(), None), "slope drops at 0 from 1.76"),
    "jointly with context": (lambda: (Context(), (x(), torch.randn(3, 3)), (0, 1)), "tanh is neither convex"),
    "product of inputs": (lambda: (Product(), (x(), x()), None), "both depend on the input"),
    "transformer": (
        lambda: (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 3, 8), None),
        "self_attn",
    ),
    "batch statistics": (lambda: (Residual(), torch.randn(2, 1, 8, 8), None), "call model.eval()"),
    "layer norm": (lambda: (nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4)), x(), None), "native_layer_norm in '1'"),
    "data-dependent branch": (lambda: (Branch(), x(), None), "into a Python number"),
    "through numpy": (lambda: (ThroughNumpy(), x(), None), "takes numbers out of torch"),
    "through lists": (lambda: (ThroughLists(), x(), None), "takes numbers out of torch"),
    "negated view": (lambda: (NegativeViews(), x(), None), "joins a convex and a concave value"),
    "concave": (lambda: (nn.LogSigmoid(), x(), None), "is concave"),
}
