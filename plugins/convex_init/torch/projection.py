"""Keep marked weights non-negative: once, or after every optimizer step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from convex_init.torch.positivity import projected_names
from convex_init.torch.sharding import local_parts, reshard


def projected_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of ``model`` that are marked as non-negative by projection, by path, each once."""
    reshard(model)  # after a forward, fully_shard may have left gathered copies in the place of parameters
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name in projected_names(module):
            parameter = module._parameters.get(name)
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{path}.{name}" if path else name] = parameter
    return found


@torch.no_grad()
def project_(target: nn.Module | Tensor | Iterable[Tensor]) -> Any:
    """Set negative weights to 0 in place, with one fused call per device and dtype, and return ``target``.

    Positive values stay as they are, −inf becomes 0, and NaN stays NaN, so that a diverged run is seen.

    Args:
        target: a model whose projected weights are marked (by ``apply_``, :func:`mark_projected`, or by being layers of
            ours), a tensor, or several (then a list of them is returned).

    Raises:
        ValueError: if a model has no marked weight.
    """
    if isinstance(target, nn.Module):
        tensors = list(_marked(target).values())
    elif isinstance(target, Tensor):
        tensors = [target]
    else:
        tensors = target = list(target)
    for group in _groups(tensors):
        _clamp_(group)
    return target


def project_after_step(optimizer: Optimizer, model: nn.Module) -> RemovableHandle:
    """Project the marked weights of ``model`` after every step of ``optimizer``.

    Works with every optimizer and loop: the hook runs when ``optimizer.step()`` has changed the weights, whether it
    was called by a ``GradScaler``, after accumulated gradients, or with a closure (LBFGS: once, after its inner
    iterations).

    The weights are projected at once, too, so that they are non-negative at step 0.

    Note:
        ``copy.deepcopy`` and ``pickle`` drop the hooks of an optimizer: call this again on the copy. Loading a state
        dict keeps them.

    Args:
        optimizer: the optimizer of these weights.
        model: whose projected weights are marked.

    Returns:
        A handle; ``handle.remove()`` ends the projection.

    Raises:
        ValueError: if the model has no marked weight, the optimizer does not hold a marked weight that trains, or the
            projection is already attached.
    """
    marked = _marked(model)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    missing = [path for path, parameter in marked.items() if parameter.requires_grad and id(parameter) not in held]
    if missing:
        raise ValueError(
            f"optimizer does not hold the projected weights {', '.join(missing)}: pass it the model's current "
            "parameters (made after apply_, and after moving or wrapping the model)"
        )
    hook = _ProjectAfterStep(list(marked.values()))
    if any(isinstance(other, _ProjectAfterStep) and other.shares(hook) for other in _step_hooks(optimizer)):
        raise ValueError("project_after_step is already attached to this optimizer and model; remove its handle first")
    hook(optimizer)
    return optimizer.register_step_post_hook(hook)


class _ProjectAfterStep:
    """The hook; groups the tensors once, so that a step costs one call per device and dtype."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.groups = _groups(tensors)

    @torch.no_grad()
    def __call__(self, *_: Any) -> None:
        for group in self.groups:
            _clamp_(group)

    def shares(self, other: _ProjectAfterStep) -> bool:
        mine = {id(tensor) for group in self.groups for tensor in group}
        return any(id(tensor) in mine for group in other.groups for tensor in group)


def _step_hooks(optimizer: Optimizer) -> list[Any]:
    return list(getattr(optimizer, "_optimizer_step_post_hooks", {}).values())


def _marked(model: nn.Module) -> dict[str, Tensor]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    marked = projected_parameters(model)
    if not marked:
        raise ValueError(
            f"{type(model).__name__} has no weight that is marked as projected: call apply_(model) or "
            "mark_projected(layer) first (weights behind a positivity map such as exp need no projection)"
        )
    return marked


def _clamp_(tensors: list[Tensor]) -> None:
    # Of a DTensor each rank clamps its own part. It is looked up every time: a checkpoint may have put in another.
    torch._foreach_clamp_min_(local_parts(tensors), 0.0)


def _groups(tensors: list[Tensor]) -> list[list[Tensor]]:
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        groups[tensor.device, tensor.dtype].append(tensor)
    return list(groups.values())
