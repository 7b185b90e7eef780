"""What people write, one line each, as graphs: convex and certified, or refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.convexity.judge import certificate_of, judge
from tests.core.graphs.builder import Builder, NumpyFramework
from tests.core.graphs.lines import choices, forms, functions, gates, numbers, parts, ranks
from tests.core.graphs.lines.expressions import line

THEMES = (choices, forms, functions, gates, numbers, parts, ranks)
CONVEX = {name: function for theme in THEMES for name, function in theme.CONVEX.items()}
REFUSED = {name: row for theme in THEMES for name, row in theme.REFUSED.items()}


def excess(b: Builder, rng: np.random.Generator, size: float = 1.0) -> float:
    """How far the output lies above a chord in x, relative to its size; values that are not finite do not count."""
    a, c, y = (size * rng.standard_normal(b.graph.inputs["x"].shape) for _ in range(3))
    found = [b.evaluate({"x": x, "y": y})[b.graph.outputs["output"]] for x in (a, c, 0.5 * (a + c))]
    with np.errstate(invalid="ignore"):
        above = found[2] - 0.5 * (found[0] + found[1])
    return float(np.nanmax(np.where(np.isfinite(above), above, -np.inf), initial=-1.0))


@pytest.mark.parametrize("name", CONVEX)
def test_what_is_convex_is_certified(name):
    b = line(CONVEX[name])
    certificate = certificate_of(b.graph, judge(b.graph, ["x"], framework=NumpyFramework()))
    assert certificate, str(certificate)
    rng = np.random.default_rng(0)  # a second opinion on the table itself
    assert max(excess(b, rng) for _ in range(100)) < 1e-9


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_convex_is_refused_with_the_reason(name):
    function, reason = REFUSED[name]
    b = line(function)
    certificate = certificate_of(b.graph, judge(b.graph, ["x"], framework=NumpyFramework()))
    assert not certificate
    assert reason in str(certificate)


def test_a_narrow_type_is_noted():
    b = line(CONVEX["a narrow type on the way"])
    values = judge(b.graph, ["x"])
    assert certificate_of(b.graph, values).notes == ("cast rounds to bfloat16; the answer holds up to that rounding",)
    assert not certificate_of(b.graph, judge(b.graph, ["y"])).notes
