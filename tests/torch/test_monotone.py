"""``certify(..., monotone=...)``: answered beside convexity, and refused for what does not exist."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci

UP, DOWN = "non-decreasing", "non-increasing"


class Line(nn.Module):
    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.W, self.S = nn.Parameter(torch.rand(4, 4)), nn.Parameter(torch.randn(4, 4))

    def forward(self, x, y):
        return self.function(x, self.W, self.S, y)


def certificate_of(function, monotone, **how):
    torch.manual_seed(0)
    return ci.certify(Line(function), (torch.randn(3, 4), torch.randn(3, 4)), 0, monotone=monotone, **how)


PROVED = {
    "network": (lambda x, W, S, y: F.relu(F.relu(x @ W) @ W), UP),
    "falling network": (lambda x, W, S, y: F.relu(-x @ W) @ W, DOWN),
    "exponential of a fall": (lambda x, W, S, y: torch.exp(-x), DOWN),
    "both parts of nothing": (lambda x, W, S, y: y * 1.0, UP),
    "maximum": (lambda x, W, S, y: x.amax(1), UP),
    "log-sum-exp by hand": (
        lambda x, W, S, y: torch.log(torch.exp(x - x.amax(1, True)).sum(1, True)) + x.amax(1, True),
        UP,
    ),
    "squares of what is not below 0": (lambda x, W, S, y: F.relu(x).square(), UP),
    "with context of any sign": (lambda x, W, S, y: F.softplus(x + y @ S), UP),
    "with a gate": (lambda x, W, S, y: F.softplus(x) * torch.sigmoid(y), UP),
    "where": (lambda x, W, S, y: torch.where(x > 0, x, 0.2 * x), UP),
    "largest two": (lambda x, W, S, y: x.topk(2, 1).values.sum(1), UP),
}


@pytest.mark.parametrize("name", PROVED)
def test_proved(name):
    function, direction = PROVED[name]
    certificate = certificate_of(function, {0: direction}, search=False)
    assert certificate, str(certificate)
    assert str(certificate).splitlines()[:2] == ["convex", f"{direction} in '0'"]


NOT = {
    "a free layer": (lambda x, W, S, y: F.relu(x @ S), UP),
    "the wrong way": (lambda x, W, S, y: F.relu(x), DOWN),
    "a norm": (lambda x, W, S, y: x.norm(dim=1), UP),
    "a square": (lambda x, W, S, y: x.square(), UP),
    "a deviation": (lambda x, W, S, y: x.var(1), UP),
    "cross entropy": (lambda x, W, S, y: F.cross_entropy(x, torch.tensor([0, 1, 2])), UP),
    "minus one of them": (lambda x, W, S, y: torch.logsumexp(x, 1) - x[:, 0], UP),
    "leaky the other way": (lambda x, W, S, y: F.leaky_relu(x, -0.5), UP),
    "one output of two": (lambda x, W, S, y: (F.relu(x), F.relu(-x)), UP),
}


@pytest.mark.parametrize("name", NOT)
def test_convex_and_not_monotone(name):
    function, direction = NOT[name]
    certificate = certificate_of(function, {"0": direction})
    assert certificate.verdict == "convex"
    assert not certificate
    assert certificate.monotone[0].verdict == "not", str(certificate)
    assert f"not {direction} in '0'" in str(certificate)
    assert certificate_of(function, {"0": direction}, search=False).monotone[0].verdict == "cannot tell"


def test_monotone_and_not_convex():
    certificate = certificate_of(lambda x, W, S, y: torch.tanh(x @ W), {0: UP})
    assert certificate.verdict == "not convex"
    assert certificate.monotone[0].verdict == "proved"
    assert not certificate
    assert "non-decreasing in '0'" in str(certificate)


def test_context_may_be_asked_for_and_names_of_the_signature_do():
    certificate = certificate_of(lambda x, W, S, y: F.relu(x) + torch.tanh(y), {"x": UP, "y": UP})
    assert certificate, str(certificate)
    assert [one.name for one in certificate.monotone] == ["0", "1"]


def test_a_doubt_withdraws_both():
    def forward(x, W, S, y):
        return F.relu(x) if x.sum() < 50 else -x

    certificate = certificate_of(forward, {0: UP}, search=False)
    assert not certificate
    assert certificate.monotone[0].verdict == "cannot tell"
    assert "turns a value that depends on the input into a Python number" in str(certificate.monotone[0])


@pytest.mark.parametrize(
    ("monotone", "kind", "message"),
    [
        ({"z": UP}, ValueError, "monotone names 'z', which is no tensor among the inputs 0 .x., 1 .y."),
        ({0: UP, "x": "non-increasing"}, ValueError, r"monotone\['x'\] names the input '0', which another name"),
        ({0: "increasing"}, ValueError, "must be 'non-decreasing' or 'non-increasing', got 'increasing'"),
        ("x", TypeError, "monotone must map names of inputs to directions, got str"),
    ],
)
def test_what_does_not_exist_is_refused(monotone, kind, message):
    with pytest.raises(kind, match=message):
        certificate_of(lambda x, W, S, y: x, monotone)


def test_assert_convex_asks_for_it_too():
    with pytest.raises(AssertionError, match="not non-decreasing in '0'"):
        ci.assert_convex_(nn.Linear(4, 1), torch.randn(3, 4), monotone={0: UP})
