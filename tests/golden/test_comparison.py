"""The comparison names every change with its place, and passes over last digits."""

from __future__ import annotations

import copy

import pytest

from tests.golden.comparison import changed_digests, differences

OUTCOME = {
    "plan": {
        "layers": [
            {"layer": "0", "role": "free", "mean": "0", "bias": "0", "why": "sees the input"},
            {"layer": "2", "role": "positive", "mean": "0.0752", "bias": "-0.72 ± 0.5", "why": "behind layer 0"},
        ],
        "advice": "",
    },
    "weights": {"drawn": {"0.weight": {"mean": 1e-5, "variance": 0.04, "sha256": "aa"}}},
    "certificate": {"verdict": "convex", "reasons": ["'2.weight' goes down to -0.1234"]},
}


def changed(*path, to):
    outcome = copy.deepcopy(OUTCOME)
    inner = outcome
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return list(differences(OUTCOME, outcome))


def test_equal_outcomes_do_not_differ():
    assert changed("plan", "advice", to="") == []


LAYER = ("plan", "layers", 1)
REASON = ("certificate", "reasons", 0)
MEAN = ("weights", "drawn", "0.weight", "mean")


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        ((*LAYER, "role"), "free", "plan, layers, '2', role: was 'positive', is 'free'"),
        ((*LAYER, "mean"), "0.0756", "plan, layers, '2', mean: was '0.0752', is '0.0756'"),
        ((*LAYER, "bias"), "-0.72 ± 0.6", "'2', bias: was '-0.72 ± 0.5', is '-0.72 ± 0.6'"),
        ((*LAYER, "why"), "behind layer 1", "'2', why: was 'behind layer 0', is 'behind layer 1'"),
        ((*LAYER, "layer"), "3", "plan, layers: were '0', '2'; are '0', '3'"),
        (("plan", "layers"), OUTCOME["plan"]["layers"][:1], "plan, layers: were '0', '2'; are '0'"),
        (("plan",), {"raises": "ValueError"}, "plan, layers: is gone"),
        (REASON, "'2.weight' goes down to -0.125", "certificate, reasons, 0: was"),
        (REASON, "'3.weight' goes down to -0.1234", "certificate, reasons, 0: was"),
        (MEAN, 2e-3, "0.weight, mean: was 1e-05, is 0.002"),
        (MEAN, float("nan"), "0.weight, mean: was 1e-05, is nan"),
    ],
)
def test_a_change_is_named_with_its_place(path, to, said):
    assert any(said in line for line in changed(*path, to=to))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ((*LAYER, "mean"), "0.07521"),
        ((*LAYER, "bias"), "-0.7201 ± 0.5"),
        (REASON, "'2.weight' goes down to -0.1235"),
        (MEAN, 3e-4),  # the deviation is 0.2
        ((*MEAN[:-1], "sha256"), "bb"),
    ],
)
def test_last_digits_are_passed_over(path, to):
    assert changed(*path, to=to) == []


def test_digests_are_compared_by_weight():
    before = {"a": {"sha256": "aa"}, "b": {"sha256": "bb"}}
    assert changed_digests(before, {"a": {"sha256": "aa"}, "b": {"sha256": "cc"}}) == ["b"]
