"""Inputs that are made where the user gave none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch.model.example_inputs import made_inputs


def _made(model, entry="forward"):
    return made_inputs(model, entry, getattr(model, entry))[0]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 1)), (2, 7)),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3)), (2, 3, 32, 32)),
        (nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26, 1)), (2, 3, 28)),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 1)), (2, 784)),
    ],
)
def test_the_shape_is_that_of_the_first_layer_that_runs(model, shape):
    assert _made(model).shape == shape


def test_dtype_and_device_are_those_of_the_weights():
    assert _made(nn.Linear(3, 1).double()).dtype == torch.float64
    assert _made(nn.Linear(3, 1, device="meta")).device.type == "meta"


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, x, y, scale=1.0):
        return self.a(x) + scale * self.b(y)


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 4))

    def forward(self, x):
        return x @ self.w


def test_several_inputs_are_asked_for_by_name():
    with pytest.raises(ValueError, match=r"example_inputs: TwoInputs takes several inputs \(x, y\)"):
        _made(TwoInputs())


def test_what_cannot_be_told_is_asked_for():
    with pytest.raises(ValueError, match="example_inputs are needed to read Bare"):
        _made(Bare())


def test_a_model_without_weights_has_nothing_to_initialise():
    with pytest.raises(ValueError, match="no weight"):
        _made(nn.ReLU())


def test_the_global_generator_is_untouched():
    model = nn.Linear(3, 1)
    before = torch.get_rng_state()
    _made(model)
    assert torch.equal(before, torch.get_rng_state())
