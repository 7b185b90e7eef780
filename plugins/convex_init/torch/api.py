"""``plan`` and ``apply_``: the core's planner on a torch model."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized

from convex_init.torch.framework import TorchFramework
from convex_init.torch.model.activations import read_activation
from convex_init.torch.model.fans import AFFINE
from convex_init.torch.model.inputs import check_kinds, checked_arguments, numpy_of
from convex_init.torch.model.modules import all_modules, check_no_bare_parameters, without_wrapper
from convex_init.torch.model.parameters import not_real
from convex_init.torch.trace import on_example_inputs
from convex_init.torch.trace.containers import named_tensors
from convex_init.torch.write.drawing import check_generator
from convex_init.torch.write.sharding import is_sharded, reshard
from convex_init_core import checks
from convex_init_core.planning import build
from convex_init_core.planning.plan import LayerPlan, Plan
from convex_init_core.planning.refusals import shown
from convex_init_core.request import Options, Request, check_names, refuse_source, request, with_own
from convex_init_core.theory.activation import Activation

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LayerPlan", "Plan", "apply_", "plan"]


def plan(model: nn.Module, example_inputs: Any = None, **options: Unpack[Options]) -> Plan:
    """Return what :func:`apply_` would do to each weight of ``model``, and why; ``print`` it for a table.

    Nothing is written, and nothing of the model changes (a lazy model is given its shapes if ``example_inputs`` are
    passed). Arguments and errors are those of :func:`apply_`.

    Example:
        >>> import torch, convex_init
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> [(layer.path, layer.role) for layer in convex_init.torch.plan(model).layers]
        [('0', 'free'), ('2', 'positive')]
    """
    check_names(options, plan)
    asked = request(**adapted(model, options))
    framework = framework_of(model, example_inputs, asked.entry)
    check_no_bare_parameters(framework.model)
    _check_biases(framework.model, asked)
    return build.plan(framework, asked)


def apply_(
    model: nn.Module,
    example_inputs: Any = None,
    *,
    generator: torch.Generator | None = None,
    **options: Unpack[Options],
) -> nn.Module:
    """Initialise an input-convex network in place with the principled initialisation, and return it.

    A copy of the model runs on the example inputs, and everything is read from what it does. Weights that see the input
    through affine maps only are *free*: N(0, σ*²/fan_in) (LeCun), bias 0. Weights behind a non-linearity are
    *positive*: non-negative, with a centring bias that keeps pre-activations at mean 0, variance σ*² and correlation ρ*
    (equations 8–12, 33–46). Weights behind a positivity map are written through it. Plain positive weights are marked,
    so that :func:`project_` and :func:`project_after_step` keep them non-negative.

    Args:
        model: a module; a compiled one is initialised through its original.
        example_inputs: one input, a tuple of positional inputs or a dict of keyword inputs; also used to give lazy
            layers their shapes. Not needed where the first layer says what the model takes: vectors, or images.
        generator: source of randomness; torch's global CPU generator by default. One number is taken from it.
        **options: what else to know of the model, and the settings:

            - ``convex_inputs``: names or positions of the inputs in which the model is convex, all floating-point ones
              by default; layers that see only the others (context) are left alone. ``{"x": slice(0, 3)}`` names a part
              of an input: elements along its last axis by a slice or a list, along another by ``np.s_[:, 0:3]``.
            - ``entry``: name of the method to run, such as ``"energy"``, or path of a module inside, such as
              ``"energy.net"``, which is read at what the model gives it when it runs on the example inputs.
            - ``positive``, ``free``, ``exclude``: weights that must be non-negative, that keep either sign, that are
              left alone, against what the data flow says: paths or patterns (``"layers.*.wz"``), or a predicate
              ``f(path, module)``.
            - ``fed_by``: what feeds the positive layers, where it cannot be read: a name or function, or a mapping from
              patterns of layer paths to these.
            - ``positivity``: the map for positive layers that carry none themselves; ``"projection"`` by default. Where
              nothing applies it, it is refused.
            - ``register_missing_bias``: add a bias to positive layers that have none and need one. Do it before the
              optimizer is made.
            - ``calibrate``: measure each pre-activation on the example inputs, in the order of the signal, and set the
              scale of its weights and its shift by what was found: ``True`` for all, ``False`` for none; by default
              where there is no theory, and, with ``"bounded_gain"``, where the measured variance is off by more than a
              factor of 1.5.
            - ``targets``, or ``output_mean`` and ``output_variance``: a sample of what the model will be trained on, of
              shape ``(examples, outputs)``, or its moments, so that the output starts there; a number for all outputs
              or one for each. By default an output has variance 1, whatever ``variance`` says of the layers before it.
            - Settings; a network or layer of ours keeps those that it was made with, and a contradiction is an error.
            - ``method``: ``"auto"`` (default), one of the others, by what is read of the model; ``print(plan(model))``
              says which and why. ``"bounded_gain"``, ``"log_normal"`` (the paper's equations everywhere) or
              ``"isometric"`` (for any depth).
            - ``kinks``: ``"spread"`` lets the units of the free first layer bend all over the example inputs (over a
              Gaussian without), ``"origin"`` all in one point; by default ``"auto"`` decides, and it is ``"origin"``
              with the other methods.
            - ``correlation`` (ρ*, 0.5), ``variance`` (σ*², 1.0), ``bias_noise`` (β, 0.0), ``distribution``
              (``"log_normal"``), ``skip_share`` (0.5), ``match_moments`` (``False``), ``threshold`` (τ, 0.0); see
              :class:`convex_init_core.InitSettings`.

    Returns:
        ``model``.

    Raises:
        ValueError: if a weight cannot be decided or an argument is out of range. All problems are listed with the paths
            of their layers, and nothing has been written.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if some weights are on the meta device; those are not written. If the method is not known to carry
            so many positive layers in a row.

    Example:
        >>> import torch, convex_init
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> model = convex_init.torch.apply_(model, generator=torch.Generator().manual_seed(0))
        >>> bool((model[2].weight >= 0).all())
        True
    """
    check_generator(generator)
    check_names(options, apply_)
    asked = request(**adapted(model, options))
    framework = framework_of(model, example_inputs, asked.entry, writes=True)
    check_no_bare_parameters(framework.model)
    _check_biases(framework.model, asked)
    made = build.plan(framework, asked)
    if made.unwritten:
        warnings.warn(
            f"weights on the meta device were not written: {', '.join(made.unwritten)}; call to_empty(device=...) "
            "and apply_ again",
            stacklevel=2,
        )
    build.execute(made, framework, generator)
    return model


def adapted(model: nn.Module, options: Options) -> Options:
    """Put torch's words into the core's: predicates ``f(path, module)`` as those of a path, modules as activations."""
    refuse_source(
        options,
        "apply_ takes generator=torch.Generator().manual_seed(seed); plan, certify and signal_report draw nothing",
    )
    found: dict[str, Any] = with_own(options, own_settings(model))
    predicates = {
        name: found[name]
        for name in ("positive", "free", "exclude")
        if inspect.isroutine(found.get(name)) or isinstance(found.get(name), partial)
    }
    if predicates:
        modules = all_modules(written(model))

        def of_path(accepts: Callable[[str, nn.Module], bool], path: str) -> bool:
            owner = path if path in modules else path.rpartition(".")[0]
            return bool(accepts(path, modules.get(owner, model)))

        found |= {name: partial(of_path, accepts) for name, accepts in predicates.items()}
    found |= {name: _numbers(found[name]) for name in ("targets", "output_mean", "output_variance") if name in found}
    fed_by = found.get("fed_by")
    if isinstance(fed_by, Mapping):
        found["fed_by"] = {pattern: _activation(value) for pattern, value in fed_by.items()}
    elif fed_by is not None:
        found["fed_by"] = _activation(fed_by)
    return cast("Options", found)


def _numbers(given: Any) -> Any:
    return numpy_of(given) if isinstance(given, Tensor) and given.is_floating_point() else given


def own_settings(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and settings of each network or layer of ours that was made with some."""
    for path, module in model.named_modules() if isinstance(model, nn.Module) else ():
        settings = getattr(module, "init_settings", None)
        if isinstance(settings, dict) and settings:
            yield path.removeprefix("_orig_mod").lstrip("."), settings


def _activation(spec: Any) -> Any:
    return spec if isinstance(spec, (str, Activation)) or not callable(spec) else read_activation(spec)


def framework_of(
    model: nn.Module, example_inputs: Any, entry: str, *, with_numbers: bool = False, writes: bool = False
) -> TorchFramework:
    """Return the port for a model, checked; a lazy model is given its shapes.

    Args:
        model: of the user.
        example_inputs: likewise.
        entry: likewise.
        with_numbers: see :class:`TorchFramework`.
        writes: whether weights will be written.

    Raises:
        TypeError: if it is no module.
        ValueError: if it is wrapped, or inputs are needed.
    """
    model = written(model)
    if not writes:
        model = without_wrapper(model)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise ValueError(
            "model is wrapped in DistributedDataParallel, so ranks could draw different weights: initialise it before "
            "wrapping, which copies the weights of rank 0 to all"
        )
    reshard(model)
    inputs = None if example_inputs is None else checked_arguments(example_inputs)
    lazy = [name for name, tensor in model.named_parameters() if isinstance(tensor, UninitializedParameter)]
    if lazy:
        if inputs is None:
            raise ValueError(
                f"{', '.join(map(repr, lazy))}: lazy, without a shape yet; run the model once, or pass example_inputs"
            )
        with (
            torch.no_grad(),
            torch.random.fork_rng(),
            on_example_inputs(),
        ):  # the values that torch gives them are overwritten anyway
            model(*inputs[0], **inputs[1])
    check_kinds(model)
    for path, module in model.named_modules():
        if not isinstance(module, AFFINE) or is_parametrized(module, "weight"):  # whose weight is computed when asked
            continue
        if isinstance(module.weight, Tensor) and module.weight.ndim < 2:
            raise ValueError(
                f"{shown(path)}: its weight has shape {tuple(module.weight.shape)}, flattened by a wrapper such as "
                "FullyShardedDataParallel; initialise before wrapping, or shard with fully_shard"
            )
        if isinstance(module.weight, Tensor) and not module.weight.is_floating_point():
            raise ValueError(f"{shown(path)}: {not_real('its weight', module.weight)}")
    _check_numbers(inputs)
    return TorchFramework(model, inputs, entry, with_numbers=with_numbers)


def _check_biases(model: nn.Module, asked: Request) -> None:
    """Refuse to register biases in layers that are sharded already."""
    for path, module in model.named_modules() if asked.register_missing_bias else ():
        if isinstance(module, AFFINE) and module.bias is None and any(map(is_sharded, module.parameters())):
            raise ValueError(
                f"{shown(path)}: register_missing_bias cannot add a bias to a sharded layer; give it bias=True"
            )


def _check_numbers(inputs: tuple[tuple[Any, ...], dict[str, Any]] | None) -> None:
    """Refuse inputs on which nothing can be measured."""
    args, kwargs = ((), {}) if inputs is None else inputs
    for first, item in (*enumerate(args), *kwargs.items()):
        for name, tensor in named_tensors(str(first), item):
            if not tensor.is_floating_point() or tensor.is_meta:
                continue
            checks.example(name, tensor.numel(), bool(torch.isfinite(tensor).all()))


def written(model: nn.Module) -> nn.Module:
    """Return a model as it was written: a compiled one shares its parameters with the original.

    Raises:
        TypeError: if it is no module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}; for a tensor there is icnn_")
    is_compiled = type(model).__module__.startswith("torch._dynamo")
    original = getattr(model, "_orig_mod", None) if is_compiled else None
    return original if isinstance(original, nn.Module) else model
