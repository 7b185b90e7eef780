"""The benchmark of the field: its stack, its starts, its rates and the numbers of its page."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from convex_init.torch import plan
from convex_init_core.methods.choice.rates import positive_rate
from experiments.experiment import Context
from experiments.field.cells import runs
from experiments.field.forms import FORMS
from experiments.field.kinds import kind_rows, use_rows
from experiments.field.networks import MAPS, Shape
from experiments.field.objectives import ROUNDS, SHARE, STRONGLY, energy_minimum, labels, likelihood
from experiments.field.ratios import cells, ratio, steps_saved, tally
from experiments.field.stack import Stack, StackedAdam
from experiments.field.starts import METHODS, built
from experiments.field.tasks import HELD_OUT, TASKS, TUNE
from experiments.field.tasks.control import SYSTEMS, _costs
from experiments.field.tasks.dynamics import SYSTEMS as STEERED
from experiments.field.tasks.dynamics import cheapest
from experiments.field.tasks.flows import CURVES, _log_density
from experiments.field.tasks.task import Data
from experiments.field.training import BEYOND, GRID, Schedule, explored

SHAPE = Shape(3, 1, 5, 3, skip=True)
SHAPES = [
    *(replace(SHAPE, positivity=each) for each in MAPS),
    replace(SHAPE, skip=False, activation="elu"),
    replace(SHAPE, quadratic=True, activation="softplus", outputs=2),
    replace(SHAPE, inputs=16, form="convolutional", positivity="softplus/fan_in"),
    replace(SHAPE, inputs=16, form="convolutional", outputs=4, skip=False),
    replace(SHAPE, inputs=7, form="partial", decisions=3, positivity="softplus/fan_in"),
    replace(SHAPE, inputs=7, form="partial", decisions=3, skip=False),
]


def networks(shape, count=3):
    torch.manual_seed(0)
    return [FORMS[shape.form](shape) for _ in range(count)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_stack_is_its_networks(shape):
    each = networks(shape)
    x = torch.randn(3, 7, shape.inputs)
    stack = Stack(each)
    expected = torch.stack([network(part) for network, part in zip(each, x, strict=True)])
    torch.testing.assert_close(stack(x), expected)
    torch.testing.assert_close(stack.one(1, x[1]), expected[1])


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_stack_takes_adam_s_steps_at_each_network_s_rate_and_share(share):
    each = networks(SHAPE)
    rates = (1e-2, 1e-2, 1e-1)
    stack, x = Stack(each), torch.randn(3, 7, 3)
    together = StackedAdam(stack, rates, positive_share=share)
    alone = [
        torch.optim.Adam(
            [
                {"params": [layer.weight for layer in network.linears(free=False)], "lr": 0.5 * share * rate},
                {"params": [*network.linears(free=True)[0].parameters()]},
                {"params": [layer.weight for layer in network.linears(free=True)[1:]]},
                {"params": [layer.bias for layer in network.linears(free=False)]},
            ],
            lr=0.5 * rate,
        )
        for network, rate in zip(each, rates, strict=True)
    ]
    for _ in range(3):
        stack(x).square().sum().backward()
        together.step(0.5)
        stack.clamp()
        for network, optimizer, part in zip(each, alone, x, strict=True):
            optimizer.zero_grad()
            network(part).square().sum().backward()
            optimizer.step()
            for layer in network.linears(free=False):
                layer.weight.data.clamp_(min=0.0)
    expected = torch.stack([network(part) for network, part in zip(each, x, strict=True)])
    torch.testing.assert_close(stack(x), expected)


@pytest.mark.parametrize("name", METHODS)
def test_every_start_is_drawn_again_from_its_seed_and_is_convex(name):
    method = METHODS[name]
    shape = replace(SHAPE, width=32, positivity=method.positivity, quadratic=method.where.get("quadratic", False))
    shape = replace(shape, skip=method.where.get("skip", True))
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    targets = x if method.start == "gaussian" else x.square().sum(-1, keepdim=True)
    first, again = (built(shape, method, x, targets, seed=3) for _ in range(2))
    torch.testing.assert_close(first(x), again(x), rtol=0.0, atol=0.0)
    middle, ends = first(0.5 * (x[:150] + x[150:])), 0.5 * (first(x[:150]) + first(x[150:]))
    worst = float(((middle - ends).max() / ends.abs().max()).detach())
    assert (worst <= 1e-6) == (name != "non-convex, He")


def test_the_gaussian_map_maps_the_moments():
    generator = torch.Generator().manual_seed(0)
    x, root = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4000, 3), (3, 3)))
    y = x @ (root @ root.T) + 2.0
    shape = replace(SHAPE, quadratic=True, activation="softplus")
    network = built(shape, METHODS["Gaussian map"], x, y, 0)
    x.requires_grad_()
    (found,) = torch.autograd.grad(network(x).sum(), x)
    assert float((found - y).square().mean() / y.var()) < 1e-3  # what the rest of the network adds


def _record(method, skip, depth, error):
    settings = {"task": "any", "width": 8, "depth": depth, "skip": skip, "activation": "relu", "method": method}
    return {"settings": settings, "results": {"test": [error]}}


@pytest.mark.parametrize(("skip", "depth", "due"), [(True, 3, 0.1), (True, 2, 0.2), (False, 3, 0.2)])
def test_auto_at_its_rates_is_the_row_with_the_share_that_a_plan_advises(skip, depth, due):
    rows = [_record("auto", skip, depth, 0.2), _record("auto, positive rate 0.3", skip, depth, 0.1)]
    (found,) = cells(rows).values()
    assert found["auto, its rates"]["results"]["test"] == [due]
    assert found["auto, its rates"]["settings"]["method"] == "auto, its rates"
    assert "auto, targets, its rates" not in found
    (without,) = cells(rows[:1]).values()
    assert ("auto, its rates" in without) == (due == 0.2)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(
    ("form", "depth"),
    [*itertools.product(["dense", "quadratic", "convolutional"], [2, 3]), ("partial", 2)],  # partial ones have no more
)
def test_that_row_is_what_a_plan_advises_for_the_networks_of_the_benchmark(form, skip, depth):
    shape = replace(SHAPE, inputs=16, depth=depth, skip=skip, quadratic=form == "quadratic")
    shape = replace(shape, form="dense" if form == "quadratic" else form, decisions=5 if form == "partial" else 0)
    inputs = {"convex_inputs": {"x": slice(0, 5)}} if form == "partial" else {}
    made = plan(FORMS[shape.form](shape), torch.randn(64, 16), **inputs)
    assert bool(made.rates) == (positive_rate(depth, depth if skip else 0) != 1.0)


@pytest.mark.parametrize("best", [3e-2, 1e-4, 1.0])
def test_the_grid_is_extended_until_the_best_rate_is_inside(best, monkeypatch):
    tried = []

    def course(task, shape, method, pairs, schedule, data):
        from experiments.field.training import Course

        tried.extend(rate for rate, _ in pairs)
        found = torch.tensor([[abs(math.log(rate / best))] for rate, _ in pairs])
        return Course(found, found, None)

    monkeypatch.setattr("experiments.field.training.trained", course)
    task = TASKS["log-sum-exp, 4 inputs"]
    found = explored(task, SHAPE, METHODS["default"], range(3), Schedule(1, 1), Data((0, 1, 2), (), (), (), None))
    assert found["rate"] == best
    place = BEYOND.index(best)
    assert {*GRID, *BEYOND[max(place - 1, 0) : place + 2]} <= set(tried)
    assert len(found["test"]) == 3


@pytest.mark.parametrize("name", TASKS)
def test_data_of_a_task(name, shared_data, tmp_path):
    if name == "Tox21":
        pytest.importorskip("rdkit")
        pytest.importorskip("sklearn")
    task = TASKS[name]
    first, again = (task.draw(1, Context(shared_data, tmp_path)) for _ in range(2))
    for part, same in zip((*first.train, *first.test), (*again.train, *again.test), strict=True):
        torch.testing.assert_close(part, same, rtol=0.0, atol=0.0, equal_nan=name == "Tox21")  # labels not known
        assert not bool(part.isinf().any())
    if "raw" not in name and task.objective == "value":
        assert float(first.train[1].mean()) == pytest.approx(0.0, abs=0.05)
        assert float(first.train[1].std()) == pytest.approx(1.0, abs=0.1)


def test_tasks_are_in_one_half_each_and_every_group_in_both():
    halves = [{task.name for task in half} for half in (TUNE, HELD_OUT)]
    assert not halves[0] & halves[1]
    groups = [{task.group for task in half} for half in (TUNE, HELD_OUT)]
    assert groups[0] == groups[1]


@pytest.mark.parametrize("name", CURVES)
def test_the_density_of_a_curve_integrates_to_one(name, tmp_path):
    drawn = TASKS[name].draw(0, Context(None, tmp_path))
    axis = torch.linspace(-3.0, 3.0, 101, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    assert float(_log_density(plane, CURVES[name]).exp().sum()) * 0.06**2 == pytest.approx(1.0, abs=1e-3)
    x, _, known = drawn.test
    torch.testing.assert_close(known[:, 0].double(), _log_density(x.double(), CURVES[name]), rtol=0.0, atol=1e-4)


def test_the_likelihood_is_that_of_a_normal_density_whose_flow_is_known():
    """P x, with P² the inverse of a covariance, maps to the standard normal density."""
    root = torch.tensor([[1.5, 0.4], [0.4, 0.8]], dtype=torch.float64)
    matrix = root - STRONGLY * torch.eye(2, dtype=torch.float64)
    x = torch.randn(1, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    known = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), precision_matrix=root @ root)
    batch = (x, x, known.log_prob(x[0])[None, :, None])

    def potential(points):
        return 0.5 * torch.einsum("nbi,ij,nbj->nb", points, matrix, points)[..., None]

    assert float(likelihood(potential, batch).detach()) == pytest.approx(0.0, abs=1e-12)
    assert float(likelihood(lambda points: 0.5 * potential(points), batch).detach()) > 0.05


def test_labels_are_the_minimum_of_their_energy_less_entropy():
    """Of an energy that is linear in the labels, whose minimum is sigmoid(−slope); what is not known does not count."""
    slope = torch.tensor([2.0, -1.0])
    x = torch.rand(1, 4, 5)

    def energy(inputs):
        return (inputs[..., :2] * slope).sum(-1, keepdim=True)

    logits = energy_minimum(energy, x, 2)
    left = (1.0 - SHARE) ** ROUNDS
    torch.testing.assert_close(logits, -(1.0 - left) * slope.expand(1, 4, 2))
    y = torch.tensor([[[1.0, math.nan]]]).expand(1, 4, 2)
    assert float(labels(energy, (x, y)).detach()) == pytest.approx(math.log1p(math.exp(2.0 * (1.0 - left))), rel=1e-5)


@pytest.mark.parametrize(("name", "slack"), [("building", 1e-12), ("pendulum", 0.05)])
def test_the_cost_of_a_system_is_convex_in_its_inputs_and_its_best_inputs_are_found(name, slack):
    system = STEERED[name]
    generator = torch.Generator().manual_seed(0)
    drawn = 2.0 * torch.rand(3, 200, system.inputs + system.states, generator=generator, dtype=torch.float64) - 1.0
    (one, other, _), states = drawn[..., : system.inputs], drawn[2, :, system.inputs :]
    ends = 0.5 * (system.cost(one, states) + system.cost(other, states))
    middle = system.cost(0.5 * (one + other), states)
    assert float((middle - ends).max() / ends.std()) <= slack
    best = system.cost(cheapest(lambda u: system.cost(u, states), 200, system.inputs), states)
    assert bool((best <= torch.minimum(system.cost(one, states), system.cost(other, states)) + 1e-3).all())


def test_the_cost_to_go_is_that_of_the_best_inputs():
    """Without bounds that bind it is the Riccati equation's; and it is convex."""
    transition, push, spread = SYSTEMS["double integrator"]()
    matrix = 5.0 * torch.eye(2, dtype=torch.float64)
    for step in range(20):
        gain = push @ matrix @ transition / (0.1 + push @ matrix @ push)
        matrix = transition.T @ matrix @ (transition - torch.outer(push, gain))
        if step < 19:
            matrix = matrix + torch.eye(2, dtype=torch.float64)
    small = 0.05 * torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = small.square().sum(-1) + ((small @ matrix) * small).sum(-1)
    torch.testing.assert_close(_costs(small, transition, push), exact, rtol=1e-3, atol=0.0)
    wide = 20.0 * small * spread
    ends = _costs(wide, transition, push)
    middle = _costs(0.5 * (wide[:10] + wide[10:]), transition, push)
    assert bool((middle <= 0.5 * (ends[:10] + ends[10:]) * (1 + 1e-6)).all())


def record(test, courses=None, tested=(0, 10)):
    return {"results": {"test": test, "courses": courses or [[1.0, value] for value in test], "tested": list(tested)}}


def test_ratios_are_of_paired_seeds():
    found = ratio(record([0.2, 0.4, 0.8]), record([0.1, 0.2, 0.4]))
    assert (found.middle, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))
    assert ratio(record([1e-9]), record([1e-7])).middle == 1.0  # both solved
    assert ratio(record([None]), record([0.1])).middle > 1e6
    assert ratio(record([0.05, 0.1, 0.2]), record([0.1, 0.1, 0.1])).low < 1.0


def test_steps_until_the_default_s_last_error():
    default = record([0.5, 0.5])
    assert steps_saved(record([0.1, 0.1], [[1.0, 0.5, 0.1]] * 2, (0, 4, 10)), default) == 0.4
    assert math.isinf(steps_saved(record([0.6, 0.6]), default))


def test_a_tally_counts_noise_only_where_it_says_so():
    of = [ratio(record([value] * 2), record([1.0] * 2)) for value in (0.8, 0.95, 1.05, 1.5)]
    found = tally(of)
    assert (found.level, found.better, found.worse) == (0.5, 0.25, 0.25)


def test_a_preset_has_no_cell_twice():
    declared = [tuple(run.items()) for run in runs("cpu", {})]
    assert len(set(declared)) == len(declared)


def cell(**of):
    settings = {"task": "a", "group": "g", "half": "tune", "width": 8, "depth": 3, "skip": True, "activation": "relu"}
    methods = {}
    for name, (error, regret) in of.items():
        found = record([error] * 3, [[1.0, error]] * 3)
        found["results"]["regret"] = [regret] * 3
        methods[name] = found | {"settings": settings | {"quadratic": False}}
    return methods


def test_tables_by_kind_and_by_what_networks_are_for():
    rivals = dict.fromkeys(("U(0, 0.001)", "default behind softplus/fan_in"), (0.2, 0.05))
    found = cell(**{"default": (0.1, 0.4), "auto": (0.05, 0.3)} | rivals)
    head, rows = kind_rows([found, found], "auto")
    of = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert set(of) == {"g", "3 hidden layers", "width 8", "free skips", "standardised targets"}
    assert of["g"] == of["width 8"]
    assert (of["g"]["number"], of["g"]["mean ratio"], of["g"]["better by 10 %"]) == ("2", "0.50", "100 %")
    assert of["g"]["steps"] == "1.00"
    (row,) = use_rows([found], ["default", "auto"])[1]
    assert row[2:] == ("regret", "U(0, 0.001)", "0.050", "0.400", "0.300")  # its best rival, not that of the errors
