"""Operations of torch in the core's words: which nodes, with which parameters; and what is opaque, with the reason."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convex_init.torch.trace import trace
from tests.torch.trace.evaluate import ops_of
from tests.torch.trace.lines import Line


def traced(function, *inputs):
    torch.manual_seed(0)
    return trace(Line(function), inputs or (torch.randn(3, 4),), {})


@pytest.mark.parametrize(
    ("function", "operations"),
    [
        (lambda x, W, S: F.linear(x, W, S[0]), ["contract", "add"]),
        (lambda x, W, S: F.linear(x, W), ["contract"]),
        (lambda x, W, S: torch.addmm(x, x, W, alpha=2), ["contract", "multiply", "add"]),
        (lambda x, W, S: torch.addmm(x, x, W, beta=2), ["contract", "multiply", "add"]),
        (lambda x, W, S: F.conv1d(x[None], W[:, :3, None]), ["reshape", "convolve"]),
        (lambda x, W, S: x.clamp(-1, 1), ["maximum", "minimum"]),
        (lambda x, W, S: F.relu6(x), ["maximum", "minimum"]),
        (lambda x, W, S: torch.add(x, x, alpha=-1), ["subtract"]),
        (lambda x, W, S: torch.rsub(x, 1.0), ["subtract"]),
        (lambda x, W, S: torch.lerp(x, W[:3], 0.3), ["multiply", "add"]),
        (lambda x, W, S: x * x, ["multiply"]),
        (lambda x, W, S: x**2, ["power"]),
        (lambda x, W, S: F.celu(x), ["elu"]),
        (lambda x, W, S: x.topk(1, 1).values, ["largest"]),
        (lambda x, W, S: x.max(1).values, ["max"]),
        (lambda x, W, S: x.max(1).indices, ["max", "opaque"]),
        (lambda x, W, S: torch.where(x > 0, x, 0.0), ["compare", "where"]),
        (lambda x, W, S: x.masked_fill(torch.ones(4) > 0, 0.5), ["where"]),
        (lambda x, W, S: x.double(), ["cast"]),
        (lambda x, W, S: x.float(), []),
        (lambda x, W, S: F.dropout(x, 0.5, training=False), []),
        (lambda x, W, S: F.batch_norm(x, S[0], W[0]), ["batch_norm"]),
        (lambda x, W, S: F.batch_norm(x, S[0], W[0], x[0]).sum()[None], None),
        (lambda x, W, S: x.index_add(1, torch.tensor([0]), x[:, :1]), ["slice", "scatter", "add"]),
        (lambda x, W, S: x.std(1), ["standard_deviation", "multiply"]),
        (lambda x, W, S: x.var(1, correction=0), ["variance"]),
    ],
)
def test_which_operations(function, operations):
    found = ops_of(traced(function))
    if operations is None:  # a scale that depends on the input: the mean is subtracted before it
        assert "batch_norm" not in found
        assert found.index("subtract") < found.index("multiply")
    else:
        assert found == operations


def test_pooling_of_images_with_channels_last_lays_its_result_out_alike():
    """Torch's own pooling calls ``as_strided_`` then, which leaves every element where it was."""
    graph = traced(lambda x, W, S: F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), 1), torch.randn(2, 4, 4, 3))
    assert ops_of(graph) == ["transpose", "mean", "reshape"]
    assert not graph.doubts


@pytest.mark.parametrize(
    ("function", "params"),
    [
        (lambda x, W, S: F.leaky_relu(x, 0.3), {"slope": 0.3}),
        (lambda x, W, S: F.softplus(x, -2.0, -3.0), {"beta": -2.0, "threshold": -3.0}),
        (lambda x, W, S: F.elu(x, 0.5), {"alpha": 0.5, "scale": 1.0, "input_scale": 1.0}),
        (lambda x, W, S: F.celu(x, 2.0), {"alpha": 2.0, "scale": 1.0, "input_scale": 0.5}),
        (lambda x, W, S: F.threshold(x, 0.1, -1.0), {"at": 0.1, "value": -1.0}),
        (lambda x, W, S: x.topk(2, -1, largest=False).values, {"k": 2, "axis": 1, "sorted": True, "smallest": True}),
        (lambda x, W, S: x.sort(descending=True).values, {"axis": 1, "descending": True}),
        (lambda x, W, S: x.norm(math.inf, dim=-1), {"order": math.inf, "axes": (1,), "keepdims": False}),
        (lambda x, W, S: x.sum((-1, 0), keepdim=True), {"axes": (0, 1), "keepdims": True}),
        (lambda x, W, S: x.sum(), {"axes": (0, 1), "keepdims": False}),
        (lambda x, W, S: x.softmax(-1), {"axis": 1}),
        (lambda x, W, S: x[:, -3::2], {"starts": (0, 1), "stops": (3, 4), "steps": (1, 2)}),
        (lambda x, W, S: F.pad(x, (1, 2)), {"widths": ((0, 0), (1, 2))}),
        (lambda x, W, S: x.permute(1, -2), {"axes": (1, 0)}),
        (lambda x, W, S: torch.bmm(x[None], W[None]), {"axes": ((2,), (1,)), "batch": ((0,), (0,))}),
        (lambda x, W, S: x <= 1, {"relation": "<="}),
    ],
)
def test_parameters(function, params):
    found = traced(function).nodes[-1]
    if found.name == "reshape":  # of the batch of a matrix product
        found = found.inputs[0]
    assert dict(found.params) == params
    assert set(params) == set(found.op.params)


def test_parameters_of_convolutions():
    def of(function, *shape):
        graph = trace(function, (torch.randn(shape),), {})
        return next(dict(node.params) for node in graph if node.name == "convolve")

    found = of(nn.Conv2d(4, 6, 3, (2, 1), dilation=2, groups=2, padding=3), 1, 4, 9, 9)
    axes = {"data_axes": (0, 1, 2, 3), "weight_axes": (0, 1, 2, 3)}
    assert found == {**axes, "strides": (2, 1), "dilation": (2, 2), "groups": 2, "transposed": False}
    found = of(nn.ConvTranspose1d(4, 6, 3, stride=2), 1, 4, 9)
    axes = {"data_axes": (0, 1, 2), "weight_axes": (1, 0, 2)}
    assert found == {**axes, "strides": (2,), "dilation": (1,), "groups": 1, "transposed": True}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x, W, S: torch.div(x, 1.0, rounding_mode="floor"), "div rounds"),
        (lambda x, W, S: x.relu().view(torch.float16), "view reads memory as another type"),
        (lambda x, W, S: x.round(decimals=1), "round rounds to decimals"),
        (lambda x, W, S: F.gelu(x, approximate="tanh"), "gelu approximates gelu"),
        (lambda x, W, S: F.hardshrink(x, 2.0), "hardshrink has an argument lambd that is not understood"),
        (lambda x, W, S: torch.linalg.vector_norm(x, 0.5), "linalg_vector_norm is no norm for order 0.5"),
        (
            lambda x, W, S: x.scatter(1, torch.zeros(3, 1).long(), x, reduce="multiply"),
            "scatter multiplies or averages",
        ),
        (lambda x, W, S: F.layer_norm(x, (4,)), "native_layer_norm divides by a statistic of its own input"),
        (lambda x, W, S: F.batch_norm(x, None, None, training=True), "divides by a statistic"),
        (lambda x, W, S: F.batch_norm(x, S[0], S[1] - 9), "a variance that is not known to be positive"),
        (lambda x, W, S: F.batch_norm(x, S[0], x[0]), "a variance that is not known to be positive"),
        (lambda x, W, S: torch.fmax(x, S[:3]), "fmax prefers a number to NaN"),
        (lambda x, W, S: x.prod(1), "prod multiplies values that depend on the input"),
        (lambda x, W, S: x.erfinv(), "erfinv has no rule"),
        (lambda x, W, S: torch.fft.rfft(x).abs(), "complex numbers"),
        (lambda x, W, S: torch.normal(x, 1.0), "normal draws from a law that depends on the input"),
        (lambda x, W, S: x.long().float(), "_to_copy makes whole numbers or truth values from the input"),
        (lambda x, W, S: torch.zeros(3, 4).long().copy_(x), "copy_ makes whole numbers"),
        (lambda x, W, S: torch._foreach_neg([x, x])[1], "has no rule"),
        (lambda x, W, S: x.as_strided((2, 2), (1, 1)), "as_strided reads memory in an order of its own"),
        (lambda x, W, S: torch.cond(x.sum() > 0, torch.relu, torch.neg, (x,)), "cond has no rule"),
    ],
)
@pytest.mark.filterwarnings("ignore:The reduce argument")
def test_what_is_not_understood_is_opaque_and_says_why(function, why):
    graph = traced(function)
    assert any(why in f"{node.place.operation} {node.params['why']}" for node in graph if node.name == "opaque")
    assert not graph.outputs["output"].is_fixed


def test_what_is_rounded_is_seen():
    narrow = traced(lambda x, W, S: x.bfloat16().float())
    assert [(node.name, node.dtype) for node in narrow if node.name == "cast"] == [
        ("cast", "bfloat16"),
        ("cast", "float32"),
    ]
    assert "cast" in ops_of(traced(lambda x, W, S: torch.zeros(3, 4).half().copy_(x)))
    assert "cast" in ops_of(traced(lambda x, W, S: torch.mul(x, 2, out=torch.empty(3, 4, dtype=torch.float16))))
    assert "cast" in ops_of(traced(lambda x, W, S: x.sum(dtype=torch.float16)))
    assert ops_of(traced(lambda x, W, S: x.half() + x)) == ["cast", "add"]


def test_numbers_in_the_code_are_literals():
    graph = traced(lambda x, W, S: (2.0 * x + 1) / 3)
    literals = [node for node in graph if node.name == "literal"]
    assert [node.number for node in literals] == [2.0, 1.0, 3.0]
    assert all(node.shape == () for node in literals)
    assert not any(node.name == "literal" for node in traced(lambda x, W, S: torch.addmm(x, x, W)))


def test_a_weight_can_be_followed_back_through_its_map():
    graph = traced(lambda x, W, S: x.relu() @ (F.softplus(S) / 4))
    weight = graph.outputs["output"].inputs[1]
    assert (weight.name, weight.parameters) == ("divide", ("S",))
    assert (weight.inputs[0].name, weight.inputs[0].inputs[0].params) == ("softplus", {"name": "S"})
    assert weight.bounds is not None
    assert weight.bounds[0] > 0.0


def test_uninitialised_memory_and_draws_are_no_constants():
    assert [node.name for node in traced(lambda x, W, S: torch.empty(3, 4)) if not node.is_fixed][1] == "unset"
    for function, non_negative in ((torch.rand_like, True), (torch.randn_like, False)):
        graph = traced(lambda x, W, S, draw=function: draw(W))
        node = next(node for node in graph if node.name == "noise")
        assert (node.name, node.params["non_negative"], node.is_fixed) == ("noise", non_negative, False)
        assert any("draws random numbers; the answer holds for each draw" in note for note in graph.notes)
