"""``NonNegProjection``: when it runs, before what, and how it ends."""

from __future__ import annotations

import gc

import pytest
import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, EMAHandler
from torch import nn
from torch.nn.utils import parametrizations, prune

from convex_init.ignite import ConvexityGuard, NonNegProjection
from convex_init.torch import ICNN, mark_projected, project_after_step, projected_parameters
from tests.ignite.training import data, least, network, trainer_for

STEPS = Events.ITERATION_COMPLETED


def test_without_it_weights_become_negative():
    model = network()
    trainer_for(model).run(data())
    assert least(model) < 0


def test_every_iteration_ends_without_negative_weights():
    model = network()
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer)
    seen = []
    trainer.add_event_handler(STEPS, lambda: seen.append(least(model)))
    trainer.run(data(), max_epochs=2)
    assert len(seen) == 24
    assert min(seen) == 0.0  # some weights were clamped, none is below


def test_it_does_what_the_optimizer_hook_does():
    model, twin = network(), network()
    trainer, other = trainer_for(model), trainer_for(twin)
    NonNegProjection(model).attach(trainer)
    project_after_step(other.optimizer, twin)
    trainer.run(data())
    other.run(data())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(
    "event", [STEPS, STEPS(every=1), STEPS(every=1) | Events.COMPLETED], ids=["plain", "filter", "list"]
)
@pytest.mark.parametrize("average_first", [True, False])
def test_it_runs_before_an_average_whatever_the_order_of_attaching(average_first, event):
    model = network()
    trainer = trainer_for(model)
    # Each average is momentum × weights alone, so it shows whether those were projected.
    average = EMAHandler(model, momentum=1 - 1e-9)
    if average_first:
        average.attach(trainer)
        NonNegProjection(model).attach(trainer, event)
    else:
        NonNegProjection(model).attach(trainer, event)
        average.attach(trainer)
    trainer.run(data())
    assert least(model) == 0.0
    assert least(average.ema_model) >= 0.0


def test_two_projections_both_run_before_an_average():
    first, second = network(), network()
    trainer, other = trainer_for(first), trainer_for(second)
    averages = [EMAHandler(model, momentum=1 - 1e-9) for model in (first, second)]
    for average, name in zip(averages, ("one", "two"), strict=True):
        average.attach(trainer, name)
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: other._process_function(engine, data(1)[0]))
    NonNegProjection(first).attach(trainer)
    NonNegProjection(second).attach(trainer)
    trainer.run(data())
    assert [least(average.ema_model) >= 0.0 for average in averages] == [True, True]


def test_a_filter_goes_with_accumulated_gradients():
    model = network()
    trainer = trainer_for(model, accumulate=4)
    calls = []
    NonNegProjection(model).attach(trainer, STEPS(every=4))
    trainer.add_event_handler(STEPS, lambda engine: calls.append((engine.state.iteration, least(model))))
    trainer.run(data(), max_epochs=4)
    assert all(low >= 0.0 for _, low in calls)  # weights change at the steps only, and those are followed


def test_a_filter_is_obeyed():
    model = network()
    trainer = trainer_for(model, lr=0.5)
    NonNegProjection(model).attach(trainer, STEPS(every=3))
    lows = {}
    trainer.add_event_handler(STEPS, lambda engine: lows.__setitem__(engine.state.iteration, least(model)))
    trainer.run(data())
    assert all(low >= 0.0 for iteration, low in lows.items() if iteration % 3 == 0)
    assert any(low < 0.0 for iteration, low in lows.items() if iteration % 3)


@pytest.mark.parametrize(
    "event", [STEPS, STEPS(every=2), STEPS | Events.EPOCH_COMPLETED], ids=["plain", "filter", "list"]
)
def test_the_handle_ends_it_also_when_the_handler_is_not_kept(event):
    model = network()
    trainer = trainer_for(model)
    average = EMAHandler(model)
    average.attach(trainer)
    handle = NonNegProjection(model).attach(trainer, event)
    gc.collect()
    trainer.run(data(2))
    assert least(model) >= 0.0
    handle.remove()
    trainer.run(data(), max_epochs=4)
    assert least(model) < 0.0
    NonNegProjection(model).attach(trainer, event)  # and it may be attached again


def test_attaching_projects_at_once():
    model = network()
    with torch.no_grad():
        model.layers[1].weight[0, 0] = -1.0
    NonNegProjection(model).attach(trainer_for(model))
    assert least(model) >= 0.0


@pytest.mark.parametrize("event", [STEPS, STEPS(every=2), Events.EPOCH_COMPLETED], ids=["plain", "filter", "epoch"])
def test_attaching_twice_is_an_error(event):
    model = network()
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer, event)
    with pytest.raises(ValueError, match=r"already attached.*remove its handle"):
        NonNegProjection(model).attach(trainer)
    with pytest.raises(ValueError, match="already attached"):
        NonNegProjection([model.layers[1].weight]).attach(trainer, event)
    NonNegProjection(model).attach(trainer_for(model))  # another engine is another matter


def test_tensors_may_be_given_instead():
    model = network()
    trainer = trainer_for(model)
    chosen = projected_parameters(model)["layers.1.weight"]
    NonNegProjection(iter([chosen])).attach(trainer)
    trainer.run(data(), max_epochs=3)
    assert chosen.amin().item() >= 0.0
    assert model.layers[2].weight.amin().item() < 0.0


@pytest.mark.parametrize(
    ("target", "error", "reason"),
    [
        ([], ValueError, "nothing to project"),
        (torch.zeros(2), TypeError, r"pass \[tensor\]"),
        (["layers.1.weight"], TypeError, "str"),
        (None, TypeError, "a model or tensors, got NoneType"),
        (3, TypeError, "got int"),
    ],
)
def test_targets_that_are_refused(target, error, reason):
    with pytest.raises(error, match=reason):
        NonNegProjection(target)


@pytest.mark.parametrize("handler", [NonNegProjection, ConvexityGuard])
@pytest.mark.parametrize("engine", [None, "trainer"])
def test_only_an_engine_is_attached_to(handler, engine):
    with pytest.raises(TypeError, match=r"engine must be an ignite\.engine\.Engine.*got (NoneType|str)"):
        handler(network()).attach(engine)


def test_a_layer_that_is_replaced_while_training_is_noticed():
    model = network()
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer)
    trainer.run(data(2))
    model.layers[1] = nn.Linear(8, 8)
    with pytest.raises(ValueError, match=r"layers\.1\.weight was marked.*replaced.*apply_\(model\)"):
        trainer.run(data(2), max_epochs=2)


def test_pruning_is_followed_and_weight_norm_refused():
    model = network()
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer)
    prune.l1_unstructured(model.layers[1], "weight", 0.3)
    trainer.run(data())
    assert model.layers[1].weight_orig.min() == 0.0
    parametrizations.weight_norm(model.layers[2])
    with pytest.raises(ValueError, match=r"layers\.2\.weight is marked.*_WeightNorm"):
        trainer.run(data(), max_epochs=2)


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs_sees_projected_weights_only(line_search):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn=line_search)
    seen, losses = [], []

    def step(engine, batch):
        x, y = batch

        def closure():
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            seen.append(least(model))
            return loss

        losses.append(optimizer.step(closure).item())

    trainer = Engine(step)
    handle = NonNegProjection(model).attach(trainer)
    trainer.run(data(1) * 10)
    assert min(seen) == least(model) == 0.0
    assert losses[-1] < losses[0]
    handle.remove()
    seen.clear()
    trainer.run(data(1) * 3, max_epochs=2)
    assert min(seen) < 0.0  # once detached the closure is the user's own


def test_a_model_without_marks_is_refused():
    with pytest.raises(ValueError, match="mark_projected"):
        NonNegProjection(nn.Linear(2, 2)).attach(trainer_for(nn.Linear(2, 2)))


def test_marks_are_looked_up_anew_each_time():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    mark_projected(model[2])
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer)
    model[2].weight = nn.Parameter(-torch.ones(1, 8))  # as loading with assign=True does
    trainer.run(data(1))
    assert least(model) >= 0.0


def test_it_has_no_state():
    model = network()
    trainer = trainer_for(model)
    before = (set(model.state_dict()), set(trainer.state_dict()), set(vars(trainer.state)))
    NonNegProjection(model).attach(trainer)
    assert (set(model.state_dict()), set(trainer.state_dict()), set(vars(trainer.state))) == before


def test_a_checkpoint_of_the_same_event_holds_projected_weights():
    model = network()
    trainer = trainer_for(model)
    saved = []

    def keep(checkpoint, *_):
        saved.append(min(float(checkpoint[f"layers.{k}.weight"].min()) for k in (1, 2)))

    trainer.add_event_handler(STEPS, Checkpoint({"model": model}, keep))
    NonNegProjection(model).attach(trainer)
    trainer.run(data())
    assert len(saved) == 12
    assert min(saved) >= 0.0


def test_a_positivity_map_needs_no_projection():
    with pytest.raises(ValueError, match="no projection"):
        NonNegProjection(ICNN(3, [4], 1, positivity="exp")).attach(trainer_for(network()))
