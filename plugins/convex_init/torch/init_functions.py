"""Initialise single tensors, in the manner of :mod:`torch.nn.init`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from convex_init.torch.model.activations import ActivationLike, read_activation
from convex_init.torch.write.drawing import Fill, fill_
from convex_init.torch.write.sharding import check_placements
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.methods.recipe import Recipe
from convex_init_core.methods.recipes import free_recipe, positive_recipe
from convex_init_core.settings import InitSettings
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from convex_init_core.weights.weight_axes import Geometry


def icnn_(
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    fan_in: float | None = None,
    fed_by: ActivationLike = "relu",
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    distribution: str = "log_normal",
    method: str = "log_normal",
    match_moments: bool = False,
    geometry: Geometry | None = None,
    positivity: str | Positivity | None = None,
    generator: torch.Generator | None = None,
    **_unknown: NoReturn,
) -> Any:
    r"""Fill a non-negative weight, and its bias, in place with the principled initialisation.

    The *effective* weight is drawn with mean and variance

    .. math::
        \mu_w^2 = \frac{\rho\sigma^2}{N [k(1) - N k(0) + (N-1) k(\rho)]}, \qquad
        \sigma_w^2 = \frac{(1-\rho)(1-\beta)\sigma^2}{N k(1)},

    and the bias with mean :math:`-N \mu_w E[\phi]` and variance :math:`\beta(1-\rho)\sigma^2`, where :math:`N` is
    ``fan_in`` and :math:`k` the kernel of the activation (equations 8–12, 33–46).

    Args:
        weight: the tensor to fill; for a positivity map, the *raw* tensor.
        bias: the tensor to fill with the centring shift. Without it the pre-activations are not centred.
        fan_in: number of features that one output sums. For a 2-D weight ``[fan_out, fan_in]`` it is the second
            dimension by default; for convolutions, channels per group × kernel volume, give it.
        fed_by: φ, the activation that feeds the layer.
        correlation: ρ* in (0, 1).
        variance: σ*² > 0.
        bias_noise: β in [0, 1).
        distribution: ``"log_normal"``, ``"gamma"``, ``"spike_and_slab"`` or ``"two_point"``.
        method: ``"log_normal"``, the paper's, described above; or ``"isometric"``, a permutation of the features (where
            widths differ, sums or copies of them), which keeps the signal at any depth; see
            :mod:`convex_init_core.methods.isometric`.
        match_moments: give the draw exactly the mean and variance above, which a log-normal sample falls short of.
        geometry: for ``"isometric"`` and a weight that is not 2-D: which of its axes are outputs, inputs and window,
            ``convex_init.torch.model.fans.geometry(module)``.
        positivity: the map from ``weight`` to the effective weight, such as ``"exp"``; none by default.
        generator: source of randomness; torch's global CPU generator by default.

    Returns:
        ``weight``, or ``(weight, bias)`` if a bias was given.

    Raises:
        ValueError: if an argument is out of range, or fan-in or geometry cannot be told from the shape.

    Note:
        ``layer.weight`` of a parametrized layer is a computed tensor: pass
        ``layer.parametrizations.weight.original`` with ``positivity``, or use :func:`convex_init.torch.apply_`.

    Example:
        >>> import torch
        >>> from convex_init.torch import icnn_
        >>> layer = torch.nn.Linear(784, 100)
        >>> weight, bias = icnn_(layer.weight, layer.bias, fed_by="relu")
        >>> bool((weight >= 0).all()), round(bias[0].item(), 3)
        (True, -0.739)
    """
    refuse_unknown(_unknown, icnn_)
    settings = InitSettings(correlation, variance, bias_noise, distribution, method=method, match_moments=match_moments)
    where = _geometry(weight, geometry) if settings.needs_geometry else None
    fan = _fan_in(weight, fan_in) if where is None else where.fan_in
    recipe = positive_recipe(fan, read_activation(fed_by), settings, positivity or "projection", geometry=where)
    return _write(recipe, weight, bias, fan, generator)


def lecun_(
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    fan_in: float | None = None,
    variance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Any:
    """Fill the weight of a free first layer in place with N(0, variance/fan_in), and its bias with 0.

    Args:
        weight: the tensor to fill, of either sign.
        bias: the tensor to set to 0.
        fan_in: as for :func:`icnn_`.
        variance: σ*² of the pre-activation for inputs of unit second moment.
        generator: source of randomness; torch's global CPU generator by default.

    Returns:
        ``weight``, or ``(weight, bias)`` if a bias was given.

    Raises:
        ValueError: if an argument is out of range, or fan-in cannot be told from the shape.

    Example:
        >>> import torch
        >>> from convex_init.torch import lecun_
        >>> layer = torch.nn.Linear(100, 20)
        >>> weight, bias = lecun_(layer.weight, layer.bias)
        >>> bool((weight < 0).any()), bool(bias.any())
        (True, False)
    """
    fan = _fan_in(weight, fan_in)
    return _write(free_recipe(fan, InitSettings(variance=variance)), weight, bias, fan, generator)


def _check(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}; for a module there is apply_")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {tensor.dtype}")
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and has no numbers to write; call to_empty(device=...) first")
    if tensor.requires_grad and not tensor.is_leaf:
        raise ValueError(
            f"{name} is a computed tensor, so writing to it would be lost: pass the raw parameter "
            f"(layer.parametrizations.{name}.original) with positivity=..., or use apply_"
        )


def _fan_in(weight: Tensor, given: float | None) -> float:
    _check("weight", weight)
    if given is not None:
        return given
    if weight.ndim != 2:
        raise ValueError(
            f"fan_in cannot be told from a weight of shape {tuple(weight.shape)}: pass fan_in=, for a convolution "
            "in_channels // groups * kernel volume, for a transposed one divided by the stride's volume"
        )
    return weight.shape[1]


def _geometry(weight: Tensor, given: Geometry | None) -> Geometry:
    _check("weight", weight)
    if given is None:
        if weight.ndim != 2:
            raise ValueError(
                f"geometry cannot be told from a weight of shape {tuple(weight.shape)}: pass "
                "geometry=convex_init.torch.model.fans.geometry(module)"
            )
        from convex_init_core.weights.weight_axes import dense_geometry  # most networks need none

        return dense_geometry(*weight.shape)
    if not hasattr(given, "outputs"):
        raise TypeError(f"geometry must be a convex_init_core.Geometry, got {type(given).__name__}")
    if given.shape != tuple(weight.shape):
        raise ValueError(f"geometry is that of a weight of shape {given.shape}, but weight has {tuple(weight.shape)}")
    return given


def _check_length(weight: Tensor, bias: Tensor, fan_in: float) -> None:
    """Refuse a bias that has not one number for each output."""
    outputs = weight.numel() / fan_in
    if weight.ndim == 1:  # its outputs are not to be seen
        fits = True
    elif weight.ndim == 2:  # whatever the user calls fan-in, say of a weight that is masked
        fits = bias.numel() in weight.shape
        outputs = weight.shape[0] if fan_in == weight.shape[1] else outputs
        fits = fits if fan_in not in weight.shape else bias.numel() == outputs
    else:  # a transposed convolution has as many outputs as weights, but for positions that its stride leaves out
        fits = bias.numel() > 0 and outputs % bias.numel() == 0
    if not fits or bias.ndim == 0:
        raise ValueError(
            f"bias must have one number for each output, so {outputs:g} for a weight of shape {tuple(weight.shape)}, "
            f"got shape {tuple(bias.shape)}"
        )


def _write(
    recipe: Recipe, weight: Tensor, bias: Tensor | None, fan_in: float, generator: torch.Generator | None
) -> Any:
    if bias is not None:
        _check("bias", bias)
        _check_length(weight, bias, fan_in)
    for tensor in (weight, bias):
        check_placements(tensor)
    fills = [Fill(weight, recipe.weight, recipe.positivity)]
    if bias is not None:
        fills.append(Fill(bias, recipe.bias))
    fill_(fills, generator)
    return weight if bias is None else (weight, bias)
