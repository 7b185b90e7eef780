"""What is refused names another request that works: part of the inputs, another method, a module inside."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import grad, vmap

import convex_init.torch as ci

C, D, H = 4, 8, 16


class Net(nn.Module):
    """An input-convex network of what it is given."""

    def __init__(self, seen=D):
        super().__init__()
        self.a, self.b, self.o = nn.Linear(seen, H), nn.Linear(H, H), nn.Linear(H, 1)

    def forward(self, x):
        z = F.softplus(self.b(F.softplus(self.a(x))))
        return self.o(z).squeeze(-1)


class Invariants(nn.Module):
    """An energy of invariants of a deformation gradient, convex in these and not in the gradient."""

    def __init__(self):
        super().__init__()
        self.energy = nn.ModuleDict({"net": Net(3)})

    def forward(self, deformation):
        right = deformation.transpose(-1, -2) @ deformation
        volume = torch.linalg.det(deformation)
        first = right.diagonal(dim1=-2, dim2=-1).sum(-1)
        given = torch.stack([first - 3.0, volume, -2.0 * volume], -1)
        return self.energy["net"](given) + (volume + 1.0 / volume - 2.0) ** 2


class Distances(nn.Module):
    """Convex in the distances between points, which are convex in the points: but not rising."""

    def __init__(self):
        super().__init__()
        self.net = Net(3)

    def forward(self, points):
        d = torch.stack([(points[:, i] - points[:, (i + 1) % 3]).norm(dim=-1) for i in range(3)], -1)
        return self.net(-d)


class Transport(nn.Module):
    """The gradient of a potential that is a method."""

    def __init__(self):
        super().__init__()
        self.a, self.w, self.skip, self.o = nn.Linear(D, H), nn.Linear(H, H), nn.Linear(D, H), nn.Linear(H, 1)

    def potential(self, x):
        return self.o(F.celu(self.w(F.celu(self.a(x))) + self.skip(x)))

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            return torch.autograd.grad(self.potential(x).sum(), x, create_graph=True)[0]


class TransportByRow(nn.Module):
    """The same of a module, a row at a time."""

    def __init__(self):
        super().__init__()
        self.f = Net()

    def forward(self, x):
        return vmap(grad(self.f))(x)


class Proximal(nn.Module):
    """A step down a learnt regulariser."""

    def __init__(self):
        super().__init__()
        self.step, self.regulariser = 0.1, Net()

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            return x - self.step * torch.autograd.grad(self.regulariser(x).sum(), x)[0]


class Partial(nn.Module):
    """Convex in what follows the context in the one input."""

    def __init__(self):
        super().__init__()
        self.context, self.gate, self.net = nn.Linear(C, H), nn.Linear(H, D), Net()

    def forward(self, xy):
        u = torch.tanh(self.context(xy[:, :C]))
        return self.net(xy[:, C:] * self.gate(u))


class TwoInputs(Partial):
    def forward(self, x, y):
        return super().forward(torch.cat((x, y), 1))


MODELS = {
    "invariants": (Invariants, (32, 3, 3), {"entry": "energy.net"}, "the module 'energy.net'"),
    "distances": (Distances, (32, 3, 2), {"entry": "net"}, "the module 'net'"),
    "a potential": (Transport, (32, D), {"entry": "potential"}, "the method 'potential'"),
    "a potential by row": (TransportByRow, (32, D), {"entry": "f"}, "the module 'f'"),
    "a proximal step": (Proximal, (32, D), {"entry": "regulariser"}, "the module 'regulariser'"),
    "part of an input": (
        Partial,
        (32, C + D),
        {"convex_inputs": {"0": slice(4, 12)}},
        "convex in a part of its inputs",
    ),
    "one of two": (TwoInputs, [(32, C), (32, D)], {"convex_inputs": "1"}, "convex in a part of its inputs"),
}


def inputs_of(shapes):
    torch.manual_seed(1)
    return tuple(map(torch.randn, shapes)) if isinstance(shapes, list) else torch.randn(shapes)


@pytest.mark.parametrize("name", MODELS)
def test_the_refusal_names_a_request_that_works(name):
    make, shapes, options, text = MODELS[name]
    torch.manual_seed(0)
    model, inputs = make(), inputs_of(shapes)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="nothing was written") as refusal:
        ci.apply_(model, inputs)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    message = str(refusal.value)
    assert text in message
    argument = re.search(r"pass ((?:entry|convex_inputs)=.*)$", message, re.MULTILINE).group(1)
    named = eval(f"dict({argument})")
    assert named == options
    ci.apply_(model, inputs, **options)
    assert ci.certify(model, inputs, search=False, **options).verdict == "convex"
    report = ci.signal_report(model, inputs, **options)
    assert all(0.25 <= layer.variance <= 4.0 for layer in report.layers)


def test_a_module_inside_is_read_at_what_it_is_given():
    torch.manual_seed(0)
    model, inputs = Invariants(), torch.eye(3) + 0.1 * torch.randn(64, 3, 3)
    seen = []
    handle = model.energy["net"].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model(inputs)
    handle.remove()
    ci.apply_(model, inputs, entry="energy.net", generator=torch.Generator().manual_seed(0))
    alone = Net(3)
    ci.apply_(alone, seen[0], generator=torch.Generator().manual_seed(0))
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(model.get_parameter(f"energy.net.{name}"), parameter)
    assert ci.plan(model, inputs, entry="energy.net").layers[0].path == "energy.net.a"


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.unused = Net(), Net()

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize(
    ("make", "entry", "shape", "message"),
    [
        (Idle, "nope", D, r"entry 'nope' is no method or module of Idle"),
        (Idle, "net.nope", D, r"entry 'net.nope' is no method or module of Idle"),
        (
            Idle,
            "unused",
            D,
            r"entry='unused' is a module that the model does not call on example_inputs; .*model\.unused",
        ),
        (
            Partial,
            "net",
            3,
            r"the model does not run on example_inputs \(RuntimeError: .*; pass inputs of the model itself",
        ),
    ],
)
def test_an_entry_that_cannot_be_read(make, entry, shape, message):
    for call in (ci.plan, ci.certify, ci.signal_report):
        with pytest.raises(ValueError, match=message):
            call(make(), torch.randn(4, shape), entry=entry)


def test_without_inputs_a_module_is_read_on_made_up_ones():
    assert [layer.path for layer in ci.plan(Idle(), entry="unused").layers] == ["unused.a", "unused.b", "unused.o"]


class ByHand(nn.Module):
    """The gradient of a sum of ridge functions, written out."""

    def __init__(self):
        super().__init__()
        self.W, self.b = nn.Parameter(torch.randn(D, D)), nn.Parameter(torch.zeros(D))

    def forward(self, x):
        return torch.sigmoid(x @ self.W.T + self.b) @ self.W


def test_a_gradient_written_out_is_said_to_be_one():
    with pytest.raises(ValueError, match=r"used as it is and transposed, as in the gradient of a potential"):
        ci.plan(ByHand(), torch.randn(8, D))
