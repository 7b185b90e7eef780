"""``certify``: proofs for convex networks however they are written, reasons and counterexamples for the others."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from tests.torch.certified_models import CONVEX, NOT_CONVEX


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", CONVEX)
def test_convex_networks_get_their_certificate(name):
    model, inputs, convex_inputs = CONVEX[name]()
    certificate = ci.certify(model, inputs, convex_inputs)
    assert certificate.verdict == "convex", str(certificate)
    assert certificate
    assert str(certificate) == "\n".join(["convex", *(f"note: {note}" for note in certificate.notes)])


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_other_networks_do_not_and_are_told_why(name):
    make, reason = NOT_CONVEX[name]
    model, inputs, convex_inputs = make()
    certificate = ci.certify(model, inputs, convex_inputs, search=False)
    assert not certificate
    assert certificate.verdict == "cannot tell"
    assert reason in str(certificate)
    with pytest.raises(AssertionError, match="cannot tell"):
        ci.assert_convex_(model, inputs, convex_inputs, search=False)


@pytest.mark.parametrize("name", ["signed weights", "tanh", "selu", "transformer", "concave", "negated view"])
def test_the_search_finds_a_counterexample_that_holds(name):
    make, _ = NOT_CONVEX[name]
    model, inputs, _ = make()
    certificate = ci.certify(model, inputs)
    assert certificate.verdict == "not convex"
    violation = certificate.violation
    a, b = violation.a["0"], violation.b["0"]
    with torch.no_grad():
        above = model(0.5 * (a + b)) - 0.5 * (model(a) + model(b))
    assert float(above.flatten()[violation.element]) == pytest.approx(violation.excess, rel=1e-2)
    assert violation.excess > violation.tolerance


def test_one_negative_weight_withdraws_the_certificate_and_is_named():
    model = ci.ICNN(5, [8, 8], 1)
    inputs = torch.randn(3, 5)
    assert ci.certify(model, inputs)
    with torch.no_grad():
        model.layers[1].weight[3, 2] = -1e-3
    certificate = ci.certify(model, inputs, search=False)
    assert not certificate
    assert "'layers.1.weight' goes down to -0.001" in str(certificate)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(bad):
    model = ci.ICNN(5, [8, 8], 1)
    with torch.no_grad():
        model.layers[2].weight[0, 0] = bad
    assert "'layers.2.weight' holds NaN or infinite values" in str(ci.certify(model, torch.randn(3, 5)))


def test_a_frozen_or_tied_weight_makes_no_difference():
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    model[4].weight = model[2].weight
    model[2].weight.requires_grad_(False)
    with torch.no_grad():
        model[2].weight.abs_()
    assert ci.certify(model, torch.randn(3, 5))


def test_only_the_outputs_that_are_asked_for_count():
    class Two(nn.Module):
        def forward(self, x):
            return x.relu(), x.tanh()

    assert ci.certify(Two(), torch.randn(3, 5), outputs="output.0")
    assert not ci.certify(Two(), torch.randn(3, 5), search=False)
    with pytest.raises(ValueError, match=r"outputs names 'output.2'.*output.0, output.1"):
        ci.certify(Two(), torch.randn(3, 5), outputs="output.2")


def test_another_entry_point():
    class Energy(nn.Module):
        def forward(self, x):
            return x.tanh()

        def energy(self, x):
            return x.square().sum(1)

    assert ci.certify(Energy(), torch.randn(3, 5), entry="energy")
    with pytest.raises(TypeError, match="method= is called entry="):
        ci.certify(Energy(), torch.randn(3, 5), method="energy")
    with pytest.raises(TypeError, match=r"no argument serch=; did you mean search=\?"):
        ci.certify(Energy(), torch.randn(3, 5), serch=False)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="model must be"):
        ci.certify(torch.relu, torch.randn(3))
    with pytest.raises(ValueError, match="convex_inputs names '1'"):
        ci.certify(nn.ReLU(), torch.randn(3), 1)
    with pytest.raises(ValueError, match="no floating-point tensor"):
        ci.certify(nn.ReLU(), torch.arange(3))


def test_the_model_is_left_as_it_was():
    class Clamping(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 1)

        def forward(self, x):
            self.second.weight.data.clamp_(min=0.0)
            return self.second(F.relu(self.first(x)))

    model = Clamping()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert ci.certify(model, torch.randn(3, 5))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
