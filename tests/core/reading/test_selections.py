"""What the user's words for parameters mean."""

from __future__ import annotations

import pytest

from convex_init_core.reading.select import choose

KNOWN = [
    ("body.0.weight", "body.0"),
    ("body.0.bias", "body.0"),
    ("head.parametrizations.weight.original", "head", "head.weight"),
    ("gain", "gain"),
]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("gain", {"gain"}),
        (["body.*", "gain"], {"body.0.weight", "body.0.bias", "gain"}),
        ("body.0.weight", {"body.0.weight", "body.0.bias"}),
        ("head.weight", {"head.parametrizations.weight.original"}),
        (lambda path: path.startswith("h"), {"head.parametrizations.weight.original"}),
        ((), set()),
    ],
)
def test_a_selection(selection, chosen):
    assert choose("free", selection, KNOWN) == chosen


@pytest.mark.parametrize(
    ("argument", "selection", "error", "message"),
    [
        ("free", "nope", ValueError, r"free= pattern 'nope' matches no layer .*there are: body.0, head, gain"),
        ("free", lambda path: False, ValueError, r"free= accepts none of body.0, head, gain"),
        ("positive", (), ValueError, r"positive= is empty"),
        ("free", 3, TypeError, r"free must be a path.*got 3"),
        ("free", ["gain", 3], TypeError, r"free must hold paths or patterns"),
    ],
)
def test_a_selection_that_means_nothing(argument, selection, error, message):
    with pytest.raises(error, match=message):
        choose(argument, selection, KNOWN)
