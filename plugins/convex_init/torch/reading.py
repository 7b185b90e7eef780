"""From a model to its :class:`Site` list: chains of modules, modules that describe themselves, and the user's word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch.activations import ActivationLike, is_activation, read_activation
from convex_init.torch.fans import AFFINE
from convex_init.torch.positivity import projected_names
from convex_init.torch.sites import Site, join, shown
from convex_init_core import Activation, identity

Selection: TypeAlias = "str | Iterable[str] | Callable[[str, nn.Module], bool]"

_POOLS = tuple(
    getattr(nn, f"{kind}Pool{d}d") for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg") for d in (1, 2, 3)
)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_RESHAPES = (nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
_PADS = tuple(
    getattr(nn, f"{kind}Pad{d}d") for kind in ("Zero", "Reflection", "Replication", "Circular") for d in (1, 2, 3)
)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_OTHER_NORMS = (
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
_REMEDY = (
    "pass example_inputs to have it run and read, say which layers must be non-negative with positive=[...] (paths, "
    "patterns such as '*.wz', or a predicate) and what feeds them with activation=..., or give the module a "
    "convex_sites() method"
)


def read(
    model: nn.Module,
    positive: Selection | None = None,
    exclude: Selection | None = None,
) -> list[Site]:
    """Return the sites of ``model`` in the order of the signal.

    Args:
        model: any module.
        positive: the user's choice of non-negative layers; overrides what the structure says.
        exclude: layers to leave alone.

    Raises:
        ValueError: if the structure cannot be read and the user has not said; the message names the module.
    """
    excluded = selected("exclude", exclude, model) if exclude is not None else set()
    sites = _read_declared(model, positive) if positive is not None else _read_structure(model, excluded)
    sites = [site for site in sites if site.path not in excluded]
    if not sites:
        raise ValueError(f"{type(model).__name__} has no layer to initialise: no Linear or convolution was found in it")
    return sites


def is_read_by_running(model: nn.Module, register_missing_bias: bool = False) -> bool:
    """Whether a model has to be run to be read: it is no chain, or one with a layer that the chain cannot decide."""
    if not is_chain(model):
        return True
    try:
        sites = _Chain().read(model)
    except ValueError:
        return True
    skipped = {path for site in sites for path in site.beside}
    without_bias = any(
        site.role == "positive" and getattr(site.module, "bias", None) is None and site.path not in skipped
        for site in sites
    )
    return without_bias and not register_missing_bias


def describes_itself(module: nn.Module) -> bool:
    """Whether the module has a ``convex_sites`` method."""
    return callable(getattr(module, "convex_sites", None))


def _is_sequential(module: nn.Module) -> bool:
    """Whether the module is a chain: a subclass with a forward of its own may do anything."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def takes_weight_as_it_is(model: nn.Module, path: str) -> bool:
    """Whether a layer is called by ``nn.Sequential`` alone, with torch's own forward: nothing maps its weight then."""
    parents = path.split(".")[:-1] if path else []
    around = [model.get_submodule(".".join(parents[:depth])) for depth in range(len(parents) + 1)] if path else []
    own = type(model.get_submodule(path)).forward in [layer.forward for layer in AFFINE]
    return own and all(map(_is_sequential, around))


def is_chain(model: nn.Module) -> bool:
    """Whether the order of the modules is that of the signal."""
    return describes_itself(model) or _is_sequential(model) or isinstance(model, AFFINE)


def _read_structure(model: nn.Module, excluded: set[str]) -> list[Site]:
    if is_chain(model):
        return _Chain(excluded).read(model)
    if any(_is_marked(module) for module in model.modules()):
        return _read_marks(model)
    raise ValueError(f"the forward of {type(model).__name__} is not a chain that can be read; {_REMEDY}")


def _is_marked(module: nn.Module) -> bool:
    """Whether the layer carries a map or a mark; a map that is none of ours is refused later, with its path."""
    if not isinstance(module, AFFINE):
        return False
    return parametrize.is_parametrized(module, "weight") or "weight" in projected_names(module)


def _read_marks(model: nn.Module) -> list[Site]:
    """In a model with a forward of its own, the layers that carry a positivity map are the positive ones."""
    sites = []
    for path, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, AFFINE):
            continue
        if _is_marked(module):
            fed_by = getattr(module, "feeding_activation", None)
            sites.append(Site(path, module, "positive", fed_by, reason="its weight is made non-negative"))
        else:
            sites.append(Site(path, module, "free", reason="its weight has no positivity map, unlike others here"))
    return sites


def _read_declared(model: nn.Module, positive: Selection) -> list[Site]:
    """Layers that the user names are positive, all other affine layers free; a chain tells what feeds them."""
    chosen = selected("positive", positive, model)
    feeding: Mapping[str, Activation] = {}
    if _is_sequential(model) or describes_itself(model):
        try:
            feeding = {site.path: site.activation for site in _Chain().read(model) if site.activation is not None}
        except ValueError:
            feeding = {}  # the user's word stands; what feeds each layer must then come from activation=
    sites = []
    for path, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, AFFINE):
            continue
        if path in chosen:
            fed_by = feeding.get(path, getattr(module, "feeding_activation", None))
            sites.append(Site(path, module, "positive", fed_by, reason="named in positive="))
        else:
            sites.append(Site(path, module, "free", reason="not named in positive="))
    return sites


def patterns_of(argument: str, selection: str | Iterable[str]) -> list[str]:
    """Return the paths or patterns of a selection as a list.

    Raises:
        TypeError: if it holds anything else.
        ValueError: if ``positive=`` is empty.
    """
    if isinstance(selection, nn.Module) or not isinstance(selection, Iterable):
        raise TypeError(f"{argument} must be a path, a list of paths or patterns, or a predicate, got {selection!r}")
    patterns = [selection] if isinstance(selection, str) else list(selection)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(f"{argument} must hold paths or patterns, got {patterns!r}")
    if not patterns and argument == "positive":
        raise ValueError("positive= is empty: name at least one layer, or leave it out to have the structure read")
    return patterns


def selected(argument: str, selection: Selection, model: nn.Module) -> set[str]:
    """Paths of the affine layers that a selection means; every pattern must mean at least one."""
    layers = {path: m for path, m in model.named_modules(remove_duplicate=False) if isinstance(m, AFFINE)}
    if callable(selection):
        chosen = {path for path, module in layers.items() if selection(path, module)}
        if not chosen:
            raise ValueError(f"{argument}= accepts none of the layers {', '.join(layers) or '(there are none)'}")
        return chosen
    patterns = patterns_of(argument, selection)
    chosen = set()
    for pattern in patterns:
        found = {path for path in layers if fnmatchcase(path, pattern) or fnmatchcase(join(path, "weight"), pattern)}
        if not found:
            bare = [name for name, _ in model.named_parameters() if fnmatchcase(name, pattern)]
            if bare:
                raise ValueError(
                    f"{argument}= pattern {pattern!r} means the bare parameter {bare[0]!r}, whose fan-in only its user "
                    "knows: initialise it with icnn_(tensor, bias, fan_in=...) and mark it with mark_projected"
                )
            known = ", ".join(layers) or "none"
            raise ValueError(f"{argument}= pattern {pattern!r} matches no Linear or convolution; there are: {known}")
        chosen |= found
    return chosen


class _Chain:
    """Walk a chain of modules and keep account of what the signal has been through."""

    def __init__(self, excluded: Iterable[str] = ()) -> None:
        self.excluded = set(excluded)  # layers that may stand anywhere
        self.convex = False  # whether the signal is already a non-linear convex function of the input
        self.feeding: Activation | None = None  # activation since the last affine layer
        self.problem = ""  # set by a module that no affine layer may follow

    def read(self, model: nn.Module) -> list[Site]:
        return list(self._walk("", model))

    def _walk(self, path: str, module: nn.Module) -> Iterator[Site]:
        if isinstance(module, AFFINE):
            yield self._affine(path, module)
        elif describes_itself(module):
            yield from self._described(path, module)
        elif _is_sequential(module):
            for name, child in module._modules.items():
                if child is not None:
                    yield from self._walk(join(path, name), child)
        else:
            self._through(path, module)

    def _affine(self, path: str, module: nn.Module) -> Site:
        if self.problem and path not in self.excluded:
            raise ValueError(self.problem)
        if not self.convex:
            return Site(path, module, "free", reason="sees the input through affine maps only")
        fed_by, self.feeding = self.feeding or identity(), None
        return Site(path, module, "positive", fed_by, reason=f"fed by {fed_by}")

    def _described(self, path: str, module: nn.Module) -> Iterator[Site]:
        if self.problem:
            raise ValueError(self.problem)
        if self.convex:
            raise ValueError(
                f"{shown(path)} ({type(module).__name__}) describes itself as starting from the network's input, but "
                f"it stands behind a non-linearity; {_REMEDY}"
            )
        self.convex = True
        for site in module.convex_sites():  # type: ignore[operator]
            yield site.below(path)

    def _through(self, path: str, module: nn.Module) -> None:
        """Pass a module without an affine weight, or note why no layer may follow it."""
        kind = type(module).__name__
        if isinstance(module, (*_RESHAPES, *_DROPOUTS, *_PADS)) or self.problem:
            return
        if isinstance(module, _POOLS):
            self.convex = self.convex or "Max" in kind
        elif isinstance(module, _BATCH_NORMS):
            if self.convex:
                self.problem = (
                    f"{shown(path)} ({kind}) rescales a convex signal: its scale would have to stay non-negative and "
                    f"it sets mean and variance by itself; remove it, or {_REMEDY}"
                )
        elif isinstance(module, _OTHER_NORMS):
            self.problem = f"{shown(path)} ({kind}) divides by a statistic of its input, which is not convex; remove it"
        elif is_activation(module):
            self._activation(path, module)
        elif isinstance(module, nn.Bilinear):
            self.problem = f"{shown(path)} (Bilinear) multiplies two inputs, which is not convex in them; remove it"
            raise ValueError(self.problem)
        else:
            self.problem = f"{shown(path)} ({kind}) is not a layer or activation that can be read; {_REMEDY}"
            if any(True for _ in module.parameters()):  # it may hold weights that need the initialisation
                raise ValueError(self.problem)

    def _activation(self, path: str, module: nn.Module) -> None:
        try:
            found = read_activation(module)
        except ValueError as error:
            self.problem = f"{shown(path)}: {error}"  # harmless behind the last layer
            return
        if self.feeding is not None:
            self.problem = (
                f"{shown(path)} ({found}) follows the activation {self.feeding} directly; merge them, or {_REMEDY}"
            )
            return
        self.convex, self.feeding = True, found


def activation_for(spec: ActivationLike | Mapping[str, ActivationLike] | None, path: str) -> Activation | None:
    """Return the user's activation for the layer at ``path``: one for all, or the first pattern that matches."""
    if spec is None:
        return None
    if isinstance(spec, Mapping):
        for pattern, value in spec.items():
            if fnmatchcase(path, pattern):
                return read_activation(value)
        return None
    return read_activation(spec)
