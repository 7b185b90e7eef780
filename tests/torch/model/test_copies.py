"""Copies of models that ``copy.deepcopy`` refuses, or answers with something else."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import convex_init.torch as ci
from convex_init.torch.model.copies import copied, make_finite


class KeepsAnActivation(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.last = self.layer(torch.randn(4, 3))  # part of a graph: deepcopy raises

    def forward(self, x):
        self.last = self.layer(x)
        return self.last


class HoldsALock(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.lock = nn.Linear(3, 2), threading.Lock()

    def forward(self, x):
        with self.lock:
            return self.layer(x)


class CopiesItselfAsItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(3, 2), 0

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


def _pruned():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    return model


def _tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


MODELS = {
    "keeps an activation": KeepsAnActivation,
    "holds a lock": HoldsALock,
    "copies itself as itself": CopiesItselfAsItself,
    "pruned": _pruned,
    "tied": _tied,
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 2)),
    "old weight norm": lambda: nn.utils.weight_norm(nn.Linear(3, 2)),
    "ours": lambda: ci.ICNN(3, [4, 4], 2, positivity="softplus", skip=True),
    "recurrent": lambda: nn.GRU(3, 2),
}
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_does_the_same_with_tensors_of_its_own(name):
    model, x = MODELS[name](), torch.randn(5, 3)
    attributes = {path: dict(vars(module)) for path, module in model.named_modules()}
    made = copied(model)
    ours, theirs = model.state_dict(), made.state_dict()
    assert ours.keys() == theirs.keys()
    assert not {t.data_ptr() for t in ours.values()} & {t.data_ptr() for t in theirs.values()}
    assert len({*made.parameters()}) == len({*model.parameters()})
    expected, found = model(x), made(x)
    if isinstance(expected, tuple):
        expected, found = expected[0], found[0]
    assert torch.equal(expected, found)
    copied(model)(x)
    for path, module in model.named_modules():
        same = {key: value for key, value in attributes[path].items() if key not in ("last", "weight", "calls")}
        assert same.items() <= vars(module).items()


def test_a_run_of_the_copy_leaves_the_counters_of_the_model():
    model = CopiesItselfAsItself()
    copied(model)(torch.randn(2, 3))
    assert model.calls == 0


def test_shared_parameters_are_those_of_the_model():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    made = copied(model, share=[model[0].weight])
    assert made[0].weight is model[0].weight
    assert made[0].bias is not model[0].bias
    made.train()(torch.randn(8, 3))
    assert model[1].num_batches_tracked == 0


def test_a_copy_on_meta_has_shapes_only():
    made = copied(_tied(), on_meta=True)
    assert {parameter.device.type for parameter in made.parameters()} == {"meta"}
    assert made[2].weight is made[0].weight
    assert made(torch.empty(5, 3, device="meta")).shape == (5, 3)


def test_broken_numbers_become_finite_in_the_copy_alone():
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
    made = make_finite(copied(model))
    assert bool(torch.isfinite(made.weight).all())
    assert bool(torch.isnan(model.weight[0, 0]))


def test_a_graph_module_is_copied_as_the_class_that_it_is():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    traced, x = torch.fx.symbolic_trace(ci.apply_(model)), torch.randn(5, 3)
    assert torch.equal(copied(traced)(x), traced(x))
    assert ci.certify(traced, x)
    assert len(ci.plan(traced, x).layers) == 2
