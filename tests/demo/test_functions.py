"""The functions are convex, scaled, and other ones than the settings were chosen on."""

from __future__ import annotations

import importlib.util
import json
import math

import numpy as np
import pytest

from convex_init.demo.functions import CHOSEN_ON, REACH, SHOWN, sample
from convex_init.demo.rates import GRID, RATES
from tests.architecture.checkout import CHECKOUT

TARGETS = {target.formula: target for target in (*SHOWN.values(), *(t for found in CHOSEN_ON.values() for t in found))}


@pytest.mark.parametrize("formula", TARGETS)
def test_a_target_is_convex(formula):
    target = TARGETS[formula]
    a, b = np.random.default_rng(0).uniform(-REACH, REACH, (2, 5000, target.dimensions))
    middle, ends = target.function((a + b) / 2), (target.function(a) + target.function(b)) / 2
    assert (middle <= ends + 1e-12).all()
    assert (middle < ends - 1e-3).mean() > 0.2  # and bends


@pytest.mark.parametrize("formula", TARGETS)
def test_a_formula_says_what_is_computed(formula):
    target = TARGETS[formula]
    x, y = np.random.default_rng(1).uniform(-REACH, REACH, (2, 100))
    columns = np.stack([x, y][: target.dimensions], axis=1)
    written = {
        "max(−2x − 1.6, −x/2, x/4, 3x − 3)": np.max([-2 * x - 1.6, -x / 2, x / 4, 3 * x - 3], axis=0),
        "‖(x − 0.5, y + 0.3)‖ + max(0, x + y − 1)": np.sqrt((x - 0.5) ** 2 + (y + 0.3) ** 2) + np.maximum(0, x + y - 1),
        "max(|x|/2, 2x − 1.6, −1.5x − 1.5)": np.max([np.abs(x) / 2, 2 * x - 1.6, -1.5 * x - 1.5], axis=0),
        "0.3|x|³ + max(0, −x − 0.5)": 0.3 * np.abs(x**3) + np.maximum(0, -x - 0.5),
        "max(x + y/2 − 1, y − x, −3y/2 − 1, 0)": np.max([x + y / 2 - 1, y - x, -1.5 * y - 1, 0 * x], axis=0),
        "x² + xy/2 + y²/3 − x": x * x + x * y / 2 + y * y / 3 - x,
    }
    np.testing.assert_allclose(target.function(columns), written[formula], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("task", SHOWN)
def test_values_have_mean_0_and_variance_1_and_belong_to_their_points(task):
    points = sample(SHOWN[task], 0)
    # float32 rounds each value by at most 2⁻²⁴ of its size, which is below 8.
    assert points.train_values.mean(dtype=np.float64) == pytest.approx(0.0, abs=8 * 2**-24)
    assert points.train_values.std(dtype=np.float64) == pytest.approx(1.0, abs=8 * 2**-24)
    inputs = np.concatenate([points.train, points.test, points.grid]).astype(np.float64)
    values = np.concatenate([points.train_values, points.test_values, points.grid_values])[:, 0]
    exact = SHOWN[task].function(inputs)
    slope, offset = np.polyfit(exact, values, 1)
    np.testing.assert_allclose(slope * exact + offset, values, atol=1e-5)
    assert np.array_equal(sample(SHOWN[task], 0).train, points.train)
    assert not np.array_equal(sample(SHOWN[task], 1).train, points.train)


def test_nothing_is_shown_that_settings_were_chosen_on():
    chosen_on = {target.formula for found in CHOSEN_ON.values() for target in found}
    assert not chosen_on & {target.formula for target in SHOWN.values()}


@pytest.fixture(scope="module")
def demo_rates():
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("demo_rates", CHECKOUT / "tools" / "demo_rates.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rates_are_the_best_that_were_tried(demo_rates):
    tried = json.loads(demo_rates.RESULTS.read_text(encoding="utf-8"))
    assert min(min(seeds) for seeds in demo_rates.SEEDS.values()) >= 100  # the demo counts from 0
    for task in demo_rates.TASKS:
        best = {
            network: {int(depth): demo_rates.best(losses) for depth, losses in by_depth.items()}
            for network, by_depth in tried[task].items()
        }
        assert best == RATES[task]
        for losses in (losses for found in tried[task].values() for losses in found.values()):
            ends = {min(losses, key=float), max(losses, key=float)}
            assert f"{demo_rates.best(losses):g}" not in ends or demo_rates.best(losses) in (GRID[0], GRID[-1])
            assert len(losses) >= 4


def test_rates_are_tried_until_the_best_is_not_at_an_end(demo_rates):
    for best in (1e-4, 1e-3, 1e-2, 3e-1):
        tried = demo_rates.try_all(lambda rate, best=best: [abs(math.log(rate / best)) + 0.1], {})
        assert demo_rates.best(tried) == best
        assert len(tried) == {1e-4: 6, 1e-3: 5, 1e-2: 4, 3e-1: 6}[best]


def test_the_best_rate_diverges_nowhere(demo_rates):
    assert demo_rates.best({"0.1": [float("nan"), 0.1], "0.01": [0.5, 0.5]}) == 0.01
