"""The same for networks of JAX libraries: ``python -m benchmarks.clients_jax [--seeds 3] [--page]``, on Python 3.12.

OTT, klax and jaxmat, unmodified: two hundred steps of Adam from the library's own start and from ours, each at its own
best rate. What has to be non-negative and has no map is projected after each step, from either start.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.clients.protocol import EXAMPLES, PIECES, STEPS, TESTS, measure_clients, over_rates
from convex_init.jax import apply, certify, plan, projection, signal_report

FEATURES, CONTEXT = 8, 4

Inputs = tuple[jax.Array, ...]
Model = tuple[Callable[..., jax.Array], Any]


@dataclass(frozen=True)
class Client:
    """A class of a library.

    Attributes:
        distribution: that it comes from.
        make: a model with the library's own start, from a key and inputs: a function and its parameters.
        has_context: whether it has a second input, in which it need not be convex.
    """

    distribution: str
    make: Callable[[jax.Array, Inputs], Model]
    has_context: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What our calls have to know of it."""
        return {"convex_inputs": 0} if self.has_context else {}

    def inputs(self, count: int, seed: int) -> Inputs:
        """Return a batch of standard normal inputs."""
        keys = jax.random.split(jax.random.key(seed), 2)
        x, context = jax.random.normal(keys[0], (count, FEATURES)), jax.random.normal(keys[1], (count, CONTEXT))
        return (x, context) if self.has_context else (x,)


def _ott(key: jax.Array, inputs: Inputs) -> Model:
    from ott.neural.networks.icnn import ICNN

    options = {"pos_weights": True, "rectifier_fn": jax.nn.softplus, "act_fn": jax.nn.softplus}
    module = ICNN(dim_data=FEATURES, dim_hidden=[32, 32, 32], **options)
    return module.apply, module.init(key, *inputs)


def _klax(name: str) -> Callable[[jax.Array, Inputs], Model]:
    def make(key: jax.Array, inputs: Inputs) -> Model:
        import klax

        sizes = [part.shape[1] for part in inputs]
        model = getattr(klax.nn, name)(*sizes, 1, [32, 32, 32], key=key)
        return (lambda model, *inputs: jax.vmap(klax.unwrap(model))(*inputs)), model

    return make


def _jaxmat(name: str) -> Callable[[jax.Array, Inputs], Model]:
    def make(key: jax.Array, inputs: Inputs) -> Model:
        from jaxmat.nn import icnn

        return (lambda model, x: jax.vmap(model)(x)), getattr(icnn, name)(FEATURES, [32, 32, 32], key)

    return make


CLIENTS = {
    "ott ICNN": Client("ott-jax", _ott),
    "klax FICNN": Client("klax", _klax("FICNN")),
    "klax PICNN": Client("klax", _klax("PICNN"), has_context=True),
    "jaxmat ICNN": Client("jaxmat", _jaxmat("ICNN")),
    "jaxmat ICNNSkip": Client("jaxmat", _jaxmat("ICNNSkip")),
    "jaxmat HomogeneousICNN": Client("jaxmat", _jaxmat("HomogeneousICNN")),
}


def target(inputs: Inputs, seed: int) -> jax.Array:
    """Return the log-sum-exp of random affine pieces of the first input, shifted by the second."""
    keys = jax.random.split(jax.random.key(10_000 + seed), 3)
    pieces = jax.random.normal(keys[0], (PIECES,))
    for key, part, reach in zip(keys[1:], inputs, (2.0, 1.0), strict=False):
        pieces = pieces + part @ (jax.random.normal(key, (part.shape[1], PIECES)) * reach / part.shape[1] ** 0.5)
    return jax.nn.logsumexp(pieces, axis=1)


def at_its_best_rate(client: Client, with_ours: bool, seeds: range) -> dict[str, Any]:
    """Return the mean errors over the seeds, by rate."""
    runs = [_run(client, with_ours, seed) for seed in seeds]

    def error_at(rate: float) -> float:
        found = statistics.mean(float(run(rate)) for run in runs)
        return found if math.isfinite(found) else math.inf

    return over_rates(error_at).to_dict()


def _run(client: Client, with_ours: bool, seed: int) -> Callable[[float], jax.Array]:
    """Return the error after training at a rate, compiled once."""
    shown, fresh = client.inputs(EXAMPLES, 2 * seed), client.inputs(TESTS, 2 * seed + 1)
    seen, unseen = target(shown, seed), target(fresh, seed)
    centre, scale = seen.mean(), seen.std()
    call, params = client.make(jax.random.key(seed), shown)
    project = projection(plan((call, params), shown, **client.options))
    if with_ours:
        call, params = apply((call, params), shown, key=jax.random.key(seed), **client.options)
    learnt, rest = eqx.partition(params, eqx.is_inexact_array)

    def error(learnt: Any, inputs: Inputs, wanted: jax.Array) -> jax.Array:
        values = call(eqx.combine(learnt, rest), *inputs).reshape(len(wanted))
        return jnp.square(values - (wanted - centre) / scale).mean()

    @jax.jit
    def train(rate: jax.Array) -> jax.Array:
        optimizer = optax.chain(optax.scale_by_adam(), optax.scale(-rate), project)

        def step(state: Any, _: None) -> tuple[Any, None]:
            learnt, inner = state
            updates, inner = optimizer.update(jax.grad(error)(learnt, shown, seen), inner, learnt)
            return (optax.apply_updates(learnt, updates), inner), None

        (after, _), _ = jax.lax.scan(step, (learnt, optimizer.init(learnt)), None, STEPS)
        return error(after, fresh, unseen)

    return train


def measured(name: str, seeds: range) -> dict[str, Any]:
    """What one client gives: its plan and certificate, and the errors by rate from both starts."""
    client = CLIENTS[name]
    shown, fresh = client.inputs(EXAMPLES, 0), client.inputs(TESTS, 1)
    call, params = client.make(jax.random.key(0), shown)
    made = plan((call, params), shown, **client.options)
    new = apply((call, params), shown, key=jax.random.key(0), **client.options)
    planned = {layer.path for layer in made.layers} | {layer.name for layer in made.layers}
    rows = signal_report(new, fresh).layers  # gates by context stay as the library starts them
    variances = [row.variance for row in rows if planned & set(row.path.split(" + "))]
    return {
        "library": client.distribution,
        "remark": "",
        "positive": sum(layer.role == "positive" for layer in made.layers),
        "variances": [min(variances), max(variances)],
        "certificate": str(certify(new, shown, *client.options.values())),
        "variances_of_the_output": [float(fn(p, *fresh).var()) for fn, p in ((call, params), new)],
        "default": at_its_best_rate(client, False, seeds),
        "ours": at_its_best_rate(client, True, seeds),
    }


if __name__ == "__main__":
    measure_clients(
        "clients_jax", "jax", (client.distribution for client in CLIENTS.values()), CLIENTS, measured, str(__doc__)
    )
