"""Contract, point 6: a copy, however it is made, computes the same, is planned alike, and is a model of its own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.frameworks import adapter
from tests.contract.small_models import POSITIVE, network, task


@pytest.mark.parametrize("through", ["", "softplus"])
def test_every_way_to_copy_a_network(framework, through):
    found = adapter(framework, network(through))
    found.apply()
    x, y = task()
    before, plan = found.run(x), str(found.plan())
    assert found.copies
    for way in found.copies:
        twin = found.copied(way)
        np.testing.assert_allclose(twin.run(x), before, rtol=1e-6, atol=1e-6, err_msg=way)
        assert str(twin.plan()) == plan, way
        if through:
            twin.train(x, y, steps=5)
            assert min(twin.effective(layer).min() for layer in POSITIVE) >= 0.0
            assert np.abs(twin.run(x) - before).max() > 1e-3
        twin.apply(seed=3)
        assert not np.isclose(twin.raw("first"), found.raw("first"), rtol=1e-6).any(), way
        np.testing.assert_array_equal(found.run(x), before, err_msg=way)
