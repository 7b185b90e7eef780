"""Plans of models that are read by running them, at the edges: precision, modes, devices, odd values and odd models."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci


class Net(nn.Module):
    """A skip at every layer, exponentials, and dropout."""

    def __init__(self, width=64):
        super().__init__()
        self.x = nn.ModuleList([nn.Linear(5, width) for _ in range(3)])
        self.z = nn.ParameterList([torch.randn(width, width) for _ in range(2)])
        self.drop = nn.Dropout(0.5)

    def forward(self, x, unused=None):
        z = F.softplus(self.x[0](x))
        for direct, onward in zip(self.x[1:], self.z, strict=True):
            z = self.drop(F.softplus(direct(x) + F.linear(z, onward.exp())))
        return z.sum(1)


def seeded():
    return torch.Generator().manual_seed(0)


def state(model):
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_double_precision():
    model, x = Net().double(), torch.randn(64, 5, dtype=torch.float64)
    ci.apply_(model, x)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float64}
    assert ci.certify(model.eval(), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model, x = Net().to(dtype), torch.randn(64, 5, dtype=dtype)
    ci.apply_(model, x, generator=seeded())
    wide = Net()
    ci.apply_(wide, x.float(), generator=seeded())
    # One draw in both, rounded: bfloat16 keeps 8 bits, of which calibration may move a few.
    for key, tensor in model.state_dict().items():
        assert tensor.dtype == dtype
        torch.testing.assert_close(tensor.float(), wide.state_dict()[key].float(), rtol=0.05, atol=0.05)


def test_modes_make_no_difference_and_stay():
    training, evaluating, x = Net(), Net().eval(), torch.randn(64, 5)
    ci.apply_(training, x, generator=seeded())
    ci.apply_(evaluating, x, generator=seeded())
    assert same(training.state_dict(), evaluating.state_dict())
    assert training.drop.training
    assert not evaluating.drop.training


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0])
def test_what_the_weights_were_makes_no_difference(value):
    broken, whole, x = Net(), Net(), torch.randn(64, 5)
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter.fill_(value)
    ci.apply_(broken, x, generator=seeded())
    ci.apply_(whole, x, generator=seeded())
    assert same(broken.state_dict(), whole.state_dict())


@pytest.mark.parametrize("which", ["z.0", "x.1.weight", "x.1.bias"])
def test_a_frozen_parameter_is_named(which):
    model, x = Net(), torch.randn(64, 5)
    dict(model.named_parameters())[which].requires_grad_(False)
    before = state(model)
    with pytest.raises(ValueError, match=rf"'{which.removesuffix('.weight').removesuffix('.bias')}'.*frozen"):
        ci.apply_(model, x)
    assert same(before, model.state_dict())


def test_under_no_grad_and_inference_inputs():
    model, x = Net(), torch.randn(64, 5)
    with torch.no_grad():
        ci.apply_(model, x, generator=seeded())
    other = Net()
    ci.apply_(other, x, generator=seeded())
    assert same(model.state_dict(), other.state_dict())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_gradients_and_hooks_of_the_user_stay():
    model, x = Net(), torch.randn(64, 5)
    model(x).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    calls = []
    model.x[0].register_forward_hook(lambda *_: calls.append(1))
    ci.plan(model, x)
    calls.clear()
    model(x)
    assert calls == [1]
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_one_sample_and_inputs_that_are_no_tensors():
    model = Net()
    ci.apply_(model, (torch.randn(1, 5), None), generator=seeded())
    ci.apply_(model, {"x": torch.randn(3, 5), "unused": "text"}, generator=seeded())
    assert ci.certify(model.eval(), torch.randn(3, 5))


def test_weights_shared_by_two_layers():
    class Shared(Net):
        def __init__(self):
            super().__init__()
            self.z[1] = self.z[0]

    model = Shared()
    found = {layer.path: layer.role for layer in ci.plan(model, torch.randn(64, 5)).layers}
    assert found == {"x.0": "free", "x.1": "skip", "z.0": "positive", "x.2": "skip"}
    ci.apply_(model, torch.randn(64, 5))
    assert model.z[0] is model.z[1]


def test_a_model_that_python_cannot_copy_is_read_all_the_same():
    model, x = Net(), torch.randn(64, 5)
    expected = str(ci.plan(model, x))
    model.lock = threading.Lock()
    assert str(ci.plan(model, x)) == expected


def test_a_model_that_fails_on_the_inputs_says_so_itself():
    with pytest.raises(ValueError, match=r"example_inputs: the model fails .*shapes cannot .*\(test_plan_"):
        ci.plan(Net(), torch.randn(64, 7))


def test_the_meta_device():
    model = copy.deepcopy(Net()).to("meta")
    with pytest.warns(UserWarning, match="weights on the meta device were not written: x.0"):
        ci.apply_(model, torch.randn(64, 5, device="meta"))
    plan = ci.plan(model, torch.randn(64, 5, device="meta"))
    assert [layer.role for layer in plan.layers] == ["free", "skip", "positive", "skip", "positive"]
    assert all("on the meta device" in layer.note for layer in plan.layers)


def test_a_model_without_weights_is_refused():
    class Nothing(nn.Module):
        def forward(self, x):
            return x.relu()

    with pytest.raises(ValueError, match="no weight to initialise"):
        ci.plan(Nothing(), torch.randn(4, 5))
