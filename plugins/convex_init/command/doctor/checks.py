"""Each plug-in once, on a network so small that it takes no time: plan, initialise, certify.

A check imports what it needs, returns the devices that it sees, and raises if something is wrong. It runs in a process
of its own (``probe.py``), since imports of frameworks may end a process, and Keras has one backend in each.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class WrongResultError(Exception):
    """A plug-in ran and did not do what it is for."""


def _expect(held: Any, what: str) -> None:
    if not held:
        raise WrongResultError(what)


def _torch() -> list[str]:
    import torch

    from convex_init.torch import ICNN, apply_, certify, plan

    model, x = ICNN(4, [8, 8], 1), torch.zeros(2, 4)
    _expect(len(plan(model).layers) == 3, "the plan of a network of three layers has not three")
    apply_(model, generator=torch.Generator().manual_seed(0))
    _expect(certify(model, x), "a small network was not certified as convex")
    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    for device in [f"cuda:{i}" for i in range(torch.cuda.device_count())]:
        _expect(certify(model.to(device), x.to(device)), f"a small network on {device} was not certified as convex")
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def _jax() -> list[str]:
    import jax
    import jax.numpy as jnp

    from convex_init.jax import apply, certify

    def icnn(params: Any, x: Any) -> Any:
        return jax.nn.relu(x @ params["first"]["w"]) @ params["last"]["w"] + params["last"]["b"]

    params = {"first": {"w": jnp.zeros((4, 8))}, "last": {"w": jnp.zeros((8, 1)), "b": jnp.zeros(1)}}
    made = apply((icnn, params), jnp.ones((2, 4)), key=jax.random.key(0))
    _expect(certify(made, jnp.ones((2, 4))), "a small network was not certified as convex")
    return [f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()]


def _equinox() -> list[str]:
    import equinox
    import jax

    from convex_init.jax import apply, certify

    model = equinox.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    x = jax.numpy.ones((2, 4))
    _expect(certify(apply(model, x, key=jax.random.key(1)), x), "a module of equinox was not certified as convex")
    return []


def _flax() -> list[str]:
    import jax
    from flax import nnx

    from convex_init.jax import apply_, certify

    rngs, x = nnx.Rngs(0), jax.numpy.ones((2, 4))
    model = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jax.nn.relu, nnx.Linear(8, 1, rngs=rngs))
    _expect(certify(apply_(model, x, key=jax.random.key(1)), x), "a module of flax was not certified as convex")
    return []


def _optax() -> list[str]:
    import jax
    import jax.numpy as jnp
    import optax

    from convex_init.jax import plan, projection

    def icnn(params: Any, x: Any) -> Any:
        return jax.nn.relu(x @ params["first"]) @ params["last"]

    params = {"first": jnp.ones((4, 8)), "last": jnp.ones((8, 1))}
    optimizer = optax.chain(optax.sgd(1.0), projection(plan((icnn, params), jnp.ones((2, 4)))))
    gradients = jax.tree.map(lambda weight: 2.0 * weight, params)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    after: Any = optax.apply_updates(params, updates)
    _expect((after["last"] >= 0).all() and (after["first"] < 0).all(), "the projection kept the wrong weights")
    return []


def _keras() -> list[str]:
    import keras

    from convex_init.keras import ICNN, apply_, certify

    model = apply_(ICNN(4, [8], 1, seed=0), seed=0)
    _expect(certify(model), "a small network was not certified as convex")
    # Keras lists none on torch, whose own check does.
    return [] if keras.backend.backend() == "torch" else list(keras.distribution.list_devices())


def _tensorflow() -> list[str]:
    import tensorflow

    import_module("convex_init.tensorflow")
    return [device.name for device in tensorflow.config.list_logical_devices()]


def _cvxpy() -> list[str]:
    import cvxpy

    from convex_init.cvxpy import expression
    from convex_init.torch import ICNN

    x = cvxpy.Variable(4)
    _expect(expression(ICNN(4, [8], 1), x).is_convex(), "the expression of a small network is not convex")
    return list(cvxpy.installed_solvers())


def _ignite() -> list[str]:
    import torch
    from ignite.engine import Engine

    from convex_init.ignite import NonNegProjection
    from convex_init.torch import ICNN

    model = ICNN(4, [8], 1)
    weight: Any = model.layers[1].weight

    def step(engine: Engine, batch: Any) -> None:
        with torch.no_grad():
            weight.fill_(-1.0)

    trainer = Engine(step)
    NonNegProjection(model).attach(trainer)
    trainer.run([0], max_epochs=1)
    _expect((weight >= 0).all(), "the handler did not project")
    return []


def _timm() -> list[str]:
    import timm
    import torch

    import_module("convex_init.timm")
    model = timm.create_model("icnn_mlp_3x784", num_classes=10, in_chans=1, img_size=28)
    _expect(model(torch.zeros(1, 1, 28, 28)).shape == (1, 10), "a model of ours returned another shape")
    return []


def _plot() -> list[str]:
    import matplotlib

    matplotlib.use("Agg")
    import_module("matplotlib.pyplot")
    import_module("convex_init.plotting")
    return []


def _demo() -> list[str]:
    from convex_init.demo.data import load
    from convex_init.demo.failure import needed

    for module in ("torch", "tqdm", "matplotlib"):
        needed(module)
    _expect(len(load("digits", None, None).train), "there are no digits")
    return []


CHECKS: dict[str, Callable[[], list[str]]] = {
    "torch": _torch,
    "jax": _jax,
    "jax-equinox": _equinox,
    "jax-flax": _flax,
    "jax-optax": _optax,
    "keras-tensorflow": _keras,
    "keras-torch": _keras,
    "keras-jax": _keras,
    "tensorflow": _tensorflow,
    "cvxpy": _cvxpy,
    "ignite": _ignite,
    "timm": _timm,
    "plot": _plot,
    "demo": _demo,
}
"""By the name of the part."""


def check(name: str) -> list[str]:
    """Run the check of a part and return the devices that it sees; a plug-in from elsewhere is imported.

    Raises:
        Exception: whatever goes wrong.
    """
    if name in CHECKS:
        return CHECKS[name]()
    import_module(f"convex_init.{name}")
    return []
