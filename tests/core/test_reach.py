"""What a model may keep in Python beside its arrays is looked at, whatever it is."""

from __future__ import annotations

import importlib
import sys

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


def test_our_own_state_is_not_the_users_in_a_checkout_either() -> None:
    assert not [path for path in python_state(Model(python_state), lambda item: False) if path.startswith("global")]


@pytest.mark.parametrize(
    ("folder", "is_users"),
    [("project", True), ("env/lib/python3.11/site-packages", False), ("usr/lib/python3/dist-packages", False)],
)
def test_the_state_of_installed_code_is_not_the_users(folder, is_users, tmp_path, monkeypatch) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "counting_library.py").write_text("calls = 0\n\n\ndef count():\n    global calls\n    calls += 1\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "counting_library", raising=False)
    model = Model(importlib.import_module("counting_library").count)
    before = python_state(model, lambda item: False)
    model.kept()
    assert bool(changes(before, python_state(model, lambda item: False))) == is_users


def test_a_counter_behind_all_that_a_deep_network_holds_is_seen() -> None:
    layers = [[Model(None) for _ in range(900)] for _ in range(80)]  # 900 · 80 objects, and their dicts
    counter = [Model(layers)]
    layers.append([Model(Model(0))])
    before = python_state(counter, lambda item: False)
    layers[-1][0].kept.kept = 1
    assert changes(before, python_state(counter, lambda item: False))
