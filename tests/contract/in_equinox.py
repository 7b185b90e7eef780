"""The described models as modules of equinox, which take batches as they are described."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

import convex_init.jax
from tests.contract import in_jax
from tests.contract.description import Model

_FIELD = "layers."


class Described(eqx.Module):
    layers: dict[str, Any]
    network: Any = eqx.field(static=True)

    def __call__(self, *inputs: Any) -> Any:
        return self.network(self.layers, *inputs)


def _called(module: Described, *inputs: Any) -> Any:
    return module(*inputs)


class Adapter(in_jax.Adapter):
    """As a pair with the call, because these modules do not take single samples."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.buffers = [_FIELD + name for name in self.buffers]
        self.made = (_called, Described(self.params, self.network))

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
