"""``ICNN(…, carrier=True)``: how it starts, what training may do, and what is refused."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, ConvexLinear, apply_, certify, constrain_, plan, project_, project_after_step


class Steep(nn.Module):
    """Convex, with a slope of 2."""

    def forward(self, s):
        return 2.0 * s.relu()


def trained(steps=60, **options):
    torch.manual_seed(0)
    model = ICNN(6, [16] * 4, 3, **{"carrier": True, **options})
    x, y = torch.randn(64, 6), torch.randint(0, 3, (64,))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    project_after_step(optimizer, model)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, x


@pytest.mark.parametrize(("carrier", "low"), [(True, -0.03), (0.2, -0.2)])
def test_training_keeps_its_weights_above_the_bound_and_the_last_ones_free(carrier, low):
    model, x = trained(carrier=carrier)
    smallest = [float(layer.weight.detach().min()) for layer in model.layers[1:]]
    assert smallest[:-1] == pytest.approx([low] * 3)
    assert smallest[-1] < low
    convex = model.convex_form(x)
    assert certify(convex, x)
    assert convex.measured.error < 1e-4
    assert max(convex.measured.row_sums[:-1]) < 16 * -low + max(
        float(layer.weight.detach().sum(1).max()) for layer in model.layers[1:-1]
    )


def test_it_starts_as_an_isometry_that_is_convex_as_it_is():
    model, x = trained(steps=0)
    assert torch.equal(model.layers[1].weight @ model.layers[1].weight.T, torch.eye(16))
    assert certify(model, x)


def test_a_certificate_of_the_network_that_trains_says_what_is_convex():
    model, x = trained()
    certificate = certify(model, x)
    assert certificate.verdict != "convex"
    assert "convex up to a shift that they have in common" in str(certificate)
    assert "common" not in str(certify(ICNN(6, [16], 3, positivity=None), x))


@pytest.mark.parametrize("again", ["apply_", "constrain_", "deepcopy", "pickle", "load_state_dict"])
def test_the_bound_stays(again):
    model, _ = trained(carrier=0.2)
    if again in ("deepcopy", "pickle"):
        model = copy.deepcopy(model) if again == "deepcopy" else pickle.loads(pickle.dumps(model))
    elif again == "load_state_dict":
        state = model.state_dict()
        model = ICNN(6, [16] * 4, 3, carrier=0.2)
        model.load_state_dict(state)
    else:
        {"apply_": apply_, "constrain_": constrain_}[again](model)
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.fill_(-1.0)
    project_(model)
    assert [float(layer.weight.detach().min()) for layer in model.layers] == pytest.approx([-1.0, *[-0.2] * 3, -1.0])
    assert [(each.path, each.low) for each in plan(model).kept] == [(f"layers.{k}", -0.2) for k in (1, 2, 3)]


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        (1, {}, "one output is no softmax"),
        (3, {"skip": True}, "skip=True brings the input"),
        (3, {"positivity": "exp"}, "positivity must be 'projection'"),
        (3, {"positivity": None}, "positivity must be 'projection'"),
        (3, {"method": "log_normal"}, "method 'log_normal' makes networks of non-negative"),
        (3, {"carrier": -0.1}, "carrier must be at least 0"),
        (3, {"carrier": float("nan")}, "carrier must be"),
        (3, {"activation": Steep()}, "slope of 2"),
    ],
)
def test_what_does_not_go_with_a_carrier(outputs, options, message):
    with pytest.raises(ValueError, match=message):
        ICNN(4, [8], outputs, **{"carrier": True, **options})


def test_a_layer_takes_no_map_beside_a_carrier():
    with pytest.raises(ValueError, match="positivity must be 'projection'"):
        ConvexLinear(4, 4, carrier=0.1, positivity="exp")


def layers_beside_a_carrier(outputs, *more):
    torch.manual_seed(0)
    middle, last = ConvexLinear(8, 8, carrier=0.1), ConvexLinear(8, outputs, carrier=float("inf"))
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), middle, nn.ReLU(), last, *more)


class First(nn.Module):
    """One of several outputs, by itself."""

    def forward(self, x):
        return x[:, 0]


class Potential(nn.Module):
    """A function with a method for its one value."""

    def __init__(self):
        super().__init__()
        self.net = layers_beside_a_carrier(1)

    def forward(self, x):
        return self.net(x)

    def energy(self, x):
        return self.net(x).sum()


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: layers_beside_a_carrier(1), {}, "one output is no softmax"),
        (lambda: layers_beside_a_carrier(1), {"targets": torch.linspace(0.0, 1.0, 64)[:, None]}, "regression"),
        (lambda: layers_beside_a_carrier(1, nn.Flatten(0)), {}, "one output is no softmax"),
        (lambda: layers_beside_a_carrier(3, First()), {}, "one output is no softmax"),
        (Potential, {"entry": "energy"}, "potential"),
        (lambda: layers_beside_a_carrier(3, nn.Sigmoid()), {}, "a sigmoid sees the shift"),
        (lambda: layers_beside_a_carrier(3, nn.LogSigmoid(), nn.Flatten()), {}, "a sigmoid sees the shift"),
    ],
    ids=["one", "targets", "flat", "one of three", "energy", "sigmoid", "log sigmoid"],
)
def test_layers_beside_a_carrier_are_for_a_softmax_only(make, options, message):
    model, x = make(), torch.randn(64, 5)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=rf"nothing was written: '(net\.)?2', '(net\.)?4': .*{message}"):
        apply_(model, x, **options)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_layers_beside_a_carrier_with_several_outputs_are_planned(batch):
    for model in (layers_beside_a_carrier(3), layers_beside_a_carrier(3, nn.Softmax(1))):
        assert len(plan(model, torch.randn(batch, 5)).layers) == 3
    assert len(plan(layers_beside_a_carrier(3)).layers) == 3
