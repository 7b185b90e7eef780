"""The described models as modules of equinox, which take one sample each."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tests.contract import in_jax


class Described(eqx.Module):
    layers: dict[str, Any]
    network: in_jax.Network = eqx.field(static=True)

    def __call__(self, *inputs: Any) -> Any:
        return self.network(self.layers, *(x[None] for x in inputs))[0]


def _on_a_batch(module: Described, *inputs: Any) -> Any:
    return jax.vmap(module)(*inputs)


def _through_a_checkpoint(made: tuple[Any, Described]) -> tuple[Any, Described]:
    buffer = io.BytesIO()
    eqx.tree_serialise_leaves(buffer, made[1])
    buffer.seek(0)
    return made[0], eqx.tree_deserialise_leaves(buffer, made[1])


class Adapter(in_jax.Adapter):
    """As a pair with the call of a batch, because some samples look like a batch themselves."""

    copies: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda made: pickle.loads(pickle.dumps(made)),
        "a checkpoint": _through_a_checkpoint,
    }
    field = "layers."

    def written(self, network: in_jax.Network, params: in_jax.Params) -> Any:
        super().written(network, params)
        self.buffers = [self.field + name for name in self.buffers]
        return _on_a_batch, Described(params, network)

    @property
    def params(self) -> in_jax.Params:
        return self.made[1].layers

    def write(self, layer: str, kernel: np.ndarray) -> None:
        call, module = self.made
        self.made = call, eqx.tree_at(lambda m: m.layers[layer]["kernel"], module, jnp.asarray(kernel))

    def fitted(self, optimizer: Any, loss: Callable[[Any], jax.Array], steps: int) -> Any:
        call, module = self.made
        state = optimizer.init(eqx.filter(module, eqx.is_inexact_array))

        @eqx.filter_jit
        def step(module: Described, state: Any) -> tuple[Described, Any]:
            slopes = eqx.filter_grad(lambda module: loss(lambda x: call(module, x)))(module)
            updates, state = optimizer.update(slopes, state, eqx.filter(module, eqx.is_inexact_array))
            return eqx.apply_updates(module, updates), state

        for _ in range(steps):
            module, state = step(module, state)
        return call, module
