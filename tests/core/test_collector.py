"""The garbage collector waits while a graph is made, and goes on afterwards."""

from __future__ import annotations

import gc

import pytest

from convex_init_core.collector import collector_paused


@pytest.fixture(autouse=True)
def _as_before():
    enabled = gc.isenabled()
    yield
    (gc.enable if enabled else gc.disable)()


@collector_paused
def is_running() -> bool:
    return gc.isenabled()


def test_it_waits_and_goes_on():
    gc.enable()
    assert not is_running()
    assert gc.isenabled()


def test_it_goes_on_after_an_error():
    gc.enable()
    with pytest.raises(ZeroDivisionError):
        collector_paused(lambda: 1 / 0)()
    assert gc.isenabled()


def test_it_goes_on_when_the_outermost_pause_is_over():
    gc.enable()
    assert collector_paused(lambda: (is_running(), gc.isenabled()))() == (False, False)
    assert gc.isenabled()


def test_one_that_was_off_stays_off():
    gc.disable()
    assert not is_running()
    assert not gc.isenabled()
