"""A traced graph is the model: evaluated node by node, it has the numbers that the model makes."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from tests.torch.certified_models import CONVEX, NOT_CONVEX
from tests.torch.random_graphs.graph import RandomGraph
from tests.torch.random_graphs.pieces import CONTEXT, WIDTH
from tests.torch.test_certificate_idioms import CONVEX as IDIOMS
from tests.torch.trace.evaluate import Evaluated
from tests.torch.trace.lines import FAMILIES, Line
from tests.torch.zoo import ZOO
from tests.torch.zoo.cases import initialised

LINES = {f"{family}: {name}": line for family, lines in FAMILIES.items() for name, line in lines.items()}
MODELS = {**CONVEX, **{name: make for name, (make, _) in NOT_CONVEX.items()}}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", LINES)
def test_lines_of_each_family(name):
    assert Evaluated(Line(LINES[name]), (torch.randn(3, 4),)).computed > 0


@pytest.mark.parametrize("name", IDIOMS)
def test_what_people_write(name):
    assert Evaluated(Line(IDIOMS[name]), (torch.randn(3, 4),)).computed > 0


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    model, inputs, _ = MODELS[name]()
    assert Evaluated(model, inputs if isinstance(inputs, tuple) else (inputs,)).computed > 0


@pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")
@pytest.mark.parametrize("name", ZOO)
def test_models_of_the_zoo(name):
    model, inputs, _ = initialised(name, min(ZOO[name].depths), count=4)
    args = (inputs if isinstance(inputs, tuple) else (inputs,)) if not isinstance(inputs, dict) else ()
    kwargs = inputs if isinstance(inputs, dict) else {}
    entry = getattr(model, ZOO[name].entry)
    entry(*args, **kwargs)  # some set themselves by the first batch
    assert Evaluated(model, args, kwargs, entry).computed > 0


@pytest.mark.filterwarnings("ignore")  # of torch, for what random graphs do
def test_random_graphs():
    computed = 0
    for number in range(200):
        graph = RandomGraph(random.Random(number), number % 2 == 0)
        x, y = (torch.randn(2, width, dtype=torch.float64) for width in (WIDTH, CONTEXT))
        computed += Evaluated(graph, (x, graph.context(y))).computed
    assert computed > 2000


def test_the_check_sees_a_wrong_graph():
    class Doubled(nn.Module):
        def forward(self, x):
            return x.relu()

    found = Evaluated(Doubled(), (torch.randn(3, 4),))
    node = found.graph.outputs["output"]
    found.seen[node.place] = found.seen[node.place] * 2
    with pytest.raises(AssertionError):
        found.value(node)
