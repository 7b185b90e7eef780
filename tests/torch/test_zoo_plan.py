"""The plan of every model in the zoo, in full, and the refusal of what is no input-convex network."""

from __future__ import annotations

import pytest
import torch

import convex_init.torch as ci
from tests.torch.zoo import REFUSED, ZOO, unlike
from tests.torch.zoo.cases import cases

# Deep chains without skips are in the zoo, too.
pytestmark = pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("name", "depth"), cases())
def test_the_plan_in_full(name, depth):
    entry = ZOO[name]
    before = torch.get_rng_state()
    model, inputs = entry.make(depth), entry.inputs(32)
    after = torch.get_rng_state()
    plan = ci.plan(model, inputs, convex_inputs=entry.convex_inputs, entry=entry.entry)
    found = {layer.path: layer for layer in plan.layers}
    assert not torch.equal(before, after)
    assert torch.equal(after, torch.get_rng_state())  # reading draws nothing
    wanted = {row.path: row for row in entry.rows(depth)}
    assert {path: layer.role for path, layer in found.items()} == {path: row.role for path, row in wanted.items()}
    for path, row in wanted.items():
        layer = found[path]
        through = layer.recipe.positivity
        shown = (layer.recipe.statistics.fan_in, None if through is None else str(through), set(layer.beside))
        assert shown == (row.fan_in, row.through, set(row.beside)), path
        assert layer.shift_into == row.shift, path
        if row.fed is not None:
            assert str(layer.recipe.activation) == row.fed, path
        assert layer.reason


@pytest.mark.parametrize("name", ZOO)
def test_planning_leaves_the_model_as_it_was(name):
    entry = ZOO[name]
    model = entry.make(3 if 3 in entry.depths else entry.depths[0])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    ci.plan(model, entry.inputs(32), convex_inputs=entry.convex_inputs, entry=entry.entry)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_convex_is_refused_with_the_reason(name):
    make, in_plan, in_certificate = REFUSED[name]
    model, inputs = make()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="nothing was written") as refusal:
        ci.apply_(model, inputs)
    assert in_plan in str(refusal.value)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    certificate = ci.certify(model, inputs, search=False)
    assert not certificate
    assert in_certificate in str(certificate)


def test_what_is_convex_but_not_read_is_refused_with_a_remedy():
    entry = unlike.MODELS["rows of shares"]
    reason = r"'raw.0': its weight is normalised by a value that is made of itself.*exclude="
    model, inputs = entry.make(3), entry.inputs(32)
    assert ci.certify(model, inputs, search=False) or entry.tighten
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=reason):
        ci.apply_(model, inputs)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
