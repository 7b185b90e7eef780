"""An ordinary Keras classifier as the input-convex network that has the same class probabilities."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from convex_init.keras.carrier.layers import CarrierActivation, CarrierMaxPooling, WithoutCarrier
from convex_init.keras.carrier.reading import stages_of
from convex_init_core import checks
from convex_init_core.carrier.rounding import Measured, checked
from convex_init_core.carrier.stages import (
    AsItIs,
    CarriedBend,
    CarriedProduct,
    CarriedWindows,
    ConvexStage,
    Product,
    check_classes,
    convex_stages,
)


def as_convex(model: keras.Model, example_inputs: Any, *, tolerance: float = 1e-3) -> keras.Sequential:
    """Return the input-convex network with the class probabilities of an ordinary classifier.

    Every layer gets one more unit, the carrier, and all weights behind the first layer become non-negative; the logits
    differ from the classifier's by a number that is the same for all classes (:mod:`convex_init_core.carrier`).
    :func:`certify` proves that they are convex. It is a snapshot of the classifier at inference.

    For softmax outputs only. The one output of a regression, an energy or a potential is refused, and so are sigmoids
    that the model applies itself.

    Args:
        model: a Sequential or functional chain of Dense, convolutions (channels last), BatchNormalization, ReLU, leaky
            ReLU, ELU, CELU, softplus, pooling, Flatten and Dropout. A softmax at its end is left out.
        example_inputs: a batch, whose means centre the carriers.
        tolerance: how much a class probability may differ on the examples, above 0. In float32 deep networks exceed it:
            train with ``ICNN(..., carrier=True)``, or a model of dtype float64.

    Returns:
        A ``keras.Sequential`` that does not train, with what rounding does in its attribute ``measured``.

    Raises:
        ValueError: if a layer has no convex form or numbers that are not finite, there is one output, or rounding moves
            class probabilities by more than the tolerance.
        TypeError: if an argument has the wrong type.

    Example:
        >>> import keras
        >>> from convex_init.keras import as_convex, certify
        >>> dense = keras.layers.Dense
        >>> classifier = keras.Sequential([keras.Input((4,)), dense(8, "relu"), dense(8, "relu"), dense(3, "softmax")])
        >>> x = keras.random.normal((16, 4), seed=0)
        >>> print(certify(as_convex(classifier, x), x).verdict)
        convex
    """
    checks.positive("tolerance", tolerance)
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(f"{model.name} has no weights yet; call it once")
    x = _examples(example_inputs, model.compute_dtype)
    stages, logits = stages_of(model, x)
    if len(logits.shape) != 2:
        raise ValueError(f"the classifier must return logits (batch, classes), got {tuple(logits.shape)}")
    check_classes(int(logits.shape[1]))
    convex = convex_stages(stages)
    if not np.isfinite(ops.convert_to_numpy(logits).astype(np.float64)).all():
        raise ValueError("the classifier must return finite logits on the examples: its weights or they are too large")
    made: list[Any] = []
    z, sums = x, []
    for stage in convex:
        layer = _layer(stage, z, model.dtype)
        z = layer(z)
        if isinstance(stage, CarriedProduct):
            mean = ops.mean(z[..., -1] if stage.makes else z)
            layer.bias.assign(layer.bias - mean)
            z = z - mean
            sums.append(stage.row_sum)
        made.append(layer)
    form = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype), *made], name=f"{model.name}_convex")
    form.trainable = False
    of_both = [ops.convert_to_numpy(each).astype(np.float64) for each in (form(x), logits)]
    error = np.abs(_softmax(of_both[0]) - _softmax(of_both[1])).max()
    common = np.abs(of_both[0] - of_both[1]).max()
    form.measured = checked(
        Measured(tuple(sums), float(common), float(error)),
        tolerance,
        str(model.dtype),
        "build the model of layers with dtype='float64', or train",
    )
    return form


def _examples(given: Any, dtype: str) -> Any:
    try:
        x = ops.convert_to_tensor(given, dtype=dtype)
    except Exception as error:  # whatever a backend raises
        raise TypeError(f"example_inputs must be one array of numbers, a batch of inputs: {error}") from error
    numbers = ops.convert_to_numpy(x).astype(np.float64)
    checks.example("0", numbers.size, bool(np.isfinite(numbers).all()))
    return x


def _layer(stage: ConvexStage, z: Any, dtype: Any) -> Any:
    """The built layer of a stage."""
    if isinstance(stage, CarriedProduct):
        return _product(stage.stage, stage.weight, stage.bias, 1, z, dtype)
    if isinstance(stage, AsItIs):
        inner = stage.stage
        if isinstance(inner, Product):
            return _product(inner, inner.weight, inner.bias, inner.groups, z, dtype)
        return type(inner.layer).from_config({**inner.layer.get_config(), "name": None})
    if isinstance(stage, CarriedBend):
        phi = stage.form.activation
        if stage.form.form != "shifted":
            return CarrierActivation(stage.form.form, stage.form.number, dtype=dtype)
        parameters = dict(phi.parameters)
        if phi.name not in ("elu", "celu"):
            raise ValueError(f"{stage.stage.path}: {phi} has no convex form in Keras; use relu, elu, celu or softplus")
        return CarrierActivation("shifted", parameters["alpha"], phi.name, dtype=dtype)
    if isinstance(stage, CarriedWindows):
        pooling = stage.stage.layer
        return CarrierMaxPooling(pooling.pool_size, pooling.strides, dtype=dtype)
    return WithoutCarrier(dtype=dtype)


def _product(stage: Product, weight: Any, bias: Any, groups: int, z: Any, dtype: Any) -> Any:
    """A layer with these weights that does otherwise what the stage's layer does."""
    like, outputs = stage.layer, len(weight)
    if isinstance(like, layers.Dense):
        made = layers.Dense(outputs, use_bias=bias is not None, dtype=dtype)
    else:
        kind = next(kind for kind in (layers.Conv1D, layers.Conv2D, layers.Conv3D) if isinstance(like, kind))
        names = ("kernel_size", "strides", "padding", "dilation_rate", "data_format")
        same = {name: getattr(like, name) for name in names}
        made = kind(outputs, groups=groups, use_bias=bias is not None, dtype=dtype, **same)
    made.build(z.shape)
    made.kernel.assign(np.moveaxis(np.moveaxis(weight, 1, -1), 0, -1))
    if bias is not None:
        made.bias.assign(bias)
    return made


def _softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
