"""Evaluate the nodes of a graph, and compare each with the tensor that the model made in its place."""

from __future__ import annotations

import itertools
import string

import torch
import torch.nn.functional as F

from convex_init.torch.trace import same_course, trace


class Evaluated:
    """A graph, the numbers that its nodes stand for, and how many of these were computed from other nodes.

    Raises:
        AssertionError: if a node does not have the numbers, shape or type of the tensor in its place.
    """

    def __init__(self, model, args=(), kwargs=None, call=None, seed=0):
        kwargs = kwargs or {}
        torch.manual_seed(seed)
        first = trace(model, args, kwargs, call)
        self.seen = {}
        torch.manual_seed(seed)
        places = {node.place for node in first}
        assert len(places) == len(first.nodes)
        self.graph = trace(model, args, kwargs, call, visit=self.look, places=places)
        assert same_course(first, self.graph)
        self.values, self.computed = {}, 0
        before = set()
        for node in self.graph:
            assert all(part in before for part in node.inputs), f"{node} comes before its inputs"
            before.add(node)
            assert set(node.params) == set(node.op.params), node
            self.values[node] = self.value(node)
        for name, node in self.graph.outputs.items():
            assert self.values[node] is not None, f"{name} has no numbers"

    def look(self, place, tensor):
        self.seen[place] = tensor.detach().clone()

    def value(self, node):
        seen = self.seen.get(node.place)
        if node.constant is not None and node.constant.handle is not None:
            handle = node.constant.handle
            assert node.shape == tuple(handle.shape), node
            assert seen is None or torch.equal(seen.nan_to_num(), handle.nan_to_num()), node
            seen = handle
            if node.constant.bounds is not None:
                low, high = node.constant.bounds
                assert low == float(handle.min()), node
                assert high == float(handle.max()), node
        elif seen is not None:
            assert tuple(seen.shape) == node.shape, (node, seen.shape)
            assert str(seen.dtype) == f"torch.{node.dtype}", (node, seen.dtype)
        inputs = [self.values[part] for part in node.inputs]
        if not inputs or any(part is None for part in inputs):
            return seen
        made = evaluated(node, inputs)
        if made is None:
            return seen
        assert tuple(made.shape) == node.shape, (node, made.shape)
        if seen is not None:
            self.computed += 1
            tolerance = 1e-2 if node.dtype in ("bfloat16", "float16") else 1e-4
            torch.testing.assert_close(made.double(), seen.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
        return made


def ops_of(graph):
    """The operations of a graph that depend on an input, in order."""
    return [node.name for node in graph if not node.is_fixed and node.inputs]


ELEMENTS = {
    "multiply": torch.mul,
    "divide": torch.div,
    "add": torch.add,
    "subtract": torch.sub,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "power": torch.pow,
    "log_add_exp": torch.logaddexp,
    "prelu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "negate": torch.neg,
    "relu": F.relu,
    "log_sigmoid": F.logsigmoid,
    "entropy": torch.special.entr,
    "huber": lambda x, delta: F.huber_loss(x, torch.zeros_like(x), reduction="none", delta=delta),
    "leaky_relu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "elu": lambda x, alpha, scale, input_scale: scale * torch.where(x > 0, x, alpha * torch.expm1(input_scale * x)),
    "softplus": lambda x, beta, threshold: torch.where(
        beta * x > threshold, x, torch.log1p(torch.exp(beta * x)) / beta
    ),
    "threshold": lambda x, at, value: torch.where(x > at, x, torch.as_tensor(value, dtype=x.dtype)),
    "where": lambda condition, a, b: torch.where(condition.bool(), a, b),
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    **{
        name: getattr(torch, name)
        for name in (
            *("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "abs", "sigmoid", "tanh", "sinh", "cosh", "asinh"),
            *("atan", "sin", "cos", "tan", "erf", "sign", "floor", "ceil", "trunc", "frac", "reciprocal", "square"),
        )
    },
}
RELATIONS = {">": torch.gt, ">=": torch.ge, "<": torch.lt, "<=": torch.le, "==": torch.eq, "!=": torch.ne}
OVER_AXES = {
    "sum": lambda x, axes, keep: x.sum(axes, keep) if axes else x,
    "mean": lambda x, axes, keep: x.mean(axes, keep) if axes else x,
    "max": lambda x, axes, keep: x.amax(axes, keep) if axes else x,
    "min": lambda x, axes, keep: x.amin(axes, keep) if axes else x,
    "log_sum_exp": lambda x, axes, keep: torch.logsumexp(x, axes, keep) if axes else x,
    "variance": lambda x, axes, keep: x.var(axes, correction=0, keepdim=keep),
    "standard_deviation": lambda x, axes, keep: x.std(axes, correction=0, keepdim=keep),
}
ALONG = {
    "cumulative_sum": torch.cumsum,
    "cumulative_log_sum_exp": torch.logcumsumexp,
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
}


def evaluated(node, inputs):
    """The numbers of a node from those of its inputs; ``None`` if its parameters do not tell."""
    name, params, first = node.name, node.params, inputs[0]
    if name in ELEMENTS:
        return ELEMENTS[name](*promoted(inputs), **params)
    if name in OVER_AXES:
        return OVER_AXES[name](first, params["axes"], params["keepdims"])
    if name in ALONG:
        return ALONG[name](first, params["axis"])
    if name == "compare":
        return RELATIONS[params["relation"]](*inputs)
    if name == "reshape":
        return first.reshape(node.shape)
    if name == "transpose":
        return first.permute(params["axes"])
    if name == "broadcast":
        return first.expand(node.shape).to(getattr(torch, node.dtype))
    if name == "slice":
        return first[tuple(map(slice, params["starts"], params["stops"], params["steps"]))]
    if name == "cast":
        return first.to(getattr(torch, node.dtype))
    if name == "concatenate":
        return torch.cat(promoted(inputs), params["axis"])
    if name == "stack":
        return torch.stack(promoted(inputs), params["axis"])
    if name == "pad":
        out = inputs[1].to(first.dtype).expand(node.shape).clone()
        out[tuple(slice(a, a + size) for (a, _), size in zip(params["widths"], first.shape, strict=True))] = first
        return out
    if name == "contract":
        return contracted(*inputs, params["axes"], params["batch"])
    if name == "convolve":
        return convolved(node, *inputs)
    if name == "norm":
        return torch.linalg.vector_norm(first, params["order"], params["axes"], params["keepdims"])
    if name == "distance":
        return torch.cdist(*inputs, p=params["order"])
    if name == "largest":
        if not params["sorted"]:
            return None
        return first.topk(params["k"], params["axis"], not params["smallest"]).values
    if name == "sort":
        return first.sort(params["axis"], params["descending"]).values
    if name == "batch_norm":
        shape = [1] * first.ndim
        shape[params["axis"]] = -1
        scale, shift, mean, variance = (part.reshape(shape) if part.ndim else part for part in inputs[1:])
        return (first - mean) / torch.sqrt(variance + params["epsilon"]) * scale + shift
    return None


def promoted(inputs):
    """Literals are kept in double precision, and must not widen what they meet."""
    if not any(part.ndim and part.dtype != torch.float64 for part in inputs):
        return inputs
    return [part.float() if part.ndim == 0 and part.dtype == torch.float64 else part for part in inputs]


def contracted(a, b, axes, batch):
    letters = iter(string.ascii_letters)
    of_a, of_b = [next(letters) for _ in a.shape], [next(letters) for _ in b.shape]
    for i, j in (*zip(*axes, strict=True), *zip(*batch, strict=True)):
        of_b[j] = of_a[i]
    free_a = [of_a[i] for i in range(a.ndim) if i not in (*axes[0], *batch[0])]
    free_b = [of_b[j] for j in range(b.ndim) if j not in (*axes[1], *batch[1])]
    out = [of_a[i] for i in batch[0]] + free_a + free_b
    return torch.einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(out)}", a, b)


def convolved(node, data, weight):
    """A convolution, with the zeros around it that its shape tells of; ``None`` if several would fit."""
    params = node.params
    window = weight.ndim - 2
    assert params["data_axes"] == tuple(range(window + 2))
    assert params["weight_axes"][:2] == ((1, 0) if params["transposed"] else (0, 1))
    found = []
    for padding, more in itertools.product(range(8), range(max(params["strides"]))):
        if params["transposed"]:
            run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[window - 1]
            rest = (params["strides"], padding, more, params["groups"], params["dilation"])
        elif more:
            continue
        else:
            run = (F.conv1d, F.conv2d, F.conv3d)[window - 1]
            rest = (params["strides"], padding, params["dilation"], params["groups"])
        try:
            made = run(data, weight, None, *rest)
        except RuntimeError:  # the padding does not go with the shapes
            continue
        if tuple(made.shape) == node.shape:
            found.append(made)
    return found[0] if len(found) == 1 else None
