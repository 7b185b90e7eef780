"""OTT's neural dual with its own starts and with ours: ``python -m benchmarks.ott_neural_dual``.

The source is a mixture of Gaussians with means of one length, and the target its image under x ↦ x + c·m(x), where m(x)
is the mean that is nearest to x. That map is the gradient of the convex |x|²/2 + c·max_k ⟨m_k, x⟩, so it is the optimal
one (Brenier), and the target a mixture of Gaussians again, but for what crosses from one cell to another. OTT's
``ICNN`` is trained unmodified by ``W2NeuralDual`` at the size of its tutorial: four hidden layers of 64, through ReLU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ott.neural.methods.neuraldual import W2NeuralDual
from ott.neural.networks.icnn import ICNN

from benchmarks.measure import RESULTS, environment, write
from convex_init.jax import apply, certify

LENGTH, SPREAD, PUSH = 3.0, 0.5, 1.0
COMPONENTS = {2: 5, 16: 8}
HIDDEN, BATCH, HELD_OUT, RATE = (64,) * 4, 64, 2048, 1e-3
STARTS = ("OTT", "ours", "ours beside OTT's identity")
"""The last leaves the final potential as OTT starts it, which is half the squared norm."""


class Mixture:
    """Source and target samples in ``dim`` dimensions, and the map between them."""

    def __init__(self, dim: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        count = COMPONENTS[dim]
        angles = 2 * np.pi * np.arange(count) / count
        directions = (
            np.stack([np.cos(angles), np.sin(angles)], 1)
            if dim == 2
            else np.linalg.qr(np.random.default_rng(0).normal(size=(dim, count)))[0].T
        )
        self.means = LENGTH * directions

    def source(self, count: int) -> np.ndarray:
        chosen = self.rng.integers(len(self.means), size=count)
        noise = SPREAD * self.rng.standard_normal((count, self.means.shape[1]))
        return (self.means[chosen] + noise).astype(np.float32)

    def mapped(self, x: np.ndarray) -> np.ndarray:
        return (x + PUSH * self.means[(x @ self.means.T).argmax(1)]).astype(np.float32)

    def sources(self) -> Iterator[np.ndarray]:
        while True:
            yield self.source(BATCH)

    def targets(self) -> Iterator[np.ndarray]:
        while True:
            yield self.mapped(self.source(BATCH))


def solver_of(dim: int, steps: int) -> W2NeuralDual:
    """OTT's solver; one for all trainings, so that its step is compiled once."""
    networks = (ICNN(dim_data=dim, dim_hidden=HIDDEN, pos_weights=True) for _ in range(2))
    rates = (optax.adam(RATE, b1=0.5, b2=0.9) for _ in range(2))  # as OTT's own, but for the rate
    return W2NeuralDual(dim, *networks, *rates, num_train_iters=steps, logging=True, log_freq=1, valid_freq=steps + 1)


def trained(solver: W2NeuralDual, start: str, dim: int, seed: int) -> dict[str, Any]:
    """Train once; the map's error is relative to the variance of the target, the loss that of the dual."""
    data = Mixture(dim, seed)
    x = data.source(1024)
    exclude = ["pos_def_potentials*"] if "identity" in start else None
    for index, (of, sample) in enumerate({"f": x, "g": data.mapped(x)}.items()):
        network, state = getattr(solver, f"neural_{of}"), getattr(solver, f"state_{of}")
        key = jax.random.fold_in(jax.random.key(seed), index)
        variables = network.init(key, sample[:1])
        if start.startswith("ours"):
            variables = apply((network, variables), sample, key=key, exclude=exclude)
        params = variables["params"]
        setattr(solver, f"state_{of}", state.replace(step=0, params=params, opt_state=state.tx.init(params)))
    held = data.source(HELD_OUT)
    expected = data.mapped(held)
    scale = expected.var(0).sum()

    def error() -> float:
        forward = solver.state_f.potential_gradient_fn(solver.state_f.params)
        return float(np.square(np.asarray(forward(jnp.asarray(held))) - expected).sum(1).mean() / scale)

    before, begun = error(), time.process_time()
    _, logs = solver(data.sources(), data.targets(), data.sources(), data.targets())
    seconds = time.process_time() - begun
    distance = float(np.square(held - expected).sum(1).mean())
    last = {name: float(np.mean(logs["train_logs"][name][-10:])) for name in ("loss_f", "w_dist")}
    return {
        "start": start,
        "dim": dim,
        "seed": seed,
        "map_error_at_start": before,
        "map_error": error(),
        "dual_loss": last["loss_f"],
        "distance_error": abs(last["w_dist"] - distance) / distance,
        "certificate": certify((solver.neural_f, {"params": solver.state_f.params}), held[:64], search=False).verdict,
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    """Train every start on both mixtures, print medians, write results/ott_neural_dual.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="keep the trainings that the result file has")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of depth
    rows: list[dict[str, Any]] = []
    solvers = {dim: solver_of(dim, arguments.steps) for dim in COMPONENTS}
    settings = {
        **{"steps": arguments.steps, "seeds": arguments.seeds, "batch": BATCH, "hidden": HIDDEN, "adam": RATE},
        **{"length": LENGTH, "spread": SPREAD, "push": PUSH, "components": COMPONENTS, "load": os.getloadavg()},
    }
    if arguments.resume:
        rows += _kept(settings)
    there = {(row["seed"], row["dim"], row["start"]) for row in rows}
    for seed, dim, start in itertools.product(range(arguments.seeds), COMPONENTS, STARTS):
        if (seed, dim, start) in there:
            continue
        rows.append(trained(solvers[dim], start, dim, seed))
        print(rows[-1], flush=True)
        found = {"settings": settings, **environment("jax", "flax", "optax", "ott-jax"), "medians": medians(rows)}
        write("ott_neural_dual", found | {"rows": rows})  # each time, so that a run that is ended is not lost


def _kept(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the result file that were trained with these settings, whatever the number of seeds and the load."""
    there = json.loads((RESULTS / "ott_neural_dual.json").read_text())
    varying = {"seeds", "load"}
    then, now = (
        {name: value for name, value in json.loads(json.dumps(of)).items() if name not in varying}
        for of in (there["settings"], settings)
    )
    if then != now:
        raise SystemExit(f"--resume: the file was made with {then}, and this run has {now}")
    rows: list[dict[str, Any]] = there["rows"]
    return rows


def medians(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By dimension and start, over seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(f"{row['dim']}-D, {row['start']}", []).append(row)
    measured = ("map_error_at_start", "map_error", "dual_loss", "distance_error")
    return {
        name: {what: round(statistics.median(row[what] for row in group), 4) for what in measured}
        | {"seeds": len(group)}
        for name, group in groups.items()
    }


if __name__ == "__main__":
    main()
