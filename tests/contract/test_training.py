"""Contract, points 4, 5 and 7: the projection, weights while a network is trained, and its convexity afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.convexity import convexity_violation
from tests.contract.frameworks import ABILITIES, able, adapter, skip_without
from tests.contract.small_models import FEATURES, POSITIVE, dense, network, task

TRAINED = [
    (framework, through)
    for framework, abilities in ABILITIES.items()
    for through in ("", "exp", "softplus")
    if through or "projection" in abilities
]
SLACK = 1e-5  # relative, of sums in float32


def made(framework: str, through: str, **options: object):
    skip_without(framework)
    found = adapter(framework, network(through, **options))
    found.apply()
    return found


@pytest.mark.parametrize("framework", able("projection"))
def test_projection_of_single_values(framework):
    skip_without(framework)
    found = adapter(framework, dense(4, 2))
    found.apply()
    values = np.array([[-1.0, 0.0, 2.5, -np.inf], [np.inf, np.nan, 6e-5, -6e-5]], np.float32).T
    due = np.array([[0.0, 0.0, 2.5, 0.0], [np.inf, np.nan, 6e-5, 0.0]], np.float32).T
    found.write("layer", values)
    for _ in range(2):  # idempotent
        found.project()
        np.testing.assert_array_equal(found.raw("layer"), due.astype(np.float64))


@pytest.mark.parametrize("framework", able("projection"))
def test_projection_leaves_a_fresh_start_and_free_weights_alone(framework):
    found = made(framework, "")
    before = [found.raw(layer) for layer in ("free", "skip", *POSITIVE)]
    found.project()
    for layer, kernel in zip(("free", "skip", *POSITIVE), before, strict=True):
        np.testing.assert_array_equal(found.raw(layer), kernel)
    assert min(kernel.min() for kernel in before[:2]) < 0.0
    assert found.bias("first").min() < 0.0


@pytest.mark.parametrize(("framework", "through"), TRAINED)
def test_weights_stay_non_negative_and_the_network_convex(framework, through):
    skip_without(framework)
    found = adapter(framework, network(through))
    state = found.state()
    found.apply()
    before = found.run(task()[0])
    found.train(*task(), steps=60)
    assert found.state() == state
    assert np.abs(found.run(task()[0]) - before).max() > 0.1  # it has learnt something
    for layer in POSITIVE:
        assert np.isfinite(found.effective(layer)).all()
        assert found.effective(layer).min() >= 0.0
    assert convexity_violation(found.run, FEATURES) <= SLACK


@pytest.mark.parametrize("framework", able("projection"))
def test_detached_the_projection_stops_and_the_network_is_not_convex(framework):
    found = made(framework, "", skips=False)
    found.train(*task(), steps=5)
    found.detach()
    found.train(*task(), steps=60)
    assert min(found.effective(layer).min() for layer in POSITIVE) < 0.0
    assert convexity_violation(found.run, FEATURES) > 1e-3
