"""The described models as modules of flax nnx."""

from __future__ import annotations

from typing import Any

import jax
from flax import nnx

import convex_init.jax
from tests.contract import in_jax
from tests.contract.description import Model

_FIELD = "layers."


class Described(nnx.Module):
    def __init__(self, params: dict[str, Any], network: Any) -> None:
        kinds = {"mean": nnx.BatchStat, "var": nnx.BatchStat}
        self.network = network
        self.layers = nnx.Dict(
            {
                layer: nnx.Dict({name: kinds.get(name, nnx.Param)(array) for name, array in arrays.items()})
                for layer, arrays in params.items()
            }
        )

    def __call__(self, *inputs: Any) -> Any:
        params = {layer: {name: own[...] for name, own in arrays.items()} for layer, arrays in self.layers.items()}
        return self.network(params, *inputs)


class Adapter(in_jax.Adapter):
    """What is a running statistic is known by the type of its variable."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.buffers = []
        self.made = Described(self.params, self.network)

    def plan(self) -> Any:
        return convex_init.jax.plan(self.made, self.inputs, buffers=self.buffers, **self.options)

    def apply(self) -> None:
        key = jax.random.key(0)
        self.made = convex_init.jax.apply(self.made, self.inputs, key=key, buffers=self.buffers, **self.options)

    def certificate(self) -> Any:
        convex = self.options.get("convex_inputs")
        return convex_init.jax.certify(self.made, self.inputs, convex, search=False)

    def layer_of(self, path: str) -> str:
        return path.removeprefix(_FIELD)
