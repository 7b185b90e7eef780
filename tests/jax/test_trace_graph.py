"""Names, places, constants and control flow of traced graphs; and running them again."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from convex_init.jax.trace import run, trace, traced
from convex_init_core.graph.compounds.rewritten import with_compounds
from convex_init_core.graph.nodes import Place

RNG = np.random.default_rng(1)


@jax.tree_util.register_dataclass
@dataclass
class Linear:
    """A module as equinox and klax write them: a dataclass whose fields are a tree."""

    weight: jax.Array
    bias: jax.Array | None

    def __call__(self, x):
        made = self.weight @ x
        return made if self.bias is None else made + self.bias


@jax.tree_util.register_dataclass
@dataclass
class Network:
    first: Linear
    layers: list[Linear]
    skips: list[Linear]

    def __call__(self, x):
        z = jax.nn.softplus(self.first(x))
        for index, (layer, skip) in enumerate(zip(self.layers, self.skips, strict=True)):
            with jax.named_scope(f"layer_{index}"):
                positive = Linear(jax.nn.softplus(layer.weight) / 8, layer.bias)
                z = jax.nn.softplus(positive(z) + skip(x))
        return z.sum()


def linear(outputs, inputs, bias=True):
    weight = jnp.asarray(RNG.normal(size=(outputs, inputs)), dtype=jnp.float32)
    return Linear(weight, jnp.ones(outputs) if bias else None)


def network():
    return Network(linear(8, 3), [linear(8, 8), linear(8, 8)], [linear(8, 3, bias=False), linear(8, 3, bias=False)])


def batched(model, x):
    return jax.vmap(model)(x)


X = RNG.normal(size=(5, 3)).astype(np.float32)


def parameters(graph):
    return {node.params["name"] for node in graph if node.name == "parameter"}


def test_parameters_are_named_by_their_paths():
    graph = trace(batched, network(), (X,))
    assert parameters(graph) == {
        *("first.weight", "first.bias", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"),
        *("skips.0.weight", "skips.1.weight"),
    }
    assert set(graph.inputs) == {"0"}
    products = [node for node in graph if node.name == "contract"]
    weights = [next(part for part in node.inputs if part.is_fixed) for node in products]
    assert [weight.parameters for weight in weights] == [
        *(("first.weight",), ("layers.0.weight",), ("skips.0.weight",), ("layers.1.weight",), ("skips.1.weight",)),
    ]
    assert weights[1].bounds[0] > 0
    assert {node.place.module for node in products} == {"", "layer_0", "layer_1"}


def test_a_weight_can_be_followed_through_its_map():
    graph = trace(batched, network(), (X,))
    product = [node for node in graph if node.name == "contract"][1]
    weight = next(part for part in product.inputs if part.is_fixed)
    chain = [weight.name]
    while weight.inputs:
        weight = weight.inputs[0]
        chain.append(weight.name)
    assert [name for name in chain if name not in ("transpose", "reshape")] == ["divide", "softplus", "parameter"]


def test_shapes_alone_give_the_same_graph_without_numbers():
    model = network()
    with_numbers = trace(batched, model, (X,))
    without = trace(batched, jax.eval_shape(lambda: model), (jax.ShapeDtypeStruct(X.shape, X.dtype),))
    assert [(node.op, node.params, node.shape, node.place) for node in with_numbers] == [
        (node.op, node.params, node.shape, node.place) for node in without
    ]
    assert all(node.bounds is None for node in without if node.parameters)
    assert all(node.bounds is not None for node in with_numbers if node.parameters)


def test_inputs_outputs_and_what_is_no_array():
    def function(p, x, other, *, factor, flag):
        assert flag == "yes"
        return {"a": x["left"] * factor, "b": [other["index"], None, x["right"] @ p["w"]]}

    args = ({"left": jnp.ones(3), "right": jnp.ones(3)}, {"index": jnp.arange(2)})
    params = {"w": jnp.ones((3, 2)), "name": "static", "count": jnp.arange(3)}
    graph = trace(function, params, args, {"factor": jnp.ones(()), "flag": "yes"})
    assert set(graph.inputs) == {"0.left", "0.right", "factor"}
    assert set(graph.outputs) == {"output.a", "output.b.0", "output.b.2"}
    assert graph.floating == ["output.a", "output.b.2"]
    assert parameters(graph) == {"w"}
    assert graph.outputs["output.b.0"].is_fixed
    assert graph.outputs["output.b.0"].bounds is None  # another index may be given next time


def test_given_names_and_buffers():
    params = [jnp.ones(3), jnp.zeros(3)]
    graph = trace(lambda p, x: (x - p[0]) * p[1], params, (jnp.ones(3),), names=["a/mean", "b"], buffers={"a/mean"})
    assert parameters(graph) == {"b"}
    (buffer,) = (node for node in graph if node.name == "buffer")
    assert buffer.params["name"] == "a/mean"
    assert buffer.parameters == ()
    with pytest.raises(ValueError, match="2 arrays"):
        trace(lambda p, x: x, params, (jnp.ones(3),), names=["only one"])
    with pytest.raises(ValueError, match="both named 'same'"):
        trace(lambda p, x: x, params, (jnp.ones(3),), names=["same", "same"])


def test_a_branch_that_parameters_decide_is_taken():
    def function(p, x):
        return jax.lax.cond(p["b"].sum() > 0, jax.nn.relu, jnp.negative, x)

    assert trace(function, {"b": jnp.ones(2)}, (X,)).outputs["output"].name == "relu"
    assert trace(function, {"b": -jnp.ones(2)}, (X,)).outputs["output"].name == "negate"
    shapes = {"b": jax.ShapeDtypeStruct((2,), "float32")}
    assert trace(function, shapes, (X,)).outputs["output"].name == "opaque"


def test_an_array_in_the_code_is_a_literal():
    matrix = jnp.eye(3)
    graph = trace(lambda p, x: x @ matrix, {}, (X,))
    (literal,) = (node for node in graph if node.is_fixed)
    assert literal.name == "literal"
    assert literal.bounds == (0.0, 1.0)


def test_a_number_that_is_not_finite_is_kept():
    graph = trace(lambda p, x: jnp.where(x > 0, x, -jnp.inf) + p["w"], {"w": jnp.full(3, jnp.nan)}, (X,))
    infinite = [node for node in graph if node.name == "literal" and node.constant.bounds == (-np.inf, -np.inf)]
    assert infinite
    (weight,) = (node for node in graph if node.name == "parameter")
    assert all(map(np.isnan, weight.constant.bounds))


def test_half_precision_functions_are_known():
    graph = trace(lambda p, x: jax.nn.softplus(jax.nn.leaky_relu(x, 0.1)), {}, (X.astype(jnp.bfloat16),))
    assert [node.name for node in graph] == ["input", "leaky_relu", "softplus"]


def test_a_run_visits_places_in_order_and_goes_on_with_what_it_is_given():
    model = network()
    made = traced(batched, model, (X,))
    sums = [node for node in made.graph if node.name == "softplus" and not node.is_fixed]
    met = []

    def double_the_first(place, array):
        met.append((place, array.shape))
        return array * 2 if len(met) == 1 else None

    (output,) = run(made, [node.place for node in sums], double_the_first)
    assert met == [(node.place, (5, 8)) for node in sums]
    z = 2 * jax.nn.softplus(X @ model.first.weight.T + model.first.bias)
    for layer, skip in zip(model.layers, model.skips, strict=True):
        z = jax.nn.softplus(z @ jax.nn.softplus(layer.weight).T / 8 + layer.bias + X @ skip.weight.T)
    np.testing.assert_allclose(output, z.sum(1), rtol=1e-5)


def test_a_run_with_another_parameter_or_input_computes_what_depends_on_it_again():
    model = network()
    made = traced(batched, model, (X,))
    (weight,) = (node for node in made.graph if node.name == "parameter" and node.params["name"] == "layers.0.weight")
    (unchanged,) = run(made, [], lambda place, array: None, arrays={"0": X + 1})
    np.testing.assert_allclose(unchanged, batched(model, X + 1), rtol=1e-5)
    (output,) = run(made, [weight.place], lambda place, array: array + 1)
    model.layers[0].weight = model.layers[0].weight + 1
    np.testing.assert_allclose(output, batched(model, X), rtol=1e-5)


def test_a_run_to_nowhere_is_refused():
    made = traced(batched, network(), (X,))
    with pytest.raises(ValueError, match="nothing is computed at \"cosh in 'm'\""):
        run(made, [Place("cosh", "m", 0)], lambda place, array: None)


NORMALISATIONS = {
    "one factor after the other": lambda p, x: (x - p["mean"]) * jax.lax.rsqrt(p["var"] + 1e-5) * p["scale"] + p["b"],
    "one slope": lambda p, x: (x - p["mean"]) * (p["scale"] * jax.lax.rsqrt(p["var"] + 1e-5)) + p["b"],
    "quotient": lambda p, x: (x - p["mean"]) / jnp.sqrt(p["var"] + 1e-5) * p["scale"] + p["b"],
    "slope of a quotient": lambda p, x: (x - p["mean"]) * (p["scale"] / jnp.sqrt(p["var"] + 1e-5)) + p["b"],
    "without scale": lambda p, x: (x - p["mean"]) / jnp.sqrt(p["var"] + 1e-5) + p["b"],
    "without scale and shift": lambda p, x: (x - p["mean"]) * jax.lax.rsqrt(p["var"] + 1e-5),
}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_normalisation_is_one_node_however_it_is_written(name):
    params = {"scale": jnp.arange(1.0, 5.0), "b": jnp.ones(4), "mean": jnp.full(4, 0.5), "var": jnp.full(4, 2.0)}
    graph = with_compounds(trace(NORMALISATIONS[name], params, (np.ones((5, 4), np.float32),), buffers=("mean", "var")))
    (node,) = (node for node in graph if node.name == "batch_norm")
    assert graph.outputs["output"] is node
    _, scale, shift, mean, variance = (part.params.get("name", part.number) for part in node.inputs)
    assert (scale, shift) == (1.0 if "without" in name else "scale", 0.0 if name.endswith("shift") else "b")
    assert (mean, variance) == ("mean", "var")
    assert node.params == {"epsilon": pytest.approx(1e-5), "axis": 1}


OTHERS = {
    "two scales": lambda p, x: (x - p["mean"]) * jax.lax.rsqrt(p["var"] + 1e-5) * p["scale"] * p["scale"],
    "a learnt variance": lambda p, x: (x - p["mean"]) * jax.lax.rsqrt(p["scale"] + 1e-5),
    "divided by the scale": lambda p, x: (x - p["mean"]) * (jax.lax.rsqrt(p["var"] + 1e-5) / p["scale"]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_none_is_not_taken_for_one(name):
    params = {"scale": jnp.arange(1.0, 5.0), "mean": jnp.full(4, 0.5), "var": jnp.full(4, 2.0)}
    graph = with_compounds(trace(OTHERS[name], params, (np.ones((5, 4), np.float32),), buffers=("mean", "var")))
    assert graph.outputs["output"].name != "batch_norm"
