"""Linear operations of a graph as sparse matrices on flat arrays, and moves as places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from convex_init.cvxpy.parts.combination import Numbers, Places
from convex_init_core.graph.nodes import Node


def places_of(shape: Sequence[int]) -> Places:
    """Return the place of each element of an array in its flat form."""
    return np.arange(math.prod(shape), dtype=np.int64).reshape(tuple(shape))


def moved(node: Node) -> Places | None:
    """Return where each element of a move is found in its first input; ``None`` if the parameters do not tell."""
    source, params = places_of(node.inputs[0].shape), node.params
    if node.name in ("reshape", "cast"):
        return source.reshape(node.shape)
    if node.name == "transpose":
        return source.transpose(params["axes"])
    if node.name == "broadcast":
        return np.broadcast_to(source, node.shape)
    if node.name == "slice":
        cuts = zip(params["starts"], params["stops"], params["steps"], strict=True)
        return source[tuple(slice(start, stop, step) for start, stop, step in cuts)]
    return None


def padded(node: Node) -> Places:
    """Return where each element of a padded array is found in the data, and −1 around it."""
    found = np.full(node.shape, -1, np.int64)
    source, widths = places_of(node.inputs[0].shape), node.params["widths"]
    kept = [slice(max(-a, 0), size - max(-b, 0)) for (a, b), size in zip(widths, source.shape, strict=True)]
    put = [slice(max(a, 0), end - max(b, 0)) for (a, b), end in zip(widths, node.shape, strict=True)]
    found[tuple(put)] = source[tuple(kept)]
    return found


def rows_over(shape: Sequence[int], axes: Sequence[int]) -> Places:
    """Return, for each result of a reduction over some axes, the places of the elements that it combines."""
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    turned = places_of(shape).transpose(*kept, *axes)
    length = math.prod(shape[axis] for axis in axes)
    return turned.reshape(-1, length)


def summing(rows: Places, size: int, weight: float = 1.0) -> Any:
    """Return the matrix that sums the elements of each row of places."""
    results = np.repeat(np.arange(rows.shape[0]), rows.shape[1])
    return sparse.csr_array((np.full(rows.size, weight), (results, rows.reshape(-1))), shape=(rows.shape[0], size))


def cumulating(shape: Sequence[int], axis: int) -> Any:
    """Return the matrix of running sums along an axis."""
    source = np.moveaxis(places_of(shape), axis, -1)
    rows, columns = np.broadcast_arrays(source[..., :, None], source[..., None, :])
    before = np.tri(shape[axis], dtype=bool)
    before = np.broadcast_to(before, rows.shape)
    pair = rows[before], columns[before]
    size = math.prod(shape)
    return sparse.csr_array((np.ones(pair[0].size), pair), shape=(size, size))


def _grouped(shape: Sequence[int], axes: Sequence[int], batch: Sequence[int]) -> Places:
    """Places of an operand of a contraction by batch, free and summed axes."""
    free = [axis for axis in range(len(shape)) if axis not in axes and axis not in batch]
    turned = places_of(shape).transpose(*batch, *free, *axes)
    sizes = [math.prod(shape[axis] for axis in part) for part in (batch, free, axes)]
    return turned.reshape(sizes)


def pairs_of(node: Node) -> tuple[Places, Places, Places]:
    """Return for each product that a contraction sums: its result, and the places of both factors."""
    a, b = node.inputs
    of_a, of_b = (
        _grouped(part.shape, axes, batch)
        for part, axes, batch in zip((a, b), node.params["axes"], node.params["batch"], strict=True)
    )
    results = np.arange(of_a.shape[0] * of_a.shape[1] * of_b.shape[1]).reshape(of_a.shape[0], of_a.shape[1], -1)
    return tuple(  # type: ignore[return-value]
        part.reshape(-1) for part in np.broadcast_arrays(results[..., None], of_a[:, :, None, :], of_b[:, None, :, :])
    )


def contracting(node: Node, weight: Numbers, *, of_first: bool) -> Any:
    """Return the matrix of a contraction with a constant, on its other operand.

    Args:
        node: the contraction.
        weight: numbers of the constant.
        of_first: whether the first operand is the one that varies.
    """
    results, first, second = pairs_of(node)
    varying, fixed = (first, second) if of_first else (second, first)
    size = node.inputs[0 if of_first else 1].size
    found = sparse.coo_array((weight.reshape(-1)[fixed], (results, varying)), shape=(node.size, size))
    return found.tocsr()


def convolving(node: Node, weight: Numbers, before: Sequence[int]) -> Any:
    """Return the matrix of a convolution, on its data.

    Args:
        node: the convolution.
        weight: its kernel.
        before: how many zeros stand before the data along each axis of the window; of a transposed convolution, how
            many results are cut off there.
    """
    params = node.params
    data, out = (_channels_first(part.shape, params["data_axes"]) for part in (node.inputs[0], node))
    turned = weight.transpose(params["weight_axes"])  # (outputs, inputs of a group, *window)
    places = places_of(turned.shape)
    index = np.unravel_index(places.reshape(-1), turned.shape)
    groups, strides, dilation = params["groups"], params["strides"], params["dilation"]
    if params["transposed"]:
        return _transposed(node, turned, before, data, out)
    per_out, per_in = turned.shape[0] // groups, turned.shape[1]
    batch = np.arange(data.shape[0])
    window = [np.arange(size) for size in out.shape[2:]]
    grid = np.meshgrid(np.arange(index[0].size), batch, *window, indexing="ij")
    element, example, where = grid[0], grid[1], grid[2:]
    outputs = index[0][element]
    inputs = (outputs // per_out) * per_in + index[1][element]
    reached = [
        at * stride + index[2 + i][element] * step - pad
        for i, (at, stride, step, pad) in enumerate(zip(where, strides, dilation, before, strict=True))
    ]
    inside = np.ones(element.shape, bool)
    for at, size in zip(reached, data.shape[2:], strict=True):
        inside &= (at >= 0) & (at < size)
    rows = out[(example, outputs, *where)][inside]
    columns = data[(example, inputs, *(np.clip(at, 0, None) * inside for at in reached))][inside]
    values = turned.reshape(-1)[element][inside]
    return sparse.coo_array((values, (rows, columns)), shape=(node.size, node.inputs[0].size)).tocsr()


def _transposed(node: Node, turned: Numbers, before: Sequence[int], data: Places, out: Places) -> Any:
    """The weight's axis of inputs is that of the data's channels: as the gradient of a convolution."""
    params = node.params
    groups = params["groups"]
    # turned: (outputs of a group, channels of the data, *window)
    index = np.unravel_index(np.arange(turned.size), turned.shape)
    per_in = turned.shape[1] // groups
    batch = np.arange(data.shape[0])
    grid = np.meshgrid(np.arange(turned.size), batch, *(np.arange(size) for size in data.shape[2:]), indexing="ij")
    element, example, where = grid[0], grid[1], grid[2:]
    inputs = index[1][element]
    outputs = (inputs // per_in) * turned.shape[0] + index[0][element]
    reached = [
        at * stride + index[2 + i][element] * step - cut
        for i, (at, stride, step, cut) in enumerate(
            zip(where, params["strides"], params["dilation"], before, strict=True)
        )
    ]
    inside = np.ones(element.shape, bool)
    for at, size in zip(reached, out.shape[2:], strict=True):
        inside &= (at >= 0) & (at < size)
    rows = out[(example, outputs, *(np.clip(at, 0, None) * inside for at in reached))][inside]
    columns = data[(example, inputs, *where)][inside]
    values = turned.reshape(-1)[element][inside]
    return sparse.coo_array((values, (rows, columns)), shape=(node.size, node.inputs[0].size)).tocsr()


def paddings(node: Node) -> list[tuple[int, ...]]:
    """List what may stand before the data of a convolution, by its shapes; the plain ones first."""
    params, weight = node.params, node.inputs[1]
    found: list[list[int]] = []
    for i in range(len(params["strides"])):
        size = node.inputs[0].shape[params["data_axes"][2 + i]]
        made = node.shape[params["data_axes"][2 + i]]
        reach = (weight.shape[params["weight_axes"][2 + i]] - 1) * params["dilation"][i] + 1
        stride = params["strides"][i]
        if params["transposed"]:
            total = (size - 1) * stride + reach - made
            least, most = min(0, total), max(total, 0)
        else:
            total = (made - 1) * stride + reach - size
            least, most = 0, max(total + stride - 1, 0)
        middle = total / 2.0
        found.append(sorted(range(least, most + 1), key=lambda before, middle=middle: abs(before - middle)))  # type: ignore[misc]
    grid = np.meshgrid(*found, indexing="ij")
    return [tuple(int(part[at]) for part in grid) for at in np.ndindex(grid[0].shape)]


def _channels_first(shape: Sequence[int], axes: Sequence[int]) -> Places:
    return places_of(shape).transpose(tuple(axes))


def ragged(windows: Sequence[NDArray[np.int64]]) -> dict[int, tuple[NDArray[np.int64], Places]]:
    """Sort windows by their lengths: for each length, which results have it, and the places that these combine."""
    lengths = np.array([len(window) for window in windows])
    found = {}
    for length in np.unique(lengths):
        which = np.flatnonzero(lengths == length)
        found[int(length)] = (
            which,
            np.array([windows[int(i)] for i in which], np.int64).reshape(which.size, int(length)),
        )
    return found
