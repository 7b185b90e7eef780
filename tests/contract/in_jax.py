"""The described models as functions of JAX."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

import convex_init.jax
from convex_init_core.planning.plan import Plan
from tests.contract.description import Model, Step

Params = dict[str, dict[str, jax.Array]]

_THROUGH = {
    "": lambda kernel: kernel,
    "softplus": jax.nn.softplus,
    "softplus_mean": lambda kernel: jax.nn.softplus(kernel) / kernel.shape[0],
    "exp": jnp.exp,
    "square": jnp.square,
    "relu": jax.nn.relu,
}
_ACTS = {
    **{"relu": jax.nn.relu, "softplus": jax.nn.softplus, "elu": jax.nn.elu},
    **{"exp": jnp.exp, "square": jnp.square, "tanh": jnp.tanh},
}
_EPSILON = 1e-5


def _dense(p: Params, step: Step, x: jax.Array) -> jax.Array:
    layer = p[step.layer]
    y = x @ _THROUGH[step.known["through"]](layer["kernel"])
    return y + layer["bias"] if step.known["bias"] else y


def _convolution(p: Params, step: Step, x: jax.Array) -> jax.Array:
    layer, stride = p[step.layer], step.known["stride"]
    y = jax.lax.conv_general_dilated(
        *(x, layer["kernel"], (stride, stride), "VALID"),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=step.known["groups"],
    )
    return y + layer["bias"]


def _transposed(p: Params, step: Step, x: jax.Array) -> jax.Array:
    layer, stride = p[step.layer], step.known["stride"]
    return jax.lax.conv_transpose(x, layer["kernel"], (stride, stride), "VALID") + layer["bias"]


def _batch_norm(p: Params, step: Step, x: jax.Array) -> jax.Array:
    layer = p[step.layer]
    y = (x - layer["mean"]) * jax.lax.rsqrt(layer["var"] + _EPSILON)
    return y * layer["scale"] + layer["bias"] if step.known["scale"] else y


def _pooled(p: Params, step: Step, x: jax.Array) -> jax.Array:
    window = (1, step.known["window"], step.known["window"], 1)
    if step.known["how"] == "max":
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, "VALID") / step.known["window"] ** 2


def _over_features(p: Params, step: Step, x: jax.Array) -> jax.Array:
    how = {"sum": jnp.sum, "max": jnp.max, "log_sum_exp": jax.nn.logsumexp}[step.known["how"]]
    return how(x, axis=-1, keepdims=True)


_STEPS = {
    "dense": _dense,
    "convolution": _convolution,
    "transposed": _transposed,
    "batch_norm": _batch_norm,
    "act": lambda p, step, x: _ACTS[step.known["function"]](x),
    "leaky_relu": lambda p, step, x: jax.nn.leaky_relu(x, step.known["slope"]),
    "scaled": lambda p, step, x: step.known["factor"] * x,
    "pooled": _pooled,
    "flat": lambda p, step, x: x.reshape(x.shape[0], -1),
    "over_features": _over_features,
    "pieces": lambda p, step, x: x.reshape(-1, step.known["count"], step.known["units"]).max(1),
    "mean_over_steps": lambda p, step, x: x.mean(1),
    "part": lambda p, step, x: x[..., step.known["start"] : step.known["stop"]],
    "looked_up": lambda p, step, x: x[..., jnp.array(step.known["places"])],
    "beside": lambda p, step, x, y: jnp.concatenate([x, y], -1),
    "add": lambda p, step, x, y: x + y,
    "multiply": lambda p, step, x, y: x * y,
}


def _layer(model: Model, name: str) -> dict[str, jax.Array]:
    known = model.layers[name].known
    if "features" in known:  # of a batch normalisation
        ones, zeros = jnp.ones(known["features"]), jnp.zeros(known["features"])
        learnt = {"scale": ones, "bias": zeros} if known["scale"] else {}
        return {**learnt, "mean": zeros, "var": ones}
    kernel = jnp.asarray(model.kernel(name))
    bias = {"bias": jnp.zeros(kernel.shape[-1])} if known.get("bias", True) else {}
    return {"kernel": kernel, **bias}


@dataclass(frozen=True, eq=False)
class Network:
    """A described model as a function of its parameters."""

    model: Model

    def __call__(self, params: Params, *inputs: jax.Array) -> jax.Array:
        values: list[jax.Array] = []
        for number, step in enumerate(self.model.steps):
            if step.kind == "input":
                values.append(inputs[number])
            else:
                values.append(_STEPS[step.kind](params, step, *(values[i] for i in step.inputs)))
        return values[-1]


def _through_a_checkpoint(made: tuple[Network, Params]) -> tuple[Network, Params]:
    leaves, tree = jax.tree.flatten(made[1])
    buffer = io.BytesIO()
    np.savez(buffer, *leaves)
    buffer.seek(0)
    loaded = np.load(buffer)
    return made[0], jax.tree.unflatten(tree, [jnp.asarray(loaded[name]) for name in loaded.files])


class Adapter:
    """A described model in JAX, as the tests of the contract ask for it.

    Libraries on JAX write the same :class:`Network` as modules of their own: they change what is made, and how it is
    trained, read and copied.
    """

    copies: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda made: pickle.loads(pickle.dumps(made)),
        "a checkpoint": _through_a_checkpoint,
    }
    field = ""
    """What stands before a layer's name in the path of its parameters."""

    def __init__(self, model: Model) -> None:
        self.model, self.options = model, model.options
        self.inputs = tuple(model.inputs())
        self.buffers: list[str] = []
        self.optimizer: Any = None
        self.made = self.written(Network(model), {name: _layer(model, name) for name in model.layers})

    def written(self, network: Network, params: Params) -> Any:
        """What ``plan`` and the others take."""
        statistics = (name for name, step in self.model.layers.items() if step.kind == "batch_norm")
        self.buffers = [f"{name}.{which}" for name in statistics for which in ("mean", "var")]
        return network, params

    def taken(self, result: Any) -> Any:
        """The model, from what ``apply`` and ``project`` return."""
        return result

    # Of the library

    @property
    def params(self) -> Params:
        """The arrays by layer and name."""
        return self.made[1]

    def write(self, layer: str, kernel: np.ndarray) -> None:
        self.made[1][layer]["kernel"] = jnp.asarray(kernel)

    def fitted(self, optimizer: Any, loss: Callable[[Any], jax.Array], steps: int) -> Any:
        """The model after some steps; ``loss`` is a function of its call."""
        network, params = self.made
        slopes = jax.jit(jax.grad(lambda params: loss(lambda x: network(params, x))))
        state = optimizer.init(params)
        for _ in range(steps):
            updates, state = optimizer.update(slopes(params), state, params)
            params = optax.apply_updates(params, updates)
        return network, params

    def state(self) -> list[str]:
        """Names of all that is saved."""
        return [str(path) for path, _ in jax.tree.leaves_with_path(self.made)]

    # Of all

    def plan(self, **more: Any) -> Plan:
        options = {**self.options, **more}
        return convex_init.jax.plan(self.made, self.inputs, buffers=self.buffers, **options)

    def apply(self, seed: int = 0, **more: Any) -> None:
        key, options = jax.random.key(seed), {**self.options, **more}
        found = convex_init.jax.apply(self.made, self.inputs, key=key, buffers=self.buffers, **options)
        self.made = self.taken(found)

    def report(self, **more: Any) -> Any:
        return convex_init.jax.signal_report(self.made, self.inputs, buffers=self.buffers, **more)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.jax.certify(self.made, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        """The layer of the description that a path of the plan means."""
        return path.removeprefix(self.field)

    def run(self, *arrays: np.ndarray) -> np.ndarray:
        """The output in float64."""
        return np.asarray(Network(self.model)(self.params, *(x.astype(np.float32) for x in arrays)), np.float64)

    def raw(self, layer: str) -> np.ndarray:
        """The parameter of a layer's weight, axes as in the description."""
        return np.asarray(self.params[layer]["kernel"], np.float64)

    def effective(self, layer: str) -> np.ndarray:
        """What multiplies the layer's input."""
        through = _THROUGH[self.model.layers[layer].known.get("through", "")]
        return np.asarray(through(self.params[layer]["kernel"]), np.float64)

    def bias(self, layer: str) -> np.ndarray:
        return np.asarray(self.params[layer]["bias"], np.float64)

    def project(self) -> None:
        self.made = self.taken(convex_init.jax.project(self.made, self.plan()))

    def train(self, x: np.ndarray, y: np.ndarray, steps: int) -> None:
        """Fit, with what keeps weights non-negative from the first call on, until it is detached."""
        if self.optimizer is None:
            self.optimizer = optax.chain(optax.adam(1e-2), convex_init.jax.projection(self.plan()))
        self.made = self.fitted(self.optimizer, lambda call: jnp.square(call(x) - y).mean(), steps)

    def detach(self) -> None:
        self.optimizer = optax.adam(1e-2)

    def copied(self, way: str) -> Adapter:
        twin = copy.copy(self)
        twin.optimizer = None
        twin.made = self.copies[way](self.made)
        return twin

    @staticmethod
    def shared_numbers(between: Callable[[], None]) -> list[float]:
        """What the generators that a program shares give after a seed, with something else in between."""
        np.random.seed(7)  # noqa: NPY002
        between()
        return [np.random.random()]  # noqa: NPY002
