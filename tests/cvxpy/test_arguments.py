"""What does not fit is refused with its name and a remedy, before a solver is asked; NaN and concave models, too."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import convex_init.cvxpy as cc  # noqa: E402


class Of(nn.Module):
    """A function as a model."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


SQUARES = Of(lambda x: x.square().sum(1))
SMOOTH = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.AvgPool1d(4))
TWO = Of(lambda x, y: x.square().sum(1) + x.sum(1) * y.sum(1))


def with_nan():
    model = nn.Linear(3, 1)
    model.weight.data[0, 0] = float("nan")
    return model


REFUSED = {
    "nothing to minimise over": (lambda: cc.minimise(SQUARES), ValueError, "x=.* or shape="),
    "both": (lambda: cc.minimise(SQUARES, x=cp.Variable(3), shape=(3,)), ValueError, "one of the two"),
    "a shape of text": (lambda: cc.minimise(SQUARES, shape="3"), TypeError, "shape must be a tuple of positive"),
    "a shape of nothing": (lambda: cc.minimise(SQUARES, shape=(0,)), TypeError, "shape must be a tuple of positive"),
    "a shape that does not fit": (lambda: cc.minimise(SMOOTH, shape=(4,)), ValueError, r"x has shape \(4,\)"),
    "numbers for x": (lambda: cc.minimise(SQUARES, x=np.zeros(3)), TypeError, "x must be one variable"),
    "several x": (lambda: cc.minimise(TWO, x=[cp.Variable(2)] * 2), TypeError, r"expression\(model, \[x, y\]"),
    "one constraint": (lambda: cc.minimise(SQUARES, lambda x: x >= 0, shape=(3,)), TypeError, r"write \[constraint\]"),
    "no constraint": (lambda: cc.minimise(SQUARES, [True], shape=(3,)), TypeError, r"constraints\[0\] must be a const"),
    "none": (lambda: cc.minimise(SQUARES, lambda x: None, shape=(3,)), TypeError, "constraints must be a list"),
    "a constraint that is not convex": (
        lambda: cc.minimise(SQUARES, lambda x: [x >= 0, cp.square(x) >= 1], shape=(3,)),
        ValueError,
        r"constraints\[1\].* is not convex",
    ),
    "a concave term": (
        lambda: cc.minimise(SQUARES, plus=lambda x: -cp.sum_squares(x), shape=(3,)),
        ValueError,
        "plus.* is not convex",
    ),
    "a term of several numbers": (lambda: cc.minimise(SQUARES, plus=lambda x: x, shape=(3,)), ValueError, "sum it up"),
    "a term of text": (lambda: cc.minimise(SQUARES, plus="x", shape=(3,)), TypeError, "plus must be a convex exp"),
    "a solver that is not there": (
        lambda: cc.minimise(SQUARES, shape=(3,), solver="NOPE"),
        ValueError,
        "installed are",
    ),
    "a solver that cannot": (lambda: cc.minimise(SMOOTH, shape=(3,), solver="OSQP"), ValueError, "solver='OSQP'"),
    "a misspelt argument": (lambda: cc.minimise(SQUARES, shape=(3,), exmaple_inputs=1), TypeError, "example_inputs="),
    "constraints of a conjugate": (
        lambda: cc.conjugate(SQUARES, [1.0], constraints=[]),
        TypeError,
        "no argument constr",
    ),
    "no model": (lambda: cc.minimise(3, shape=(3,)), TypeError, "model must be"),
    "NaN weights": (lambda: cc.minimise(with_nan(), shape=(3,)), ValueError, "the weights 'weight' hold NaN"),
    "a context of NaN": (
        lambda: cc.minimise(TWO, shape=(2,), convex_inputs=0, example_inputs=(torch.ones(1, 2), torch.ones(1, 2) / 0)),
        ValueError,
        "holds NaN or infinite",
    ),
    "not convex in both": (
        lambda: cc.conjugate(TWO, [1.0, 1.0], example_inputs=(torch.ones(1, 2), torch.ones(1, 2))),
        ValueError,
        "y holds 1 expressions for the convex inputs",
    ),
    "a y of NaN": (lambda: cc.conjugate(SQUARES, [1.0, np.nan]), ValueError, "y holds NaN"),
    "a y of text": (lambda: cc.conjugate(SQUARES, "ab"), TypeError, "y must be an array of numbers"),
    "a y that does not fit": (lambda: cc.conjugate(SMOOTH, [1.0, 2.0]), ValueError, r"^y has shape \(2,\)"),
    "a complex x": (
        lambda: cc.expression(SQUARES, cp.Variable(3, complex=True)),
        ValueError,
        "x must be real.*cp.real",
    ),
    "a complex x of a linear model": (
        lambda: cc.minimise(nn.Linear(3, 1), x=cp.Variable(3, complex=True)),
        ValueError,
        "x must be real",
    ),
    "a batch of another width": (
        lambda: cc.proximal_batched(SMOOTH, torch.ones(2, 4)),
        ValueError,
        r"fails on an array like x, of shape \(2, 4\) and torch.float32, with RuntimeError: mat1",
    ),
    "a batch of another dtype": (
        lambda: cc.conjugate_batched(SMOOTH, torch.ones(2, 3).double()),
        ValueError,
        "like y, of shape .* and torch.float64",
    ),
    "a model that raises": (lambda: cc.minimise_batched(lambda x: x["a"], torch.ones(2, 3)), ValueError, "like start"),
    "an x of NaN": (lambda: cc.proximal(SQUARES, [np.nan]), ValueError, "x holds NaN"),
    "a step of text": (lambda: cc.proximal(SQUARES, [1.0], "a"), TypeError, "t must be a positive number"),
    "steps": (lambda: cc.proximal_batched(SQUARES, torch.ones(2, 3), torch.ones(2)), TypeError, "t must be a positive"),
    "a batch of NaN": (lambda: cc.proximal_batched(SQUARES, torch.ones(2, 3) / 0), ValueError, "x holds NaN or inf"),
    "an empty batch": (
        lambda: cc.minimise_batched(SQUARES, torch.ones(0, 3)),
        ValueError,
        r"start must have the shape",
    ),
    "whole numbers": (
        lambda: cc.minimise_batched(SQUARES, torch.ones(2, 3, dtype=int)),
        TypeError,
        "float32 or float64",
    ),
    "16 bits": (lambda: cc.minimise_batched(SQUARES, torch.ones(2, 3).half()), TypeError, "float32 or float64"),
    "a list": (lambda: cc.proximal_batched(SQUARES, [[1.0]]), TypeError, "x must be an array of torch, JAX"),
    "a pair": (lambda: cc.proximal_batched((SQUARES, {}), torch.ones(2, 3)), TypeError, "lambda x: fn"),
    "a tolerance below 0": (
        lambda: cc.minimise_batched(SQUARES, torch.ones(2, 3), tolerance=-1.0),
        ValueError,
        "tolerance must be a positive number",
    ),
    "no evaluations": (lambda: cc.proximal_batched(SQUARES, torch.ones(2, 3), limit=0), ValueError, "limit must be at"),
    "a start of another shape": (
        lambda: cc.conjugate_batched(SQUARES, torch.ones(2, 3), start=torch.ones(1, 3)),
        ValueError,
        "start must be an array like y",
    ),
    "a model that detaches": (
        lambda: cc.minimise_batched(lambda x: x.detach().sum(1), torch.ones(2, 3)),
        ValueError,
        "have no gradient",
    ),
    "one number for all": (
        lambda: cc.minimise_batched(lambda x: x.sum(), torch.ones(2, 3)),
        ValueError,
        "not one number",
    ),
    "a model that returns text": (
        lambda: cc.minimise_batched(lambda x: "a", torch.ones(2, 3)),
        TypeError,
        "return an arr",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, kind, why = REFUSED[name]
    with pytest.raises(kind, match=why):
        call()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "function",
    [lambda x: -3.0 * x.square().sum(1), lambda x: x[:, 0].abs() - 3.0 * x[:, 1].square()],
    ids=["concave", "saddle"],
)
def test_a_function_whose_values_show_that_it_is_not_convex(function, dtype):
    x = torch.tensor([[1.0, 2.0, 0.5]], dtype=dtype)
    with pytest.raises(ValueError, match="the function is not convex"):
        cc.proximal_batched(function, x)
    with pytest.raises(ValueError, match="the function is not convex"):
        cc.minimise_batched(function, x)


def test_constraints_may_name_other_variables_and_x_may_be_a_part():
    z = cp.Variable(2)
    found = cc.minimise(SQUARES, lambda x: [x[0] == z[0] + 1.0, z[0] >= 1.0], shape=(3,))
    np.testing.assert_allclose(found.point, [2.0, 0.0, 0.0], atol=1e-5)
    found = cc.minimise(SQUARES, [z >= 1.0], x=cp.hstack([z, 1.0]))
    np.testing.assert_allclose(found.point, 1.0, atol=1e-5)


def test_over_a_part_of_one_input_and_over_one_of_two():
    model = Of(lambda x: x[:, 0].square() * x[:, 1].square() - x[:, 0])
    example = torch.tensor([[0.0, 2.0]])
    found = cc.minimise(model, shape=(1,), example_inputs=example, convex_inputs={"0": slice(0, 1)})
    np.testing.assert_allclose(found.point, [0.125], atol=1e-5)
    found = cc.minimise(TWO, shape=(2,), convex_inputs=0, example_inputs=(torch.zeros(1, 2), torch.ones(1, 2)))
    np.testing.assert_allclose(found.point, -1.0, atol=1e-5)


def test_integers_are_for_a_solver_that_cvxpy_chooses():
    x = cp.Variable(2, integer=True)
    found = cc.minimise(nn.Sequential(nn.ReLU(), nn.AvgPool1d(2)), [x >= 0.6], x=x)
    np.testing.assert_allclose(found.point, 1.0, atol=1e-6)


def test_nothing_is_printed(capfd):
    cc.minimise(SQUARES, shape=(3,))
    assert capfd.readouterr().out == ""
