"""The table of models that every framework has to read alike."""

from __future__ import annotations

from tests.contract.description import Model, Value, described

FEATURES, WIDTH = 12, 48
VECTOR, IMAGE, SERIES = (FEATURES,), (10, 10, 3), (6, FEATURES)


def chain(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = z.dense("second", WIDTH).act("relu")
    return z.dense("last", 1)


def deep_chain(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    for i in range(10):
        z = z.dense(f"z{i}", WIDTH).act("relu")
    return z.dense("last", 1)


def without_biases(x: Value) -> Value:
    z = x.dense("first", WIDTH, bias=False).act("relu")
    z = z.dense("second", WIDTH, bias=False).act("relu")
    return z.dense("last", 1, bias=False)


def leaky_chain(x: Value) -> Value:
    z = x.dense("first", WIDTH).leaky_relu(0.2)
    z = z.dense("second", WIDTH).leaky_relu(0.2)
    return z.dense("last", 1)


def elu_chain(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("elu")
    z = z.dense("second", WIDTH).act("elu")
    return z.dense("last", 1)


def skips(x: Value) -> Value:
    z = x.dense("x0", WIDTH).act("softplus")
    for i in range(1, 4):
        z = (z.dense(f"z{i}", WIDTH) + x.dense(f"x{i}", WIDTH, bias=False)).act("softplus")
    return z.dense("last", 1) + x.dense("direct", 1, bias=False)


def softplus_weights(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = z.dense("second", WIDTH, through="softplus").act("relu")
    return z.dense("last", 1, through="softplus")


def softplus_weights_over_fan_in(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("softplus")
    z = z.dense("second", WIDTH, through="softplus_mean").act("softplus")
    return z.dense("last", 1, through="softplus_mean")


def exponential_weights(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = z.dense("second", WIDTH, through="exp").act("relu")
    return z.dense("last", 1, through="exp")


def squared_weights(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = (z.dense("second", WIDTH, through="square") + x.dense("skip", WIDTH)).act("relu")
    return z.dense("last", 1, through="square")


def clamped_weights(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = z.dense("second", WIDTH, through="relu").act("relu")
    return z.dense("last", 1, through="relu")


def residual(x: Value) -> Value:
    h = x.dense("first", WIDTH)
    for i in range(3):
        h = h + h.act("relu").dense(f"h{i}", WIDTH)
    return h.dense("last", 1)


def residual_of_features(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    for i in range(2):
        z = z + z.dense(f"z{i}", WIDTH).act("relu")
    return z.dense("last", 1)


def scaled_residual(x: Value) -> Value:
    h = x.dense("first", WIDTH)
    for i in range(2):
        h = (h + h.act("relu").dense(f"h{i}", WIDTH)).scaled(0.5)
    return h.act("relu").dense("last", 1)


def quadratic(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("softplus")
    z = z.dense("last", 1)
    return z + x.dense("quadratic", 8, bias=False).act("square").over_features("sum").scaled(0.5)


def squares_beside_layers(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("softplus")
    z = (z.dense("second", WIDTH) + x.dense("squared", WIDTH, bias=False).act("square")).act("softplus")
    return z.dense("last", 1)


def several_positive_layers(x: Value) -> Value:
    u, v = x.dense("u", WIDTH).act("relu"), x.dense("v", WIDTH).act("softplus")
    z = (u.dense("zu", WIDTH) + v.dense("zv", WIDTH, bias=False) + x.dense("skip", WIDTH, bias=False)).act("relu")
    return z.dense("last", 1)


def two_inputs(x: Value, y: Value) -> Value:
    z = (x.dense("x0", WIDTH) + y.dense("y0", WIDTH, bias=False)).act("relu")
    z = (z.dense("z1", WIDTH) + x.dense("x1", WIDTH, bias=False)).act("relu")
    return z.dense("last", 1)


def gates_by_context(x: Value, c: Value) -> Value:
    u = c.dense("context", WIDTH).act("relu")
    z = (x.dense("x0", WIDTH) + u.dense("u0", WIDTH)).act("relu")
    gate = u.dense("gate", WIDTH).act("relu")
    z = ((z * gate).dense("z1", WIDTH) + x.dense("x1", WIDTH, bias=False) + u.dense("u1", WIDTH)).act("relu")
    return z.dense("last", 1)


def concatenation(x: Value) -> Value:
    u, v = x.dense("u", WIDTH).act("relu"), x.dense("v", WIDTH // 2).act("softplus")
    z = u.beside(v).dense("both", WIDTH).act("relu")
    return z.dense("last", 1)


def tied_weights(x: Value) -> Value:
    z = x.dense("input", WIDTH).act("relu")
    for _ in range(3):
        z = (z.dense("hidden", WIDTH) + x.dense("input", WIDTH)).act("relu")
    return z.dense("last", 1)


def normalised(x: Value) -> Value:
    z = x.dense("first", WIDTH).batch_norm("norm0").act("relu")
    z = z.dense("second", WIDTH).batch_norm("norm1").act("relu")
    return z.dense("last", 1)


def normalised_with_free_scales(x: Value) -> Value:
    z = x.dense("first", WIDTH).batch_norm("norm0", scale=True).act("relu")
    z = z.dense("second", WIDTH).batch_norm("norm1", scale=True).act("relu")
    return z.dense("last", 1)


def convolutions(x: Value) -> Value:
    z = x.convolution("first", 8).act("relu")
    z = z.convolution("second", 8, stride=2).act("relu").pooled("average")
    return z.flat().dense("last", 1)


def max_pooled_groups(x: Value) -> Value:
    z = x.convolution("first", 8).act("softplus").pooled("max")
    z = z.convolution("second", 12, groups=4).act("softplus")
    return z.flat().dense("last", 1)


def log_sum_exp(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    return z.dense("second", WIDTH).over_features("log_sum_exp")


def maxout(x: Value) -> Value:
    z = x.dense("first", 4 * WIDTH).pieces(4)
    z = z.dense("second", 4 * WIDTH).pieces(4)
    return z.dense("last", 1)


def series(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    z = z.dense("second", WIDTH).act("relu").mean_over_steps()
    return z.dense("last", 1)


def context_in_a_slice(x: Value) -> Value:
    context, u = x.part(0, 4), x.part(4, FEATURES)
    z = (u.dense("first", WIDTH) + context.dense("shift", WIDTH)).act("relu")
    z = (z * context.dense("gate", WIDTH).act("softplus")).dense("hidden", WIDTH, bias=False)
    return (z + u.dense("skip", WIDTH)).act("relu").dense("last", 1)


def context_at_places(x: Value) -> Value:
    context, u = x.looked_up(1, 3, 5), x.looked_up(0, 2, 4, 6, 7, 8, 9, 10, 11)
    z = (u.dense("first", WIDTH) + context.dense("shift", WIDTH).act("tanh")).act("softplus")
    return (z * context.dense("gate", WIDTH).act("relu")).dense("last", 1)


def with_moments_of_its_output(x: Value) -> Value:
    return skips(x)


def with_moments_of_each_output(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("softplus").dense("second", WIDTH, through="exp").act("softplus")
    return z.dense("last", 2) + x.dense("skip", 2, bias=False)


def by_the_papers_equations(x: Value) -> Value:
    return skips(x)


def of_any_depth(x: Value) -> Value:
    return chain(x)


def with_an_affine_output(x: Value) -> Value:
    z = x.dense("first", WIDTH).dense("affine", WIDTH).act("relu")
    return z.dense("last", 1)


def saturating(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("tanh")
    return z.dense("last", 1)


def exponential_head(x: Value) -> Value:
    z = x.dense("first", WIDTH).act("relu")
    return z.dense("last", 1).act("exp")


_OF_VECTORS = (
    *(chain, deep_chain, without_biases, leaky_chain, elu_chain, skips),
    *(softplus_weights, softplus_weights_over_fan_in, exponential_weights, squared_weights, clamped_weights),
    *(residual, residual_of_features, scaled_residual, quadratic, squares_beside_layers),
    *(several_positive_layers, concatenation, tied_weights, normalised, normalised_with_free_scales),
    *(log_sum_exp, maxout, with_an_affine_output, saturating, exponential_head),
)
_MODELS = [
    *(described(write, VECTOR) for write in _OF_VECTORS),
    described(two_inputs, VECTOR, (5,)),
    described(gates_by_context, VECTOR, (5,), convex_inputs=(0,)),
    described(context_in_a_slice, VECTOR, convex_inputs={0: slice(4, FEATURES)}),
    described(context_at_places, VECTOR, convex_inputs={"0": [0, 2, 4, 6, 7, 8, 9, 10, 11]}),
    described(with_moments_of_its_output, VECTOR, output_mean=6.4, output_variance=9.0, variance=4.0),
    described(with_moments_of_each_output, VECTOR, output_mean=(6.4, -2.0), output_variance=(9.0, 0.01)),
    described(convolutions, IMAGE),
    described(max_pooled_groups, IMAGE),
    described(series, SERIES),
    described(by_the_papers_equations, VECTOR, method="log_normal"),
    described(of_any_depth, VECTOR, method="isometric"),
]

MODELS: dict[str, Model] = {model.name: model for model in _MODELS}
"""By name."""
