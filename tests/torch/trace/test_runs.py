"""Runs: places, visits, courses, doubts, names of inputs and outputs, meta tensors, and what a run costs."""

from __future__ import annotations

import time
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from convex_init.torch.model.copies import copied
from convex_init.torch.trace import same_course, trace
from tests.torch.trace.models import Skip


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def traced(function, *inputs):
    return trace(Function(function), inputs or (torch.randn(3, 4),), {})


# Places and visits


def test_places_are_those_of_the_modules_and_the_same_in_another_run():
    model = Skip(3)
    first, second = (trace(model, (torch.randn(2, 8),), {}) for _ in range(2))
    assert [node.place for node in first] == [node.place for node in second]
    assert len({node.place for node in first}) == len(first.nodes)
    contracts = [node.place for node in first if node.name == "contract"]
    assert [(place.operation, place.module) for place in contracts[:2]] == [
        ("addmm", "onward.0"),
        ("addmm", "inward.0"),
    ]
    assert [node.place.ordinal for node in first if node.name == "relu"] == [0, 1, 2]


def test_a_visit_sees_the_numbers_and_what_it_returns_is_what_follows():
    model, x = Skip(3), torch.randn(2, 8)
    places = [node.place for node in trace(model, (x,), {}) if node.name == "relu"]
    seen = []

    def visit(place, tensor):
        seen.append((place, tensor.clone()))
        return torch.full_like(tensor, 2.0) if place == places[1] else None

    trace(model, (x,), {}, visit=visit, places=places)
    assert [place for place, _ in seen] == places
    with torch.no_grad():
        z = torch.relu(model.onward[0](x) + model.inward[0](x))
        torch.testing.assert_close(seen[0][1], z)
        torch.testing.assert_close(
            seen[2][1], torch.relu(model.onward[2](torch.full((2, 8), 2.0)) + model.inward[2](x))
        )


@pytest.mark.parametrize("view", ["t", "detach", "flatten", "expand_as"])
def test_numbers_that_change_behind_a_view_are_seen_when_it_is_used(view):
    numbers = np.ones((3, 3), np.float32)

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("w", torch.from_numpy(numbers))

        def forward(self, x):
            w = self.w.expand_as(self.w) if view == "expand_as" else getattr(self.w, view)()
            numbers[:] = -1.0
            y = x * w.reshape(3, 3)
            numbers[:] = 1.0
            return y

    graph = trace(Shared(), (torch.randn(3, 3),), {})
    assert any("behind torch's back" in doubt for doubt in graph.doubts), graph.doubts


def test_the_model_runs_through_its_hooks():
    model = nn.Sequential(nn.ReLU())
    model.register_forward_hook(lambda module, args, output: -output)
    assert trace(model, (torch.randn(2, 3),), {}).outputs["output"].name == "negate"
    assert trace(model, (torch.randn(2, 3),), {}, model.forward).outputs["output"].name == "relu"


def test_a_copy_of_a_compiled_model_keeps_its_hooks():
    model = torch.compile(nn.Sequential(nn.Linear(3, 2)))
    model.register_forward_hook(lambda module, args, output: -output)
    graph = trace(copied(model), (torch.randn(2, 3),), {})
    assert graph.outputs["output"].name == "negate"
    assert {node.params["name"] for node in graph if node.name == "parameter"} == {"0.weight", "0.bias"}


def test_inputs_are_left_alone():
    x = torch.ones(2, 3)
    traced(lambda x: x.neg_(), x)
    assert bool((x == 1.0).all())


def test_a_model_that_differentiates_inside_gets_gradients():
    graph = traced(lambda x: torch.autograd.grad(x.requires_grad_().square().sum(), x)[0])
    assert graph.outputs["output"].shape == (3, 4)


# Courses


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x.relu(), lambda x: x.abs()),
        (lambda x: x * 2.0, lambda x: x * 3.0),
        (lambda x: x.roll(1), lambda x: x.roll(2)),
        (lambda x: x.sum(0), lambda x: x.sum(1)),
        (lambda x: x * torch.tensor([1.0, 2, 3, 4]), lambda x: x * torch.tensor([1.0, 2, 3, 5])),
        (lambda x: x - x.exp(), lambda x: x.exp() - x),
        (lambda x: (x, -x), lambda x: x.neg()),
    ],
)
def test_runs_that_did_different_things(one, other):
    assert same_course(traced(one), traced(one))
    assert not same_course(traced(one), traced(other))


# Doubts


def of_two(x, condition):
    return x.abs() if condition else -x.abs()


DOUBTED = {
    "a number": lambda x: of_two(x, x.sum() > 0),
    "a size": lambda x: of_two(x, x[x > 2].numel()),
    "nonzero": lambda x: of_two(x, len(x.nonzero())),
    "unique": lambda x: of_two(x, x.round().unique().numel() > 5),
    "bincount": lambda x: of_two(x, len(torch.bincount(x.abs().long().flatten())) > 3),
    "repeats": lambda x: of_two(x, torch.ones(1).repeat_interleave((x.sum() > 5).long().reshape(1)).numel()),
    "sparse": lambda x: of_two(x, x.relu().to_sparse()._nnz() > 3),
    "finite intermediate": lambda x: of_two(x, torch.isfinite(x.exp()).all()),
    "nan intermediate": lambda x: of_two(x, (x - 9).log().isnan().any()),
    "unequal to itself": lambda x: of_two(x, (x.sqrt() != x.sqrt()).any()),
    "overflow of a cast": lambda x: of_two(x, torch.isfinite(x.half()).all()),
    "an error": lambda x: fails(x),
    "text": lambda x: of_two(x, "9" in str(x)),
    "text of a number": lambda x: of_two(x, "9" in f"{x.sum()}"),
    "a list": lambda x: of_two(x, x.tolist()[0][0] > 0),
    "dlpack": lambda x: torch.from_dlpack(x.abs()),
}


def fails(x):
    try:
        return x.abs() + torch.linalg.cholesky(torch.eye(4) * x.sum())[0]
    except RuntimeError:
        return -x.abs()


@pytest.mark.parametrize("name", DOUBTED)
def test_what_looks_at_numbers_is_doubted(name):
    assert traced(DOUBTED[name]).doubts


@pytest.mark.parametrize(
    "function",
    [
        lambda x: of_two(x, torch.isfinite(x).all()),
        lambda x: of_two(x, not x.isnan().any()),
        lambda x: of_two(x, (x == x).all()),
        lambda x: of_two(x, torch.ones(3).sum() > 0),
        lambda x: x[torch.tensor([True, False, True])],
        lambda x: x * (x > 0),
    ],
)
def test_what_does_not_is_not(function):
    assert traced(function).doubts == []


# Inputs and outputs

Pair = namedtuple("Pair", ["a", "b"])


@dataclass
class Answer:
    energy: torch.Tensor
    place: torch.Tensor


def test_names_of_inputs_and_outputs():
    x = torch.randn(2)
    graph = trace(
        Function(lambda pair, batch, t: {"sum": [pair.a + batch["x"]], "rest": Answer(t, pair.b)}),
        (Pair(x, x), {"x": x}),
        {"t": torch.arange(2)},
    )
    assert list(graph.inputs) == ["0.0", "0.1", "1.x"]
    assert list(graph.outputs) == ["output.sum.0", "output.rest.energy", "output.rest.place"]
    assert graph.floating == ["output.sum.0", "output.rest.place"]
    context = [node for node in graph if node.name == "input" and node not in graph.inputs.values()]
    assert [(node.params["name"], node.dtype) for node in context] == [("t", "int64")]


def test_names_do_not_clash():
    graph = traced(lambda x: {"a.b": -x, "a": {"b": x}})
    assert [node.name for node in graph.outputs.values()] == ["negate", "input"]
    assert any("two outputs are called" in doubt for doubt in traced(lambda x: {0: -x, "0": x}).doubts)
    x = torch.ones(2)
    with pytest.raises(ValueError, match="two inputs are called"):
        traced(lambda tree: tree[0], {0: x, "0": x})


class Slots:
    __slots__ = ("y",)

    def __init__(self, y):
        self.y = y


@pytest.mark.parametrize("kind", [Slots, lambda y: SimpleNamespace(y=y), lambda y: SimpleNamespace(y=Slots(y))])
def test_tensors_inside_objects_are_context_as_inputs_and_doubted_as_outputs(kind):
    def forward(x, held):
        inner = held.y
        return x * (inner if isinstance(inner, torch.Tensor) else inner.y)

    graph = traced(forward, torch.randn(3), kind(torch.ones(3)))
    factor = graph.outputs["output"].inputs[1]
    assert (factor.name, factor.is_fixed) == ("input", False)
    assert factor not in graph.inputs.values()
    assert any("holds tensors that are not looked at" in doubt for doubt in traced(lambda x: (x, kind(x))).doubts)


# Meta tensors and cost


def test_a_model_without_numbers():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1)).to("meta").eval()
    graph = trace(model, (torch.randn(2, 4, device="meta"),), {})
    numbered = model.to_empty(device="cpu")
    numbered[1].running_var.fill_(1.0)
    real = trace(numbered, (torch.randn(2, 4),), {})
    assert [(node.name, node.shape) for node in graph] == [(node.name, node.shape) for node in real]
    assert [node.name for node in graph if not node.is_fixed][-4:] == ["batch_norm", "relu", "contract", "add"]
    assert all(node.bounds is None for node in graph if node.parameters)


def test_writes_are_seen_on_meta_tensors():
    def forward(x):
        y = x.exp()
        y[:, 1:].neg_()
        return y

    node = trace(Function(forward), (torch.randn(2, 4, device="meta"),), {}).outputs["output"]
    assert [part.name for part in node.inputs] == ["exp", "negate"]


def test_the_cost_is_linear():
    def seconds(depth):
        model, x, best = Skip(depth), torch.randn(2, 8), float("inf")
        for _ in range(3):
            start = time.process_time()
            graph = trace(model, (x,), {})
            best = min(best, time.process_time() - start)
        assert len(graph.nodes) == 1 + 12 * depth
        return best

    assert seconds(1000) < 20 * seconds(100)  # 10 times, with room for noise; quadratic would be 100 times
