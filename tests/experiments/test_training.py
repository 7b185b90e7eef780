"""The training loop: what is kept of the losses, and that it does what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from experiments.training import Batches, Course, Schedule, accuracy, fit, outputs_of


def course(values, samples, schedule):
    found = Course(samples, schedule)
    for value in values:
        found.add(torch.tensor(value))
    return found.losses()


def test_points_are_means_over_equal_shares_of_an_epoch():
    schedule = Schedule(epochs=2, batch_size=10, lr=0.1, points=2)
    assert course([1.0, 3.0, 5.0, 7.0, 0.0, 0.0, 1.0, 2.0], 40, schedule) == [2.0, 6.0, 0.0, 1.5]


def test_more_points_than_steps_are_the_steps():
    assert course([1.0, 2.0], 20, Schedule(epochs=1, batch_size=10, lr=0.1, points=5)) == [1.0, 2.0]


@pytest.mark.parametrize("values", [[1.0, float("inf"), 2.0, 2.0], [1.0, float("nan")], [1.0]])
def test_behind_a_loss_that_is_not_finite_there_is_nothing(values):
    assert course(values, 20, Schedule(epochs=2, batch_size=10, lr=0.1, points=2)) == [1.0, None, None, None]


def test_batches_go_through_all_samples_in_an_order_of_their_own_each_epoch():
    batches = Batches(10, 4, seed=3, device=torch.device("cpu"))
    first, second = [torch.cat(list(batches)) for _ in range(2)]
    assert len(batches) == 3
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(10))
    assert first.tolist() != second.tolist()
    again = torch.cat(list(Batches(10, 4, seed=3, device=torch.device("cpu"))))
    assert again.tolist() == first.tolist()


def test_a_linear_model_is_fitted_by_adam_with_decay(tmp_path):
    torch.manual_seed(0)
    inputs = torch.randn(64, 3)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5]])
    seen = []
    model, reference = nn.Linear(3, 1), nn.Linear(3, 1)
    reference.load_state_dict(model.state_dict())
    schedule = Schedule(epochs=3, batch_size=64, lr=0.05, l2=0.1)
    losses = fit(
        model,
        inputs,
        targets,
        schedule,
        seed=0,
        loss=nn.functional.mse_loss,
        after_epoch=seen.append,
        tensorboard=tmp_path / "log",
    )
    optimizer = torch.optim.Adam(reference.parameters(), lr=0.05, weight_decay=0.1)
    expected = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(reference(inputs), targets)
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert seen == [1, 2, 3]
    torch.testing.assert_close(model.weight, reference.weight, rtol=1e-5, atol=1e-6)
    assert list((tmp_path / "log").glob("events*"))


def test_training_ends_when_the_loss_is_lost():
    model = nn.Linear(2, 2)
    model.weight.data.fill_(float("nan"))
    seen = []
    inputs, labels = torch.zeros(400, 2), torch.zeros(400, dtype=torch.long)
    losses = fit(model, inputs, labels, Schedule(epochs=4, batch_size=4, lr=0.1), 0, after_epoch=seen.append)
    assert losses == [None] * 4
    assert len(seen) < 4


def test_outputs_are_those_of_evaluation_mode_and_the_mode_is_kept():
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(4, 3))
    inputs = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0))
    found = outputs_of(model, inputs)
    torch.testing.assert_close(found, model[1](inputs).detach())
    assert model.training
    assert accuracy(model, inputs, found.argmax(1)) == 1.0
