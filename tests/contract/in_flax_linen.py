"""The described models as modules of flax linen."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from tests.contract import in_jax

_STATISTICS = ("mean", "var")


class Layer(nn.Module):
    """The arrays of one layer."""

    arrays: Any

    @nn.compact
    def __call__(self) -> dict[str, jax.Array]:
        return {name: self._own(name, array) for name, array in self.arrays.items()}

    def _own(self, name: str, array: jax.Array) -> jax.Array:
        if name in _STATISTICS:
            return self.variable("batch_stats", name, lambda: array).value
        return self.param(name, lambda key: array)


class Described(nn.Module):
    params: Any
    network: in_jax.Network

    @nn.compact
    def __call__(self, *inputs: Any) -> Any:
        layers = {name: Layer(arrays, name=name)() for name, arrays in self.params.items()}
        return self.network(layers, *inputs)


def _through_a_checkpoint(made: tuple[Described, Any]) -> tuple[Described, Any]:
    module, variables = made
    return module, flax.serialization.from_bytes(variables, flax.serialization.to_bytes(variables))


class Adapter(in_jax.Adapter):
    """A pair with its variables; what is a running statistic is known by its collection."""

    copies: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda made: (made[0], pickle.loads(pickle.dumps(made[1]))),  # modules of linen are code
        "a checkpoint": _through_a_checkpoint,
    }

    def written(self, network: in_jax.Network, params: in_jax.Params) -> Any:
        module = Described(params, network)
        return module, module.init(jax.random.key(0), *self.inputs)

    def taken(self, result: Any) -> Any:
        return result if isinstance(result, tuple) else (self.made[0], result)

    @property
    def params(self) -> in_jax.Params:
        return {
            name: {of: array for kind in self.made[1].values() for of, array in kind.get(name, {}).items()}
            for name in self.model.layers
        }

    def write(self, layer: str, kernel: np.ndarray) -> None:
        self.made[1]["params"][layer]["kernel"] = jnp.asarray(kernel)

    def fitted(self, optimizer: Any, loss: Callable[[Any], jax.Array], steps: int) -> Any:
        module, variables = self.made
        params, others = variables["params"], {name: kind for name, kind in variables.items() if name != "params"}
        slopes = jax.jit(jax.grad(lambda params: loss(lambda x: module.apply({"params": params, **others}, x))))
        state = optimizer.init(params)
        for _ in range(steps):
            updates, state = optimizer.update(slopes(params), state, params)
            params = optax.apply_updates(params, updates)
        return module, {"params": params, **others}
