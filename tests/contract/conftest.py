"""``framework``: each one that is held to the contract, by its name, which ``-k`` selects."""

from __future__ import annotations

import pytest

from tests.contract.frameworks import ABILITIES, skip_without


@pytest.fixture(scope="module", params=ABILITIES)
def framework(request: pytest.FixtureRequest) -> str:
    skip_without(request.param)
    return request.param
