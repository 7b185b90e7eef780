"""``ConvexityGuard`` and ``SignalMonitor``."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from convex_init.ignite import ConvexityGuard, NonNegProjection, SignalMonitor
from convex_init.torch import ICNN, apply_, signal_report
from tests.ignite.training import data, network, trainer_for

STEPS = Events.ITERATION_COMPLETED


def spoil(trainer, iteration, path, value, model):
    """Write a value into one weight during an iteration."""

    @trainer.on(Events.ITERATION_STARTED(once=iteration))
    @torch.no_grad()
    def write():
        model.get_parameter(path).view(-1)[0] = value


@pytest.mark.parametrize("value", [-1e-30, -1.0, float("nan"), float("inf"), float("-inf")])
def test_the_parameter_and_the_iteration_are_named(value):
    model = network()
    trainer = Engine(lambda engine, batch: None)
    ConvexityGuard(model).attach(trainer)
    spoil(trainer, 3, "layers.2.weight", value, model)
    with pytest.raises(RuntimeError, match=r"iteration 3: .*layers\.2\.weight") as caught:
        trainer.run(data())
    assert "layers.1.weight" not in str(caught.value)
    assert trainer.state.iteration == 3


def test_a_free_layer_may_be_negative():
    model = network()
    assert model.layers[0].weight.amin().item() < 0
    trainer = trainer_for(model)
    ConvexityGuard(model).attach(trainer)
    NonNegProjection(model).attach(trainer)  # attached later, and yet it runs first
    trainer.run(data(), max_epochs=2)


def test_training_without_projection_is_noticed():
    model = network()
    trainer = trainer_for(model)
    ConvexityGuard(model).attach(trainer)
    with pytest.raises(RuntimeError, match="no projection ran"):
        trainer.run(data())


def test_a_warning_lets_the_run_go_on():
    model = network()
    trainer = trainer_for(model)
    ConvexityGuard(model, action="warn").attach(trainer, Events.EPOCH_COMPLETED)
    with pytest.warns(RuntimeWarning, match="iteration 12: "):
        trainer.run(data())
    assert trainer.state.iteration == 12


def test_a_positivity_map_is_read_through():
    model = ICNN(4, [8], 1, positivity="exp")
    trainer = trainer_for(model)
    ConvexityGuard(model).attach(trainer)
    trainer.run(data())  # raw parameters are negative, weights are not
    assert model.layers[1].parametrizations.weight.original.amin().item() < 0
    spoil(trainer, 1, "layers.1.parametrizations.weight.original", float("nan"), model)
    with pytest.raises(RuntimeError, match=r"layers\.1\.weight \(between nan and nan\)"):
        trainer.run(data())


def test_removing_the_guard_ends_it():
    model = network()
    trainer = trainer_for(model)
    ConvexityGuard(model).attach(trainer).remove()
    trainer.run(data())


def test_what_the_guard_refuses():
    with pytest.raises(ValueError, match=r"action.*'ignore'"):
        ConvexityGuard(network(), action="ignore")
    with pytest.raises(ValueError, match="no weight that must be non-negative"):
        ConvexityGuard(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="Module"):
        ConvexityGuard([torch.zeros(2)])


def read_scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*")
def test_the_columns_reach_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="the signal is logged through TensorBoard here")
    from ignite.handlers.tensorboard_logger import TensorboardLogger

    model = network()
    trainer = trainer_for(model)
    NonNegProjection(model).attach(trainer)
    batch = torch.cat([x for x, _ in data(4)])
    expected = {}
    with TensorboardLogger(log_dir=str(tmp_path)) as logger:
        handle = SignalMonitor(model, batch).attach(trainer, logger, STEPS(every=5))

        @trainer.on(STEPS(every=5))
        def measure(engine):
            expected.setdefault(engine.state.iteration, signal_report(model, batch))

        trainer.run(data())
        handle.remove()
        trainer.run(data())
    found = read_scalars(tmp_path)
    assert len(found) == 3 * 9
    for index, path in enumerate(["layers.0", "layers.1", "layers.2"]):
        for column, value in {
            "mean": lambda layer: layer.mean,
            "variance": lambda layer: layer.variance,
            "variance_theory": lambda layer: layer.predicted.variance,
            "correlation": lambda layer: layer.correlation,
            "active": lambda layer: layer.active,
            "gradient_theory": lambda layer: layer.predicted_gradient,
        }.items():
            points = found[f"signal/{path}/{column}"]
            assert [step for step, _ in points] == [5, 10]  # and none after the handle was removed
            for step, logged in points:  # TensorBoard keeps 32-bit floats
                assert logged == pytest.approx(value(expected[step].layers[index]), rel=1e-6, abs=1e-12)


def test_no_column_without_a_number():
    """Theory has none for isometric weights, and TensorBoard would warn of each."""
    from convex_init.torch import apply_

    model = apply_(network(), method="isometric")
    columns = SignalMonitor(model, torch.cat([x for x, _ in data(4)])).columns()
    assert "variance_theory" in columns["layers.0"]
    for path in ("layers.1", "layers.2"):
        assert {"mean", "variance", "correlation", "active", "gradient"} <= set(columns[path])
        assert not any(math.isnan(value) for value in columns[path].values())
        assert "variance_theory" not in columns[path]


class Collector:
    """The least that the monitor asks of a logger."""

    def __init__(self):
        self.rows = []

    def attach_output_handler(self, engine, event_name, tag, output_transform, global_step_transform):
        def log(engine):
            self.rows.append((global_step_transform(engine, event_name), output_transform(engine.state.output)))

        return engine.add_event_handler(event_name, log)


def test_training_is_not_touched():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    apply_(model, generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(model)
    torch.manual_seed(0)
    trainer_for(twin).run(data())
    torch.manual_seed(0)
    trainer, logger = trainer_for(model), Collector()
    SignalMonitor(model, data(1)[0][0]).attach(trainer, logger, STEPS(every=2))
    trainer.run(data())
    assert [step for step, _ in logger.rows] == [2, 4, 6, 8, 10, 12]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_the_monitor_refuses_before_the_run():
    model = network()
    with pytest.raises(ValueError, match="two samples"):
        SignalMonitor(model, torch.zeros(1, 4)).attach(trainer_for(model), Collector())
