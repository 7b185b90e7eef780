"""Parts of inputs: what a user may write for them, and which elements of a graph depend on them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from convex_init_core.convexity.inputs.cuts import parts_alone, written
from convex_init_core.convexity.inputs.dependence import dependence
from convex_init_core.convexity.inputs.parts import convex_inputs_of
from convex_init_core.convexity.judge import certificate_of, judge
from tests.core.graphs.builder import Builder
from tests.core.graphs.random_graphs.graph import RandomGraph

SHAPE = (2, 4, 6)
WRITTEN = {
    "a name": ("x", {"x": None}),
    "a position": (1, {"1": None}),
    "an integer of NumPy": (np.int64(1), {"1": None}),
    "several": (["x", 2], {"x": None, "2": None}),
    "all of one": ({"x": ...}, {"x": None}),
    "the whole slice": ({"x": slice(None)}, {"x": None}),
    "a whole index": ({"x": np.s_[:, :]}, {"x": None}),
    "a slice": ({0: slice(1, 4)}, {"0": np.s_[..., 1:4]}),
    "an open slice": ({0: slice(-2, None)}, {"0": np.s_[..., 4:]}),
    "a stepped slice": ({0: slice(None, None, 2)}, {"0": np.s_[..., ::2]}),
    "a range": ({"x": range(3)}, {"x": np.s_[..., :3]}),
    "places": ({"x": [0, -1]}, {"x": np.s_[..., [0, 5]]}),
    "an array": ({"x": np.array([0, 5])}, {"x": np.s_[..., [0, 5]]}),
    "truth values": ({"x": [True, False, True, False, False, False]}, {"x": np.s_[..., [0, 2]]}),
    "one place": ({"x": 3}, {"x": np.s_[..., [3]]}),
    "another axis": ({"x": np.s_[:, 1:3]}, {"x": np.s_[:, 1:3]}),
    "another axis from behind": ({"x": np.s_[..., [0, 2], :]}, {"x": np.s_[:, [0, 2]]}),
    "the last axis of all": ({"x": np.s_[:, :, 2:]}, {"x": np.s_[..., 2:]}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_for_convex_inputs(name):
    given, wanted = WRITTEN[name]
    found = convex_inputs_of(given)
    assert set(found) == set(wanted)
    for key, index in wanted.items():
        if index is None:
            assert found[key] is None
        else:
            mask = np.zeros(SHAPE, bool)
            mask[index] = True
            np.testing.assert_array_equal(found[key].mask(key, SHAPE), mask)


REFUSED = {
    "places that are none": ({"x": "ab"}, TypeError, "the part of input 'x' must be a slice or places"),
    "fractions": ({"x": [0.5]}, TypeError, "the part of input 'x' must be a slice or places"),
    "two axes": ({"x": np.s_[1:, :2]}, TypeError, r"'x' has to cut one axis, as numpy\.s_"),
    "a tuple of places": ({"x": (0, 2)}, TypeError, "for places along the last axis write a slice or a list"),
    "no input": ({}, ValueError, "convex_inputs is empty"),
    "beyond the end": ({"x": [6]}, ValueError, "names place 6 of input 'x', which has 6 along axis 2"),
    "no element": ({"x": slice(3, 3)}, ValueError, r"names no element of input 'x': slice\(3, 3\) of 6"),
    "no such axis": ({"x": np.s_[:, :, :, 1:]}, ValueError, r"names axis 3 of input 'x', which has shape \(2, 4, 6\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_part_is_refused(name):
    given, kind, message = REFUSED[name]

    def masks():
        return [part.mask(key, SHAPE) for key, part in convex_inputs_of(given).items()]

    with pytest.raises(kind, match=message):
        masks()


def test_no_element_changes_that_is_said_not_to_depend():
    """On random graphs, whose inputs change where the mask is; and the claim is not empty."""
    unmarked = 0
    for seed in range(400):
        graph, rng = RandomGraph(random.Random(seed), well_behaved=True), np.random.default_rng(seed)
        b, x = graph.b, graph.x
        mask = np.broadcast_to(rng.random(x.shape[-1]) < 0.4, x.shape)
        found = dependence(b.graph, {x: mask}, lambda node: np.asarray(node.constant.handle, np.float64))
        others = {name: b.samples[node] for name, node in b.graph.inputs.items() if node is not x}
        name = x.params["name"]
        before = b.evaluate({name: b.samples[x], **others})
        after = b.evaluate({name: np.where(mask, rng.standard_normal(x.shape), b.samples[x]), **others})
        for node in b.graph:
            assert found[node].shape == node.shape
            same = np.isclose(before[node], after[node], rtol=0, atol=0, equal_nan=True)
            assert np.all(same | found[node]), (seed, graph.names, node)
            unmarked += int(not node.is_fixed and 0 < found[node].sum() < node.size)
    assert unmarked > 400


def test_a_product_depends_on_what_it_sums():
    b = Builder()
    x = b.input("x", (3, 4))
    rows = b.contract(x, b.parameter("W", np.ones((4, 2))), axes=((1,), (0,)), batch=((), ()))
    pairs = b.contract(x, b.input("y", (3, 5)), axes=((), ()), batch=((0,), (0,)))
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    found = dependence(b.graph, {x: mask}, lambda node: None)
    assert np.argwhere(found[rows]).tolist() == [[1, 0], [1, 1]]
    assert np.argwhere(found[pairs]).tolist() == [[1, 2, place] for place in range(5)]


LOCAL = {
    "a function": (lambda b, x: b.exp(x), [1, 2]),
    "a sum with one row": (lambda b, x: b.add(x, b.part(x, slice(0, 1))), [1, 2]),
    "a product with a number": (lambda b, x: b.multiply(3.0, x), [1, 2]),
    "a choice": (lambda b, x: b.where(b.compare(x, ">", 0.0), x, 0.0), [1, 2]),
    "a slope for each place": (lambda b, x: b.prelu(x, np.full(4, 0.5)), [1, 2]),
    "a sum with its mirror image": (lambda b, x: b.add(x, b.gather(x, [3, 2, 1, 0], axis=1, run=mirrored)), [1, 2]),
    "a cut": (lambda b, x: b.part(x, slice(None), slice(2, 4)), [0]),
    "side by side": (lambda b, x: b.concatenate(b.square(x), np.ones((3, 2)), x, axis=1), [1, 2, 7, 8]),
    "padded": (lambda b, x: b.pad(x, 0.0, widths=((0, 0), (1, 2))), [2, 3]),
}


def mirrored(a, index):
    return a[:, index.astype(int)]


@pytest.mark.parametrize("name", LOCAL)
def test_what_is_local_depends_on_no_other_places(name):
    make, wanted = LOCAL[name]
    b = Builder()
    x = b.input("x", (3, 4))
    mask = np.zeros((3, 4), bool)
    mask[:, 1:3] = True
    made = make(b, x)
    found = dependence(b.graph, {x: mask}, lambda node: np.asarray(node.constant.handle))[made]
    assert found.shape == made.shape
    assert [int(place) for place in np.flatnonzero(found.any(0))] == wanted
    assert np.all(found == found[:1])


CUT = {
    "the first of the features": (lambda b, x: b.part(x, slice(None), slice(None), slice(0, 2)), "slice(0, 2)"),
    "every second": (lambda b, x: b.part(x, slice(None), slice(None), slice(1, 6, 2)), "slice(1, 6, 2)"),
    "along another axis": (lambda b, x: b.part(x, slice(None), slice(1, 4)), "slice(1, 4) of axis 1"),
    "of what was scaled": (
        lambda b, x: b.part(b.multiply(b.subtract(x, 1.0), 2.0), slice(None), slice(None), slice(2, 6)),
        "slice(2, 6)",
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_a_part_that_a_graph_cuts_out_may_be_asked_for(name):
    make, shown = CUT[name]
    b = Builder()
    cut = make(b, b.input("x", SHAPE))
    (found,) = parts_alone(b.graph)
    assert written(found) == f"convex_inputs={{'x': {shown}}}"
    mask = found["x"].mask("x", SHAPE)
    assert mask.sum() == cut.size
    b.output(b.add(b.square(cut), b.sum(b.sin(b.part(b.graph.inputs["x"], slice(0, 1))), axes=(0, 1, 2))))
    assert not certificate_of(b.graph, judge(b.graph, found))


def test_what_is_no_cut_along_one_axis_of_an_input_is_not_proposed():
    b = Builder()
    x = b.input("x", SHAPE)
    b.part(x, slice(0, 1))  # examples
    b.part(x, slice(None), slice(0, 2), slice(0, 2))  # two axes
    b.part(x, slice(None))  # all of it
    b.part(b.sum(x, axes=(1,)), slice(None), slice(0, 2))  # of no input
    b.part(b.parameter("w", np.ones(SHAPE)), slice(None), slice(0, 2))
    assert parts_alone(b.graph) == []


def test_of_several_inputs_each_may_be_asked_for_the_largest_first():
    b = Builder()
    x, y = b.input("x", (2, 3)), b.input("y", (2, 8))
    b.part(y, slice(None), slice(0, 2))
    b.concatenate(x, b.part(y, slice(None), slice(2, 7)), axis=1)
    assert [written(found) for found in parts_alone(b.graph)] == [
        "convex_inputs='y'",
        "convex_inputs={'y': slice(2, 7)}",
        "convex_inputs='x'",
        "convex_inputs={'y': slice(0, 2)}",
    ]
