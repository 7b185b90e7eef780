"""Code that is not convex and was made to look so: ways around the recorder, arguments, aliases, containers."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from tests.torch.functions_as_models import certificate_of


def energy(x):
    return x.square().sum(1)


def either(x, condition):
    return -energy(x) if condition else energy(x)


# Several of these are convex on the way that the example takes, so that only the doubt keeps the certificate back.
ON_THE_WAY = {
    "number of elements": lambda self, x: either(x, x[x.abs() > 20].numel()),
    "nonzero": lambda self, x: either(x, len(torch.nonzero(x > 20))),
    "bincount": lambda self, x: either(x, len(torch.bincount(x.abs().long().flatten())) > 20),
    "repeats": lambda self, x: either(x, torch.ones(1).repeat_interleave((x.sum() > 50).long().reshape(1)).numel()),
    "finite exponential": lambda self, x: either(x, not torch.isfinite(x.exp()).all()),
    "finite inverse": lambda self, x: either(x, torch.isfinite(1 / torch.relu(x.sum() - 50))),
    "nan": lambda self, x: either(x, not (x - 20).sum().log().isnan()),
    "unequal to itself": lambda self, x: either(x, (lambda z: not bool(z != z))((x.sum() - 50).sqrt())),
    "text": lambda self, x: either(x, "1e+05" in str(x)),
    "text of a number": lambda self, x: either(x, "1e+05" in f"{x.sum()}"),
    "error": lambda self, x: failing(x),
}


def failing(x):
    try:
        torch.linalg.cholesky(torch.eye(4) * (50 - x.sum()))
    except RuntimeError:
        return -energy(x)
    return energy(x)


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_branch_on_numbers_is_doubted(name):
    certificate = certificate_of(ON_THE_WAY[name])
    assert not certificate
    assert certificate.outputs["output"].is_convex, "the example takes the other way, so this tests nothing"


def negated_by_a_thread(self, x):
    y = x.abs()
    thread = threading.Thread(target=lambda: y.neg_())
    thread.start()
    thread.join()
    return y


def an_alias_with_new_memory(self, x):
    h = -x.square()
    k = h[:]
    h.data = -x.square()
    h + 0
    k.copy_(x.square())
    return h


def padded_and_not(self, x):
    weight = torch.ones(1, 1, 2)
    rows = x[:, None].abs()
    return F.conv1d(rows, weight, stride=10) - F.conv1d(rows, weight, stride=10, padding=1)


REFUSED = {
    "floor division in a choice": lambda self, x: torch.where(x > 0, torch.div(x, 1.0, rounding_mode="floor"), 0.0),
    "alpha of a reversed difference": lambda self, x: -torch.rsub(x.abs(), 0.0, alpha=-2),
    "alpha by position": lambda self, x: torch.where(x > 0, torch.ops.aten.add.Scalar(x, 1.0, 5), x + 1),
    "softplus with negative beta": lambda self, x: F.softplus(x, beta=-1) * x.square(),
    "softplus with negative threshold": lambda self, x: F.softplus(x, threshold=-1),
    "thread": negated_by_a_thread,
    "alias": an_alias_with_new_memory,
    "padding": padded_and_not,
    "approximation": lambda self, x: F.gelu(x) - F.gelu(x, approximate="tanh"),
    "decimals": lambda self, x: torch.round(x, decimals=1) - torch.round(x),
    "float8": lambda self, x: x.to(torch.float8_e4m3fn).float(),
    "whole numbers": lambda self, x: torch.zeros(3, 4).long().copy_(x).float(),
    "mask": lambda self, x: x.clone().index_put_((x > 0,), torch.zeros(())),
    "dlpack": lambda self, x: torch.from_dlpack(x.abs()),
    "names": lambda self, x: {"a.b": -x.square(), "a": {"b": x.square()}},
    "namespace": lambda self, x: (x.square(), SimpleNamespace(y=-x.square())),
    "set": lambda self, x: (x.square(), {-x.square()}),
    "strides": lambda self, x: -x.abs().as_strided((3, 4), (4, 1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_convex_gets_no_certificate(name):
    assert not certificate_of(REFUSED[name])


def test_a_matrix_that_is_changed_after_its_use():
    def by_copy(self, x):
        y = x @ self.Q
        self.Q.data.copy_(torch.eye(4))
        return (y * x).sum(-1)

    def by_exchange(self, x):
        y = x @ self.Q
        self.Q.data = torch.eye(4)
        return (y * x).sum(-1)

    for function in (by_copy, by_exchange):
        assert not certificate_of(function, Q=-torch.eye(4))


def test_a_scale_that_depends_on_the_input():
    def forward(self, x):  # (1 − 3) · |x|
        return F.batch_norm(torch.ones(3, 4), torch.full((4,), 3.0), torch.ones(4), weight=x[0].abs(), eps=0.0)

    certificate = certificate_of(forward)
    assert not certificate
    assert certificate.outputs["output"].is_concave


@pytest.mark.parametrize("compiled", [False, True])
def test_what_the_model_itself_does_is_certified_hooks_included(compiled):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    if compiled:
        model = torch.compile(model)
    assert ci.certify(model, torch.randn(2, 4))
    model.register_forward_hook(lambda module, args, output: -output)
    certificate = ci.certify(model, torch.randn(2, 4))
    assert certificate.verdict == "not convex"


def test_a_call_of_its_own_is_certified():
    class Negated(nn.Sequential):
        def __call__(self, x):
            return -super().__call__(x)

    assert ci.certify(Negated(nn.Linear(4, 3), nn.ReLU()), torch.randn(2, 4)).verdict == "not convex"


def test_an_entry_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="entry 'nope' is no method or module of Linear"):
        ci.certify(nn.Linear(2, 1), torch.randn(3, 2), entry="nope")


def test_a_narrow_type_is_noted():
    certificate = certificate_of(lambda self, x: x.bfloat16().relu().float())
    assert certificate
    assert any("rounds to bfloat16" in note for note in certificate.notes)
