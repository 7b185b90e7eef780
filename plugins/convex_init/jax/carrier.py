"""A classifier of dense layers as the input-convex function with the same class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from convex_init_core import checks
from convex_init_core.carrier.activations import BesideCarrier
from convex_init_core.carrier.dense import DenseForm, dense_form
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import as_activation

Layer = dict[str, jax.Array]


def as_convex(
    layers: Sequence[tuple[Any, Any]],
    example_inputs: Any,
    *,
    activation: str | Activation = "relu",
    dtype: Any = None,
    tolerance: float = 1e-3,
) -> tuple[Callable[[list[Layer], jax.Array], jax.Array], list[Layer]]:
    """Return the input-convex function with the class probabilities of dense layers, and its parameters.

    Every layer gets one more unit, the carrier, and all weights behind the first layer become non-negative; the logits
    differ from the classifier's by a number that is the same for all classes (:mod:`convex_init_core.carrier`). It is
    for softmax outputs only. To train a classifier whose common part stays small: ``plan(...).beside_carrier()`` in
    :func:`projection`.

    Args:
        layers: kernel ``(inputs, outputs)`` and bias ``(outputs,)`` or ``None`` of each layer, in order.
        example_inputs: ``(batch, inputs)``, whose means centre the carriers.
        activation: behind each layer but the last: ``"relu"``, ``"leaky_relu"``, ``"prelu"``, ``"softplus"``,
            ``"elu"`` or ``"celu"``, or one of these with parameters from :mod:`convex_init_core`.
        dtype: of the parameters that are returned; that of the inputs by default, as JAX takes them.
        tolerance: how much a class probability may differ on the examples, above 0.

    Returns:
        A pure function ``fn(params, x)`` and ``params``; :func:`certify` takes the pair as its model.

    Raises:
        ValueError: if there is one output, layers do not fit one another, an activation has no convex form, ``dtype``
            is one that JAX does not have (float64 without ``jax_enable_x64``), or rounding in it moves class
            probabilities by more than the tolerance.
        TypeError: if the layers are no pairs, or something else has the wrong type.

    Example:
        >>> import jax, convex_init
        >>> keys = jax.random.split(jax.random.key(0), 4)
        >>> shapes = [(4, 8), (8, 8), (8, 3)]
        >>> layers = [(jax.random.normal(key, shape), None) for key, shape in zip(keys, shapes)]
        >>> x = jax.random.normal(keys[3], (16, 4))
        >>> convex = convex_init.jax.as_convex(layers, x)
        >>> print(convex_init.jax.certify(convex, x))
        convex
    """
    checks.positive("tolerance", tolerance)
    if not isinstance(activation, (str, Activation)):
        raise TypeError(f"activation must be a name or an Activation, such as 'relu', got {activation!r}")
    phi = as_activation(activation)
    inputs = _examples(example_inputs)
    target = _dtype(jax.dtypes.canonicalize_dtype(inputs.dtype) if dtype is None else dtype)
    turned = _turned(layers, inputs.shape[1])
    form = dense_form(
        turned, phi, inputs, target, tolerance, lambda form, x: _logits(form.beside, _params(form), jnp.asarray(x))
    )
    return partial(_logits, form.beside), _params(form)


def _examples(given: Any) -> np.ndarray:
    found = np.asarray(given)
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise TypeError(f"example_inputs must be floating point, a batch of inputs, got an array of {found.dtype}")
    if found.ndim != 2:
        raise ValueError(f"example_inputs must be (batch, inputs), got {found.shape}")
    checks.example("0", found.size, bool(np.isfinite(found).all()))
    return found


def _dtype(given: Any) -> Any:
    """The dtype of the parameters, which JAX has to be able to hold: it makes float32 of float64 without a word."""
    found = np.dtype(given)
    if not jnp.issubdtype(found, jnp.floating):
        raise ValueError(f"dtype must be floating point, such as jnp.float32, got {found}")
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise ValueError(f"dtype {found} needs jax.config.update('jax_enable_x64', True), before arrays are made")
    return found


def _turned(layers: Any, inputs: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Weights ``[outputs, inputs]`` and biases of layers that follow one another."""
    if not isinstance(layers, (tuple, list)) or not all(
        isinstance(layer, (tuple, list)) and len(layer) == 2 for layer in layers
    ):
        raise TypeError("layers must be pairs of a kernel (inputs, outputs) and a bias or None, in order")
    found = []
    for place, (kernel, bias) in enumerate(layers):
        weight = np.asarray(kernel)
        if weight.ndim != 2 or len(weight) != inputs:
            raise ValueError(
                f"layers[{place}]: a kernel of shape {weight.shape} is none of {inputs} inputs, which come from what "
                "is in front of it; pass (inputs, outputs)"
            )
        inputs = weight.shape[1]
        shift = None if bias is None else np.asarray(bias)
        if shift is not None and shift.shape != (inputs,):
            raise ValueError(f"layers[{place}]: a bias of shape {shift.shape} does not fit {inputs} outputs")
        for array in (weight, shift):
            if array is not None and jnp.issubdtype(array.dtype, jnp.complexfloating):
                raise TypeError(f"layers[{place}]: its numbers must be real, got {array.dtype}")
        found.append((weight.T, shift))
    return found


def _params(form: DenseForm) -> list[Layer]:
    return [
        {"kernel": jnp.asarray(weight.T), "bias": jnp.asarray(bias)}
        for weight, bias in zip(form.weights, form.biases, strict=True)
    ]


def _logits(beside: BesideCarrier, params: list[Layer], x: jax.Array) -> jax.Array:
    last = len(params) - 1
    for place, layer in enumerate(params):
        x = x @ layer["kernel"] + layer["bias"]
        if place == 0 and last:
            x = _activation(beside.activation)(x)
        elif place < last:
            s, r = x[..., :-1], x[..., -1:]
            x = jnp.concatenate([_beside(beside, s, r), r], axis=-1)
    return x


def _beside(beside: BesideCarrier, s: jax.Array, r: jax.Array) -> jax.Array:
    if beside.form == "log_add_exp":
        return jnp.logaddexp(beside.number * s, beside.number * r) / beside.number
    if beside.form == "maximum":
        return jnp.maximum(s, r if beside.number == 0.0 else beside.number * s + (1.0 - beside.number) * r)
    return r + _activation(beside.activation)(s - r)


def _activation(phi: Activation) -> Callable[[jax.Array], jax.Array]:
    parameters = dict(phi.parameters)
    if phi.name == "prelu":  # with one slope, as the core has it
        return partial(jax.nn.leaky_relu, negative_slope=phi.negative_slope)
    if phi.name == "softplus":
        beta = parameters["beta"]
        return lambda s: jax.nn.softplus(beta * s) / beta
    known: dict[str, Callable[..., jax.Array]] = {
        "identity": lambda s: s,
        "relu": jax.nn.relu,
        "leaky_relu": jax.nn.leaky_relu,
        "elu": jax.nn.elu,
        "celu": jax.nn.celu,
    }
    if phi.name not in known:
        raise ValueError(f"activation {phi} has no counterpart in jax.nn; use {', '.join(known)} or softplus")
    return partial(known[phi.name], **parameters)
