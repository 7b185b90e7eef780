"""Which sums a model returns, and whether they can have the mean and variance that the user wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convex_init_core.planning.measurement.sizes import SAMPLES, samples, units_of
from convex_init_core.planning.outputs.last_sums import behind, last_sums, returned
from convex_init_core.planning.outputs.level import moved_by

if TYPE_CHECKING:
    from convex_init_core.framework import Framework
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
    moved = node is not None and moved_by(reading) is not None
    if node is not None and not (moved and wanted.variance is None):
        remedy = "pass output_mean= alone" if moved else "leave it out"
        yield (
            f"{name}: {asked} is for an output that is a sum, and {node.at} stands between it and the output; "
            f"{remedy}, or scale the output outside of the model"
        )
    if found.normalised is not None:
        yield f"{name}: {asked}: {found.normalised.at} gives the output its mean and scale; leave it out"
    able = [source for source in facts.biases(found) if not facts.parameter(source).is_frozen]
    if wanted.mean is not None and not any(facts.factor(found, source) for source in able):
        yield (
            f"{name}: no bias moves the output, so that its mean cannot be set; give the last layer one "
            "(register_missing_bias=True), or pass output_variance= alone"
        )
    width = 1 if moved else max((units_of(term.product) for term in found.terms), default=1)
    if wanted.units not in (1, width):
        yield f"{name}: {asked} has {wanted.units} columns, and the model has {width} outputs"
    if wanted.units > 1 and not (framework.has_inputs and samples(found) >= SAMPLES):
        yield (
            f"{name}: {asked} has numbers for each output, which are set by measuring: pass {SAMPLES} example_inputs "
            "or more (of a network that draws itself when it is made: afterwards), or one number for all"
        )
