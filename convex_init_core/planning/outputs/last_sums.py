"""The sums that a model ends with, and what stands between them and its output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convex_init_core.planning.measurement.sizes import SAMPLES, samples, units_of

if TYPE_CHECKING:
    from convex_init_core.framework import Framework
    from convex_init_core.graph.nodes import Node
    from convex_init_core.planning.facts import Facts
    from convex_init_core.planning.outputs.wanted import Outputs
    from convex_init_core.reading.parts import Reading, Sum


def output_sums(
    reading: Reading, wanted: Outputs, framework: Framework, facts: Facts
) -> tuple[frozenset[Sum], list[str]]:
    """Return the sums that a model returns, and why they cannot have the mean and variance that the user wants.

    Args:
        reading: of the model.
        wanted: of the outputs.
        framework: of the model.
        facts: on the reading.
    """
    found = returned(reading)
    return frozenset(found), [] if not wanted.is_asked else list(_problems(reading, wanted, framework, facts))


def _problems(reading: Reading, wanted: Outputs, framework: Framework, facts: Facts) -> Iterator[str]:
    asked = "output_mean=, output_variance= or targets="
    last = last_sums(reading)
    names = [", ".join(map(repr, facts.paths(found.terms))) for found in last]
    if len(last) != 1:
        yield (
            f"{asked}: the model ends with {len(last)} sums ({'; '.join(names)}), so it is not plain which of them is "
            "meant; leave it out"
        )
        return
    (found,), name = last, names[0]
    node = behind(reading, found)
    if node is not None:
        yield (
            f"{name}: {asked} is for an output that is a sum, and {node.at} stands between it and the output; leave it "
            "out, or scale the output outside of the model"
        )
    if found.normalised is not None:
        yield f"{name}: {asked}: {found.normalised.at} gives the output its mean and scale; leave it out"
    able = [source for source in facts.biases(found) if not facts.parameter(source).is_frozen]
    if wanted.mean is not None and not any(facts.factor(found, source) for source in able):
        yield (
            f"{name}: no bias moves the output, so that its mean cannot be set; give the last layer one "
            "(register_missing_bias=True), or pass output_variance= alone"
        )
    width = max((units_of(term.product) for term in found.terms), default=1)
    if wanted.units not in (1, width):
        yield f"{name}: {asked} has {wanted.units} columns, and the model has {width} outputs"
    if wanted.units > 1 and not (framework.has_inputs and samples(found) >= SAMPLES):
        yield (
            f"{name}: {asked} has numbers for each output, which are set by measuring: pass {SAMPLES} example_inputs "
            "or more (of a network that draws itself when it is made: afterwards), or one number for all"
        )


def last_sums(reading: Reading) -> list[Sum]:
    """Return the sums behind which no other sum with a weight stands, of those that an output is made of."""
    roots = {found.root for found in reading.sums}
    asked = set(reading.graph.outputs.values())
    before: set[Node] = set()  # of another sum
    used: set[Node] = set(asked)  # for an output
    for node in reversed(reading.graph.nodes):
        if node in roots or node in before:
            before.update(node.inputs)
        if node in used:
            used.update(node.inputs)
    return [found for found in reading.sums if found.root in used and found.root not in before]


_LINKS = frozenset(("sigmoid", "log_sigmoid", "tanh", "softmax", "log_softmax"))


def returned(reading: Reading) -> dict[Sum, str]:
    """Return the last sums that a model returns, each with the link behind it, such as a softmax; empty if none."""
    found = {each: behind(reading, each) for each in last_sums(reading)}
    return {
        each: "" if node is None else node.at for each, node in found.items() if node is None or node.name in _LINKS
    }


def behind(reading: Reading, found: Sum) -> Node | None:
    """Return the first operation between a sum and the output that is more than a move; ``None`` if there is none."""
    outputs = set(reading.graph.outputs.values())
    shown = {found.root}
    for node in reading.graph:
        if node not in shown and any(part in shown for part in node.inputs) and not shown & outputs:
            if not node.op.moves:
                return node
            shown.add(node)
    return None
