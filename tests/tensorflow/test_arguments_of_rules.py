"""Every attribute and every argument of every operation that is lowered is in its rule, or makes the result opaque."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf

from convex_init.tensorflow.trace.known_functions import RULES
from convex_init.tensorflow.trace.lowering import Lowering, bounds
from convex_init.tensorflow.trace.program import TECHNICAL, Step, flat
from convex_init_core.graph.builder import Builder
from convex_init_core.graph.nodes import Place
from convex_init_core.graph.programs.program import Slot

X = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
IMAGE = (1, 4, 4, 1)


def image(x):
    return tf.reshape(x, IMAGE)


def window(x):
    return tf.reshape(x[:2, :2], (2, 2, 1, 1))


SAMPLES = [
    lambda x: x[1:3, ::2],  # before those that take single places, for which not all of the masks matter
    *(getattr(tf.math, n) for n in ("exp", "expm1", "log", "log1p", "square", "sqrt", "rsqrt", "abs", "sign", "tanh")),
    *(getattr(tf.math, n) for n in ("sinh", "cosh", "asinh", "atan", "sin", "cos", "tan", "erf", "erfc", "floor")),
    *(getattr(tf.math, n) for n in ("ceil", "sigmoid", "softplus", "rint", "round", "negative", "is_finite", "is_nan")),
    *(getattr(tf.math, n) for n in ("reciprocal", "softsign", "cumsum")),
    *(getattr(tf.nn, n) for n in ("relu", "selu", "elu", "leaky_relu", "relu6", "softmax", "log_softmax")),
    *(lambda x, op=op: op(x, x + 1) for op in (tf.add, tf.subtract, tf.multiply, tf.divide, tf.maximum, tf.minimum)),
    *(lambda x, op=op: op(x, x + 1) for op in (tf.pow, tf.math.squared_difference, tf.math.divide_no_nan, tf.matmul)),
    *(lambda x, op=op: op(x, x + 1) for op in (tf.greater, tf.greater_equal, tf.less, tf.less_equal, tf.equal)),
    *(lambda x, op=op: op(x, axis=1) for op in (tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min)),
    *(lambda x, op=op: op(x, axis=1) for op in (tf.argmax, tf.argmin, tf.math.reduce_euclidean_norm)),
    lambda x: tf.clip_by_value(x, -1.0, 1.0),
    lambda x: tf.where(x > 0, x, -x),
    lambda x: tf.cast(x, tf.float16),
    lambda x: tf.add_n([x, x + 1]),
    lambda x: tf.nn.bias_add(x, x[0]),
    lambda x: tf.einsum("ij,jk->ik", x, x),
    lambda x: tf.matmul(tf.stack([x, x]), tf.stack([x, x])),
    lambda x: tf.transpose(tf.reshape(x, (2, 8))),
    lambda x: tf.squeeze(tf.expand_dims(x, 0), 0),
    lambda x: tf.broadcast_to(x, (2, 4, 4)),
    lambda x: tf.reverse(x, [1]),
    lambda x: tf.roll(x, 1, 1),
    lambda x: tf.tile(x, (1, 2)),
    lambda x: tf.pad(x, ((0, 0), (1, 1)), "REFLECT"),
    lambda x: tf.pad(x, ((0, 0), (1, 1))),
    lambda x: tf.pad(x, ((0, 0), (1, 1)), constant_values=1.0),
    lambda x: tf.nn.depth_to_space(tf.nn.space_to_depth(image(x), 2), 2),
    lambda x: tf.slice(x, (0, 1), (2, 2)),
    lambda x: tf.concat([x, x], 1),
    lambda x: tf.stack(tf.unstack(x)),
    lambda x: tf.split(x, 2, 1)[0] + tf.split(x, (2, 2), 1)[0],
    lambda x: tf.batch_to_space(tf.space_to_batch(image(x), (2, 2), ((0, 0), (0, 0))), (2, 2), ((0, 0), (0, 0))),
    lambda x: tf.gather(x, (0, 1)) + tf.gather_nd(x, ((0,), (1,))),
    lambda x: tf.tensor_scatter_nd_update(x, ((0,),), x[:1]),
    lambda x: tf.nn.conv2d(image(x), window(x), 1, "SAME"),
    lambda x: tf.nn.conv3d(image(x)[..., None], window(x)[..., None], (1,) * 5, "SAME"),
    lambda x: tf.nn.depthwise_conv2d(image(x), window(x), (1,) * 4, "SAME"),
    lambda x: tf.nn.conv2d_transpose(image(x), window(x), IMAGE, 1),
    lambda x: tf.nn.max_pool2d(image(x), 2, 2, "VALID") + tf.nn.avg_pool2d(image(x), 2, 2, "VALID"),
    lambda x: tf.image.resize(image(x), (2, 2)) + tf.image.resize(image(x), (2, 2), "nearest"),
    lambda x: tf.nn.top_k(x, 2)[0],
    lambda x: tf.compat.v1.nn.fused_batch_norm(image(x), x[0, :1], x[0, :1], x[0, :1], x[1, :1], is_training=False)[0],
    lambda x: tf.stop_gradient(tf.identity(x)),
    lambda x: tf.ensure_shape(tf.debugging.check_numerics(x, "?"), (4, 4)),
    lambda x: tf.custom_gradient(lambda y: (y * y, lambda up: up))(x),
]

# Attributes that change nothing of what the certificate says, whatever they are, by operation.
MOVES = ("mode", "block_size", "data_format", "align_corners", "half_pixel_centers", "squeeze_dims")
WINDOWS = ("ksize", "strides", "padding", "explicit_paddings", "data_format")
SAME = {
    **dict.fromkeys(("MirrorPad", "SpaceToDepth", "DepthToSpace", "ResizeNearestNeighbor", "Squeeze"), MOVES),
    "ResizeBilinear": ("align_corners", "half_pixel_centers"),
    **dict.fromkeys(("MaxPool", "AvgPool"), WINDOWS),
    **dict.fromkeys(
        ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput"), ("padding", "explicit_paddings")
    ),
    "GatherV2": ("batch_dims", "bad_indices_policy"),
    "GatherNd": ("bad_indices_policy",),
    "TensorScatterUpdate": ("bad_indices_policy",),
    "TopKV2": ("k",),
    "FusedBatchNormV3": ("exponential_avg_factor",),
    "Unpack": ("num",),  # the number of results
    **dict.fromkeys(("Split", "SplitV"), ("num_split",)),
    **dict.fromkeys(("Equal", "NotEqual"), ("incompatible_shape_error",)),
}


class Changed(Step):
    """A step with other attributes."""

    others: Mapping[str, object] = MappingProxyType({})

    @property
    def attributes(self):
        return super().attributes | set(self.others)

    def attribute(self, name):
        return self.others[name] if name in self.others else super().attribute(name)


def steps():
    found = {}
    for sample in SAMPLES:
        concrete = tf.function(sample, autograph=False).get_concrete_function(tf.TensorSpec((4, 4), tf.float32))
        for step in flat(concrete, {}).steps:
            found.setdefault(step.name, step)
    return found


STEPS = steps()
SEEN = sorted(set(RULES) & set(STEPS))


def lowered(step, others=()):
    """The results of a step whose arguments are as the program has them, and those that depend on the input."""
    changed = Changed(step.operation, step.inputs, step.outputs, step.module)
    object.__setattr__(changed, "others", dict(others))
    lowering = Lowering(Builder(bounds, lambda node: None), RULES)
    for index, slot in enumerate(step.inputs):
        if slot.number is None:
            node = lowering.builder.leaf("input", slot.shape, slot.dtype, Place("input", str(index)), name=str(index))
            lowering.nodes[slot] = node
        else:
            lowering.nodes[slot] = lowering.builder.literal(slot.number, slot.shape, slot.dtype)
    lowering.lower_step(changed)
    return [lowering.nodes[slot] for slot in step.outputs], [lowering.nodes[slot] for slot in step.inputs]


def without_numbers(step):
    """The same step, with all arguments depending on the input."""
    inputs = tuple(Slot(slot.shape, slot.dtype) for slot in step.inputs)
    return replace(step, inputs=inputs, outputs=tuple(Slot(slot.shape, slot.dtype) for slot in step.outputs))


def behind(nodes):
    found, waiting = set(), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.inputs)
    return found


def test_most_rules_have_a_sample():
    unseen = {name for name in set(RULES) - set(STEPS) if not name.startswith(("TensorList", "Stateless", "Logical"))}
    assert len(unseen) < 0.25 * len(RULES), sorted(unseen)


@pytest.mark.parametrize("name", SEEN)
def test_every_argument_is_used(name):
    if name in ("Shape", "Size", "Rank", "ZerosLike", "OnesLike"):
        return  # which ask for the shape alone
    results, arguments = lowered(without_numbers(STEPS[name]))
    assert set(arguments) <= behind(results)


@pytest.mark.parametrize("name", SEEN)
def test_every_attribute_is_understood(name):
    step = without_numbers(STEPS[name])
    step = replace(step, inputs=STEPS[name].inputs)
    assert all(node.name == "opaque" for node in lowered(step, {"of_a_later_version": 1})[0])
    if all(node.name == "opaque" for node in lowered(step)[0]):
        return
    for key in step.attributes - TECHNICAL:
        if key.startswith("_") or key in SAME.get(name, ()):
            continue
        try:
            results = lowered(step, {key: Unreadable()})[0]
        except (TypeError, ValueError, AttributeError):
            continue  # the rule has looked at it
        assert all(node.name == "opaque" for node in results), key


class Unreadable:
    """What raises whenever it is looked at."""

    def __bool__(self):
        raise TypeError
