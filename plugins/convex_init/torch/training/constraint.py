"""Keep a model convex that has its weights already: loaded, pretrained, or drawn by other means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init.torch.api import adapted, framework_of
from convex_init.torch.model.modules import check_no_bare_parameters
from convex_init.torch.model.parameters import Parameters
from convex_init.torch.write.positivity import Positive, Within
from convex_init.torch.write.sharding import local
from convex_init_core.constraints.kept import Kept
from convex_init_core.constraints.present import raw_numbers, refuse_settings, warn_of_outside
from convex_init_core.planning.build import what_to_keep
from convex_init_core.request import request
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from convex_init.torch.model.modules import Slot
    from convex_init_core.request import Options, Selections


def constrain_(
    model: nn.Module,
    example_inputs: Any = None,
    positivity: str | Positivity = "projection",
    **options: Unpack[Selections],
) -> nn.Module:
    """Have everything kept non-negative (or in an interval) that convexity depends on, and draw nothing.

    What that is, is found as :func:`convex_init.torch.plan` does; its ``kept`` lists it. With ``"projection"`` it is
    marked, for :func:`project_` and :func:`project_after_step`, and no number changes yet. With a map it is put behind
    a parametrization that holds the present weights; what has another interval than [0, ∞), such as the slopes of a
    ``PReLU``, is clamped in the forward then.

    To resume a run: build the model, ``load_state_dict``, ``constrain_``, make the optimizer, ``project_after_step``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from convex_init.torch import apply_, constrain_, project_after_step
        >>> def built():
        ...     return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> saved = apply_(built()).state_dict()
        >>> model = built()
        >>> _ = model.load_state_dict(saved)
        >>> handle = project_after_step(torch.optim.Adam(constrain_(model).parameters()), model)
        >>> bool((model[2].weight == saved["2.weight"]).all())
        True

    Args:
        model: any module that :func:`convex_init.torch.plan` can read.
        example_inputs: as for :func:`convex_init.torch.plan`.
        positivity: ``"projection"``, ``"relu"``, ``"softplus"``, ``"exp"``, or another map.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free`` and ``exclude``, as for
            :func:`convex_init.torch.apply_`.

    Returns:
        ``model``.

    Raises:
        ValueError: if the model is not known to be convex even if all of this is kept, or a map cannot give a weight
            that is there; nothing has been changed then.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if present numbers lie outside of their interval, so that the projection will change them, or the
            model's convexity rests on numbers that nothing keeps as they are.
    """
    through = as_positivity(positivity)
    refuse_settings("constrain_", options)
    asked = request(**adapted(model, cast("Options", options)))
    framework = framework_of(model, example_inputs, asked.entry)
    check_no_bare_parameters(framework.model)
    kept = what_to_keep(framework, asked)
    parameters = Parameters(framework.model)
    if through.reparametrises:
        _put_behind(parameters, kept, through)
    else:
        framework.mark(kept)
        warn_of_outside(kept, partial(_held, parameters), "the projection will change")
    return model


def _held(parameters: Parameters, name: str) -> Tensor | None:
    held = local(parameters.slot(name).raw.detach())
    return None if held.is_meta or held.numel() == 0 else held


def _put_behind(parameters: Parameters, kept: Sequence[Kept], through: Positivity) -> None:
    """Register all parametrizations, or none."""
    problems, made = [], []
    for each in kept:
        slot = parameters.slot(each.name)
        try:
            made.append((slot, *_parametrization(parameters, each, slot, through)))
        except ValueError as error:
            problems.append(f"{each.name!r}: {error}")
    if problems:
        raise ValueError("nothing was changed: " + "\n".join(problems))
    done: list[tuple[Slot, Tensor]] = []
    try:
        for slot, parametrization, raw in made:
            before = slot.raw.detach().clone()
            parametrize.register_parametrization(slot.module, slot.name, parametrization, unsafe=True)
            done.append((slot, before))
            with torch.no_grad():
                slot.raw.copy_(raw)
    except BaseException:
        for slot, before in reversed(done):
            parametrize.remove_parametrizations(slot.module, slot.name, leave_parametrized=False)
            with torch.no_grad():
                slot.raw.copy_(before)
        raise


def _parametrization(parameters: Parameters, kept: Kept, slot: Slot, through: Positivity) -> tuple[nn.Module, Tensor]:
    """The parametrization of one parameter, and its raw numbers."""
    weight = slot.raw.detach()
    others = [name for name in parameters.names if parameters[name].tied_to == kept.name]
    if others or parameters[kept.name].tied_to:
        raise ValueError("it is tied to another parameter, of which each use would need a map: leave positivity out")
    if slot.name not in slot.module._parameters:
        raise ValueError("it is behind a parametrization already: remove that, or leave positivity out")
    if weight.is_meta:
        raise ValueError("it is on the meta device and has no numbers: load them first")
    raw = raw_numbers(
        *(kept, weight, through, lambda own: through.inverse(own.double(), torch).to(own.dtype), torch),
        *(torch.finfo(weight.dtype).eps, "clamp it first: constrain_(model), then project_(model)"),
    )
    return (Within(*kept.interval), weight) if raw is None else (Positive(through), raw)
