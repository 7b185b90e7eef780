"""The examples in the docstrings of the integration say what happens."""

from __future__ import annotations

import pytest

from tests.examples import examples_in, failures_of, names_without

pytest.importorskip("torch")
EXAMPLES = examples_in("convex_init.cvxpy")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    assert not failures_of(EXAMPLES[name])


def test_the_names_that_users_meet_have_examples() -> None:
    assert not names_without("convex_init.cvxpy", EXAMPLES)
