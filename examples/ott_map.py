"""A transport map by OTT's neural dual, whose networks start here: ``python examples/ott_map.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import jax
import numpy as np
from ott.neural.methods.neuraldual import W2NeuralDual
from ott.neural.networks.icnn import ICNN

from convex_init.jax import apply, assert_convex

STRETCH = np.array([2.0, 0.5], np.float32)  # the map is x ↦ STRETCH · x, the gradient of a convex function


def samples(seed: int, count: int = 64) -> Iterator[np.ndarray]:
    """Yield batches of a Gaussian."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.standard_normal((count, 2)).astype(np.float32)


def main(steps: int = 200, hidden: tuple[int, ...] = (64, 64)) -> tuple[float, float]:
    """Train, and return the map's error before and after, relative to the variance of the target."""
    networks = [ICNN(2, hidden, pos_weights=True) for _ in range(2)]
    dual = W2NeuralDual(2, *networks, num_train_iters=steps, valid_freq=steps + 1)
    x = next(samples(0, 1024))
    for index, (name, seen) in enumerate({"f": x, "g": STRETCH * x}.items()):
        network, state = getattr(dual, f"neural_{name}"), getattr(dual, f"state_{name}")
        # The last potential stays |x|²/2, as OTT starts it: a map near the identity, and a conjugate that is finite.
        made = apply(
            (network, {"params": state.params}), seen, key=jax.random.key(index), exclude=["pos_def_potentials*"]
        )
        setattr(dual, f"state_{name}", state.replace(params=made["params"]))

    def error() -> float:
        mapped = dual.state_f.potential_gradient_fn(dual.state_f.params)(x)
        return float(np.square(np.asarray(mapped) - STRETCH * x).sum(1).mean() / np.square(STRETCH).sum())

    before = error()
    targets = (STRETCH * batch for batch in samples(2))
    dual(samples(1), targets, samples(3), targets)
    assert_convex((dual.neural_f, {"params": dual.state_f.params}), x)
    return before, error()


if __name__ == "__main__":
    print("map error before and after: {:.3f}, {:.3f}".format(*main(*map(int, sys.argv[1:]))))
