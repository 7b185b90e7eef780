"""The examples in the docstrings of the timm integration say what happens."""

from __future__ import annotations

import pytest

from tests.examples import examples_in, failures_of, names_without

EXAMPLES = examples_in("convex_init.timm")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    assert not failures_of(EXAMPLES[name])


def test_an_entry_point_has_an_example() -> None:
    assert "convex_init.timm.icnn.icnn_mlp_5x784" in EXAMPLES


def test_the_names_that_users_meet_have_examples() -> None:
    assert not names_without("convex_init.timm", EXAMPLES)
