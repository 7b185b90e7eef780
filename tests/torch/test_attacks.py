"""No model that was made to look convex gets a certificate; the models are in ``tests/torch/attacks``."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import convex_init.torch as ci
from tests.torch.attacks import (
    aliases,
    arguments,
    changed_constants,
    containers,
    pieces,
    roundings,
    sizes_and_questions,
    states,
    undefined,
    ways_around,
)
from tests.torch.attacks.models import Attack, energy

KINDS = (
    *(aliases, arguments, changed_constants, containers, pieces, roundings, sizes_and_questions, undefined),
    ways_around,
)
ATTACKS = {f"{kind.__name__.split('.')[-1]}: {name}": one for kind in KINDS for name, one in kind.ATTACKS.items()}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore")  # of torch, for what nobody writes
def test_no_certificate(name):
    assert not ATTACKS[name].certificate()


@pytest.mark.parametrize("name", states.MODELS)
def test_no_certificate_for_what_is_more_than_its_forward(name):
    torch.manual_seed(0)
    assert not ci.certify(states.MODELS[name](), torch.randn(3, 4), search=False)


def test_a_hook_of_all_modules_is_seen():
    handle = register_module_forward_hook(lambda module, args, out: -out if isinstance(module, nn.ReLU) else None)
    try:
        assert not ci.certify(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(2, 4), search=False)
    finally:
        handle.remove()


# What a user may well write is not lost


class Settling(nn.Module):
    """Takes its scale from the first batch, as ActNorm does, and clamps its weight whenever it runs."""

    def __init__(self):
        super().__init__()
        self.settled, self.weight = False, nn.Parameter(torch.tensor([[-1.0, 2.0, 3.0, 4.0]]))

    def forward(self, x):
        if not self.settled:
            self.settled = True
        with torch.no_grad():
            self.weight.clamp_(min=0.0)
        return x.abs() @ self.weight.t()


def test_a_model_that_settles_is_certified_and_left_alone():
    model = Settling()
    certificate = ci.certify(model, torch.randn(3, 4), search=False)
    assert certificate, str(certificate)
    assert not model.settled
    assert float(model.weight.detach().min()) == -1.0


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda self, x: x.bfloat16().relu().float(), "bfloat16"),
        (lambda self, x: x.half().float().relu(), "float16"),
        (lambda self, x: torch.empty(3, 4, dtype=torch.bfloat16).copy_(x).relu(), "bfloat16"),
        (lambda self, x: torch.add(x, 0.0, out=torch.empty(3, 4, dtype=torch.bfloat16)), "bfloat16"),
        (lambda self, x: x.relu().sum(1, dtype=torch.bfloat16), "bfloat16"),
        (lambda self, x: x.relu().type_as(torch.ones(1, dtype=torch.float16)), "float16"),
    ],
)
def test_a_narrow_type_is_named_in_a_note(function, dtype):
    certificate = Attack(function).certificate()
    assert certificate
    assert any(f"rounds to {dtype}" in note for note in certificate.notes), certificate.notes


def test_a_form_of_half_precision_is_noted():
    x = torch.randn(3, 4).bfloat16()
    gram = Attack(lambda self, x: ((x @ (self.Q @ self.Q.T)) * x).sum(1), x, Q=torch.randn(4, 2).bfloat16())
    assert any("rounded to bfloat16" in note for note in gram.certificate().notes)


def test_softplus_of_double_precision_is_noted():
    softplus = torch.nn.functional.softplus
    x = torch.randn(3, 4, dtype=torch.float64)
    certificate = Attack(lambda self, x: softplus(x), x).certificate()
    assert any("drops by 2e-09" in note for note in certificate.notes)
    assert not Attack(lambda self, x: softplus(x)).certificate().notes
    assert not Attack(lambda self, x: softplus(x, threshold=40.0), x).certificate().notes


def test_objects_without_tensors_are_no_matter():
    def forward(self, x, settings):
        return {"energy": energy(x), "settings": settings, "names": ("a", "b")}

    settings = containers.Plain({"width": 3, "names": ["a"], "function": len})
    assert Attack(forward, torch.randn(3, 4), settings, convex=0).certificate()
