"""Which kind of program a model becomes, functions by their cones, and what is refused."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import convex_init.cvxpy as cc  # noqa: E402
from convex_init.cvxpy.parts import cones  # noqa: E402


def positive(size_in, size_out):
    layer = nn.Linear(size_in, size_out)
    with torch.no_grad():
        layer.weight.abs_()
    return layer


class Square(nn.Module):
    def forward(self, x):
        return x.square()


def problem_of(bend):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), bend, positive(5, 1))
    x = cp.Variable(3)
    return cp.Problem(cp.Minimize(cc.expression(model, x)), [cp.abs(x) <= 1.0])


@pytest.mark.parametrize("bend", [nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU()], ids=["relu", "leaky relu", "prelu"])
def test_piecewise_linear_models_are_linear_programs(bend):
    problem = problem_of(bend)
    assert problem.is_lp()
    problem.solve()
    assert problem.status == "optimal"


def test_squares_are_quadratic_programs():
    problem = problem_of(Square())
    assert problem.is_qp()
    assert not problem.is_lp()


@pytest.mark.parametrize("bend", [nn.Softplus(), nn.ELU(), nn.CELU(0.5)], ids=["softplus", "elu", "celu"])
def test_smooth_models_are_exponential_cone_programs(bend):
    problem = problem_of(bend)
    data, _, _ = problem.get_problem_data(cp.CLARABEL)
    assert data["dims"].exp > 0
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"


FUNCTIONS = {
    "elu": cones.elu(0.7, 1.3, 1.1),
    "squareplus": cones.squareplus(4.0),
    "sparse plus": cones.sparse_plus(),
    "cosh": cones.cosh(),
    "log cosh": cones.log_cosh(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_cone_is_the_epigraph_of_its_function(name):
    """The least of f(s) + (s − c)²/2, of an affine s and of the convex |s|, against a fine grid."""
    function, grid = FUNCTIONS[name], np.linspace(-4.0, 4.0, 80001)
    for centre in (-1.5, 0.2, 1.7):
        s = cp.Variable(1)
        for inner, of_grid in ((s, grid), (cp.abs(s), np.abs(grid))):
            made = cones.applied(function, inner)
            assert made.is_convex()
            problem = cp.Problem(cp.Minimize(cp.sum(made) + 0.5 * cp.sum_squares(s - centre)))
            wanted = (function.value(of_grid) + 0.5 * (grid - centre) ** 2).min()
            assert problem.solve() == pytest.approx(wanted, abs=1e-4)  # by the solver that cvxpy chooses


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_slope_of_a_function_is_that_of_its_values(name):
    function, s, step = FUNCTIONS[name], np.linspace(-3.0, 3.0, 13) + 0.01, 1e-6
    found = (function.value(s + step) - function.value(s - step)) / (2.0 * step)
    np.testing.assert_allclose(function.slope(s), found, atol=1e-6)


class Two(nn.Module):
    def forward(self, x):
        return x.relu(), x.abs()


class Line(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


REFUSED = {
    "not convex": (nn.Tanh(), {}, r"not known to be convex: tanh.* has no form in cvxpy"),
    "concave": (nn.LogSigmoid(), {}, "is concave by cvxpy's rules"),
    "a difference": (Line(lambda x: x.relu() - x.square()), {}, r"weights of both signs"),
    "two outputs": (Two(), {}, "name one of them in outputs="),
    "an output that is not there": (Two(), {"outputs": "output.2"}, "outputs names 'output.2'"),
    "an input that is not there": (nn.ReLU(), {"convex_inputs": "z"}, "convex_inputs names 'z'"),
    "a branch on numbers": (Line(lambda x: x.relu() if x.sum() > 0 else -x), {}, "cannot be read as one function"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name):
    model, options, why = REFUSED[name]
    with pytest.raises(ValueError, match=why):
        cc.expression(model, cp.Variable(3), torch.ones(2, 3), **options)


def test_x_is_affine_and_of_the_shape_of_the_input():
    with pytest.raises(TypeError, match=r"x must be a cvxpy\.Variable"):
        cc.expression(nn.ReLU(), np.zeros(3))
    with pytest.raises(ValueError, match="x must be affine"):
        cc.expression(nn.ReLU(), cp.abs(cp.Variable(3)))
    with pytest.raises(ValueError, match=r"x has shape \(4,\), which does not fit input '0' of shape \(1, 3\)"):
        cc.expression(nn.ReLU(), cp.Variable(4), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="x holds 2 expressions"):
        cc.expression(nn.ReLU(), [cp.Variable(3)] * 2, torch.zeros(1, 3))


def test_an_affine_expression_and_the_present_weights():
    model, x = nn.Linear(3, 1), cp.Variable(2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 3.0]]))
        model.bias.zero_()
    into = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    made = cc.expression(model, into @ x)
    x.value = np.array([1.0, 2.0])
    assert float(made.value) == pytest.approx(6.0, abs=1e-6)


def test_a_part_that_no_result_needs_does_no_harm():
    model = Line(lambda x: torch.cat([x.relu(), x.tanh()], 1)[:, :3])
    assert cc.expression(model, cp.Variable(3), torch.ones(1, 3)).is_convex()
