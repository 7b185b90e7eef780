"""What a model may keep in Python beside its arrays is looked at, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest

from convex_init_core.reach import changes, python_state


class Model:
    """Something with one attribute."""

    def __init__(self, kept: object) -> None:
        self.kept = kept


@pytest.mark.parametrize(
    "kept",
    [
        np.ma.masked,
        np.ma.array([1.0, 2.0], mask=[True, False]),
        np.array([1, "two", None], object),
        np.zeros(3, [("a", int), ("b", float)]),
        np.zeros(0),
    ],
    ids=lambda kept: type(kept).__name__,
)
def test_arrays_of_every_kind_have_a_state(kept: np.ndarray) -> None:
    model = Model(kept)
    before = python_state(model, lambda item: False)
    assert not changes(before, python_state(model, lambda item: False))


def test_a_change_behind_a_mask_is_seen() -> None:
    model = Model(np.ma.array([1.0, 2.0], mask=[False, False]))
    before = python_state(model, lambda item: False)
    model.kept.data[0] = 7.0
    assert changes(before, python_state(model, lambda item: False))
