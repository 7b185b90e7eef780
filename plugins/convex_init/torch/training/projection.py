"""Keep marked weights non-negative: once, or after every step of the optimizers that hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from convex_init.torch.model.modules import all_modules, hidden_modules
from convex_init.torch.training.lbfgs import ProjectInClosure
from convex_init.torch.write.clamps import Clamp, Groups, clamp_, clamp_groups_, clamps, grouped
from convex_init.torch.write.marks import Places, check_none_gone, marked_places


def project_(target: nn.Module | Tensor | Iterable[Tensor]) -> Any:
    """Set negative weights to 0 in place, with one fused call per device and dtype, and return ``target``.

    Marked parameters that have an upper bound, too, such as the slopes of a ``PReLU``, are clamped to their interval.

    Positive values stay as they are, −inf becomes 0, and NaN stays NaN, so that a diverged run is seen.

    Example:
        >>> import torch
        >>> from convex_init.torch import project_
        >>> project_(torch.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]

    Args:
        target: a model whose projected weights are marked (by ``apply_``, :func:`mark_projected`, or by being layers of
            ours), a tensor, or several (then a list of them is returned).

    Raises:
        ValueError: if a model has no marked weight, or one that :func:`projected_parameters` refuses.
        TypeError: if it is neither.
    """
    if isinstance(target, nn.Module):
        clamp_(clamps(_marked(target)))
    elif isinstance(target, Tensor):
        clamp_([Clamp(tensor) for tensor in _tensors([target])])
    else:
        _refuse_keras(target)
        target = _tensors(target)
        clamp_(map(Clamp, target))
    return target


def project_after_step(optimizer: Optimizer | Iterable[Optimizer], model: nn.Module) -> ProjectionHandle:
    """Project the marked weights of ``model`` after every step of ``optimizer``.

    Works with every optimizer and loop: the hook runs when ``optimizer.step()`` has changed the weights, whether it
    was called by a ``GradScaler`` or after accumulated gradients. Of several optimizers each projects what it holds.
    L-BFGS, which takes several steps in one call, gets a closure that projects before each evaluation; use it with
    ``line_search_fn="strong_wolfe"``: without a line search it may run away from a loss of weights behind a map, too.

    The weights are projected at once, too, so that they are non-negative at step 0.

    At every step it is noticed when a projected layer was replaced, its parameter exchanged (``load_state_dict`` with
    ``assign=True``), or its weight put behind ``weight_norm``, ``spectral_norm`` or a mask. What can be followed is:
    pruning, a layer that is converted around the same parameter, a new parameter that is marked and that an
    optimizer holds. The rest is an error, and so are parameters that were added, without a mark, to what ``apply_`` or
    ``constrain_`` has looked at. What is not noticed: a forward that does something else with the same parameters.

    Note:
        ``copy.deepcopy`` and ``pickle`` drop the hooks of an optimizer: call this again on the copy. Loading a state
        dict keeps them.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from convex_init.torch import apply_, project_after_step
        >>> model = apply_(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
        >>> handle = project_after_step(optimizer, model)
        >>> model(torch.randn(5, 3)).sum().backward()
        >>> optimizer.step()
        >>> bool((model[2].weight >= 0).all())
        True

    Args:
        optimizer: the optimizer of these weights, or a list of all optimizers that share them.
        model: whose projected weights are marked; a Keras model on the torch backend, too, whose weights with a
            ``NonNeg`` constraint are projected.

    Returns:
        A handle; ``handle.remove()`` ends the projection.

    Raises:
        ValueError: if the model has no marked weight, no optimizer holds a marked weight that trains, or the
            projection is already attached.
        TypeError: if either argument is something else.
    """
    optimizers = _optimizers(optimizer)
    _check_model(model)
    projection = _Projection(model, optimizers)
    for one in optimizers:
        if any(isinstance(other, _AfterStep) and other.shares(projection) for other in _step_hooks(one)):
            raise ValueError(
                "project_after_step is already attached to this optimizer and model; remove its handle first"
            )
    clamp_(projection.clamps)
    before = ProjectInClosure(lambda: projection.clamps)
    return ProjectionHandle(
        [one.register_step_post_hook(_AfterStep(projection, one)) for one in optimizers]
        + [one.register_step_pre_hook(before) for one in optimizers if isinstance(one, torch.optim.LBFGS)]
    )


class ProjectionHandle:
    """What :func:`project_after_step` returns; ``remove()`` ends the projection."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        """Hold the handles of all hooks."""
        self._handles = handles

    def remove(self) -> None:
        """End the projection; calling it again does nothing."""
        for handle in self._handles:
            handle.remove()


class _Projection:
    """What is projected for one model, and how to notice cheaply that the model is no longer what it was."""

    def __init__(self, model: nn.Module, optimizers: list[Optimizer]) -> None:
        self.model, self.optimizers = model, optimizers
        self._adopt(_marked(model))

    def tensors(self) -> list[Tensor]:
        return [clamp.tensor for clamp in self.clamps]

    def after(self, optimizer: Optimizer) -> Groups:
        """What to clamp after a step of ``optimizer``: its own weights, and those that no optimizer holds."""
        if (
            any(parameters.get(name) is not tensor for parameters, name, tensor in self._parameters)
            or any(modules.get(name) is not module for modules, name, module in self._modules)
            or any(len(held) != size for held, size in self._size)
            or (self._hidden and self._hidden != [module for _, module in hidden_modules(self.model)])
        ):
            self._follow()
        return self._groups[optimizer]

    def _follow(self) -> None:
        places = _marked(self.model)
        check_none_gone(self.places, places, "call handle.remove() and project_after_step again")
        self._adopt(places)

    def _adopt(self, places: Places) -> None:
        holders = {one: {p for group in one.param_groups for p in group["params"]} for one in self.optimizers}
        held = set().union(*holders.values())
        missing = [path for path, tensor in _clampable(places) if tensor.requires_grad and tensor not in held]
        if missing:
            which = "optimizer does" if len(self.optimizers) == 1 else "the optimizers do"
            raise ValueError(
                f"{which} not hold the projected weights {', '.join(missing)}: pass the model's current parameters "
                "to it (made after apply_, and after moving or wrapping the model), or project_after_step([first, "
                "second], model) with all optimizers that share them"
            )
        self.places, self.clamps = places, clamps(places)
        self._groups = {
            one: grouped(each for each in self.clamps if each.tensor in mine or each.tensor not in held)
            for one, mine in holders.items()
        }
        self._modules: list[tuple[Mapping[str, Any], str, Any]] = []
        self._parameters: list[tuple[Mapping[str, Any], str, Tensor]] = []
        within = all_modules(self.model)
        self._hidden = [module for _, module in hidden_modules(self.model)]  # in lists, of which torch keeps no account
        # What TorchScript holds cannot be replaced.
        watched = dict.fromkeys(each for each in within.values() if not isinstance(each, torch.jit.ScriptModule))
        self._size = [(held, len(held)) for each in watched for held in (each._modules, each._parameters)]
        for each in watched:
            self._modules += [(each._modules, part, inner) for part, inner in each._modules.items()]
        for path, tensor in _clampable(places):
            owner, _, name = path.rpartition(".")
            module = within.get(owner)
            if module in watched and name in module._parameters:  # a Keras variable lies elsewhere
                self._parameters.append((module._parameters, name, tensor))


class _AfterStep:
    """The hook of one optimizer; the tensors are grouped, so that a step costs one call per device and dtype."""

    def __init__(self, projection: _Projection, optimizer: Optimizer) -> None:
        self.projection, self.optimizer = projection, optimizer

    def __call__(self, *_: Any) -> None:
        clamp_groups_(self.projection.after(self.optimizer))

    def shares(self, other: _Projection) -> bool:
        return not set(self.projection.tensors()).isdisjoint(other.tensors())


def _optimizers(given: Any) -> list[Optimizer]:
    found = [given] if isinstance(given, Optimizer) or not isinstance(given, Iterable) else list(given)
    strangers = [one for one in found if not isinstance(one, Optimizer)]
    if isinstance(given, Mapping):
        raise TypeError("optimizer must be a torch.optim.Optimizer or a list of them, got a mapping; pass its values()")
    if strangers:
        stranger = strangers[0]
        within = getattr(stranger, "optimizer", None)
        remedy = "pass its .optimizer" if isinstance(within, Optimizer) else "pass what changes the weights"
        raise TypeError(
            f"optimizer must be a torch.optim.Optimizer or a list of them, got {type(stranger).__name__}; {remedy}"
        )
    for one in found:
        if not hasattr(one, "_optimizer_step_post_hooks"):
            raise ValueError(
                f"optimizer {type(one).__name__} has no hooks of its step, since it was made without "
                "torch.optim.Optimizer.__init__: pass the optimizer that it wraps, if all that it writes itself are "
                "averages; else call project_(model) after each step"
            )
        if not getattr(type(one).step, "hooked", False):  # as zero_grad does it of one made without that __init__
            one._patch_step_function()
    if not found:
        raise ValueError("optimizer is an empty list; pass the optimizers that hold the projected weights")
    return list(dict.fromkeys(found))


def _tensors(given: Any) -> list[Tensor]:
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, str | Mapping) else [given]
    for one in found:
        if not isinstance(one, Tensor):
            raise TypeError(f"target must be a model, a tensor or several tensors, got {type(one).__name__}")
        if not one.is_floating_point():
            raise ValueError(f"target must hold floating-point tensors, got one of {one.dtype}")
    return found


def _check_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        _refuse_keras(model)
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")


def _refuse_keras(model: Any) -> None:
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, getattr(keras, "Layer", ())) and not isinstance(model, nn.Module):
        raise TypeError(
            f"{type(model).__name__} is a Keras model on the {keras.backend.backend()} backend, which holds no torch "
            "tensors: its optimizer applies the NonNeg constraints; see convex_init.keras.project_"
        )


def _step_hooks(optimizer: Optimizer) -> list[Any]:
    return list(getattr(optimizer, "_optimizer_step_post_hooks", {}).values())


def _marked(model: nn.Module) -> Places:
    places = marked_places(model)
    if not any(True for _ in _clampable(places)):
        raise ValueError(
            f"{type(model).__name__} has no weight that is marked as projected: call constrain_(model), which keeps "
            "the weights that it has, apply_(model), which initialises it, or mark_projected(layer) first (weights "
            "behind a positivity map such as exp, or that the model's own forward clamps, need no projection, and so "
            "nothing is to be done if apply_ marked none; of a Keras model, those with a NonNeg constraint "
            "are projected)"
        )
    return places


def _clampable(places: Places) -> Iterator[tuple[str, Tensor]]:
    for path, tensor, _ in places.values():
        if tensor is not None:
            yield path, tensor
