"""How a torch module makes its weight non-negative: parametrizations of ours or of the user's, or the projection."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convex_init_core.constraints.kept import Interval, shown_interval
from convex_init_core.methods.isometric import BACKGROUND
from convex_init_core.weights.positivity import Positivity, as_positivity

# A plain attribute of the module (a dict from names to intervals), which deepcopy and pickle keep, and of the parameter
# (its interval), which goes with it to another module; state_dict never sees either.
MARK = "_convex_init_projected"


class Positive(nn.Module):
    """Parametrization ``weight = scale · map(raw)`` for :func:`torch.nn.utils.parametrize.register_parametrization`.

    Args:
        positivity: ``"exp"``, ``"softplus"``, ``"square"``, ``"abs"``, ``"relu"``, or a
            :class:`convex_init_core.Positivity` with its own parameters and scale.

    Registering it on a layer with signed weights takes their absolute values, as an assignment to ``layer.weight``
    does; :func:`convex_init.torch.apply_` then gives them the right law.

    Example:
        >>> import torch
        >>> from torch.nn.utils import parametrize
        >>> from convex_init.torch import Positive
        >>> layer = torch.nn.Linear(3, 2)
        >>> _ = parametrize.register_parametrization(layer, "weight", Positive("softplus"))
        >>> bool((layer.weight >= 0).all())
        True
    """

    def __init__(self, positivity: str | Positivity) -> None:
        """Make the parametrization."""
        super().__init__()
        self.positivity = as_positivity(positivity)
        if not self.positivity.reparametrises:
            raise ValueError(
                "positivity 'projection' is not a parametrization: mark the layer with mark_projected(layer) and "
                "clamp it with project_after_step(optimizer, model)"
            )

    def forward(self, raw: Tensor) -> Tensor:
        """Return the effective weight."""
        weight: Tensor = self.positivity.value(raw, torch)
        return weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the raw parameter of ``|weight|``.

        A weight of 0 that the map reaches in the limit only becomes a thousandth of the mean, from which it trains.
        """
        effective = weight.abs()
        raw: Tensor = self.positivity.inverse(effective, torch)
        least = BACKGROUND * effective.mean().clamp(min=1.0 / max(weight[:1].numel(), 1))
        return raw.where(raw.isfinite(), self.positivity.inverse(least, torch))

    def extra_repr(self) -> str:
        """Show the map."""
        return str(self.positivity)


class Within(nn.Module):
    """Parametrization ``weight = clamp(raw, low, high)``, for what must stay between two ends without a projection.

    Args:
        low: smallest number.
        high: largest.
    """

    def __init__(self, low: float, high: float) -> None:
        """Make the parametrization."""
        super().__init__()
        self.interval = float(low), float(high)

    def forward(self, raw: Tensor) -> Tensor:
        """Return the effective weight."""
        return raw.clamp(*self.interval)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the raw parameter of a weight: itself."""
        return weight

    def extra_repr(self) -> str:
        """Show the interval."""
        return shown_interval(*self.interval)


def mark_projected(module: nn.Module, *names: str, low: float = 0.0, high: float = math.inf) -> None:
    """Declare parameters of ``module`` itself (by default ``"weight"``) non-negative by projection.

    With ``high``, they are kept between ``low`` and ``high``: the slopes of a ``PReLU`` between 0 and 1.

    :func:`convex_init.torch.project_` then clamps them. The mark survives deepcopy and pickle; it is not part of the
    state dict, so a checkpoint loads as before, and a plain model built anew is marked anew (by this function or by
    ``apply_``).

    The mark goes with the module and with the parameter: a module that is converted around the same parameter
    (``SyncBatchNorm.convert_sync_batchnorm``) keeps it, one that is replaced together with its parameters does not.

    Example:
        >>> from torch import nn
        >>> from convex_init.torch import mark_projected, project_
        >>> layer = nn.Linear(4, 2)
        >>> mark_projected(layer)
        >>> bool((project_(layer).weight >= 0).all())
        True

    Args:
        module: the layer that holds the parameters.
        *names: of the parameters.
        low: smallest number that they may hold.
        high: largest; there is none by default.

    Raises:
        ValueError: if the module has no such parameter, the parameter is parametrized, or ``low`` is not below
            ``high``.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    if not low < high:
        raise ValueError(f"low must be below high, got low={low} and high={high}")
    for name in names or ("weight",):
        if not isinstance(name, str):
            raise TypeError(f"names must be names of parameters, such as 'weight', got {name!r}")
        if parametrize.is_parametrized(module, name):
            raise ValueError(f"{type(module).__name__}.{name} is parametrized, so there is nothing to project")
        if module._parameters.get(name) is None:
            raise ValueError(f"{type(module).__name__} has no parameter {name!r}; it has {list(module._parameters)}")
    marked = {**projected_names(module), **dict.fromkeys(names or ("weight",), (float(low), float(high)))}
    setattr(module, MARK, marked)
    for name, interval in marked.items():
        if (parameter := module._parameters.get(name)) is not None:
            setattr(parameter, MARK, interval)


def projected_names(module: nn.Module) -> dict[str, Interval]:
    """Return the names of the module's own parameters that are marked as projected, with their intervals."""
    return dict(module.__dict__.get(MARK, {}))


def interval_of(parameter: Tensor) -> Interval | None:
    """Return the interval of this very tensor if it was marked, on whichever module it was then."""
    found: Interval | None = getattr(parameter, MARK, None)
    return found


def raw_parameter(module: nn.Module, name: str = "weight") -> Tensor:
    """Return the parameter behind ``module.<name>``: the tensor to write to and to optimise.

    Raises:
        ValueError: if a parametrization keeps the weight in several tensors, as ``weight_norm`` does.
    """
    owner, key = module, name
    if parametrize.is_parametrized(module, name):
        owner, key = module.parametrizations[name], "original"  # type: ignore[index,assignment]
        if not hasattr(owner, key):
            raise ValueError(
                f"its parametrization {_names(list(owner))} keeps {name!r} in several tensors, none of which is "  # type: ignore[call-overload]
                f"the weight; {_REMEDY}"
            )
    raw = getattr(owner, key)
    assert isinstance(raw, Tensor)
    return raw


def read_positivity(module: nn.Module, name: str = "weight") -> Positivity | None:
    """Return the map behind ``module.<name>``, or ``None`` for a plain parameter without a mark.

    A parametrization that is not ours is recognised by what it does to numbers.

    Raises:
        ValueError: if the parametrization is none of the known maps.
    """
    if parametrize.is_parametrized(module, name):
        chain = list(module.parametrizations[name])  # type: ignore[index]
        if len(chain) == 1 and isinstance(chain[0], Positive):
            return chain[0].positivity
        return _recognise(chain, raw_parameter(module, name))
    return as_positivity("projection") if name in projected_names(module) else None


@torch.no_grad()
def _recognise(chain: list[nn.Module], raw: Tensor) -> Positivity:
    """Find the known map that agrees with a chain of parametrizations on probes of the weight's own shape."""
    rounds = math.ceil(64 / max(raw.numel(), 1))  # two numbers would not tell |w| from w²
    probes = torch.linspace(-3.0, 3.0, rounds * raw.numel(), dtype=torch.float64)
    probes = probes[torch.randperm(probes.numel(), generator=torch.Generator().manual_seed(0))]
    probes = probes.reshape(rounds, *raw.shape)
    ours = [module for module in chain if isinstance(module, Positive)]
    try:
        map_of = nn.Sequential(*(copy.deepcopy(part).to("cpu", torch.float64) for part in chain))
        value = torch.stack([map_of(probe) for probe in probes])
        at_zero = map_of(torch.zeros_like(probes[0]))
    except Exception as error:  # whatever a foreign module raises, the answer is the same
        raise ValueError(f"its parametrization {_names(chain)} could not be evaluated ({error}); {_REMEDY}") from error
    if value.shape == probes.shape and bool(torch.isfinite(value).all()) and bool((value >= 0).all()):
        candidates = [as_positivity(name) for name in ("relu", "exp", "softplus", "square", "abs")]
        if float(at_zero.flatten()[0]) > 0.0:  # softplus(0) = ln 2 / β
            beta = torch.log(torch.tensor(2.0, dtype=torch.float64)) / at_zero.flatten()[0]
            candidates.append(_softplus(float(beta)))
        candidates += [part.positivity for part in ours]
        for candidate in candidates:
            expected = candidate.value(probes, torch)
            largest = int(expected.argmax())
            scale = float(value.flatten()[largest] / expected.flatten()[largest])
            if scale > 0.0 and torch.allclose(value, scale * expected, rtol=1e-6, atol=1e-9):
                return candidate if abs(scale - 1.0) < 1e-6 else candidate.scaled(scale)
    raise ValueError(f"its parametrization {_names(chain)} is none of the known positivity maps; {_REMEDY}")


_REMEDY = "use convex_init.torch.Positive, or leave the layer out with exclude="


def _softplus(beta: float) -> Positivity:
    from convex_init_core.weights.positivity import Softplus

    return Softplus(beta=beta)


def _names(chain: list[nn.Module]) -> str:
    return " → ".join(type(module).__name__ for module in chain)
