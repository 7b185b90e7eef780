"""The theory of initialising input-convex neural networks, for no framework in particular (NumPy only).

``solve`` gives the moments of a layer, ``non_negative_law`` a law that has them, a ``Positivity`` the way to the raw
parameter. ``forward``, ``backward`` and ``forward_convolution`` predict the signal, ``stability`` whether it holds.
Equation numbers are those of Hoedt & Klambauer, *Principled Weight Initialisation for Input-Convex Neural Networks*,
NeurIPS 2023.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convex_init_core.methods.bend_spread import Bends, spread_bends
    from convex_init_core.methods.depth_advice import carried_depth, depth_advice, warn_of_depth
    from convex_init_core.methods.isometric import Isometric, solve_isometric, structured_raw
    from convex_init_core.methods.isometric_sum import Part, isometric_sum
    from convex_init_core.methods.log_normal import solve, solve_centred, solve_free
    from convex_init_core.methods.normalised import (
        expected_output,
        forward_normalised,
        forward_residual,
        normalised_recipe,
        participation,
        residual_gain,
        solve_normalised,
    )
    from convex_init_core.methods.recipe import Recipe
    from convex_init_core.methods.recipes import free_recipe, needs_geometry, positive_recipe, skip_recipe
    from convex_init_core.settings import METHODS, InitSettings
    from convex_init_core.signal.convolution import FieldStatistics, forward_convolution
    from convex_init_core.signal.fixed_point import (
        Stability,
        feature_sum,
        feature_sum_derivative,
        stability,
        stable_fan_in,
    )
    from convex_init_core.signal.propagation import backward, forward
    from convex_init_core.theory.activation import Activation, Bend, custom
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
    from convex_init_core.theory.moments import FeatureMoments, derivative_moments, feature_moments
    from convex_init_core.theory.operating_point import OperatingPoint, operating_point
    from convex_init_core.theory.separation import Separation, separation
    from convex_init_core.theory.statistics import GradientStatistics, LayerStatistics, SignalStatistics
    from convex_init_core.weights.exact_moments import Matched, matched
    from convex_init_core.weights.fans import convolution_fan_in, has_even_overlap, transposed_convolution_fan_in
    from convex_init_core.weights.laws import (
        DISTRIBUTIONS,
        Draw,
        Gamma,
        Law,
        LogNormal,
        Normal,
        NumpyDraw,
        SpikeAndSlab,
        TwoPoint,
        non_negative_law,
    )
    from convex_init_core.weights.positivity import POSITIVITIES, Positivity, as_positivity
    from convex_init_core.weights.sampling import (
        ACCELERATOR_BLOCK,
        BLOCK,
        block_bounds,
        block_seed,
        check_image,
        is_matched,
        is_structured,
        sample_raw,
    )
    from convex_init_core.weights.weight_axes import Geometry, dense_geometry

# Where each name lives: it is imported when first asked for, so that nobody waits for what he does not use.
_HOMES = {
    "methods.bend_spread": "Bends spread_bends",
    "methods.depth_advice": "carried_depth depth_advice warn_of_depth",
    "methods.isometric": "Isometric solve_isometric structured_raw",
    "methods.isometric_sum": "Part isometric_sum",
    "methods.log_normal": "solve solve_centred solve_free",
    "methods.normalised": (
        "expected_output forward_normalised forward_residual normalised_recipe participation residual_gain "
        "solve_normalised"
    ),
    "methods.recipe": "Recipe",
    "methods.recipes": "free_recipe needs_geometry positive_recipe skip_recipe",
    "settings": "InitSettings METHODS",
    "signal.convolution": "FieldStatistics forward_convolution",
    "signal.fixed_point": "Stability feature_sum feature_sum_derivative stability stable_fan_in",
    "signal.propagation": "backward forward",
    "theory.activation": "Activation Bend custom",
    "theory.activations": "as_activation celu elu identity leaky_relu prelu relu softplus squared_softplus",
    "theory.moments": "FeatureMoments derivative_moments feature_moments",
    "theory.operating_point": "OperatingPoint operating_point",
    "theory.separation": "Separation separation",
    "theory.statistics": "GradientStatistics LayerStatistics SignalStatistics",
    "weights.exact_moments": "Matched matched",
    "weights.fans": "convolution_fan_in has_even_overlap transposed_convolution_fan_in",
    "weights.laws": "DISTRIBUTIONS Draw Gamma Law LogNormal Normal NumpyDraw SpikeAndSlab TwoPoint non_negative_law",
    "weights.positivity": "POSITIVITIES Positivity as_positivity",
    "weights.sampling": (
        "ACCELERATOR_BLOCK BLOCK block_bounds block_seed check_image is_matched is_structured sample_raw"
    ),
    "weights.weight_axes": "Geometry dense_geometry",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ACCELERATOR_BLOCK",
    "BLOCK",
    "DISTRIBUTIONS",
    "METHODS",
    "POSITIVITIES",
    "Activation",
    "Bend",
    "Bends",
    "Draw",
    "FeatureMoments",
    "FieldStatistics",
    "Gamma",
    "Geometry",
    "GradientStatistics",
    "InitSettings",
    "Isometric",
    "Law",
    "LayerStatistics",
    "LogNormal",
    "Matched",
    "Normal",
    "NumpyDraw",
    "OperatingPoint",
    "Part",
    "Positivity",
    "Recipe",
    "Separation",
    "SignalStatistics",
    "SpikeAndSlab",
    "Stability",
    "TwoPoint",
    "as_activation",
    "as_positivity",
    "backward",
    "block_bounds",
    "block_seed",
    "carried_depth",
    "celu",
    "check_image",
    "convolution_fan_in",
    "custom",
    "dense_geometry",
    "depth_advice",
    "derivative_moments",
    "elu",
    "expected_output",
    "feature_moments",
    "feature_sum",
    "feature_sum_derivative",
    "forward",
    "forward_convolution",
    "forward_normalised",
    "forward_residual",
    "free_recipe",
    "has_even_overlap",
    "identity",
    "is_matched",
    "is_structured",
    "isometric_sum",
    "leaky_relu",
    "matched",
    "needs_geometry",
    "non_negative_law",
    "normalised_recipe",
    "operating_point",
    "participation",
    "positive_recipe",
    "prelu",
    "relu",
    "residual_gain",
    "sample_raw",
    "separation",
    "skip_recipe",
    "softplus",
    "solve",
    "solve_centred",
    "solve_free",
    "solve_isometric",
    "solve_normalised",
    "spread_bends",
    "squared_softplus",
    "stability",
    "stable_fan_in",
    "structured_raw",
    "transposed_convolution_fan_in",
    "warn_of_depth",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
