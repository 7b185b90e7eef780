"""A second run of a model, to look at its values: it sees what a recording sees, and leaves nothing behind."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from convex_init.torch.trace import look, trace
from tests.torch.trace.models import Skip


class InPlace(nn.Module):
    def forward(self, x):
        z = torch.relu(x)
        z[:, :1] += 1.0
        return z * 2.0


class TwoResults(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        top, place = x.topk(2, dim=1)
        return a.exp() + b + top.mul_(2.0), place


class Differentiates(nn.Module):
    def forward(self, x):
        with torch.enable_grad():
            x = x.requires_grad_()
            return torch.autograd.grad((x.exp() + x).sum(), x)[0]


RUNS_AGAIN = {
    "skips": (Skip(3), torch.randn(2, 8)),
    "written in place": (InPlace(), torch.randn(2, 4)),
    "several results": (TwoResults(), torch.randn(2, 4)),
    "differentiates": (Differentiates(), torch.randn(2, 4)),
    "layers twice": (nn.Sequential(*[nn.Linear(4, 4), nn.ReLU()] * 2), torch.randn(2, 4)),
    "recurrent": (nn.GRU(4, 3, batch_first=True), torch.randn(2, 5, 4)),
}


@pytest.mark.parametrize("name", RUNS_AGAIN)
@pytest.mark.parametrize("change", [None, 0.5])
def test_a_look_sees_in_each_place_what_a_recording_sees(name, change):
    model, x = RUNS_AGAIN[name]
    change = None if name == "differentiates" else change  # torch refuses to go on with other numbers
    graph = trace(model, (x,), {})
    for node in [node for node in graph if not node.is_fixed]:
        shown = [], []
        for run, seen, how in ((trace, shown[0], {}), (look, shown[1], {"graph": graph})):

            def visit(place, tensor, seen=seen):
                seen.append((place, tensor.detach().clone()))
                return None if change is None or not tensor.is_floating_point() else torch.full_like(tensor, change)

            run(model, (x,), {}, visit=visit, places={node.place, graph.nodes[-1].place}, **how)
        assert [place for place, _ in shown[0]] == [place for place, _ in shown[1]]
        for (_, recorded), (_, looked) in zip(*shown, strict=True):
            torch.testing.assert_close(recorded, looked)


def test_a_look_records_nothing_where_places_are_results_of_operations(monkeypatch):
    model, x = RUNS_AGAIN["skips"]
    graph = trace(model, (x,), {})
    monkeypatch.setattr("convex_init.torch.trace.tracer.Recorder", None)
    seen = []
    look(model, (x,), {}, graph=graph, visit=lambda place, tensor: seen.append(place), places={graph.nodes[-1].place})
    assert seen == [graph.nodes[-1].place]


def test_a_run_leaves_nothing_to_the_garbage_collector():
    model, x = RUNS_AGAIN["skips"]
    made = []
    model.register_forward_hook(lambda module, args, output: made.append(weakref.ref(output)))
    enabled = gc.isenabled()
    gc.disable()
    try:
        graph = trace(model, (x,), {})
        kept = weakref.ref(graph)
        del graph
        assert kept() is None
        assert made[-1]() is None
    finally:
        model._forward_hooks.clear()
        if enabled:
            gc.enable()
