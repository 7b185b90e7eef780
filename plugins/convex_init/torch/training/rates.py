"""Parameter groups for an optimizer: the positive weights at the share of the learning rate that suits them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from convex_init.torch.api import written
from convex_init.torch.model.modules import hidden_parameters, without_wrapper
from convex_init_core import checks
from convex_init_core.planning.plan import Plan


def parameter_groups(model: nn.Module, plan: Plan, lr: float, **options: Any) -> list[dict[str, Any]]:
    """Return all parameters of a model in groups for an optimizer, each with the learning rate that suits it.

    With a free skip into each layer (the last may lack it) and at least three positive layers, positive weights that
    are clamped learn best at 0.3 of the learning rate of the rest (``plan.rates``; measured with Adam). Where the plan
    knows of nothing better than one rate for all, it is one group. Schedules that multiply keep the shares; those that
    set a rate, such as ``OneCycleLR(max_lr=…)``, take a list of one for each group.

    Example:
        >>> import torch
        >>> from convex_init.torch import ICNN, parameter_groups, plan, project_after_step
        >>> x = torch.randn(64, 4)
        >>> model = ICNN(4, [32, 32, 32], 1, skip=True)
        >>> optimizer = torch.optim.Adam(parameter_groups(model, plan(model, x), lr=1e-2))
        >>> handle = project_after_step(optimizer, model)
        >>> [(len(group["params"]), group["lr"]) for group in optimizer.param_groups]
        [(8, 0.01), (3, 0.003)]

    Args:
        model: the model; as it is when it trains, after layers were added or wrapped.
        plan: of it, by :func:`convex_init.torch.plan`; of before or after ``apply_``, which changes no names.
        lr: learning rate, above 0, of all other parameters.
        **options: of every group besides, such as ``weight_decay``.

    Returns:
        One or two groups, the positive weights last; parameters that do not require gradients are left out.

    Raises:
        ValueError: if ``lr`` is not above 0, the model lacks a weight that the plan names, or nothing of it trains.
        TypeError: if an argument has the wrong type.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be what convex_init.torch.plan(model, …) returns, got {type(plan).__name__}")
    if "params" in options:
        raise TypeError("params are those of model; leave params= out")
    checks.positive("lr", lr)
    own = written(without_wrapper(model))
    raw = dict([*own.named_parameters(remove_duplicate=False), *hidden_parameters(own)])
    lost = [name for name in plan.rates if name not in raw]
    if lost:
        raise ValueError(
            f"the plan names {', '.join(lost)}, which this model does not have: pass plan(model, …) of it, and the "
            "model in place of its wrapper"
        )
    shares = {raw[name]: share for name, share in plan.rates.items()}
    groups: dict[float, list[Tensor]] = {}
    for parameter in dict.fromkeys(raw.values()):
        if parameter.requires_grad:
            groups.setdefault(shares.get(parameter, 1.0), []).append(parameter)
    if not groups:
        raise ValueError(f"{type(model).__name__} has no parameter that requires gradients")
    return [{**options, "params": groups[share], "lr": lr * share} for share in sorted(groups, reverse=True)]
