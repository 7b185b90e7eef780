"""Which tensors of a model are marked as non-negative by projection, and by which name each goes now."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init.torch.model.modules import hidden_modules, hidden_parameters
from convex_init.torch.write.positivity import MARK, Positive, Within, interval_of, projected_names, read_positivity
from convex_init.torch.write.sharding import reshard
from convex_init_core.constraints.kept import NON_NEGATIVE, Interval, shown_interval, together


class Marked(NamedTuple):
    """A parameter to clamp.

    Attributes:
        path: of the parameter.
        parameter: ``None`` where nothing is to clamp: it is listed before (tied weights), or a positivity map was put
            on it.
        interval: in which it is kept.
    """

    path: str
    parameter: Tensor | None
    interval: Interval


Places = dict[str, Marked]
"""For the path that a mark names, the parameter to clamp; see :func:`marked_places`."""

ATTRIBUTES = (MARK, "_convex_init_places")
"""What marks are kept in: attributes of modules and parameters, and one of the root, of what it had."""
_BEHIND = re.compile(r"parametrizations\.([^.]+)\..*|(?:_orig|_g|_v)$")
_REMEMBERED = ATTRIBUTES[1]  # a plain attribute of a root: deepcopy and pickle keep it


def projected_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of ``model`` that a projection keeps non-negative (or in an interval), by path, each once.

    A mark hangs on the module and on the tensor itself, so a parameter that is moved to another module
    (``SyncBatchNorm.convert_sync_batchnorm``) is found there. A pruned weight is found behind its mask
    (``weight_orig``); a weight that a positivity map was put on since needs no projection and is left out. A Keras
    model on the torch backend has its variables with a ``NonNeg`` constraint marked.

    Example:
        >>> from torch import nn
        >>> from convex_init.torch import apply_, projected_parameters
        >>> list(projected_parameters(apply_(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))))
        ['2.weight']

    Args:
        model: any module.

    Raises:
        ValueError: if a marked weight is now computed from other tensors (``weight_norm``, ``spectral_norm``), or has
            gone from a place that :func:`remember_places` knows; the message says what to do.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    return {path: tensor for path, tensor, _ in marked_places(model).values() if tensor is not None}


def marked_places(model: nn.Module) -> Places:
    """Return, for the path that each mark names, the parameter to clamp, and its interval."""
    reshard(model)  # after a forward, fully_shard may have left gathered copies in the place of parameters
    found: Places = {}
    seen: set[Tensor] = set()
    for place, marked in _by_module(model):
        if place not in found:  # a layer of Keras lists the variables of those within it, too
            found[place] = marked._replace(parameter=None) if marked.parameter in seen else marked
        if marked.parameter is not None:
            seen.add(marked.parameter)
    for place, marked in _by_tensor(model):
        if marked.parameter is not None and marked.parameter not in seen:
            seen.add(marked.parameter)
            found[place] = marked
    _check_remembered(model, set(found))
    return found


def remember_places(model: nn.Module) -> None:
    """Keep on ``model`` itself which parameters it has, and which are marked now, in the place of what was kept before.

    From then on :func:`projected_parameters` of the model, or of one that contains it, refuses when a layer at one of
    these paths was replaced by one with parameters of its own and no mark, which would train unprojected, and when
    parameters without a mark were added: nobody has looked whether convexity depends on them. A layer that was taken
    out, or replaced by one without parameters or with a marked one, is no reason to refuse.
    """
    setattr(model, _REMEMBERED, None)  # what was known before is of no matter
    names = tuple(name for name, _ in _parameters(model))
    setattr(model, _REMEMBERED, (tuple(marked_places(model)), names))


def check_none_gone(known: Iterable[str], places: Places, remedy: str) -> None:
    """Refuse if a place that was projected is no longer marked.

    Args:
        known: the places that were projected.
        places: those that are marked now.
        remedy: what to do, as the end of the message.

    Raises:
        RuntimeError: if one is gone.
    """
    gone = sorted(set(known) - set(places))
    if gone:
        raise RuntimeError(
            f"{', '.join(gone)} was projected, but is no marked weight of the model any more: its layer was replaced "
            "or taken out since. Mark what is new (mark_projected, or apply_, which initialises), give it to the "
            f"optimizer, and {remedy}"
        )


def _by_module(model: nn.Module) -> Iterator[tuple[str, Marked]]:
    """Yield the place of each mark, and what it marks: nothing where a map makes the projection needless."""
    keras_layer = getattr(sys.modules.get("keras"), "Layer", ())  # without Keras there can be no layer of it
    for path, module in _modules(model):
        for name, interval in projected_names(module).items():
            own, parameter = _behind(module, name, _join(path, name), interval)
            yield _join(path, name), Marked(_join(path, own), parameter, interval)
        if isinstance(module, keras_layer):
            for variable in _constrained(module):
                ends = getattr(variable.constraint, "low", 0.0), getattr(variable.constraint, "high", NON_NEGATIVE[1])
                yield variable.path, Marked(variable.path, variable.value, ends)


def _by_tensor(model: nn.Module) -> Iterator[tuple[str, Marked]]:
    for path, module in _modules(model):
        if not isinstance(module, parametrize.ParametrizationList):  # behind a map a tensor has no sign to keep
            for name, parameter in module._parameters.items():
                interval = None if parameter is None else interval_of(parameter)
                if interval is not None:
                    yield _join(path, name), Marked(_join(path, name), parameter, interval)


def _constrained(layer: Any) -> list[Any]:
    kind = sys.modules["keras"].constraints.NonNeg
    return [variable for variable in layer.variables if isinstance(variable.constraint, kind)]


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module once; those in plain lists and dicts, which a plan sees, too."""
    yield from model.named_modules()
    yield from hidden_modules(model)


def _parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from hidden_parameters(model)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _behind(module: nn.Module, name: str, place: str, interval: Interval) -> tuple[str, Tensor | None]:
    """The name of the parameter that is behind a marked one now, and the parameter; none behind a map."""
    parameter = module._parameters.get(name)
    if parameter is not None:
        return name, parameter
    if parametrize.is_parametrized(module, name):
        chain = list(module.parametrizations[name])  # type: ignore[index]
        if isinstance(chain[-1], Within) and together(chain[-1].interval, interval) == chain[-1].interval:
            return name, None
        if interval == NON_NEGATIVE and (isinstance(chain[-1], Positive) or _is_a_map(module, name)):
            return name, None
        what = " → ".join(type(part).__name__ for part in chain)
        undo = f"torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r})"
        raise _refusal(place, interval, f"is computed by {what}: {undo}")
    raw = module._parameters.get(f"{name}_orig")
    if raw is not None and f"{name}_u" in module._buffers:
        undo = f"torch.nn.utils.remove_spectral_norm(layer, {name!r})"
        raise _refusal(place, interval, f"is divided by spectral_norm: {undo}")
    if f"{name}_g" in module._parameters:
        undo = f"torch.nn.utils.remove_weight_norm(layer, {name!r})"
        raise _refusal(place, interval, f"is computed by weight_norm: {undo}")
    mask = module._buffers.get(f"{name}_mask")
    if raw is not None and mask is not None and bool((mask >= 0).all()):
        return f"{name}_orig", raw  # a mask of zeros and ones keeps the sign
    raise _refusal(place, interval, f"is no parameter of its {type(module).__name__} any more: put it back as one")


def _is_a_map(module: nn.Module, name: str) -> bool:
    try:
        return read_positivity(module, name) is not None
    except ValueError:
        return False


def _refusal(place: str, interval: Interval, how: str) -> ValueError:
    if interval != NON_NEGATIVE:
        kept = shown_interval(*interval)
        return ValueError(
            f"{place} is marked to be kept in {kept} by projection, but it {how}; to clamp what is behind it would not "
            "surely keep it there"
        )
    return ValueError(
        f"{place} is marked as non-negative by projection, but it {how}, or let a positivity map have the last "
        "word (convex_init.torch.Positive, registered last); to clamp what is behind it would not surely keep it "
        "non-negative"
    )


def _check_remembered(model: nn.Module, named: set[str]) -> None:
    for path, module in model.named_modules():
        places, known = module.__dict__.get(_REMEMBERED) or ((), None)
        for place in places:
            whole = _join(path, place)
            if whole not in named and _holds_unmarked(model, whole, named):
                raise ValueError(
                    f"{whole} was marked as non-negative by projection, but the layer there was replaced by one "
                    "without the mark, and would train unprojected: mark_projected(layer) if its weights may be "
                    "clamped as they are, else initialise it by apply_(model)"
                )
        added = [] if known is None else [_join(path, name) for name in _added(module, path, set(known), named)]
        if added:
            raise ValueError(
                f"{', '.join(added)} was not there when it was decided what has to stay non-negative, and has no mark: "
                "call constrain_(model, example_inputs), which looks again and draws nothing"
            )


def _added(root: nn.Module, path: str, known: set[str], marked: set[str]) -> Iterator[str]:
    """The parameters of a model that are new since, neither marked nor behind a known one, in no marked layer."""
    layers = {place.rpartition(".")[0] for place in marked}
    for name, _ in _parameters(root):
        behind = _BEHIND.sub(r"\1", name)
        is_marked = _join(path, behind) in marked or _join(path, name).rpartition(".")[0] in layers
        if not known & {name, behind} and not is_marked:
            yield name


def _holds_unmarked(model: nn.Module, place: str, named: set[str]) -> bool:
    layer = place.rpartition(".")[0]
    inside = [path for path, _ in _parameters(model) if path.startswith(f"{layer}.") or not layer]
    return bool(inside) and named.isdisjoint(inside)
