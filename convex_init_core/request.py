"""What a user asks of a whole model, checked once for all frameworks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from convex_init_core import checks
from convex_init_core.argument_names import refuse
from convex_init_core.convexity.inputs.parts import ConvexInputs, Part, convex_inputs_of
from convex_init_core.planning.outputs.wanted import Outputs, outputs_of
from convex_init_core.reading.select import Selection, SelectionOfLayers, patterns_of
from convex_init_core.settings import InitSettings
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import as_activation
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from typing_extensions import Unpack

Feeding: TypeAlias = "str | Activation | Callable[..., Any]"
"""A name, an activation, or a function: of NumPy arrays here, of its own arrays in a framework."""

METHOD = "auto"
"""The method for a whole model, whose shape is known."""


class Selections(TypedDict, total=False):
    """Those arguments of :func:`request` that say what of a model is meant."""

    convex_inputs: ConvexInputs | None
    entry: str
    positive: Selection | SelectionOfLayers | None
    free: Selection | SelectionOfLayers | None
    exclude: Selection | SelectionOfLayers | None


class Settings(TypedDict, total=False):
    """The fields of :class:`~convex_init_core.settings.InitSettings`, for whoever passes some of them on."""

    correlation: float
    variance: float
    bias_noise: float
    distribution: str
    skip_share: float
    method: str
    match_moments: bool
    threshold: float
    kinks: str


class Start(Settings, total=False):
    """The same, and what the outputs are to be at the start."""

    output_mean: object
    output_variance: object
    targets: object


class Options(Selections, Start, total=False):
    """The arguments of :func:`request`."""

    fed_by: Feeding | Mapping[str, Feeding] | None
    positivity: str | Positivity | None
    register_missing_bias: bool
    calibrate: bool | None


@dataclass(frozen=True, eq=False)
class Request:
    """What a user asks of a whole model.

    Attributes:
        convex_inputs: by name, the part of each input in which the model is convex (``None`` for all of it); ``None``
            for all floating-point inputs.
        entry: name of the method to run.
        positive: weights that are positive whatever they multiply: patterns, or a predicate of a layer's path.
        free: weights of either sign, against what the model's data flow says.
        exclude: weights to leave alone.
        fed_by: what feeds the positive layers where it cannot be read: by pattern of their path.
        positivity: the map of positive weights that carry none themselves.
        register_missing_bias: whether positive layers that need a bias get one.
        calibrate: whether sums are measured: all, none, or (``None``) where the method and its theory leave it open.
        outputs: mean and variance that the model's output has at the start.
        settings: of the whole network.
        named: those of them that the user gave.
    """

    convex_inputs: Mapping[str, Part | None] | None = None
    entry: str = "forward"
    positive: tuple[str, ...] | Callable[[str], bool] | None = None
    free: tuple[str, ...] | Callable[[str], bool] | None = None
    exclude: tuple[str, ...] | Callable[[str], bool] | None = None
    fed_by: Mapping[str, Activation] = field(default_factory=dict)
    positivity: Positivity | None = None
    register_missing_bias: bool = False
    calibrate: bool | None = None
    outputs: Outputs = field(default_factory=Outputs)
    settings: InitSettings = field(default_factory=lambda: InitSettings(method=METHOD))
    named: frozenset[str] = frozenset()

    def feeding(self, path: str) -> Activation | None:
        """Return the user's word on what feeds the layer at ``path``: that of the first pattern which matches."""
        return next((phi for pattern, phi in self.fed_by.items() if fnmatchcase(path, pattern)), None)


@dataclass(frozen=True)
class Chosen:
    """Names of parameters that the user's selections mean.

    Attributes:
        excluded: weights and biases to leave alone.
        free: weights that are free by the user's word.
        positive: likewise.
    """

    excluded: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    positive: frozenset[str] = frozenset()


def request(**options: Unpack[Options]) -> Request:
    """Return a checked request.

    Args:
        **options: fields of :class:`Request`, as a user writes them, and the fields of
            :class:`~convex_init_core.settings.InitSettings`; the method is ``"auto"`` by default.

    Raises:
        TypeError: for an argument that does not exist or has the wrong type; the message names it and what to pass.
        ValueError: for one that is out of range, or does not go with another.
    """
    given: dict[str, Any] = dict(options)
    refuse(given, _KNOWN)
    settings = InitSettings(**{"method": METHOD, **{name: given[name] for name in given if name in _SETTINGS}})
    entry = given.get("entry", "forward")
    if not isinstance(entry, str):
        raise TypeError(f"entry must be the name of a method, such as 'energy', got {entry!r}")
    calibrate = checks.truth_or_none("calibrate", given.get("calibrate"))
    register = checks.truth("register_missing_bias", given.get("register_missing_bias", False))
    positivity = given.get("positivity")
    selections = {name: _selection(name, given.get(name)) for name in ("positive", "free", "exclude")}
    if settings.threshold > 0.0:
        _check_chain(selections, calibrate)
    return Request(
        convex_inputs=convex_inputs_of(given.get("convex_inputs")),
        entry=entry,
        fed_by=_fed_by(given.get("fed_by")),
        positivity=None if positivity is None else as_positivity(positivity),
        register_missing_bias=register,
        calibrate=calibrate,
        outputs=outputs_of(given),
        settings=settings,
        named=frozenset(given) & frozenset(_SETTINGS),
        **selections,
    )


_SETTINGS = tuple(each.name for each in fields(InitSettings))
_KNOWN = tuple(Options.__annotations__)


def settings_in(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some arguments that are fields of :class:`~convex_init_core.settings.InitSettings`."""
    return {name: options[name] for name in _SETTINGS if name in options}


def with_own(options: Mapping[str, Any], own: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return arguments with the settings that parts of a model were made with.

    Args:
        options: as a user gives them to :func:`request`.
        own: path and settings of each part that has some.

    Raises:
        ValueError: if two parts contradict each other, or an argument contradicts a part.
    """
    found, by = dict(options), dict.fromkeys(options, "")
    for path, settings in own:
        part = repr(path) if path else "the network"
        for name, value in settings.items():
            if name not in found:
                found[name], by[name] = value, part
            elif found[name] != value:
                other = f"{by[name]} with {name}={found[name]!r}" if by[name] else f"{name}={found[name]!r} was given"
                remedy = "make both alike" if by[name] else f"leave {name} out, or make it anew with the other"
                raise ValueError(f"{part} was made with {name}={value!r}, and {other}: {remedy}")
    return found


def check_names(options: Mapping[str, object], function: Callable[..., Any]) -> None:
    """Refuse an argument that neither a request nor the function which takes it has; the nearest may be of either.

    Raises:
        TypeError: naming it, and what to pass in its place.
    """
    if set(options) <= {*_KNOWN, *_SOURCES}:
        return
    parameters = inspect.signature(function).parameters.values()
    own = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD and each.name != "self"]
    refuse(options, (*own, *_KNOWN, *_SOURCES))


_SOURCES = ("seed", "generator", "key", "rng", "random_state")


def refuse_source(options: Mapping[str, object], remedy: str) -> None:
    """Refuse a source of randomness by a name that it has elsewhere.

    Args:
        options: as a user writes them.
        remedy: what it is called here.

    Raises:
        TypeError: naming it and the remedy.
    """
    for name in _SOURCES:
        if name in options:
            raise TypeError(f"there is no argument {name}=; {remedy}")


def _selection(name: str, selection: Any) -> Any:
    """Patterns as a tuple; a predicate as it is."""
    if selection is None:
        return None
    if inspect.isroutine(selection) or isinstance(selection, partial):  # a layer is callable, and no predicate
        return selection
    return tuple(patterns_of(name, selection))


def _fed_by(spec: Any) -> dict[str, Activation]:
    if spec is None:
        return {}
    named = spec if isinstance(spec, Mapping) else {"*": spec}
    if not all(isinstance(pattern, str) for pattern in named):
        raise TypeError(f"fed_by must map patterns of layer paths to activations, got {list(named)!r}")
    try:
        return {pattern: as_activation(value) for pattern, value in named.items()}
    except TypeError as error:
        raise TypeError(f"fed_by: {error}") from None


def _check_chain(selections: Mapping[str, object], calibrate: bool | None) -> None:
    """Refuse what a threshold does not go with: it needs every layer of a chain, and leaves the signal off-centre."""
    from convex_init_core.methods.bends.bend_spread import check_no_selection  # rarely needed

    check_no_selection(selections)
    if calibrate:
        raise ValueError(
            "threshold= leaves the signal off its centre in every layer, and calibrate=True would centre it; leave one "
            "of them out"
        )
