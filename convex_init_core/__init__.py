"""The theory of initialising input-convex neural networks, for no framework in particular (NumPy only).

``solve`` gives the moments of a layer, ``non_negative_law`` a law that has them, a ``Positivity`` the way to the raw
parameter. ``forward``, ``backward`` and ``forward_convolution`` predict the signal, ``stability`` whether it holds.
Equation numbers are those of Hoedt & Klambauer, *Principled Weight Initialisation for Input-Convex Neural Networks*,
NeurIPS 2023.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convex_init_core.activations import (
    Activation,
    Bend,
    as_activation,
    celu,
    custom,
    elu,
    identity,
    leaky_relu,
    prelu,
    relu,
    softplus,
    squared_softplus,
)
from convex_init_core.fans import convolution_fan_in, has_even_overlap, transposed_convolution_fan_in
from convex_init_core.laws import (
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
from convex_init_core.moments import FeatureMoments, derivative_moments, feature_moments
from convex_init_core.positivity import POSITIVITIES, Positivity, as_positivity
from convex_init_core.recipe import (
    METHODS,
    InitSettings,
    Recipe,
    free_recipe,
    needs_geometry,
    positive_recipe,
    skip_recipe,
)
from convex_init_core.sampling import (
    ACCELERATOR_BLOCK,
    BLOCK,
    block_bounds,
    block_seed,
    check_image,
    is_matched,
    is_structured,
    sample_raw,
)
from convex_init_core.solver import solve, solve_centred, solve_free
from convex_init_core.statistics import GradientStatistics, LayerStatistics, SignalStatistics

if TYPE_CHECKING:
    from convex_init_core.bends import Bends, spread_bends
    from convex_init_core.convolution import FieldStatistics, forward_convolution
    from convex_init_core.fixed_point import (
        Stability,
        feature_sum,
        feature_sum_derivative,
        stability,
        stable_fan_in,
    )
    from convex_init_core.geometry import Geometry, dense_geometry
    from convex_init_core.guidance import carried_depth, depth_advice, warn_of_depth
    from convex_init_core.isometric import Isometric, solve_isometric, structured_raw
    from convex_init_core.isometric_terms import Part, isometric_sum
    from convex_init_core.matching import Matched, matched
    from convex_init_core.normalised import (
        expected_output,
        forward_normalised,
        forward_residual,
        normalised_recipe,
        participation,
        residual_gain,
        solve_normalised,
    )
    from convex_init_core.operating import OperatingPoint, operating_point
    from convex_init_core.propagation import backward, forward
    from convex_init_core.separating import Separation, separation

# Initialising a network needs none of these: they are imported when first asked for, which keeps the import short.
_ON_DEMAND = {
    **dict.fromkeys(("Bends", "spread_bends"), "bends"),
    **dict.fromkeys(("FieldStatistics", "forward_convolution"), "convolution"),
    **dict.fromkeys(("Geometry", "dense_geometry"), "geometry"),
    **dict.fromkeys(("carried_depth", "depth_advice", "warn_of_depth"), "guidance"),
    **dict.fromkeys(("Isometric", "solve_isometric", "structured_raw"), "isometric"),
    **dict.fromkeys(("Part", "isometric_sum"), "isometric_terms"),
    **dict.fromkeys(("Matched", "matched"), "matching"),
    **dict.fromkeys(("OperatingPoint", "operating_point"), "operating"),
    **dict.fromkeys(("backward", "forward"), "propagation"),
    **dict.fromkeys(("Separation", "separation"), "separating"),
    **dict.fromkeys(
        ("Stability", "feature_sum", "feature_sum_derivative", "stability", "stable_fan_in"), "fixed_point"
    ),
    **dict.fromkeys(
        (
            "expected_output",
            "forward_normalised",
            "forward_residual",
            "normalised_recipe",
            "participation",
            "residual_gain",
            "solve_normalised",
        ),
        "normalised",
    ),
}

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
    if name in _ON_DEMAND:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
