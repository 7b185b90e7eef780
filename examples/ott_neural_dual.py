"""Train OTT's ``ICNN`` as it is, from our start: ``python examples/ott_neural_dual.py``."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
import optax
from ott.neural.methods.neuraldual import W2NeuralDual
from ott.neural.networks.icnn import ICNN

from convex_init.jax import apply, assert_convex

SHIFT = np.array([2.0, -1.0], np.float32)


def samples(seed: int, shift: np.ndarray, batch: int = 256) -> Iterator[np.ndarray]:
    """Yield batches of a Gaussian."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.normal(size=(batch, 2)).astype(np.float32) + shift


def main(steps: int = 500) -> tuple[float, float]:
    """Learn the map between two Gaussians, and return its mean squared error before and after."""
    networks = [ICNN(dim_data=2, dim_hidden=[32, 32], pos_weights=True, rectifier_fn=jax.nn.softplus) for _ in range(2)]
    rates = [optax.adam(1e-3, b1=0.5, b2=0.9) for _ in networks]
    solver = W2NeuralDual(
        2, *networks, *rates, num_train_iters=steps, conjugate_solver=None, amortization_loss="objective"
    )
    source, target = samples(0, 0 * SHIFT), samples(1, SHIFT)
    x, y = next(source), next(target)
    # The potential and its conjugate, each on samples of what it will see.
    for index, (name, inputs) in enumerate({"state_f": x, "state_g": y}.items()):
        state = getattr(solver, name)
        made = apply((networks[index], {"params": state.params}), inputs, key=jax.random.key(index))
        setattr(solver, name, state.replace(params=made["params"]))

    def error() -> float:
        moved = solver.state_f.potential_gradient_fn(solver.state_f.params)(x)
        return float(np.square(moved - (x + SHIFT)).sum(1).mean())

    before = error()
    solver(source, target, source, target)
    assert_convex((networks[0], {"params": solver.state_f.params}), x)
    print(f"squared error of the map {before:.3f} -> {error():.3f}, and the potential is certified as convex")
    return before, error()


if __name__ == "__main__":
    main()
