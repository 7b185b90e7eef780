"""An ordinary classifier as the input-convex network that has the same class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init.torch.api import written
from convex_init.torch.carrier.layers import CarrierActivation, CarrierMaxPool, WithoutCarrier
from convex_init.torch.carrier.reading import CONVOLUTIONS, axis_behind, check_numbers, stages_of, windows
from convex_init.torch.layers import check_dtype
from convex_init.torch.model.copies import copied
from convex_init.torch.model.modules import without_wrapper
from convex_init_core import checks
from convex_init_core.carrier.rounding import Measured, checked
from convex_init_core.carrier.stages import (
    AsItIs,
    CarriedBend,
    CarriedProduct,
    CarriedWindows,
    ConvexStage,
    Product,
    Units,
    check_classes,
    convex_stages,
)


class ConvexForm(nn.Sequential):
    """The convex network of a classifier, as :func:`as_convex` makes it; its logits are all convex in the input.

    Attributes:
        measured: on the examples: ``row_sums``, by which the common part of the logits grows in each layer,
            ``common_part``, its largest size, and ``error``, the largest difference of a class probability.
    """

    measured = Measured()


@torch.no_grad()
def as_convex(
    classifier: nn.Module, example_inputs: Tensor, *, dtype: torch.dtype | None = None, tolerance: float = 1e-3
) -> ConvexForm:
    """Return the input-convex network with the class probabilities of an ordinary classifier.

    Every layer gets one more unit, the carrier, and all weights become non-negative; the logits differ from the
    classifier's by a number that is the same for all classes (:mod:`convex_init_core.carrier`). :func:`certify` proves
    that they are convex. It is a snapshot of the classifier in evaluation mode: train the classifier, not this.

    For softmax outputs only. The one output of a regression, an energy or a potential is refused; sigmoids of several
    outputs look like logits and cannot be told from them, and are wrong here.

    The common part grows in each layer, and with it the rounding. What that amounts to on the examples is kept in
    ``measured``.

    Args:
        classifier: an :class:`ICNN` (with ``carrier=True`` its weights keep the common part small), or an
            ``nn.Sequential`` of Linear, convolutions, batch normalisation, ReLU, leaky ReLU, ELU, CELU, softplus,
            pooling, Flatten and Dropout; compiled, or in ``DistributedDataParallel``, too. A softmax at its end is left
            out.
        example_inputs: a batch, whose means centre the carriers.
        dtype: of the convex network; that of the inputs by default.
        tolerance: how much a class probability may differ on the examples, above 0.

    Returns:
        A :class:`ConvexForm`, whose parameters do not train.

    Raises:
        ValueError: if a layer has no convex form or numbers that are not finite, there is one output, or rounding in
            ``dtype`` moves class probabilities by more than the tolerance.
        TypeError: if an argument has the wrong type.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from convex_init.torch import as_convex, certify
        >>> x = torch.randn(16, 4)
        >>> classifier = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> convex = as_convex(classifier, x)
        >>> print(certify(convex, x))
        convex
        >>> bool((convex(x).softmax(1) - classifier(x).softmax(1)).abs().max() < 1e-4)
        True
    """
    check_dtype(dtype)
    checks.positive("tolerance", tolerance)
    if not isinstance(example_inputs, Tensor) or not example_inputs.is_floating_point():
        raise TypeError("example_inputs must be one floating-point tensor, a batch of inputs")
    target = example_inputs.dtype if dtype is None else dtype
    given = without_wrapper(written(without_wrapper(classifier)))
    check_numbers(given)
    given = copied(given).double().eval()
    x = example_inputs.detach().to(torch.float64, copy=True)  # what a layer writes over is not the user's
    checks.example("0", x.numel(), bool(x.isfinite().all()))
    stages, logits = stages_of(given, x)
    check_classes(logits.shape[1])
    convex = convex_stages(stages)
    if not bool(logits.isfinite().all()):
        raise ValueError("the classifier must return finite logits on the examples: its weights or they are too large")
    form, z, axis, sums = ConvexForm(), x, -1, []
    for stage in convex:
        layer = _module(stage, axis)
        z = layer(z)
        if isinstance(stage, CarriedProduct):
            z = _centred(layer, stage, z, axis_behind(stage.stage, axis))
            sums.append(stage.row_sum)
        if not isinstance(stage, Units):
            axis = axis_behind(stage.stage, axis)
        form.append(layer)
    form.requires_grad_(False).to(target)
    found = form(example_inputs.detach().to(target, copy=True)).double()
    error = float((found.softmax(1) - logits.softmax(1)).abs().max())
    measured = Measured(tuple(sums), float((z - logits).abs().max()), error)
    form.measured = checked(measured, tolerance, str(target).removeprefix("torch."))
    return form


def _module(stage: ConvexStage, axis: int) -> nn.Module:
    """The module of a stage, for units on an axis counted from the end."""
    if isinstance(stage, AsItIs):
        inner = stage.stage
        if isinstance(inner, Product):
            return _product(inner, inner.weight, inner.bias, inner.groups)
        layer: nn.Module = inner.layer
        return layer
    if isinstance(stage, CarriedProduct):
        return _product(stage.stage, stage.weight, stage.bias, 1)
    if isinstance(stage, CarriedBend):
        return CarrierActivation(stage.form, stage.stage.layer, axis)
    if isinstance(stage, CarriedWindows):
        return CarrierMaxPool(*windows(stage.stage.layer))
    return WithoutCarrier(axis)


def _product(
    stage: Product, weight: NDArray[np.float64], bias: NDArray[np.float64] | None, groups: int
) -> nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A layer with these weights that does otherwise what the stage's layer does."""
    like, outputs = stage.layer, len(weight)
    options = {"bias": bias is not None, "dtype": torch.float64, "device": like.weight.device}
    if isinstance(like, nn.Linear):
        made: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d = nn.Linear(weight.shape[1], outputs, **options)
    else:
        kind: Any = next(kind for kind in CONVOLUTIONS if isinstance(like, kind))
        names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
        same = {name: getattr(like, name) for name in names}
        made = kind(weight.shape[1] * groups, outputs, groups=groups, **same, **options)
    made.weight.copy_(torch.from_numpy(weight))
    if bias is not None:
        assert made.bias is not None
        made.bias.copy_(torch.from_numpy(bias))
    return made


def _centred(layer: nn.Module, stage: CarriedProduct, z: Tensor, axis: int) -> Tensor:
    """Take the mean of the carrier, or of the logits at the end, off every unit: the carrier's bias is free."""
    mean = z.select(axis, -1).mean() if stage.makes else z.mean()
    layer.bias -= mean  # type: ignore[operator]
    return z - mean
