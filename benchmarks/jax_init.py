"""``apply`` against JAX's own initializer over the same kernels: ``python -m benchmarks.jax_init``.

Both are compiled: what is timed is a draw from a new key, steady. What ``apply`` costs besides, tracing and planning,
is given apart, once. It is asked for by default, which is isometric weights for these chains, and for log-normal ones.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import environment, ratio, side_by_side, write
from convex_init.jax import apply, plan

HE = jax.nn.initializers.he_normal()
METHODS = ("auto", "log_normal")
NETWORKS = {"mlp 5x784": (784,) * 6 + (10,), "mlp 2x4096": (4096, 4096, 4096, 1)}


def network(widths: tuple[int, ...]) -> tuple[Any, list[dict[str, jax.Array]]]:
    """A function and its parameters."""
    params = [{"kernel": jnp.zeros(pair), "bias": jnp.zeros(pair[1])} for pair in itertools.pairwise(widths)]

    def fn(params: list[dict[str, jax.Array]], x: jax.Array) -> jax.Array:
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
        return x @ params[-1]["kernel"] + params[-1]["bias"]

    return fn, params


def main() -> None:
    """Measure, print ratios, write results/jax_init_<platform>.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    rows = []
    for (name, widths), method in itertools.product(NETWORKS.items(), METHODS):
        fn, params = network(widths)
        x = jax.ShapeDtypeStruct((32, widths[0]), jnp.float32)
        begun = time.process_time()
        made = plan((fn, params), x, method=method)
        planning = time.process_time() - begun
        ours = jax.jit(
            lambda key, fn=fn, params=params, x=x, method=method: apply((fn, params), x, key=key, method=method)[1]
        )

        def of_jax(key: jax.Array, params: Any = params) -> Any:
            pairs = zip(jax.random.split(key, len(params)), params, strict=True)
            return [{"kernel": HE(k, layer["kernel"].shape), "bias": layer["bias"]} for k, layer in pairs]

        theirs, keys = jax.jit(of_jax), (jax.random.key(seed) for seed in itertools.count())
        begun = time.process_time()
        jax.block_until_ready(ours(next(keys)))
        first = time.process_time() - begun
        actions = {
            "he_normal": lambda theirs=theirs, keys=keys: jax.block_until_ready(theirs(next(keys))),
            "apply": lambda ours=ours, keys=keys: jax.block_until_ready(ours(next(keys))),
        }
        seconds = side_by_side(actions, rounds=arguments.rounds, clock=time.process_time)
        found = ratio(seconds, "apply", "he_normal")
        print(f"{name}, {method}: apply / he_normal {found}; planning {planning:.2f} s, with compilation {first:.2f} s")
        rows.append(
            {
                **{"network": name, "method": method, "law": type(made.layers[-1].recipe.weight).__name__},
                **{"weights": sum(a * b for a, b in itertools.pairwise(widths)), "layers": len(made.layers)},
                **{"ratio_to_he_normal": found, "seconds": seconds},
                **{"planning_processor_seconds": planning, "first_call_processor_seconds": first},
            }
        )
    settings = {"device": jax.devices()[0].device_kind, "rounds": arguments.rounds, "clock": "processor time"}
    write(f"jax_init_{jax.devices()[0].platform}", {"settings": settings, **environment("jax"), "rows": rows})


if __name__ == "__main__":
    main()
