"""What the core reads from the graph of every model in the zoo: roles, fan-ins, activations, maps, neighbours."""

from __future__ import annotations

import re
import time

import pytest
import torch
from torch import nn

from convex_init.torch.trace.doubts.watches import modules_of
from convex_init_core.convexity.judge import judge
from convex_init_core.reading.fed_by import Feeding
from convex_init_core.reading.products_and_sums import read
from tests.torch.readings import reading_of, traced
from tests.torch.zoo import ZOO, unlike
from tests.torch.zoo.cases import cases

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


def path_of(model, source):
    """The path of a parameter's layer, or its own."""
    shown = re.sub(r"\.parametrizations\.(\w+)\.original0?$", r".\1", f".{source}").lstrip(".")
    owner, _, name = shown.rpartition(".")
    return owner if isinstance(dict(modules_of(model)).get(owner), LAYERS) and name in ("weight", "bias") else shown


class Read:
    """What a reading says of one weight."""

    def __init__(self, reading, model, source):
        def path(product):
            return path_of(model, product.source)

        uses = [(found, term) for found in reading.sums for term in found.terms if term.product.source == source]
        beside_positive = [use for use in uses if use[0].positive]
        found, term = (beside_positive or uses)[0]
        positive = [each.product for each in found.positive]
        product = term.product
        self.role = "positive" if product.positive else "skip" if positive else "free"
        self.fan_in = product.fan_in
        self.beside = {path(other) for other in positive if other.source != source}
        self.fed = str(Feeding.of(reading.graph, reading.values).activation_behind(product.data))
        through = product.positivity
        if through is not None and term.factor.literal > 0.0:
            through = through.scaled(term.factor.literal)
        self.through = str(through) if through is not None else "projection" if product.positive else None
        names = [name for name, factor in found.biases if factor] or [found.fallback_bias]
        self.biases = {path_of(model, name) for name in names if name}


@pytest.mark.parametrize(("name", "depth"), cases())
def test_every_model_of_the_zoo(name, depth):
    if name == "clipped, both signs":
        pytest.skip("what its clamping method says of its weights is known to the planner, not to the reading")
    torch.manual_seed(0)
    entry = ZOO[name]
    model = entry.make(depth)
    reading = reading_of(model, entry.inputs(4), entry.convex_inputs, entry.entry)
    assert not reading.problems
    assert not reading.left
    for product in reading.products:  # as the planner does: a map that makes a weight non-negative is evidence
        product.positive = product.positive or product.positivity is not None
    sources = {path_of(model, product.source): product.source for product in reading.products}
    wanted = {row.path: row for row in entry.rows(depth)}
    assert set(sources) == set(wanted)
    for path, row in wanted.items():
        found = Read(reading, model, sources[path])
        assert (found.role, found.fan_in, found.through) == (row.role, row.fan_in, row.through), path
        assert found.beside == set(row.beside), path
        if row.fed is not None:
            assert found.fed.replace("None", "identity") == row.fed, path  # behind nothing at all, too
        if row.shift:
            assert row.shift in found.biases, path


def test_what_is_convex_but_not_read_is_a_problem_with_its_reason():
    entry = unlike.MODELS["rows of shares"]
    problems = reading_of(entry.make(3), entry.inputs(4)).problems
    assert problems
    reason = r"its weight is normalised by a value that is made of itself.*exclude="
    assert all(re.search(reason, why) for _, why in problems)


def test_free_weights_that_are_not_read_are_left():
    entry = unlike.MODELS["normed skips"]
    reading = reading_of(entry.make(3), entry.inputs(4))
    assert not reading.problems
    assert [source for source, _ in reading.left] == [f"x.{i}.parametrizations.weight.original1" for i in range(3)]
    assert all(re.search(r"its weight is made of .*weight_norm.*exclude=", why) for _, why in reading.left)


def test_all_layers_in_one_tensor():
    entry = unlike.MODELS["stacked"]
    found = reading_of(entry.make(3), entry.inputs(4))
    assert [(p.source, p.positive, p.fan_in) for p in found.products] == [
        ("A", False, 8),
        *[("W", True, 64), ("A", False, 8)] * 2,
    ]


def test_a_hundred_layers_are_read_in_no_time():
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(100)))
    graph = traced(model, torch.randn(2, 4), "forward")
    values = judge(graph)
    start = time.process_time()
    assert len(read(graph, values).sums) == 100
    assert time.process_time() - start < 0.5
