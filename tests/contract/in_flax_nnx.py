"""The described models as modules of flax nnx."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.contract import in_jax


class Described(nnx.Module):
    def __init__(self, params: in_jax.Params, network: in_jax.Network) -> None:
        kinds = {"mean": nnx.BatchStat, "var": nnx.BatchStat}
        self.network = network
        self.layers = nnx.Dict(
            {
                layer: nnx.Dict({name: kinds.get(name, nnx.Param)(array) for name, array in arrays.items()})
                for layer, arrays in params.items()
            }
        )

    def arrays(self) -> in_jax.Params:
        return {layer: {name: own[...] for name, own in arrays.items()} for layer, arrays in self.layers.items()}

    def __call__(self, *inputs: Any) -> Any:
        return self.network(self.arrays(), *inputs)


def _through_a_checkpoint(made: Described) -> Described:
    twin = copy.deepcopy(made)
    state = nnx.state(twin)
    pure = nnx.to_pure_dict(state)
    nnx.replace_by_pure_dict(state, flax.serialization.from_bytes(pure, flax.serialization.to_bytes(pure)))
    nnx.update(twin, state)
    return twin


class Adapter(in_jax.Adapter):
    """What is a running statistic is known by the type of its variable."""

    copies: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda made: pickle.loads(pickle.dumps(made)),
        "nnx.clone": nnx.clone,
        "a checkpoint": _through_a_checkpoint,
    }
    field = "layers."

    def written(self, network: in_jax.Network, params: in_jax.Params) -> Any:
        return Described(params, network)

    @property
    def params(self) -> in_jax.Params:
        return self.made.arrays()

    def write(self, layer: str, kernel: np.ndarray) -> None:
        self.made.layers[layer]["kernel"][...] = jnp.asarray(kernel)

    def fitted(self, optimizer: Any, loss: Callable[[Any], jax.Array], steps: int) -> Any:
        trained = nnx.Optimizer(self.made, optimizer, wrt=nnx.Param)

        @nnx.jit
        def step(module: Described, trained: nnx.Optimizer) -> None:
            trained.update(module, nnx.grad(loss)(module))

        for _ in range(steps):
            step(self.made, trained)
        return self.made

    def state(self) -> list[str]:
        return [str(path) for path, _ in jax.tree.leaves_with_path(nnx.state(self.made))]
