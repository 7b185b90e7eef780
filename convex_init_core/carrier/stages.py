"""A classifier as a course of stages, and the course of the convex network that has the same class probabilities.

An adapter reads a framework's layers into the former and makes layers of the latter. What is in front of the first bend
is affine in the input and may have any sign. What follows it up to the next product is convex with a carrier of 0. From
the first product behind a bend on, units and carrier run side by side, the carrier as one more unit or channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convex_init_core.carrier.activations import BesideCarrier, beside_carrier
from convex_init_core.carrier.weights import carried, ungrouped
from convex_init_core.theory.activation import Activation

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Product:
    """A dense layer or a convolution.

    Attributes:
        weight: ``[outputs, inputs of a group, *taps]``; a dense layer has no taps.
        bias: ``[outputs]``, or ``None``.
        path: of the layer.
        groups: of the channels.
        layer: the framework's, which says the rest.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64] | None
    path: str = ""
    groups: int = 1
    layer: Any = None


@dataclass(frozen=True, eq=False)
class Bend:
    """An activation, on each element."""

    activation: Activation
    path: str = ""
    layer: Any = None


@dataclass(frozen=True, eq=False)
class Windows:
    """The largest element of each window of each channel."""

    path: str = ""
    layer: Any = None


@dataclass(frozen=True, eq=False)
class Alike:
    """One linear map of each channel by itself, with weights of at least 0: average pooling."""

    path: str = ""
    layer: Any = None


@dataclass(frozen=True, eq=False)
class Flat:
    """Channels and their positions in one axis.

    Attributes:
        positions: number of positions of a channel.
        path: of the layer.
        layer: the framework's.
        channels_last: whether the channels of a position lie side by side, and not the positions of a channel.
    """

    positions: int
    path: str = ""
    layer: Any = None
    channels_last: bool = False


Stage: TypeAlias = "Product | Bend | Windows | Alike | Flat"


@dataclass(frozen=True, eq=False)
class AsItIs:
    """A stage that is in the convex network what it was."""

    stage: Stage


@dataclass(frozen=True, eq=False)
class CarriedProduct:
    """A product with non-negative weights, one of its groups.

    Attributes:
        weight: ``[outputs (+ 1), inputs (+ 1), *taps]``, the carrier last; of a dense layer behind :class:`Flat`
            ``[outputs (+ 1), (inputs + 1) · positions]``.
        bias: ``[outputs (+ 1)]``.
        makes: whether its last output is a carrier; else it is the network's last.
        row_sum: R.
        stage: that it stands for.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    makes: bool
    row_sum: float
    stage: Product


@dataclass(frozen=True, eq=False)
class CarriedBend:
    """An activation of units beside their carrier."""

    form: BesideCarrier
    stage: Bend


@dataclass(frozen=True, eq=False)
class CarriedWindows:
    """The largest of each window, where the carrier differs from place to place.

    ``max_p u(p) = max_p (h(p) − r(p))`` is the deviation of ``h' = max_p (h(p) + Σ_{q≠p} r(q))`` from the carrier
    ``r' = Σ_q r(q)``, which grows by the size of the window.
    """

    stage: Windows


@dataclass(frozen=True, eq=False)
class Units:
    """The units alone, at the end."""


ConvexStage: TypeAlias = "AsItIs | CarriedProduct | CarriedBend | CarriedWindows | Units"

ONE_OUTPUT = (
    "one output is no softmax over classes. The carrier makes logits convex up to a shift that they have in common, "
    "and the one output of a regression, a sigmoid, an energy or a potential is that shift as well: use ICNN without "
    "carrier, or two logits for two classes"
)

SIGMOID = (
    "a sigmoid sees the shift that the carrier adds to every logit, so it gives other probabilities; for classes that "
    "exclude each other use a softmax over their logits"
)


def check_classes(outputs: int) -> None:
    """Refuse what cannot be the logits of a softmax.

    Raises:
        ValueError: for fewer than two outputs, with the reason.
    """
    if outputs < 2:
        raise ValueError(ONE_OUTPUT)


def convex_stages(stages: Sequence[Stage]) -> list[ConvexStage]:
    """Return the stages of the convex network with the same class probabilities.

    Its carriers have the bias 0: an adapter subtracts the mean of each over examples from all biases of its layer.

    Args:
        stages: of the classifier, up to its logits.

    Raises:
        ValueError: if there is no product, fewer than two outputs, numbers that are not finite, a stage has no convex
            counterpart, or the logits have no carrier in common; the message names the layer.
    """
    products = [stage for stage in stages if isinstance(stage, Product)]
    if not products:
        raise ValueError("the classifier has no layer with weights")
    check_classes(len(products[-1].weight))
    for product in products:
        _check_finite(product)
    found: list[ConvexStage] = []
    is_convex = reads = False
    flat, channels, channels_last = 1, 0, False
    for place, stage in enumerate(_bends_before_flat(stages)):
        if isinstance(stage, Product):
            makes = place < len(stages) - 1
            found.append(_product(stage, reads, makes, (flat, channels, channels_last)) if is_convex else AsItIs(stage))
            reads, flat, channels = is_convex and makes, 1, len(stage.weight)
        elif isinstance(stage, Bend):
            form = _form(stage)
            found.append(CarriedBend(form, stage) if reads else AsItIs(stage))
            is_convex = True
        elif isinstance(stage, Windows):
            found.append(CarriedWindows(stage) if reads else AsItIs(stage))
            is_convex = True
        else:
            if isinstance(stage, Flat) and reads:
                flat, channels_last = flat * stage.positions, stage.channels_last
            found.append(AsItIs(stage))
    if reads:
        if flat != 1:
            raise ValueError(
                f"the logits have carriers at {flat} positions, so no shift in common; end with a dense layer, or with "
                "the mean over all positions"
            )
        found.append(Units())
    return found


def _check_finite(product: Product) -> None:
    for name, numbers in (("weight", product.weight), ("bias", product.bias)):
        if numbers is not None and not np.all(np.isfinite(numbers)):
            raise ValueError(
                f"{product.path}: its {name} holds NaN or infinite numbers, as after a training that diverged; set it "
                "to finite ones"
            )


def _product(stage: Product, reads: bool, makes: bool, flat: tuple[int, int, bool]) -> CarriedProduct:
    positions, channels, channels_last = flat
    try:
        weight = ungrouped(stage.weight, stage.groups)
        outputs = len(weight)
        if reads and positions > 1:
            sizes = (positions, channels) if channels_last else (channels, positions)
            weight = weight.reshape(outputs, *sizes)
            weight = weight.swapaxes(1, 2) if channels_last else weight
        made = carried(weight, reads=reads, makes=makes)
    except ValueError as error:
        raise ValueError(f"{stage.path}: {error}") from error
    rows = made.weight
    if reads and positions > 1:
        rows = (rows.swapaxes(1, 2) if channels_last else rows).reshape(len(rows), -1)
    bias = np.zeros(outputs) if stage.bias is None else np.asarray(stage.bias, np.float64)
    return CarriedProduct(rows, np.pad(bias, (0, int(makes))), makes, made.row_sum, stage)


def _form(stage: Bend) -> BesideCarrier:
    try:
        return beside_carrier(stage.activation)
    except ValueError as error:
        raise ValueError(f"{stage.path}: {error}") from error


def _bends_before_flat(stages: Sequence[Stage]) -> list[Stage]:
    """An activation does not mind whether its elements lie in one axis; the carrier does."""
    found = list(stages)
    for end in range(len(found)):
        place = end
        while place and isinstance(found[place], Bend) and isinstance(found[place - 1], Flat):
            found[place - 1], found[place] = found[place], found[place - 1]
            place -= 1
    return found


def scaled(stage: Product, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Product:
    """Return a product with a normalisation of fixed statistics behind it: ``scale · (A x + b) + shift``."""
    across = (slice(None), *(None,) * (stage.weight.ndim - 1))
    bias = shift if stage.bias is None else scale * stage.bias + shift
    return replace(stage, weight=scale[across] * stage.weight, bias=bias)
