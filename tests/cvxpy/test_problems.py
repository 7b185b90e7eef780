"""Minima, conjugates and proximal maps: against what is known of them, exactly and for many at once."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import convex_init.cvxpy as cc  # noqa: E402
import convex_init.torch as ci  # noqa: E402


class Of(nn.Module):
    """A function as a model."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Grown(nn.Module):
    """A network and a little of the squares of its input, so that it grows in all directions."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + 0.1 * x.square().sum(1, keepdim=True)


def network(activation=nn.ReLU, width=8):
    torch.manual_seed(0)
    model = ci.ICNN(3, [width, width], 1, activation=activation())
    ci.apply_(model, generator=torch.Generator().manual_seed(1))
    return Grown(ci.project_(model)).double()


Y = np.array([0.3, -0.2, 0.1])


def test_a_minimum_under_constraints_with_its_multiplier():
    found = cc.minimise(Of(lambda x: x.square().sum(1)), lambda x: [cp.sum(x) == 3.0], shape=(3,))
    np.testing.assert_allclose(found.point, 1.0, atol=1e-5)
    assert found.value == pytest.approx(3.0, abs=1e-5)
    assert abs(float(found.duals[0])) == pytest.approx(2.0, abs=1e-4)  # of x = λ/2 each


@pytest.mark.parametrize(
    ("function", "constraints", "status", "value"),
    [
        (lambda x: x.sum(1), (), "unbounded", -np.inf),
        (lambda x: x.square().sum(1), lambda x: [x >= 1, x <= 0], "infeasible", np.inf),
        (lambda x: x.sum(1) * 0.0 + 2.0, (), "optimal", 2.0),
    ],
    ids=["unbounded", "infeasible", "flat"],
)
def test_what_has_no_solution_or_many(function, constraints, status, value):
    found = cc.minimise(Of(function), constraints, shape=(2,))
    assert found.status == status
    assert found.value == pytest.approx(value)
    assert bool(found) == (status == "optimal")
    assert not found or np.isfinite(found.point).all()


def test_a_conjugate_that_is_infinite():
    found = cc.conjugate(Of(lambda x: x.abs().sum(1)), [2.0, 0.0])
    assert (found.value, found.point, found.status) == (np.inf, None, "unbounded")


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Softplus, nn.ELU])
def test_a_conjugate_has_the_slope_that_it_was_asked_for(activation):
    model = network(activation)
    found = cc.conjugate(model, Y)
    x = torch.tensor(found.point)[None]
    assert found.value == pytest.approx(float(Y @ found.point - model(x).item()), abs=1e-5)
    for side in np.eye(3):  # f*(y + h) ≥ f*(y) + h·x
        assert cc.conjugate(model, Y + 0.1 * side).value >= found.value + 0.1 * float(side @ found.point) - 1e-5


def test_the_gradient_of_a_moreau_envelope():
    model, step = network(), 1e-3
    found = cc.proximal(model, Y, 0.5)
    for i, side in enumerate(np.eye(3)):
        ahead, behind = (cc.proximal(model, Y + sign * step * side, 0.5).value for sign in (1.0, -1.0))
        assert (ahead - behind) / (2.0 * step) == pytest.approx(found.gradient[i], abs=2e-3)


@pytest.mark.parametrize("t", [0.0, -1.0, np.inf])
def test_a_step_is_positive(t):
    with pytest.raises(ValueError, match="t must be a positive number"):
        cc.proximal(network(), Y, t)
    with pytest.raises(ValueError, match="t must be a positive number"):
        cc.proximal_batched(network(), torch.zeros(1, 3), t)


def test_several_outputs_are_refused():
    with pytest.raises(ValueError, match="returns 2 numbers for one example"):
        cc.conjugate(Of(lambda x: x.abs()), [1.0, 1.0])
    with pytest.raises(ValueError, match="not one number for each"):
        cc.proximal_batched(lambda x: x.abs(), torch.zeros(4, 2))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Softplus])
def test_a_batch_of_proximal_maps_has_a_gap_that_holds(activation):
    model = network(activation)
    x = torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = cc.proximal_batched(model, x, 0.7, tolerance=1e-6)
    assert bool(found.converged.all())
    for i in range(3):
        exact = cc.proximal(model, x[i].numpy(), 0.7)
        excess = float(found.value[i]) - exact.value
        assert -1e-6 <= excess <= float(found.gap[i]) + 1e-6
        assert np.linalg.norm(found.point[i].numpy() - exact.point) <= np.sqrt(1.4 * float(found.gap[i])) + 1e-4
        np.testing.assert_allclose(found.gradient[i].numpy(), exact.gradient, atol=1e-2)


def test_a_gap_of_few_evaluations_holds_as_well():
    model = network()
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = cc.proximal_batched(model, x, 5.0, tolerance=1e-12, limit=3)
    assert found.evaluations == 3
    for i in range(2):
        excess = float(found.value[i]) - cc.proximal(model, x[i].numpy(), 5.0).value
        assert excess <= float(found.gap[i]) + 1e-6


def test_a_batch_of_minima_and_conjugates_is_near_the_exact_ones():
    model = network(nn.Softplus)
    y = torch.tensor(np.stack([Y, -Y, 0.0 * Y]))
    found = cc.conjugate_batched(model, y, tolerance=1e-3)
    assert bool(found.converged.all())
    for i in range(3):
        exact = cc.conjugate(model, y[i].numpy())
        reach = float(found.gap[i]) + float(found.gradient_norm[i]) * np.linalg.norm(
            exact.point - found.point[i].numpy()
        )
        assert -1e-5 <= exact.value - float(found.value[i]) <= reach + 1e-5


def test_a_batch_without_minima_says_so():
    found = cc.minimise_batched(lambda x: x.sum(1), torch.zeros(2, 3))
    assert bool(found.diverged.all())
    assert not bool(found.converged.any())
    flat = cc.minimise_batched(lambda x: 0.0 * x.sum(1), torch.ones(2, 3))
    assert bool(flat.converged.all())


def test_an_array_of_no_framework_is_refused():
    with pytest.raises(TypeError, match="start must be an array of torch, JAX or TensorFlow"):
        cc.minimise_batched(lambda x: x.sum(1), np.zeros((2, 3)))
