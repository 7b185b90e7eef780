"""Turn a timm CNN into an input-convex one, or say what stands in the way."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convex_init.timm.blockers import blockers
from convex_init.timm.findings import Blocker, FoundLayer, FoundScale
from convex_init.timm.laws import (
    InitChoice,
    add_bias,
    fill_layers,
    lacks_bias,
    note_layer,
    note_norm,
    positive_recipe_for,
    reset_norm,
)
from convex_init.timm.replacements import chosen
from convex_init.timm.survey import Survey, with_replacements
from convex_init.torch import mark_projected, project_, projected_parameters
from convex_init.torch.framework import TorchFramework
from convex_init.torch.write.drawing import check_generator
from convex_init_core import checks
from convex_init_core.methods.normalised import residual_gain
from convex_init_core.planning import build
from convex_init_core.planning.plan import LayerPlan
from convex_init_core.request import Options, Request, request
from convex_init_core.theory.activations import identity


class NotConvexifiable(ValueError):
    """The model cannot be made input-convex as asked.

    Attributes:
        blockers: the offending places.
    """

    def __init__(self, message: str, blockers: tuple[Blocker, ...]) -> None:
        """Raise with the whole list in the message."""
        super().__init__(message)
        self.blockers = blockers


@dataclass(frozen=True, eq=False)
class ConvexityReport:
    """What the data flow through a model says of convexity in its input; prints as a list.

    Attributes:
        blockers: places that are not convex, and what removes them.
        layers: convolutions and linear layers, in the order of the signal.
        scales: batch normalisations and other learnt factors.
        replaced: paths of the modules that the asked replacements take out.
    """

    blockers: tuple[Blocker, ...]
    layers: tuple[FoundLayer, ...]
    scales: tuple[FoundScale, ...]
    replaced: tuple[str, ...]

    @property
    def convexifiable(self) -> bool:
        """Whether non-negative weights are all that is missing."""
        return not self.blockers

    def __str__(self) -> str:
        """Return one line for each layer and factor that must be non-negative, and for each blocker."""
        lines = [f"in the way: {blocker}" for blocker in self.blockers]
        for layer in self.layers:
            role = f"non-negative, fed by {layer.fed_by or identity()}" if layer.positive else "free"
            lines.append(f"{layer.path}: {role}" + (", then normalised" if layer.normalised else ""))
        lines += [f"{scale.path}.{scale.name}: non-negative" for scale in self.scales if scale.positive]
        return "\n".join(lines)


def convexity_report(
    model: nn.Module,
    example_inputs: Tensor | None = None,
    *,
    replace: Mapping[str, str] | None = None,
) -> ConvexityReport:
    """Follow the signal through ``model`` and report what :func:`convexify` would find; nothing is changed.

    Arguments and errors are those of :func:`convexify`, but what stands in the way is reported and not raised.

    Example:
        >>> import torch
        >>> from convex_init.timm import convexity_report
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GELU(), torch.nn.Conv2d(8, 8, 3))
        >>> report = convexity_report(model, torch.zeros(2, 3, 8, 8))
        >>> report.convexifiable, len(report.blockers)
        (False, 1)
    """
    example = _example(model) if example_inputs is None else example_inputs
    return _examine(model, example, replace)[0]


def convexify(
    model: nn.Module,
    example_inputs: Tensor | None = None,
    *,
    replace: Mapping[str, str] | None = None,
    register_missing_bias: bool = False,
    generator: torch.Generator | None = None,
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    distribution: str | None = None,
    method: str | None = None,
) -> nn.Module:
    """Make every output of ``model`` a convex function of its input, in place and in evaluation mode, and return it.

    A copy of the model runs in evaluation mode, and its signal is followed operation by operation. Every weight behind
    a non-linearity, and every scale of a batch normalisation or other learnt factor there, is declared non-negative, as
    by :func:`convex_init.torch.mark_projected`; train it under ``project_after_step(optimizer, model)``. Then all
    layers are initialised anew: free ones with LeCun's law, positive ones with the principled initialisation, and
    positive ones that are normalised before the next non-linearity by :mod:`convex_init_core.methods.normalised`.
    Batch normalisations get scale 1 and shift 0; one that ends a residual branch gets the scale 1/√(number of such
    branches), so that their variances add up to 1.

    In training mode a batch normalisation divides by a statistic of the batch, so only evaluation mode is convex. What
    is refused: attention, layer and group normalisation, squeeze-and-excitation and other gates, activations that are
    not convex and non-decreasing, weights that the forward computes (weight standardisation), and all that
    :func:`convex_init.torch.certify` has no rule for.

    Args:
        model: a CNN of timm, or any module with one input and no control flow that depends on the input's values.
        example_inputs: of shape ``(N, C, H, W)``, N ≥ 2; by default zeros of the size in its ``pretrained_cfg``.
            Only its shape, type and device count.
        replace: what to put for offending modules, such as ``{"gelu": "softplus", "squeeze_excite": "identity"}``. The
            names are the keys of ``convex_init.timm.OFFENDERS``; replacements are relu, leaky_relu, elu, celu,
            softplus, and identity.
        register_missing_bias: add a bias to layers that are not normalised and have none for the centring shift.
        generator: source of randomness; torch's global CPU generator by default. One number is taken from it.
        correlation: ρ* in (0, 1).
        variance: σ*² > 0.
        bias_noise: β in [0, 1).
        distribution: of the positive weights: ``"log_normal"``, ``"gamma"``, ``"spike_and_slab"`` or ``"two_point"``;
            by default gamma in front of a normalisation, where log-normal samples miss their moments, else log-normal.
        method: for the layers that no normalisation follows, ``"auto"``, ``"bounded_gain"``, ``"log_normal"`` or
            ``"isometric"`` as for :func:`convex_init.torch.apply_`, which looks at all that is summed with them;
            nothing is measured. By default each of them gets the paper's law by itself, as from :func:`init_weights`,
            and needs a bias.

    Returns:
        ``model``.

    Raises:
        NotConvexifiable: a ValueError that lists the offending places, each with the option that removes it, if any.
            Nothing has been changed.
        ValueError: if the model cannot be traced, an argument is out of range, a weight is frozen, or a layer lacks a
            bias. Nothing has been changed.
        TypeError: if the model is not a module.

    Example:
        >>> import torch
        >>> from convex_init.timm import convexify
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GELU(), torch.nn.Conv2d(8, 8, 3))
        >>> model = convexify(model, torch.zeros(2, 3, 8, 8), replace={"gelu": "softplus"})
        >>> model[1], bool((model[2].weight >= 0).all())
        (Softplus(beta=1.0, threshold=20.0), True)
    """
    check_generator(generator)
    register_missing_bias = checks.truth("register_missing_bias", register_missing_bias)
    example = _example(model) if example_inputs is None else example_inputs
    report, new_modules = _examine(model, example, replace)
    if report.blockers:
        listed = "\n  ".join(map(str, report.blockers))
        raise NotConvexifiable(
            f"nothing was changed: {type(model).__name__} is not convex at\n  {listed}", report.blockers
        )
    choice = InitChoice(correlation, variance, bias_noise, distribution)
    planned: dict[nn.Module, LayerPlan] = {}
    if method is not None:
        options: Options = {"method": method, "register_missing_bias": register_missing_bias, "variance": variance}
        options |= {"correlation": correlation, "bias_noise": bias_noise, "calibrate": False}
        if distribution is not None:
            options["distribution"] = distribution
        planned = _planned(with_replacements(model, new_modules), example, report, request(**options))
    lacking = _check(report, choice, register_missing_bias, planned)

    for path, module in new_modules.items():
        model.set_submodule(path, copy.deepcopy(module).train(model.training))
    for layer in report.layers:
        if layer.positive:
            note_layer(layer.module, layer.fed_by or identity(), layer.normalised, layer.positivity)
            if layer.is_projected:
                mark_projected(layer.module)
    for scale in report.scales:
        if scale.positive:
            mark_projected(scale.module, scale.name)
    for module in lacking:
        add_bias(module)
    recipes = {module: each.recipe for module, each in planned.items()}
    fill_layers([layer.module for layer in report.layers], choice, generator, recipes)
    _reset_scales(report, choice)
    if projected_parameters(model):
        project_(model)
    return model


def _examine(
    model: nn.Module, example: Tensor, replace: Mapping[str, str] | None
) -> tuple[ConvexityReport, dict[str, nn.Module]]:
    new_modules = chosen(model, replace or {})
    found = Survey(model, example, new_modules)
    report = ConvexityReport(blockers(found), tuple(found.layers), tuple(found.scales), tuple(new_modules))
    return report, new_modules


def _example(model: nn.Module) -> Tensor:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = dict(config).get("input_size") if config is not None else None
    first = next(model.parameters(), None)
    if not size or first is None:
        raise ValueError(f"{type(model).__name__} does not say the size of its input: pass example_inputs")
    channels = getattr(next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None), "in_channels", size[0])
    return torch.zeros(2, int(channels), *size[1:], dtype=first.dtype, device=first.device)


def _planned(model: nn.Module, example: Tensor, report: ConvexityReport, asked: Request) -> dict[nn.Module, LayerPlan]:
    """Return the core's plan for the layers that no normalisation follows."""
    marked = copy.deepcopy(model)
    for scale in report.scales:
        if scale.positive:
            mark_projected(marked.get_submodule(scale.path), scale.name)
    made = build.plan(TorchFramework(marked, ((example,), {})), asked)
    layers = {layer.path: layer.module for layer in report.layers if not layer.normalised}
    return {
        layers[each.path]: dataclasses.replace(
            each, recipe=dataclasses.replace(each.recipe, bias=made.biases.get(each.bias, each.recipe.bias))
        )
        for each in made.layers
        if each.path in layers
    }


def _check(
    report: ConvexityReport, choice: InitChoice, register_missing_bias: bool, planned: Mapping[nn.Module, LayerPlan]
) -> list[nn.Module]:
    """Make sure that every parameter can be written; return the layers that get a bias."""
    problems, lacking = [], []
    for layer in report.layers:
        try:
            if layer.obstacle:
                raise ValueError(layer.obstacle)
            if layer.module in planned:
                lacking += [layer.module] * planned[layer.module].add_bias
                continue
            if not layer.positive:
                continue
            recipe = positive_recipe_for(
                layer.module, layer.fed_by or identity(), layer.normalised, choice, layer.positivity
            )
            if lacks_bias(layer.module, recipe):
                if not register_missing_bias:
                    raise ValueError(
                        "it has no bias to carry the centring shift, and no normalisation follows; pass "
                        "register_missing_bias=True"
                    )
                lacking.append(layer.module)
        except (ValueError, TypeError) as error:
            problems.append(f"{layer.path!r}: {error}")
    for scale in report.scales:
        parameter = scale.module._parameters[scale.name]
        if scale.positive and parameter is not None and not parameter.requires_grad:
            problems.append(f"'{scale.path}.{scale.name}': it is frozen (requires_grad=False); unfreeze it")
    if problems:
        raise ValueError("nothing was changed: " + "\n".join(problems))
    return lacking


def _reset_scales(report: ConvexityReport, choice: InitChoice) -> None:
    layers = {layer.path: layer.module for layer in report.layers}
    branches = max(1, sum(scale.shortcut == "identity" for scale in report.scales))
    gains = {"identity": residual_gain(branches), "normalised": residual_gain(2)}
    for scale in report.scales:
        if isinstance(scale.module, nn.modules.batchnorm._BatchNorm):
            before = layers.get(scale.normalises) if scale.positive else None
            note_norm(scale.module, gains.get(scale.shortcut, 1.0), before)
            reset_norm(scale.module, choice)
