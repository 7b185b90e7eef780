"""A plan needs structure, not numbers: of 10⁹ parameters nothing is copied, and no forward computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import convex_init.torch as ci
from convex_init.torch import framework
from tests.torch.zoo import ZOO, unlike

WIDTH = 16_000
SMALL = 50_000_000  # bytes; one weight would be 512,000,000 or more


class TooMuch(AssertionError):
    """Raised at once: no machine has to hold what the test forbids."""


class Allocations(TorchDispatchMode):
    """See each result of an operation, and refuse large ones that have numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.on_meta = 0, 0
        self.failed = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, Tensor) and tensor.is_meta:
                self.on_meta += 1
            elif isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.untyped_storage().nbytes())
        if self.largest > SMALL:
            self.failed = f"{func} made {self.largest:,} bytes"
            raise TooMuch(self.failed)
        return result


class Seeing(nn.Module):
    """Tell what it is given."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen.append

    def forward(self, x: Tensor) -> Tensor:
        self.seen(x.device.type)
        return torch.relu(x)


def on_meta(seen: list[str]) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(32, WIDTH, device="meta"), nn.ReLU()),
        *(part for _ in range(4) for part in (nn.Linear(WIDTH, WIDTH, device="meta"), Seeing(seen))),
        nn.Linear(WIDTH, 1, device="meta"),
    )


def with_numbers(seen: list[str]) -> nn.Module:
    """Memory that nobody touches costs nothing; reading or copying it would."""
    return on_meta(seen).to(torch.float16).to_empty(device="cpu")


def network_of_ours(seen: list[str]) -> nn.Module:
    return ci.ICNN(32, [WIDTH] * 5, 1, skip=True, device="meta")


KINDS = {"on meta": on_meta, "with numbers": with_numbers, "of ours": network_of_ours}


@pytest.mark.parametrize("given", [False, True], ids=["made inputs", "example inputs"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_billion_parameters_are_planned_without_one_number(kind: str, given: bool) -> None:
    seen: list[str] = []
    model = KINDS[kind](seen)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1_000_000_000
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    inputs = (x.to(next(model.parameters()).dtype),) if given else ()
    with Allocations() as allocated:
        made = ci.plan(model, *inputs)
    assert not allocated.failed
    assert allocated.on_meta > 10  # the mode does see what is run
    assert set(seen) <= {"meta"}
    assert kind == "of ours" or seen
    roles = [layer.role for layer in made.layers if layer.role != "skip"]
    assert roles == ["free", *["positive"] * 5]
    assert [layer.to_dict()["fan_in"] for layer in made.layers if layer.role == "positive"] == [WIDTH] * 5


def test_below_the_limit_a_model_is_run_with_its_numbers() -> None:
    seen: list[str] = []
    model = nn.Sequential(nn.Linear(4, 8), Seeing(seen), nn.Linear(8, 8), Seeing(seen), nn.Linear(8, 1))
    ci.plan(model, torch.ones(16, 4))
    assert set(seen) == {"cpu"}


MODELS = {**ZOO, **unlike.MODELS}


@pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_read_without_numbers_gets_the_same_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slopes, factors and statistics that it holds are few numbers, on which laws depend."""
    entry = MODELS[name]

    def planned() -> dict[str, Any]:
        torch.manual_seed(0)
        model, inputs = entry.make(3 if 3 in entry.depths else entry.depths[0]), entry.inputs(32)
        try:
            return ci.plan(model, inputs, convex_inputs=entry.convex_inputs, entry=entry.entry).to_dict()
        except ValueError as refusal:
            return {"refused": str(refusal), "layers": [], "biases": {}}

    with_numbers = planned()
    monkeypatch.setattr(framework, "_LARGE", 0)
    without = planned()
    assert without["layers"] == [
        {key: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value for key, value in row.items()}
        for row in with_numbers["layers"]
    ]
    assert list(without["biases"]) == list(with_numbers["biases"])
    assert {**without, "layers": [], "biases": {}} == {**with_numbers, "layers": [], "biases": {}}


class Rotated(nn.Module):
    """A factor that is computed in a way that the core has no numbers of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.angles = nn.Linear(4, 8), nn.Linear(8, 1), nn.Parameter(torch.ones(8))
        self.seen: list[str] = []
        self.bend = Seeing(self.seen)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.bend(self.first(x)) * self.angles.cumsum(0).square())


def test_a_factor_that_needs_a_run_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Rotated()
    expected = str(ci.plan(model, torch.ones(16, 4), calibrate=False))
    assert set(model.seen) == {"cpu"}
    model.seen.clear()
    monkeypatch.setattr(framework, "_LARGE", 0)
    assert str(ci.plan(model, torch.ones(16, 4), calibrate=False)) == expected
    assert set(model.seen) == {"meta", "cpu"}
