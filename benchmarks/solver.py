"""Proximal maps of models, by each way that there is: ``python -m benchmarks.solver``.

The same problem, ``min f(u) + |u − x|²/2``, through `expression` and a solver, through a model written in cvxpy by hand
for the same solver, by L-BFGS on the inputs, and by `proximal_batched`; one point, and a batch of 64. Side by side in
one run, with how far each value lies above the best that was found. docs/solver.md shows results/solver.json.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from benchmarks.measure import environment, ratio, side_by_side, write
from convex_init.cvxpy import expression, proximal, proximal_batched
from convex_init.torch import apply_, project_

NAME = "solver"
SIZES = ((8, 32), (32, 64), (64, 128))
"""Inputs, and units in each of two hidden layers."""
BEND: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Any], Any]]] = {
    "relu": (nn.functional.relu, cp.pos),
    "softplus": (nn.functional.softplus, cp.logistic),
}
BATCH = 64
TO = "by hand"


class Network(nn.Module):
    """Two hidden layers, with a way past each."""

    def __init__(self, inputs: int, width: int, bend: str) -> None:
        super().__init__()
        self.first, self.skip = nn.Linear(inputs, width), nn.Linear(inputs, width, bias=False)
        self.hidden, self.last = nn.Linear(width, width), nn.Linear(width, 1)
        self.bend = BEND[bend][0]

    def forward(self, x: Tensor) -> Tensor:
        z = self.bend(self.first(x))
        return self.last(self.bend(self.hidden(z) + self.skip(x)))[:, 0]


def by_hand(model: Network, bend: str, x: Any) -> Any:
    """The same in cvxpy, as one would write it."""
    act = BEND[bend][1]
    w = {name: value.detach().numpy() for name, value in model.named_parameters()}
    z = act(w["first.weight"] @ x + w["first.bias"])
    z = act(w["hidden.weight"] @ z + w["hidden.bias"] + w["skip.weight"] @ x)
    return w["last.weight"][0] @ z + w["last.bias"][0]


def solved_by_hand(model: Network, bend: str, centre: Any) -> Any:
    u = cp.Variable(centre.size)
    cp.Problem(cp.Minimize(by_hand(model, bend, u) + cp.sum_squares(u - centre) / 2.0)).solve(solver=cp.CLARABEL)
    return u.value


def by_l_bfgs(model: Network, centre: Any) -> Any:
    """On the inputs, with the model's gradients; of a batch the sum, as one problem."""
    goal = torch.as_tensor(centre)

    def evaluate(flat: Any) -> tuple[float, Any]:
        u = torch.tensor(flat.reshape(goal.shape), requires_grad=True)
        value = model(u).sum() + (u - goal).square().sum() / 2.0
        (slope,) = torch.autograd.grad(value, u)
        return float(value.detach()), slope.numpy().reshape(-1)

    return minimize(evaluate, centre.reshape(-1), jac=True, method="L-BFGS-B").x.reshape(centre.shape)


def row(inputs: int, width: int, bend: str, rounds: int) -> dict[str, Any]:
    """Measure one model."""
    torch.manual_seed(0)
    model = Network(inputs, width, bend).double()
    random = torch.Generator().manual_seed(1)
    apply_(model, torch.randn(64, inputs, generator=random, dtype=torch.float64), generator=random)
    project_(model)
    batch = torch.randn(BATCH, inputs, generator=random, dtype=torch.float64)
    one = batch[0].numpy()
    found: dict[str, Any] = {}

    def kept(name: str, call: Callable[[], Any]) -> Callable[[], None]:
        return lambda: found.__setitem__(name, call())

    actions = {
        TO: kept(TO, lambda: solved_by_hand(model, bend, one)[None]),
        "proximal": kept("proximal", lambda: proximal(model, one, solver="CLARABEL").point[None]),
        "expression alone": lambda: expression(model, cp.Variable(inputs)),
        "L-BFGS": kept("L-BFGS", lambda: by_l_bfgs(model, one[None])),
        "proximal_batched": kept("proximal_batched", lambda: proximal_batched(model, batch[:1]).point),
        "L-BFGS, 64": kept("L-BFGS, 64", lambda: by_l_bfgs(model, batch.numpy())),
        "proximal_batched, 64": kept("proximal_batched, 64", lambda: proximal_batched(model, batch).point),
    }
    seconds = side_by_side(actions, rounds=rounds, warm_up=1)

    def value(point: Any) -> Any:
        with torch.no_grad():
            u = torch.as_tensor(point)
            return (model(u) + (u - batch[: len(u)]).square().sum(1) / 2.0).numpy()

    values = {name: value(point) for name, point in found.items()}
    best = {count: np.min([v for v in values.values() if len(v) == count], axis=0) for count in (1, BATCH)}
    return {
        "model": f"{inputs} inputs, 2 × {width}, {bend}",
        "seconds": {name: round(statistics.median(taken), 5) for name, taken in seconds.items()},
        "ratio": {name: ratio(seconds, name, TO) for name in actions if name != TO},
        "above_the_best": {name: float((v - best[len(v)]).max()) for name, v in values.items()},
    }


def main() -> None:
    """Measure, write results/solver.json, print the table of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--largest", type=int, default=len(SIZES), help="how many of the sizes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row(*size, bend, arguments.rounds) for size in SIZES[: arguments.largest] for bend in BEND]
    result = {
        "environment": environment("torch", "cvxpy", "clarabel", "scipy"),
        "settings": {"rounds": arguments.rounds, "solver": "CLARABEL", "dtype": "float64", "device": "cpu", "seed": 0},
        "rows": rows,
    }
    write(NAME, result)
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """The rows as they stand on the page, in milliseconds, with the ratio to the model by hand."""
    columns = list(result["rows"][0]["seconds"])
    lines = [f"| model | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for each in result["rows"]:
        cells = []
        for name in columns:
            times = f" ({each['ratio'][name]['median']:.2g} ×)" if name in each["ratio"] else ""
            cells.append(f"{1000.0 * each['seconds'][name]:.3g}{times}")
        lines.append(f"| {each['model']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
