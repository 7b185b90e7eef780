"""The examples in the docstrings of the core say what happens."""

from __future__ import annotations

import pytest

from tests.examples import SHOWN, examples_in, failures_of, names_without

EXAMPLES = examples_in("convex_init_core")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    assert not failures_of(EXAMPLES[name])


def test_the_names_that_users_meet_have_examples() -> None:
    assert not names_without("convex_init_core", EXAMPLES)


def test_thirty_names_and_more_are_shown_in_all_frameworks_together() -> None:
    assert len({f"{package}.{name}" for package, names in SHOWN.items() for name in names.split()}) >= 30
