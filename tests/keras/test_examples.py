"""The examples in the docstrings of the Keras plug-in say what happens."""

from __future__ import annotations

import keras
import pytest

from tests.examples import examples_in, failures_of, names_without

# A backend's module imports its array library, which the environments of the others lack.
BACKENDS = ("jax", "tensorflow", "torch")
OTHERS = [f"convex_init.keras.backend.{name}" for name in BACKENDS if name != keras.backend.backend()]
EXAMPLES = examples_in("convex_init.keras", without=OTHERS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    assert not failures_of(EXAMPLES[name])


def test_the_names_that_users_meet_have_examples() -> None:
    assert not names_without("convex_init.keras", EXAMPLES)
