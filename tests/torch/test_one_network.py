"""One network, one start: however it is written, and with example inputs or without, it gets the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

import convex_init.torch as ci
from convex_init.torch import ICNN, ConvexConv2d, ConvexLinear, Positive
from tests.torch.networks import generator

WIDTHS = (6, 24, 20, 16, 3)
METHODS = ("auto", "log_normal", "bounded_gain", "isometric")
PAIRS = tuple(itertools.pairwise(WIDTHS))


def data(*shape: int) -> Tensor:
    return 3.0 * torch.randn(256, *shape, generator=generator(1)) - 1.0


class Softplus(nn.Linear):
    """A layer as people write it: the map is in its own ``forward``."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, F.softplus(self.weight), self.bias)


def dense(kind: type[nn.Linear] = nn.Linear, bias: bool = True) -> list[nn.Linear]:
    return [(nn.Linear if place == 0 else kind)(*pair, bias) for place, pair in enumerate(PAIRS)]


def free_skips(bias: bool = False) -> list[nn.Linear]:
    return [nn.Linear(WIDTHS[0], width, bias) for width in WIDTHS[2:]]


def in_a_row(layers: list[nn.Linear], bend: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    parts = [part for layer in layers for part in (layer, bend())]
    return nn.Sequential(*parts[:-1])


def with_a_parametrization(layers: list[nn.Linear], positivity: str) -> list[nn.Linear]:
    for layer in layers[1:]:
        parametrize.register_parametrization(layer, "weight", Positive(positivity))
    return layers


class ByHand(nn.Module):
    def __init__(self, layers: list[nn.Linear], bend: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.parts, self.bend = nn.ModuleList(layers), bend

    def forward(self, x: Tensor) -> Tensor:
        s = self.parts[0](x)
        for layer in self.parts[1:]:
            s = layer(self.bend(s))
        return s


class SkipsByHand(nn.Module):
    """Named and ordered in another way than ours, whose layers are a list before the list of skips."""

    def __init__(self, kind: type[nn.Linear] = nn.Linear, bias: bool = True) -> None:
        super().__init__()
        self.beside = nn.ModuleList(free_skips(not bias))
        self.stem, *above = dense(kind, bias)
        self.above = nn.ModuleList(above)

    def forward(self, x: Tensor) -> Tensor:
        s = self.stem(x)
        for layer, skip in zip(self.above, self.beside, strict=True):
            s = layer(F.relu(s)) + skip(x)
        return s


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(*PAIRS[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, self.layer(x)


class Step(nn.Module):
    def __init__(self, layer: nn.Linear, skip: nn.Linear) -> None:
        super().__init__()
        self.layer, self.skip, self.bend = layer, skip, nn.ReLU()

    def forward(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, s = pair
        return x, self.layer(self.bend(s)) + self.skip(x)


class Second(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[1]


def skips_in_a_row(kind: type[nn.Linear] = nn.Linear) -> nn.Sequential:
    steps = map(Step, dense(kind)[1:], free_skips())
    return nn.Sequential(Stem(), *steps, Second())


class ImagesByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(2, 8, 3), nn.Conv2d(8, 6, 3, stride=2), nn.Linear(54, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.second(F.relu(self.first(x)))).flatten(1))


def images(conv: type[nn.Conv2d], linear: type[nn.Linear]) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(2, 8, 3), nn.ReLU(), conv(8, 6, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), linear(54, 3)),
    )


def ours(**options: object) -> Callable[[], nn.Module]:
    return lambda: ICNN(WIDTHS[0], WIDTHS[1:-1], WIDTHS[-1], **options)


WRITTEN: dict[str, tuple[tuple[int, ...], dict[str, Callable[[], nn.Module]]]] = {
    "plain": (
        (6,),
        {"ours": ours(), "sequential": lambda: in_a_row(dense()), "by hand": lambda: ByHand(dense())},
    ),
    "softplus activations": (
        (6,),
        {
            "ours": ours(activation="softplus"),
            "sequential": lambda: in_a_row(dense(), nn.Softplus),
            "by hand": lambda: ByHand(dense(), lambda s: torch.log1p(s.exp())),
        },
    ),
    "skips": (
        (6,),
        {"ours": ours(skip=True), "sequential": skips_in_a_row, "by hand": SkipsByHand},
    ),
    "skips with the biases": (
        (6,),
        {"ours": ours(skip=True, bias=False), "by hand": lambda: SkipsByHand(bias=False)},
    ),
    "softplus": (
        (6,),
        {
            "ours": ours(positivity="softplus"),
            "sequential": lambda: in_a_row(dense(Softplus)),
            "parametrized": lambda: in_a_row(with_a_parametrization(dense(), "softplus")),
            "by hand": lambda: ByHand(dense(Softplus)),
        },
    ),
    "softplus and skips": (
        (6,),
        {
            "ours": ours(positivity="softplus", skip=True),
            "sequential": lambda: skips_in_a_row(Softplus),
            "by hand": lambda: SkipsByHand(Softplus),
        },
    ),
    "convolutions": (
        (2, 9, 9),
        {
            "ours": lambda: images(ConvexConv2d, ConvexLinear),
            "sequential": lambda: images(nn.Conv2d, nn.Linear),
            "by hand": ImagesByHand,
        },
    ),
}
CASES = list(itertools.product(WRITTEN, METHODS))


def laws(model: nn.Module, inputs: tuple[Tensor, ...], **options: object) -> list[tuple[object, ...]]:
    """All that a plan says of each weight, but for its name, and of its bias."""
    made = ci.plan(model, *inputs, **options)
    rows = [layer.to_dict() for layer in made.layers]
    words = ("role", "fan_in", "fed_by", "law", "mean", "variance", "bias_mean", "bias_variance", "positivity")
    return [tuple(row[word] for word in words) for row in rows]


def drawn(model: nn.Module, inputs: tuple[Tensor, ...], **options: object) -> list[Tensor]:
    """Every weight and bias after ``apply_``, in the order of the plan."""
    made = ci.plan(model, *inputs, **options)
    ci.apply_(model, *inputs, generator=generator(7), **options)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return [parameters[fill.name].detach() for fill in made.fills()]


def starts(kind: str, take: Callable[..., list[object]], **options: object) -> dict[str, list[object]]:
    """What each way of writing gets, without example inputs and with them; plain inputs cannot be made of images."""
    shape, ways = WRITTEN[kind]
    given = {"made": (), "given": (data(*shape),)}
    return {f"{way}, inputs {how}": take(make(), given[how], **options) for way, make in ways.items() for how in given}


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_the_laws_are_the_same(kind: str, method: str) -> None:
    found = starts(kind, laws, method=method)
    (_, first), *others = found.items()
    assert len(first) >= 3
    for name, other in others:
        assert [row[:4] for row in other] == [row[:4] for row in first], name
        for row, expected in zip(other, first, strict=True):
            assert row[4:8] == pytest.approx(expected[4:8], rel=1e-6, abs=1e-9, nan_ok=True), name
            assert row[8] == expected[8], name


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_one_seed_gives_the_same_weights(kind: str, method: str) -> None:
    found = starts(kind, drawn, method=method, calibrate=False)
    (_, first), *others = found.items()
    assert len(first) >= 6
    for name, other in others:
        assert [tensor.shape for tensor in other] == [tensor.shape for tensor in first], name
        for tensor, expected in zip(other, first, strict=True):
            torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_measured_is_the_same_too(kind: str) -> None:
    shape, ways = WRITTEN[kind]
    first, *others = [drawn(make(), (data(*shape),)) for make in ways.values()]
    for other in others:
        for tensor, expected in zip(other, first, strict=True):
            torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-6)
