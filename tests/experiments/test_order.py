"""Which of two networks is better: the paper's test, and ours."""

from __future__ import annotations

import pytest

pytest.importorskip("scipy")

from experiments.paper import TABLE_1
from experiments.styles import middle, quartiles
from experiments.tests_of_order import family, holm, signs


@pytest.mark.parametrize(("wins", "printed"), [(99, 2.6e-13), (100, 5.5e-14)])
def test_the_sign_test_is_the_papers(wins, printed):
    found = signs([(1.0, 0.0)] * wins + [(0.0, 1.0)] * (120 - wins))
    assert (found.wins, found.pairs) == (wins, 120)
    assert found.p == pytest.approx(printed, rel=0.03)  # two digits are printed


def test_ties_are_left_out_and_nothing_is_no_evidence():
    assert signs([(1.0, 1.0), (2.0, 1.0)]).pairs == 1
    assert signs([]).p == 1.0


def test_holm_corrects_in_order_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_papers_average_is_the_median_of_its_row():
    # 80.57 is printed for ICNN + init; the medians of the row give it to the rounding.
    medians = sorted(value for value, _ in TABLE_1["ICNN + init"].values())
    assert (medians[5] + medians[6]) / 2 == pytest.approx(80.57, abs=0.01)


def test_diverged_runs_are_the_largest_losses():
    assert middle([1.0, None, 2.0]) == 2.0
    assert middle([1.0, None]) == float("inf")
    low, median, high = quartiles([[1.0], [2.0], [3.0], [None]])
    assert low[0] == 1.75
    assert median[0] == 2.5
    assert high[0] != high[0]  # NaN: not drawn


def test_a_family_is_of_tests_that_can_tell_after_its_correction() -> None:
    assert family([10] * 8 + [6] * 28) == list(range(8))  # 2 · 2⁻⁶ is above 0.05 / 8
    assert family([6]) == [0]
    assert family([6, 6]) == []  # 0.03 each, of which neither is below 0.025
    assert family([5, 3]) == []
    assert family([10, 10, 10]) == [0, 1, 2]
    assert family([]) == []
