"""Initializers in the protocol of :mod:`jax.nn.initializers`: a kernel, its bias, and both in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from convex_init.jax.drawing import drawn, root_of
from convex_init_core.framework import Fill
from convex_init_core.methods.recipes import positive_recipe
from convex_init_core.settings import InitSettings
from convex_init_core.theory.activations import as_activation
from convex_init_core.weights.positivity import Positivity
from convex_init_core.weights.weight_axes import Geometry

if TYPE_CHECKING:
    from convex_init_core.request import Feeding

Axes = int | Sequence[int]
Initializer = Callable[..., jax.Array]
"""``init(key, shape, dtype=float)``."""


def icnn_kernel(
    fed_by: Feeding = "relu",
    *,
    positivity: str | Positivity = "projection",
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    fan_in: float | None = None,
    **settings: Any,
) -> Initializer:
    """Return an initializer of a non-negative kernel with the moments of equations (11), (42), (43).

    Its bias must be set too (:func:`icnn_bias`); :func:`icnn` makes both. Axes that are none of those named belong to
    the window of a convolution.

    Args:
        fed_by: φ, the activation that *feeds* the layer, not the one that follows: a name, or a function of arrays.
        positivity: the map from the kernel to the effective weight, such as ``"softplus"``; ``"projection"`` if it is
            used as it is.
        in_axis: axis, or axes, of the inputs.
        out_axis: of the outputs.
        batch_axis: of independent copies.
        fan_in: number of inputs that one output sums, to be checked against the shape; not needed.
        **settings: ``correlation``, ``variance``, ``bias_noise``, ``distribution``, ``match_moments``; see
            :class:`convex_init_core.InitSettings`.

    Returns:
        ``init(key, shape, dtype=float)``, with the *raw* kernel. It raises a ``ValueError`` if the shape does not fit.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if there is no such setting.

    Example:
        >>> import jax, convex_init
        >>> init = convex_init.jax.icnn_kernel("relu")
        >>> kernel = init(jax.random.key(0), (784, 100))
        >>> kernel.shape, bool((kernel >= 0).all())
        ((784, 100), True)
    """
    chosen, phi = _settings(settings), as_activation(fed_by)
    positive_recipe(_WIDE, phi, chosen, positivity)  # refuses at once what fits no kernel

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float, out_sharding: Any = None) -> jax.Array:
        inputs, outputs, copies = (_axes(axis, len(shape)) for axis in (in_axis, out_axis, batch_axis))
        window = tuple(axis for axis in range(len(shape)) if axis not in (*inputs, *outputs, *copies))
        where = Geometry(tuple(shape), (*copies, *outputs), inputs, window)
        if fan_in not in (None, where.fan_in):
            raise ValueError(
                f"a kernel of shape {tuple(shape)} sums {where.fan_in:g} inputs (in_axis, and its window), but its "
                f"bias is made for fan_in={fan_in}: pass fan_in={where.fan_in:g}, or other axes"
            )
        recipe = positive_recipe(where.fan_in, phi, chosen, positivity)
        return _drawn(Fill("kernel", recipe.weight, recipe.positivity), key, shape, dtype, out_sharding, where)

    return init


def icnn_bias(fan_in: float, fed_by: Feeding = "relu", **settings: Any) -> Initializer:
    """Return an initializer of the bias with the centring shift −N μ_w E[φ] (equations 8, 45, 46).

    Args:
        fan_in: N, the number of inputs that one output sums: features of a dense layer; for a convolution channels per
            group × kernel volume.
        fed_by: as for :func:`icnn_kernel`.
        **settings: as for :func:`icnn_kernel`.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if there is no such setting.

    Example:
        >>> import jax, convex_init
        >>> bias = convex_init.jax.icnn_bias(784, "relu")(jax.random.key(0), (100,))
        >>> round(float(bias[0]), 3)
        -0.739
    """
    law = positive_recipe(fan_in, fed_by, _settings(settings)).bias

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float, out_sharding: Any = None) -> jax.Array:
        return _drawn(Fill("bias", law), key, shape, dtype, out_sharding)

    return init


def icnn(fed_by: Feeding = "relu", *, fan_in: float, **options: Any) -> dict[str, Initializer]:
    """Return ``kernel_init`` and ``bias_init`` for a layer of flax behind a non-linearity.

    Args:
        fed_by: φ, the activation that feeds the layer.
        fan_in: number of inputs that one output sums; the kernel's shape is checked against it.
        **options: those of :func:`icnn_kernel`.

    Raises:
        ValueError: if an argument is out of range.
        TypeError: if there is no such setting.

    Example:
        >>> import jax, convex_init
        >>> from flax import nnx
        >>> pair = convex_init.jax.icnn("relu", fan_in=784)
        >>> layer = nnx.Linear(784, 100, **pair, rngs=nnx.Rngs(0))
        >>> bool((layer.kernel[...] >= 0).all()), round(float(layer.bias[0]), 3)
        (True, -0.739)
    """
    of_kernel = {name: options[name] for name in options if name in _OF_KERNEL}
    settings = {name: options[name] for name in options if name not in _OF_KERNEL}
    return {
        "kernel_init": icnn_kernel(fed_by, fan_in=fan_in, **of_kernel, **settings),
        "bias_init": icnn_bias(fan_in, fed_by, **settings),
    }


_OF_KERNEL = ("positivity", "in_axis", "out_axis", "batch_axis")
_WIDE = 2.0**20  # a fan-in at which every law exists, to check what does not depend on it


def _settings(given: Mapping[str, Any]) -> InitSettings:
    chosen = InitSettings(**given)
    if chosen.method == "isometric":
        raise ValueError("method='isometric' needs to see a kernel's inputs and outputs: use apply on the whole model")
    return chosen


def _axes(axis: Axes, count: int) -> tuple[int, ...]:
    return tuple(one % count for one in ((axis,) if isinstance(axis, int) else axis))


def _drawn(fill: Fill, key: Any, shape: Any, dtype: Any, sharding: Any, where: Any = None) -> jax.Array:
    raw = jax.ShapeDtypeStruct(tuple(shape), jnp.zeros((), dtype).dtype, sharding=sharding)
    return drawn(fill, raw, root_of(key), lambda: where)
