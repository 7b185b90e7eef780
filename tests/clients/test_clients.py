"""Classes of other libraries, unmodified: read, initialised, certified, trained."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("torch")

from benchmarks.clients.catalogue import CLIENTS, Client
from benchmarks.clients.training import at_its_best_rate, by_default, ours
from benchmarks.clients.verdict import Verdict, verdict

RUNNING = [name for name, client in CLIENTS.items() if not client.broken]
BROKEN = [name for name, client in CLIENTS.items() if client.broken]
VERDICTS: dict[str, Verdict] = {}


def client_named(name: str) -> Client:
    client = CLIENTS[name]
    if find_spec(client.distribution) is None:
        pytest.skip(f"{client.distribution} is not installed")
    return client


def verdict_on(name: str) -> Verdict:
    if name not in VERDICTS:
        VERDICTS[name] = verdict(client_named(name))
    return VERDICTS[name]


@pytest.mark.parametrize("name", RUNNING)
def test_its_positive_weights_are_found(name: str) -> None:
    assert verdict_on(name).positive == CLIENTS[name].positive


@pytest.mark.parametrize("name", RUNNING)
def test_every_positive_layer_has_its_shift(name: str) -> None:
    assert verdict_on(name).without_shift == 0


@pytest.mark.parametrize("name", RUNNING)
def test_the_signal_is_in_range_on_a_fresh_batch(name: str) -> None:
    low, high = verdict_on(name).variances
    assert low >= 0.25
    assert high <= 4


@pytest.mark.parametrize("name", RUNNING)
def test_the_certificate(name: str) -> None:
    said = verdict_on(name).certificate
    assert said.startswith("convex" if CLIENTS[name].certified else "cannot tell"), said


@pytest.mark.parametrize("name", RUNNING)
def test_training_ends_lower_than_from_its_own_start_but_where_it_is_known_not_to(name: str) -> None:
    client = client_named(name)
    default, start = (at_its_best_rate(client, start, seeds=(0, 1, 2)).error for start in (by_default, ours))
    assert start < 1.0  # of a constant
    assert start < (1.5 if client.behind else 1.0) * default


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_run_is_said_so(name: str) -> None:
    client = client_named(name)
    with pytest.raises(ValueError, match=client.broken.split("(")[0]):
        verdict(client)
