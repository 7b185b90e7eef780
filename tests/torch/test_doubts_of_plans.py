"""A plan says where the model that it read may be another one for other inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convex_init.torch import plan


class Branching(nn.Module):
    """A network whose hidden value goes through a function that may look at numbers."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Linear(4, 8), nn.Linear(8, 1), between

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.between(torch.relu(self.first(x))))
        return found


BRANCHES: dict[str, Callable[[Tensor], Tensor]] = {
    "a comparison": lambda h: 2.0 * h if h.max() > 100.0 else h,
    "a number": lambda h: 2.0 * h if h.sum().item() > 1e6 else h,
    "a size": lambda h: 2.0 * h if len(h[h > 100.0]) else h,
}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_is_told(name: str) -> None:
    found = plan(Branching(BRANCHES[name]), torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
    assert len(found.doubts) == 1
    assert f"for others it may differ: {found.doubts[0]}" in str(found)
    assert found.to_dict()["doubts"] == list(found.doubts)


def test_a_model_without_a_branch_has_no_doubt() -> None:
    found = plan(Branching(lambda h: 2.0 * h), torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
    assert found.doubts == ()
    assert "may differ" not in str(found)
