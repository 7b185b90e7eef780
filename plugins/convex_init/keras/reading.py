"""From a Keras model to its :class:`Site` list: the graph of Sequential and Functional models, or the user's word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import keras
from keras import layers

from convex_init.keras.activations import core_activation
from convex_init.keras.fans import AFFINE
from convex_init_core import Activation, as_activation

Selection = str | Iterable[str] | Callable[[str, Any], bool]
"""Layers by path or name, by pattern (``"hidden_*"``), or by a predicate ``f(path, layer)``."""

_ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax)
_ACTIVATION_OPERATIONS = {"Relu": "relu", "Softplus": "softplus"}  # keras.ops on symbolic tensors
_PER_DIMENSION = ("ZeroPadding", "Cropping", "UpSampling", "SpatialDropout")
_PASSIVE = (
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector, layers.Identity, layers.Dropout),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise, layers.ActivityRegularization),
    *(getattr(layers, f"{kind}{d}D") for kind in _PER_DIMENSION for d in (1, 2, 3)),
)
_POOLS = tuple(
    getattr(layers, f"{reach}{kind}Pooling{d}D")
    for reach in ("", "Global")
    for kind in ("Max", "Average")
    for d in (1, 2, 3)
)
_AFFINE_BEFORE = (layers.Normalization, layers.Rescaling, layers.BatchNormalization)
_REMEDY = "say which layers must be non-negative with positive=[...] and what feeds them with activation=..."
_IDENTITY = as_activation("identity")


@dataclass(frozen=True)
class Site:
    """A layer with a kernel, and its part in the model.

    Attributes:
        path: names from the model down to the layer, joined by ``/``.
        layer: the Keras layer.
        role: ``"free"`` (sees the input through affine maps only), ``"positive"``, or ``"skip"`` (free, and summed
            with a positive layer).
        activation: what feeds a positive layer; ``None`` where the reader cannot tell.
        beside: for a skip, the path of the positive layer that it is summed with.
        reason: why the role is what it is.
        problem: why the layer cannot be initialised; empty if it can.
    """

    path: str
    layer: Any
    role: str
    activation: Activation | None = None
    beside: str = ""
    reason: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Stream:
    """What a tensor of the graph is: affine in the network's input or not, and made by which activation."""

    affine: bool
    activation: Activation = _IDENTITY
    source: str = ""  # path of the layer whose pre-activation this is, unchanged
    note: str = ""
    problem: str = ""

    @property
    def activated(self) -> bool:
        return self.activation.name not in ("identity", "linear")


def read(model: Any, positive: Selection | None = None, exclude: Selection | None = None) -> list[Site]:
    """Return the sites of ``model`` in the order of the signal.

    Raises:
        TypeError: if ``model`` is no Keras model.
        ValueError: if it is unbuilt, subclassed without ``positive``, or has no layer to initialise.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}; for a layer there is icnn(...)")
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is unbuilt and has no kernels yet; call model.build(input_shape), give it an "
            "Input, or run it on a batch"
        )
    if positive is not None:
        sites = _declared(model, positive)
    elif is_readable(model):
        reader = _Reader()
        reader.model(model, [_Stream(affine=True) for _ in model.inputs], "")
        sites = list(reader.sites.values())
    else:
        raise ValueError(f"model {model.name!r} ({type(model).__name__}) is subclassed and has no graph: {_REMEDY}")
    if exclude is not None:
        left_out = _select("exclude", exclude, {site.path: site.layer for site in sites})
        sites = [site for site in sites if site.path not in left_out]
    if not sites:
        raise ValueError(f"model {model.name!r} has no layer to initialise: no Dense, EinsumDense or convolution")
    return sites


def is_readable(model: Any) -> bool:
    """Whether the model is Sequential or Functional, so that its graph says how the signal flows."""
    return isinstance(model, keras.Sequential) or hasattr(model, "_nodes_by_depth")


def is_chain(model: Any) -> bool:
    """Whether the signal passes the layers of a model one after the other, each once."""
    steps = _steps(model)
    return steps is not None and len(set(map(id, steps))) == len(steps)


def _steps(model: Any) -> list[Any] | None:
    """The layers of a model and of the models in it, or ``None`` if one of these branches or is not readable."""
    if not is_readable(model):
        return None
    if isinstance(model, keras.Sequential):
        steps = model.layers
    else:
        nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]
        taken = [id(tensor) for node in nodes for tensor in node.arguments.keras_tensors]
        if len(model.inputs) > 1 or len(taken) != len(set(taken)) or any(_joins(node) for node in nodes):
            return None
        steps = [node.operation for node in nodes]
    found = [[step] if not isinstance(step, keras.Model) else _steps(step) for step in steps]
    return None if None in found else [step for part in found for step in part or ()]


def _joins(node: Any) -> bool:
    return len(node.arguments.keras_tensors) > 1 or len(node.outputs) > 1


def _declared(model: Any, positive: Selection) -> list[Site]:
    found = {layer.path: layer for layer in model._flatten_layers() if isinstance(layer, AFFINE)}
    chosen = _select("positive", positive, found)
    return [
        Site(path, layer, "positive", reason="named in positive=")
        if path in chosen
        else Site(path, layer, "free", reason="not named in positive=")
        for path, layer in found.items()
    ]


def _select(argument: str, selection: Selection, found: dict[str, Any]) -> set[str]:
    if callable(selection):
        return {path for path, layer in found.items() if selection(path, layer)}
    chosen: set[str] = set()
    for pattern in [selection] if isinstance(selection, str) else list(selection):
        hits = {p for p, layer in found.items() if fnmatchcase(p, pattern) or fnmatchcase(layer.name, pattern)}
        if not hits:
            raise ValueError(f"{argument} {pattern!r} matches no layer; the layers are {', '.join(found)}")
        chosen |= hits
    return chosen


class _Reader:
    """Walk through a graph, from streams at its inputs to streams at its outputs, and note the sites passed."""

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}

    def model(self, model: Any, streams: Sequence[_Stream], prefix: str) -> list[_Stream]:
        if isinstance(model, keras.Sequential):
            current = list(streams)
            for layer in model.layers:
                current = self.step(layer, current, prefix, used_once=True)
            return current
        known = {id(tensor): stream for tensor, stream in zip(model.inputs, streams, strict=True)}
        nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
        uses = Counter(id(tensor) for node in nodes for tensor in node.arguments.keras_tensors)
        uses.update(id(tensor) for tensor in model.outputs)
        for node in nodes:
            if isinstance(node.operation, layers.InputLayer):
                continue
            tensors = node.arguments.keras_tensors
            once = all(uses[id(tensor)] == 1 for tensor in tensors)
            outputs = self.step(node.operation, [known[id(tensor)] for tensor in tensors], prefix, once)
            if len(outputs) == 1:  # a layer with several outputs
                outputs = outputs * len(node.outputs)
            known.update((id(tensor), stream) for tensor, stream in zip(node.outputs, outputs, strict=True))
        return [known[id(tensor)] for tensor in model.outputs]

    def step(self, operation: Any, streams: list[_Stream], prefix: str, used_once: bool) -> list[_Stream]:
        path = f"{prefix}{operation.name}"
        if isinstance(operation, keras.Model) and is_readable(operation):
            return self.model(operation, streams, f"{path}/")
        if isinstance(operation, AFFINE):
            return [self.affine(operation, streams[0], path)]
        if isinstance(operation, (layers.Add, layers.Concatenate)) or type(operation).__name__ == "Add":
            return [self.merge(operation, streams, path, used_once)]
        stream = streams[0] if streams else _Stream(affine=True)
        if stream.problem:
            return [stream]
        if isinstance(operation, _ACTIVATIONS) or type(operation).__name__ in _ACTIVATION_OPERATIONS:
            return [_activated(stream, _ACTIVATION_OPERATIONS.get(type(operation).__name__, operation), path)]
        if isinstance(operation, _PASSIVE):
            return [stream]
        if isinstance(operation, _POOLS):
            affine = stream.affine and "Average" in type(operation).__name__
            return [replace(stream, affine=affine, source="", note=f"moments through {path!r} are not modelled")]
        if isinstance(operation, _AFFINE_BEFORE) and stream.affine:
            return [stream]
        return [self.unknown(operation, path)]

    def affine(self, layer: Any, stream: _Stream, path: str) -> _Stream:
        if stream.problem:
            site = Site(path, layer, "positive", problem=stream.problem)
        elif stream.affine:
            site = Site(path, layer, "free", reason="sees the input")
        else:
            reason = "; ".join(part for part in (f"fed by {stream.activation}", stream.note) if part)
            site = Site(path, layer, "positive", stream.activation, reason=reason)
        self.note(site)
        return _activated(_Stream(stream.affine, source=path), layer.activation, path)

    def note(self, site: Site) -> None:
        before = self.sites.get(site.path)
        if before is not None and (before.role, before.activation) != (site.role, site.activation):
            site = replace(site, problem="it is used twice, in places that need different laws; use two layers")
        self.sites[site.path] = site

    def merge(self, operation: Any, streams: list[_Stream], path: str, used_once: bool) -> _Stream:
        if problem := next((stream.problem for stream in streams if stream.problem), ""):
            return _Stream(False, problem=problem)
        if all(stream.affine for stream in streams):
            return _Stream(affine=True)
        if isinstance(operation, layers.Concatenate):
            if len(set(streams)) == 1 or len({(s.affine, s.activation) for s in streams}) == 1:
                return replace(streams[0], source="")
            return _Stream(False, problem=f"{path!r} joins signals of different kinds; {_REMEDY}")
        hidden = [stream for stream in streams if not stream.affine]
        across = [stream for stream in streams if stream.affine]
        if len(hidden) == len(across) == 1 and not hidden[0].activated and used_once:
            main, skip = self.sites.get(hidden[0].source), self.sites.get(across[0].source)
            if main is not None and skip is not None and main.role == "positive" and skip.role == "free":
                reason = f"summed with {main.path!r}"
                self.sites[skip.path] = replace(skip, role="skip", beside=main.path, reason=reason)
                return replace(hidden[0], source="")
        return _Stream(
            False,
            problem=f"{path!r} is not the sum of one positive layer and one free layer of the input, each used there "
            f"only; {_REMEDY}",
        )

    def unknown(self, operation: Any, path: str) -> _Stream:
        kind = type(operation).__name__
        if isinstance(operation, (layers.SeparableConv1D, layers.SeparableConv2D)):
            problem = (
                f"{kind} has two kernels and one bias, so nothing centres what its second kernel sees; use a "
                "DepthwiseConv and a Conv of size 1"
            )
        else:
            problem = f"{path!r} ({kind}) is not known to be convex and non-decreasing; {_REMEDY}"
        if getattr(operation, "weights", None):
            self.note(Site(path, operation, "positive", problem=problem))
        return _Stream(False, problem=problem)


def _activated(stream: _Stream, activation: Any, path: str) -> _Stream:
    """Return the stream behind an activation; a refused one is a problem only for a layer that it feeds."""
    try:
        phi = core_activation(activation)
    except (ValueError, TypeError) as error:
        return _Stream(False, problem=f"it is fed by {path!r}: {error}")
    if phi.name in ("identity", "linear"):
        return stream
    if stream.activated:
        problem = f"it is fed by two activations in a row, {stream.activation} and {phi} at {path!r}; use one"
        return _Stream(False, problem=problem)
    return replace(stream, affine=False, activation=phi, source="")
