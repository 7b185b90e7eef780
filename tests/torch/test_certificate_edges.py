"""``certify`` at the edges: weights, modes, dtypes, control flow."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

import convex_init.torch as ci
from tests.torch.functions_as_models import Function, certificate_of


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def network() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        for layer in (model[2], model[4]):
            layer.weight.abs_()
    return model


# One negative weight


def flipped(model: nn.Module, weight: torch.Tensor) -> str:
    """What is said of a model after one of its weights was made slightly negative."""
    inputs = torch.randn(2, 4) if not isinstance(model[0], nn.Conv1d) else torch.randn(2, 4, 5)
    assert ci.certify(model, inputs)
    with torch.no_grad():
        weight.view(-1)[-1] = -1e-3
    certificate = ci.certify(model, inputs, search=False)
    assert not certificate
    return str(certificate)


def test_a_negative_weight_of_a_layer_is_named():
    model = network()
    assert "addmm in '4' maps a convex value, but '4.weight' goes down to -0.001" in flipped(model, model[4].weight)


def test_a_negative_weight_of_a_convolution_is_named():
    model = nn.Sequential(nn.Conv1d(4, 3, 2), nn.Softplus(), nn.Conv1d(3, 3, 2, groups=3))
    with torch.no_grad():
        model[2].weight.abs_()
    assert "'2.weight' goes down to -0.001" in flipped(model, model[2].weight)


def test_a_negative_weight_behind_a_parametrization_is_named():
    class Halved(nn.Module):
        def forward(self, raw):
            return 0.5 * raw

    model = network()
    parametrize.register_parametrization(model[2], "weight", Halved())
    raw = model[2].parametrizations.weight.original
    assert "'2.parametrizations.weight.original' goes down to -0.0005" in flipped(model, raw)


def test_a_negative_weight_that_is_tied_is_named():
    model = network()
    model[4] = nn.Linear(6, 6)
    model[4].weight = model[2].weight
    assert "'2.weight' goes down to -0.001" in flipped(model, model[4].weight)


def test_a_negative_bare_weight_is_named():
    model = nn.Sequential(Function(lambda self, x: F.relu(x) @ self.A, A=torch.rand(4, 3)))
    assert "'0.A' goes down to -0.001" in flipped(model, model[0].A)


def test_of_a_concatenation_the_part_with_the_negative_weight_is_named():
    def forward(self, x):
        return F.linear(torch.cat([F.relu(x), x], 1), self.A)

    weight = torch.cat([torch.rand(3, 4), torch.randn(3, 4)], 1)
    assert certificate_of(forward, A=weight)
    weight[1, 2] = -1e-3
    assert "'A' for inputs 0 to 3 goes down to -0.001" in str(certificate_of(forward, A=weight))


# Numbers


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["0.weight", "0.bias", "4.weight"])
def test_weights_that_are_no_numbers_spoil_any_layer(name, bad):
    model = network()
    with torch.no_grad():
        model.get_parameter(name).view(-1)[1] = bad
    certificate = ci.certify(model, torch.randn(2, 4))
    assert certificate.verdict == "cannot tell"
    assert f"{name!r} holds NaN or infinite values" in str(certificate)


def test_a_batch_normalisation_without_a_positive_variance_is_refused():
    model = nn.BatchNorm1d(4).eval()
    assert ci.certify(model, torch.randn(3, 4))
    model.running_var[2] = -1.0
    assert "not known to be positive" in str(ci.certify(model, torch.randn(3, 4)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    model, x = network().to(dtype), torch.randn(3, 4, dtype=dtype)
    assert ci.certify(model, x)
    with torch.no_grad():
        model[4].weight.neg_()
    assert ci.certify(model, x).verdict == "not convex"


def test_weights_and_inputs_that_are_not_contiguous():
    model = network()
    model[2].weight = nn.Parameter(torch.rand(6, 12)[:, ::2])
    assert ci.certify(model, torch.randn(4, 3).t())
    assert ci.certify(model, torch.randn(1, 4).expand(3, 4))


def test_a_model_without_numbers():
    model = nn.Sequential(nn.Linear(4, 3, device="meta"), nn.ReLU())
    assert "meta device" in str(ci.certify(model, torch.randn(2, 4)))
    with pytest.raises(ValueError, match="lazy"):
        ci.certify(nn.LazyLinear(3), torch.randn(2, 4))


def test_complex_numbers_are_refused():
    assert "complex" in str(certificate_of(lambda self, x: torch.fft.rfft(x).abs()))
    assert "complex" in str(certificate_of(lambda self, x: torch.complex(x, x)))


# Training mode and random numbers


def test_dropout_counts_as_one_draw_and_this_is_noted():
    model = nn.Sequential(network(), nn.Dropout())
    certificate = ci.certify(model, torch.randn(3, 4))
    assert certificate
    assert any("draws random numbers; the answer holds for each draw" in note for note in certificate.notes)
    assert ci.certify(model.eval(), torch.randn(3, 4)).notes == ()


def test_the_search_is_not_misled_by_dropout():
    model = nn.Sequential(network(), nn.Dropout(), Function(lambda self, x: torch.special.gammaln(x.detach() * 0) + x))
    assert ci.certify(model, torch.randn(3, 4)).verdict == "cannot tell"  # gammaln has no rule


def test_batch_normalisation_in_training_mode_is_refused_with_the_remedy():
    model = nn.Sequential(network(), nn.BatchNorm1d(2))
    assert "call model.eval()" in str(ci.certify(model, torch.randn(3, 4), search=False))
    assert ci.certify(model.eval(), torch.randn(3, 4))


@pytest.mark.parametrize("layer", [nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4)])
def test_normalisation_by_the_input_itself_is_refused_in_every_mode(layer):
    x = torch.randn(2, 4, 4)
    assert "statistic of its own input" in str(ci.certify(layer.eval(), x, search=False))


def test_a_law_that_depends_on_the_input_is_no_constant():
    assert not certificate_of(lambda self, x: -torch.relu(torch.normal(x, 1.0)))
    assert not certificate_of(lambda self, x: -torch.bernoulli(torch.sigmoid(x)))


def test_random_numbers_from_outside_torch_are_noticed():
    certificate = certificate_of(lambda self, x: x.relu() * (1.0 + random.random()), search=True)
    assert certificate.verdict == "cannot tell"
    assert "random ones outside torch" in str(certificate)


def test_the_global_generator_and_the_model_are_left_alone():
    model = nn.Sequential(network(), nn.Dropout())
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    ci.certify(model, torch.ones(3, 4))
    assert torch.equal(torch.rand(3), expected)


# State


def test_a_model_that_counts_its_calls_is_certified():
    def forward(self, x):
        self.calls += 1
        return F.relu(x)

    model = Function(forward)
    model.register_buffer("calls", torch.zeros(()))
    assert ci.certify(model, torch.randn(3, 4))
    assert model.calls == 0


def test_a_model_that_turns_its_sign_at_every_call_is_not():
    def forward(self, x):
        self.sign.neg_()
        return F.relu(x) * self.sign

    model = Function(forward)
    model.register_buffer("sign", -torch.ones(()))
    assert not ci.certify(model, torch.randn(3, 4))


def test_what_an_earlier_call_left_behind_is_no_constant():
    def forward(self, x):
        before, self.before = getattr(self, "before", x), x.relu()
        return -before

    assert not certificate_of(forward)


# Control flow and gradients


def test_a_compiled_part_runs_as_it_was_written():
    model = nn.Sequential(torch.compile(network()), nn.ReLU())
    assert ci.certify(model, torch.randn(3, 4))
    assert ci.certify(torch.compile(network()), torch.randn(3, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part():
    model = network()
    assert ci.certify(torch.jit.script(model), torch.randn(3, 4))
    with torch.no_grad():
        model[4].weight.neg_()
    assert not ci.certify(torch.jit.script(model), torch.randn(3, 4), search=False)


def test_vmap_and_checkpoints_are_seen_through():
    assert certificate_of(lambda self, x: torch.func.vmap(lambda row: row.relu().sum())(x))
    assert not certificate_of(lambda self, x: torch.func.vmap(lambda row: -row.relu().sum())(x))
    assert certificate_of(lambda self, x: checkpoint(torch.relu, x, use_reentrant=False))
    assert not certificate_of(lambda self, x: checkpoint(torch.tanh, x, use_reentrant=False))


def test_a_gradient_of_a_convex_function_is_not_taken_for_one():
    def transport(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.softplus(x).sum(), x)
        return gradient

    assert "the gradient of a convex function is no convex function" in str(certificate_of(transport))
    assert certificate_of(transport, search=True).verdict == "not convex"
    assert not certificate_of(lambda self, x: torch.func.grad(lambda s: F.softplus(s).sum())(x))


def test_a_gradient_that_needs_a_graph_from_outside():
    def gradient(self, x):
        return torch.autograd.grad(x.requires_grad_().square().sum(), x)[0]

    assert certificate_of(gradient)  # 2x is affine


def test_no_grad_inside_makes_no_difference():
    def forward(self, x):
        with torch.no_grad():
            return F.relu(x)

    assert certificate_of(forward)


def test_a_branch_on_finiteness_is_no_branch_on_the_input():
    def checked(self, x):
        assert torch.isfinite(x).all()
        assert not x.isnan().any()
        return F.relu(x)

    assert certificate_of(checked)


def test_higher_order_control_flow_is_refused():
    certificate = certificate_of(lambda self, x: torch.cond(x.sum() > 0, torch.relu, torch.neg, (x,)))
    assert "cond in the model's forward (test_certificate_edges.py:" in str(certificate)


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_a_recurrent_layer(nonlinearity):
    model = nn.RNN(4, 5, nonlinearity=nonlinearity, batch_first=True)
    with torch.no_grad():
        model.weight_hh_l0.abs_()
    assert bool(ci.certify(model, torch.randn(2, 3, 4), search=False)) == (nonlinearity == "relu")


# Behind torch's back
