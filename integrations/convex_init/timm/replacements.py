"""Modules that cannot stand in a convex network, and what may take their place."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from convex_init.torch import read_activation

OFFENDERS: dict[str, frozenset[str]] = {
    "gelu": frozenset({"GELU", "GELUTanh", "QuickGELU"}),
    "silu": frozenset({"SiLU", "Swish", "SwishMe"}),
    "mish": frozenset({"Mish", "MishMe"}),
    "hardswish": frozenset({"Hardswish", "HardSwish", "HardSwishMe"}),
    "hardmish": frozenset({"HardMish", "HardMishMe"}),
    "relu6": frozenset({"ReLU6"}),
    "hardtanh": frozenset({"Hardtanh"}),
    "selu": frozenset({"SELU"}),
    "prelu": frozenset({"PReLU"}),
    "tanh": frozenset({"Tanh"}),
    "sigmoid": frozenset({"Sigmoid"}),
    "squeeze_excite": frozenset({"SEModule", "SqueezeExcite", "EffectiveSEModule", "SqueezeExciteCl", "SEWithNorm"}),
    "channel_attention": frozenset({"EcaModule", "CecaModule", "GatherExcite", "GlobalContext", "CbamModule"}),
}
"""What ``replace`` may name, and the classes of modules that each name means."""

_GATES = ("squeeze_excite", "channel_attention")
_SUGGESTED = {"relu6": "relu", "hardtanh": "relu", "selu": "elu", "prelu": "leaky_relu"}
_MODULES = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}


def offence(module_class: str) -> str:
    """Return the name under which ``replace`` knows a class of modules, or ``""``."""
    return next((name for name, classes in OFFENDERS.items() if module_class in classes), "")


def suggestion(module_class: str) -> str:
    """Return the option that takes the place of a class of modules, for a message; empty if there is none."""
    name = offence(module_class)
    if not name:
        return ""
    instead = "identity" if name in _GATES else _SUGGESTED.get(name, "softplus")
    return f"replace={{{name!r}: {instead!r}}} removes it"


def chosen(model: nn.Module, replace: Mapping[str, str]) -> dict[str, nn.Module]:
    """Return what is to take the place of which module, by path.

    Raises:
        ValueError: if a name or a replacement is unknown, or no module of the model is meant.
    """
    found: dict[str, nn.Module] = {}
    for name, instead in replace.items():
        if name not in OFFENDERS:
            raise ValueError(f"replace= names {name!r}; known are {', '.join(OFFENDERS)}")
        if instead not in _MODULES:
            raise ValueError(f"replace= puts {instead!r} for {name!r}; known are {', '.join(_MODULES)}")
        if name in _GATES and instead != "identity":
            raise ValueError(f"replace= can only leave a {name} out: put 'identity' for it, not {instead!r}")
        paths = [p for p, m in model.named_modules(remove_duplicate=False) if type(m).__name__ in OFFENDERS[name] and p]
        if not paths:
            raise ValueError(f"replace= names {name!r}, but {type(model).__name__} has no such module")
        new = _MODULES[instead]()
        read_activation(new)
        found |= dict.fromkeys(paths, new)
    # A gate that is left out takes its own activations with it.
    return {p: m for p, m in found.items() if not any(p.startswith(f"{outer}.") for outer in found)}
