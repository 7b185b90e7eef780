"""The theory of initialising input-convex neural networks, for no framework in particular (NumPy only).

**Users of a framework** need nothing from here: ``convex_init.torch``, ``.keras`` and ``.jax`` have all that reads,
initialises and certifies models.

**Researchers** find the theory here. ``solve`` gives the moments of a layer, ``non_negative_law`` a law that has them,
a ``Positivity`` the way to the raw parameter, ``positive_recipe`` the three together. ``forward``, ``backward`` and
``forward_convolution`` predict the signal, ``stability`` and ``depth_advice`` whether it holds. Equation numbers are
those of Hoedt & Klambauer, *Principled Weight Initialisation for Input-Convex Neural Networks*, NeurIPS 2023. What goes
beyond the paper keeps to its own module: ``methods.normalised`` for layers before a normalisation,
``methods.isometric`` and ``methods.bends.bend_spread`` for depth, ``methods.sum_budget`` for several terms,
``signal.fixed_point`` and ``theory.operating_point`` for what a chain settles at.

**Writers of an adapter** import from the submodules, not from here: ``framework`` is the port, ``graph`` what a tracer
makes, ``planning.build`` and ``reporting.build`` what works on it, ``request`` the arguments, ``weights`` laws, draws,
fans and axes. CONTRIBUTING.md, "Add a framework", goes through them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convex_init_core.methods.choice.depth_advice import depth_advice
    from convex_init_core.methods.isometric import solve_isometric
    from convex_init_core.methods.log_normal import solve, solve_centred, solve_free
    from convex_init_core.methods.recipe import Recipe
    from convex_init_core.methods.recipes import free_recipe, positive_recipe, skip_recipe
    from convex_init_core.settings import InitSettings
    from convex_init_core.signal.convolution import FieldStatistics, forward_convolution
    from convex_init_core.signal.fixed_point import stability, stable_fan_in
    from convex_init_core.signal.propagation import backward, forward
    from convex_init_core.theory.activation import Activation, custom
    from convex_init_core.theory.activations import (
        as_activation,
        celu,
        elu,
        identity,
        leaky_relu,
        prelu,
        relu,
        softplus,
        squared_softplus,
    )
    from convex_init_core.theory.moments import derivative_moments, feature_moments
    from convex_init_core.theory.separation import separation
    from convex_init_core.theory.statistics import GradientStatistics, LayerStatistics, SignalStatistics
    from convex_init_core.weights.laws import (
        Gamma,
        Law,
        LogNormal,
        Normal,
        NumpyDraw,
        SpikeAndSlab,
        TwoPoint,
        non_negative_law,
    )
    from convex_init_core.weights.positivity import Positivity, as_positivity

# Where each name lives: it is imported when first asked for, so that nobody waits for what he does not use.
_HOMES = {
    "methods.choice.depth_advice": "depth_advice",
    "methods.isometric": "solve_isometric",
    "methods.log_normal": "solve solve_centred solve_free",
    "methods.recipe": "Recipe",
    "methods.recipes": "free_recipe positive_recipe skip_recipe",
    "settings": "InitSettings",
    "signal.convolution": "FieldStatistics forward_convolution",
    "signal.fixed_point": "stability stable_fan_in",
    "signal.propagation": "backward forward",
    "theory.activation": "Activation custom",
    "theory.activations": "as_activation celu elu identity leaky_relu prelu relu softplus squared_softplus",
    "theory.moments": "derivative_moments feature_moments",
    "theory.separation": "separation",
    "theory.statistics": "GradientStatistics LayerStatistics SignalStatistics",
    "weights.laws": "Gamma Law LogNormal Normal NumpyDraw SpikeAndSlab TwoPoint non_negative_law",
    "weights.positivity": "Positivity as_positivity",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Activation",
    "FieldStatistics",
    "Gamma",
    "GradientStatistics",
    "InitSettings",
    "Law",
    "LayerStatistics",
    "LogNormal",
    "Normal",
    "NumpyDraw",
    "Positivity",
    "Recipe",
    "SignalStatistics",
    "SpikeAndSlab",
    "TwoPoint",
    "as_activation",
    "as_positivity",
    "backward",
    "celu",
    "custom",
    "depth_advice",
    "derivative_moments",
    "elu",
    "feature_moments",
    "forward",
    "forward_convolution",
    "free_recipe",
    "identity",
    "leaky_relu",
    "non_negative_law",
    "positive_recipe",
    "prelu",
    "relu",
    "separation",
    "skip_recipe",
    "softplus",
    "solve",
    "solve_centred",
    "solve_free",
    "solve_isometric",
    "squared_softplus",
    "stability",
    "stable_fan_in",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
