"""The notebook for JAX."""

from __future__ import annotations

import pytest

from tests.notebooks import check_committed, check_executed


def test_what_is_committed_was_executed_in_one_go():
    check_committed("jax")


@pytest.mark.slow
def test_it_does_the_same_here(tmp_path):
    check_executed("jax", tmp_path)
