"""Models that several tests convexify, and what shows that one was left alone."""

from __future__ import annotations

import torch
from torch import nn

SIZE = (3, 32, 32)
SMALL_RESNET = {"layers": (1, 1, 1, 1), "channels": (64, 12, 12, 16), "num_classes": 5}


def resnet(**options):
    from timm.models.resnet import BasicBlock, ResNet

    torch.manual_seed(0)
    return ResNet(BasicBlock, **{**SMALL_RESNET, **options})


def example(size=SIZE):
    return torch.zeros(2, *size)


def state(model):
    own = {f"{path}.{key}": repr(value) for path, module in model.named_modules() for key, value in vars(module).items()
           if not key.startswith("_") or key.startswith("_convex")}  # fmt: skip
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    return own, [(path, type(module)) for path, module in model.named_modules()], tensors


def assert_untouched(model, before):
    own, modules, tensors = state(model)
    assert own == before[0]
    assert modules == before[1]
    assert all(torch.equal(value, tensors[name]) for name, value in before[2].items())


class Wrapped(nn.Module):
    """Two convolutions around one operation."""

    def __init__(self, middle, *modules, norm=True):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.extra = nn.ModuleList(modules)
        self.middle = middle

    def forward(self, x):
        return self.last(self.middle(self, self.first(x))).mean((2, 3))


CONVEX = {
    "functional": lambda m, s: torch.relu(s),
    "in place": lambda m, s: torch.relu_(s),
    "in place on a view": lambda m, s: (s.view(-1).relu_(), s)[1],
    "clamp from below": lambda m, s: s.clamp(min=-0.5),
    "max pooling alone": lambda m, s: nn.functional.max_pool2d(s, 2),
    "maximum": lambda m, s: torch.maximum(s, s.flip(1)),
    "weighted sum": lambda m, s: 0.5 * torch.relu(s) - 3.0 * s + 1.0,
    "difference from affine": lambda m, s: torch.relu(s) - s,
    "concatenation": lambda m, s: torch.cat([torch.relu(s[:, :2]), s[:, 2:]], 1),
    "upsampling": lambda m, s: nn.functional.interpolate(torch.relu(s), scale_factor=2.0, mode="bilinear"),
    "batch norm without scale": lambda m, s: m.extra[0](torch.relu(s)),
    "square": lambda m, s: torch.relu(s) ** 2,
    "overwritten": lambda m, s: s.copy_(torch.relu(s)),
    "subtracted twice": lambda m, s: s - (1.0 - torch.relu(s)),
    "chosen": lambda m, s: torch.where(s > 0, s, 0.1 * s),
    "shared activation": lambda m, s: m.extra[1](m.extra[1](s) + s),
}

NOT_CONVEX = {
    "negated": (lambda m, s: -torch.relu(s), "neg is concave: it subtracts"),
    "subtracted": (lambda m, s: s - torch.relu(s), "sub is concave: it subtracts"),
    "one minus": (lambda m, s: 1.0 - torch.relu(s), "rsub is concave: it subtracts"),
    "alpha": (lambda m, s: torch.add(s, torch.relu(s), alpha=-2.0), "negative"),
    "negative factor": (lambda m, s: -0.1 * torch.relu(s), "negative"),
    "gate": (lambda m, s: s * torch.relu(-s), "multiplies two"),
    "quotient": (lambda m, s: s / (1.0 + torch.relu(s)), "divides by a value that depends"),
    "clamped on both sides": (lambda m, s: s.clamp(0.0, 1.0), "minimum of values"),
    "sigmoid": (lambda m, s: torch.sigmoid(s), "concave"),
    "steep leaky relu": (lambda m, s: nn.functional.leaky_relu(s, 1.5), "slope drops"),
    "place of the maximum": (lambda m, s: s + s.max(1, keepdim=True)[1], "whole numbers"),
    "gathered": (lambda m, s: s + s.gather(1, s.argmax(1, keepdim=True)), "argmax"),
    "bicubic": (
        lambda m, s: nn.functional.interpolate(torch.relu(s), scale_factor=2.0, mode="bicubic"),
        "negative coefficients",
    ),
    "minimum": (lambda m, s: torch.minimum(s, s.flip(1)), "minimum is concave"),
    "square of both signs": (lambda m, s: (torch.relu(s) - 1.0) ** 2, "pow"),
    "rounded in place": (lambda m, s: torch.relu(s).round_(), "round"),
    "overwritten through a view": (lambda m, s: (s[:, :1].relu_(), s - 2.0 * s.flip(1))[1], "convex and a concave"),
    "layer norm": (lambda m, s: nn.functional.layer_norm(s, s.shape[1:]), "not convex"),
    "batch statistics": (lambda m, s: nn.functional.batch_norm(s, None, None, training=True), "batch"),
    "computed weight": (
        lambda m, s: nn.functional.conv2d(torch.relu(s), m.last.weight / m.last.weight.norm()),
        "no function of one raw number",
    ),
    "made integer": (lambda m, s: s + torch.relu(s).to(torch.int32), "whole numbers"),
}


def modules():
    return nn.BatchNorm2d(4, affine=False), nn.ReLU(inplace=True)
