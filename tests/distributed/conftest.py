"""The processes that the checks of this folder run in."""

from __future__ import annotations

import pytest

from tests.distributed.world import World


@pytest.fixture(scope="session", params=[2, 4], ids="{}ranks".format)
def world(request, tmp_path_factory):
    """Two processes, then four; each set serves all checks."""
    found = World(request.param, tmp_path_factory.mktemp("world"))
    yield found
    found.close()
