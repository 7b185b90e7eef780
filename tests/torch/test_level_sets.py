"""Paths on level sets: of functions whose level sets are known, and of networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, level_set_path

TOLERANCE = 1e-8  # the functions are in double precision


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


class Quadratic(nn.Module):
    """‖A(x − c)‖², with minimum 0 at c."""

    def __init__(self, scales=(1.0, 1.0), centre=(0.0, 0.0)):
        super().__init__()
        self.register_buffer("scales", tensor(*scales))
        self.register_buffer("centre", tensor(*centre))

    def forward(self, x):
        return ((self.scales * (x - self.centre)) ** 2).sum(1)


class Box(nn.Module):
    """max(|x| − 1, |y| − 1, 0): 0 on the square [−1, 1]², and with kinks along its diagonals outside."""

    def forward(self, x):
        return (x.abs() - 1.0).amax(1).clamp_min(0.0)


def affine(x):
    """No minimum."""
    return x[:, 0] + 2.0 * x[:, 1]


def path_of(model, start, target, **options):
    found = level_set_path(model, start, target, tolerance=TOLERANCE, assume_convex=True, **options)
    level = model(start)
    for points, values in zip(found.points, found.values, strict=True):
        torch.testing.assert_close(model(points), values, rtol=0, atol=1e-12)
        assert float((values - level).abs().max()) <= TOLERANCE
    return found


@pytest.mark.parametrize("steps", [1, 2, 40])
def test_a_target_outside_is_approached_as_seen_from_the_minimiser(steps):
    # The circle of radius 2 about (1, 0); the line from its centre to (1, 8) meets it at (1, 2).
    found = path_of(Quadratic(centre=(1.0, 0.0)), tensor([3.0, 0.0]), tensor([1.0, 8.0]), steps=steps)
    assert found.points.shape == (steps + 1, 1, 2)
    torch.testing.assert_close(found.points[0], tensor([3.0, 0.0]))
    # The minimum is found to 1e-9 of the first step at best, and is flat: 1e-4 is ample for what is asked here.
    torch.testing.assert_close(found.points[-1], tensor([1.0, 2.0]), rtol=0, atol=1e-4)


def test_a_target_inside_leads_to_the_nearest_point_of_a_circle():
    # From (2, 0) on the circle of radius 2 about 0 towards (0, 1): the nearest point is (0, 2).
    found = path_of(Quadratic(), tensor([2.0, 0.0]), tensor([0.0, 1.0]), steps=200)
    distances = (found.points[:, 0] - tensor(0.0, 1.0)).norm(dim=1)
    assert bool((distances.diff() <= 1e-9).all())  # never away from the target
    assert 1.0 <= float(distances[-1]) <= 1.01  # 1 at (0, 2), 2.24 at the start


def test_the_path_moves_on_an_ellipse_far_from_a_circle():
    model = Quadratic(scales=(1.0, 30.0))
    found = path_of(model, tensor([3.0, 0.0]), tensor([-3.0, 0.5]), steps=60)
    assert float((found.points[-1] - tensor([-3.0, 0.5])).norm()) < float(tensor(6.0, 0.5).norm()) / 2
    assert found.minimum.item() == pytest.approx(0.0, abs=1e-6)


def test_a_start_at_the_minimum_of_a_strictly_convex_function_stays():
    # f grows as the square: within the tolerance of 1e-8 one may move by 1e-4.
    found = path_of(Quadratic(), tensor([0.0, 0.0]), tensor([5.0, 5.0]), steps=7)
    assert bool(found.at_minimum.all())
    torch.testing.assert_close(found.points, torch.zeros_like(found.points), rtol=0, atol=1e-3)


def test_a_start_in_a_flat_minimum_goes_straight_to_its_end():
    found = path_of(Box(), tensor([0.0, 0.0]), tensor([4.0, 2.0]), steps=16)
    assert bool(found.at_minimum.all())
    torch.testing.assert_close(found.points[-1], tensor([1.0, 0.5]), rtol=0, atol=1e-3)
    ratio = found.points[1:, 0, 1] / found.points[1:, 0, 0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.5), rtol=0, atol=1e-9)


def test_a_target_in_the_same_flat_minimum_is_reached():
    found = path_of(Box(), tensor([-0.9, 0.3]), tensor([0.8, -0.5]), steps=4)
    torch.testing.assert_close(found.points[-1], tensor([0.8, -0.5]))


def test_the_path_turns_the_corner_of_a_max_of_affine_functions():
    # The level 1 of Box is the boundary of [−2, 2]²: from its right side to the top one, round a corner.
    found = path_of(Box(), tensor([2.0, 0.0]), tensor([0.0, 9.0]), steps=50, minimiser=tensor([0.0, 0.0]))
    torch.testing.assert_close(found.points[-1], tensor([0.0, 2.0]), rtol=0, atol=1e-6)
    sides = found.points[:, 0].abs().amax(1)
    torch.testing.assert_close(sides, torch.full_like(sides, 2.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("target", [[3.0, 3.0], [-8.0, -8.0]])
def test_a_function_without_minimum_has_paths_too(target):
    # On the line x + 2y = 1; above or below it, the way that remains is orthogonal to it in the end.
    found = path_of(affine, tensor([1.0, 0.0]), tensor(target), steps=20)
    normal = tensor(1.0, 2.0)
    along = tensor(2.0, -1.0) / 5.0**0.5
    wanted = (tensor(*target) - tensor(1.0, 0.0)) @ along
    reached = (found.points[-1, 0] - tensor(1.0, 0.0)) @ along
    if affine(tensor(target)) < 1.0:
        torch.testing.assert_close(reached, wanted, rtol=0, atol=1e-6)
    else:  # the way back leads along the line to a far point below, not along the normal
        assert float(found.points[-1, 0] @ normal) == pytest.approx(1.0, abs=1e-8)


def test_samples_of_a_batch_do_not_meet():
    starts = tensor([3.0, 0.0], [0.0, 0.0], [-1.0, 2.0], [0.5, 0.5])
    targets = tensor([1.0, 8.0], [5.0, 5.0], [0.1, 0.2], [0.5, 0.5])
    model = Quadratic(centre=(1.0, 0.0))
    together = path_of(model, starts, targets, steps=4)
    for index in range(len(starts)):
        alone = path_of(model, starts[index : index + 1], targets[index : index + 1], steps=4)
        torch.testing.assert_close(together.points[:, index], alone.points[:, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("skip", [False, True])
def test_one_output_of_a_network_keeps_its_level_in_single_precision(skip):
    torch.manual_seed(0)
    network = ICNN(20, [64, 64], 3, skip=skip)
    start, target = torch.randn(2, 8, 20)
    found = level_set_path(network, start, target, output=1, steps=25)
    values = torch.stack([network(x)[:, 1] for x in found.points]).detach()
    assert float((values - network(start)[:, 1].detach()).abs().max()) <= 1e-4
    # It gets nearer to the target, and it moves.
    assert bool(((found.points[-1] - target).norm(dim=1) < (start - target).norm(dim=1)).all())
    assert not any(parameter.grad is not None for parameter in network.parameters())


def test_the_mode_of_the_model_is_restored_and_dropout_is_off():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, 1))
    model[3].weight.data.abs_()
    model[2].eval()
    found = level_set_path(model, torch.randn(3, 4), torch.randn(3, 4), steps=5)
    assert [module.training for module in model] == [True, True, False, True]
    values = torch.stack([model.eval()(x)[:, 0] for x in found.points]).detach()
    torch.testing.assert_close(values, found.values, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be greater than 0"),
        ({"output": 5}, ValueError, "output 5 does not exist"),
        ({"output": None}, ValueError, "output=i"),
        ({"start": torch.zeros(4)}, ValueError, r"start\[None\]"),
        ({"start": [[0.0]]}, TypeError, "start must be a tensor"),
        ({"target": torch.zeros(3)}, ValueError, "target has shape"),
        ({"minimiser": torch.full((1, 4), 50.0)}, ValueError, "minimiser lies above"),
        ({"model": lambda x: x[:, 0]}, TypeError, "assume_convex"),
        ({"model": nn.Sequential(nn.Linear(4, 2), nn.Tanh())}, ValueError, "assume_convex"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(options, error, message):
    torch.manual_seed(0)
    given = {"model": ICNN(4, [8], 2), "start": torch.zeros(1, 4), "target": torch.ones(1, 4), "output": 0, **options}
    with pytest.raises(error, match=message):
        level_set_path(given.pop("model"), given.pop("start"), given.pop("target"), **given)


def test_a_tolerance_that_single_precision_cannot_hold_is_reported():
    def steep(x):
        return 1e6 * (x**2).sum(1)

    start, target = torch.tensor([[1.0, 0.3]]), torch.tensor([[0.2, 1.5]])
    with pytest.raises(RuntimeError, match="double precision"):
        level_set_path(steep, start, target, tolerance=1e-3, assume_convex=True, steps=5)
    found = level_set_path(steep, start.double(), target.double(), tolerance=1e-3, assume_convex=True, steps=5)
    assert found.deviation <= 1e-3
