"""``ICNNInit`` and ``ICNNBias``: the paper's initialisation as two Keras initializers, and both in one line."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import keras
from keras import ops

from convex_init.keras.constraints import NonNeg
from convex_init.keras.draws.drawing import BIAS, KERNEL, wide
from convex_init.keras.draws.initializer import WIDE, ICNNInitializer
from convex_init.keras.serialisation import ActivationSpec, positivity_config, positivity_from
from convex_init_core import checks
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.settings import InitSettings
from convex_init_core.weights.positivity import Positivity

if TYPE_CHECKING:
    from convex_init.keras.model.fans import Layout
    from convex_init_core.weights.weight_axes import Geometry


@keras.saving.register_keras_serializable(package="convex_init")
class ICNNInit(ICNNInitializer):
    """Draw a kernel of an input-convex network: non-negative, with the moments of equations (11), (42), (43).

    The bias must be set too (:class:`ICNNBias`): with a zero bias the non-negative weights shift every
    pre-activation by N μ_w E[φ]. :func:`icnn` sets both, and the constraint.

    Args:
        correlation: ρ* in (0, 1), the correlation of two pre-activations that the layer keeps.
        variance: σ*² > 0, the variance of a pre-activation.
        bias_noise: β in [0, 1), the share of the unshared variance that random biases carry (45), (46).
        fed_by: φ that *feeds* this layer, not the one that follows: a name, a function of
            ``keras.activations``, an activation layer, or a ``convex_init_core.Activation``.
        distribution: ``"log_normal"`` (the paper's), ``"gamma"``, ``"spike_and_slab"`` or ``"two_point"``.
        positivity: the map by which the *layer* makes weights non-negative; the raw kernel is its inverse image.
            Leave it to ``ConvexDense`` and its like, which set it; Keras' own layers have ``"projection"``.
        seed: an integer, a ``keras.random.SeedGenerator``, or ``None`` for one from Keras' global state
            (``keras.utils.set_random_seed``). The first call of an instance depends on the seed alone, and each
            later call gets fresh numbers, so that layers may share an instance. A clone starts anew.
        layout: which axes are summed, see :func:`convex_init.keras.kernel_fan_in`; needed beyond two axes.
        strides: of a convolution. They and the groups are taken from the layer if it is one of Keras' own; elsewhere a
            transposed convolution, and every convolution with ``"isometric"``, has to name them.
        groups: of a convolution.
        fan_in: N, instead of ``layout``; if both are given they must agree.
        skip_share: share in [0, 1) of what bias noise leaves that a free skip into this layer carries; 0: no skip.
        method: ``"log_normal"``, the paper's; or ``"isometric"``, a permutation of the features (where widths differ,
            sums or copies of them), which keeps the signal at any depth: :mod:`convex_init_core.methods.isometric`.
        match_moments: give every unit exactly the mean and variance of the law.

    Raises:
        ValueError: for an argument out of range, an activation that is not convex and non-decreasing, or (when
            called) a kernel whose shape and layout do not fit.

    Example:
        >>> import keras
        >>> from convex_init.keras import ICNNInit
        >>> kernel = ICNNInit(fed_by="softplus", layout="conv", seed=0)((3, 3, 16, 32))
        >>> tuple(kernel.shape), bool(keras.ops.all(kernel >= 0))
        ((3, 3, 16, 32), True)
    """

    role = KERNEL

    def __init__(
        self,
        correlation: float = 0.5,
        variance: float = 1.0,
        bias_noise: float = 0.0,
        fed_by: ActivationSpec = "relu",
        distribution: str = "log_normal",
        positivity: str | dict[str, Any] | Positivity = "projection",
        seed: Any = None,
        *,
        layout: Layout = None,
        strides: int | Sequence[int] | None = None,
        groups: int | None = None,
        fan_in: float | None = None,
        skip_share: float = 0.0,
        method: str = "log_normal",
        match_moments: bool = False,
        **_unknown: NoReturn,
    ) -> None:
        refuse_unknown(_unknown, type(self).__init__)
        _check_numbers(correlation=correlation, variance=variance)
        settings = InitSettings(correlation, variance, bias_noise, distribution, skip_share, method, match_moments)
        super().__init__(settings, fed_by, seed, fan_in)
        self.positivity = positivity_from(positivity)
        self.layout = _checked_layout(layout)
        self.strides = None if strides is None else _checked_strides(strides)
        self.groups = None if groups is None else checks.whole("groups", groups)
        self._check(WIDE if fan_in is None else fan_in, self.positivity)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a raw kernel of ``shape``; drawn in float32 or wider, cast to ``dtype`` last."""
        # These are needed when a weight is drawn, and not before.
        from convex_init.keras.draws.filling import drawn
        from convex_init.keras.model import fans
        from convex_init.keras.owners.callers import calling, layer_of
        from convex_init.keras.owners.check import note_drawn
        from convex_init.keras.owners.last_kernel import remember_kernel

        shape = checked_shape(shape)
        strides, groups = fans.layer_window(layer_of(calling(keras.Variable)), self.layout, self.strides, self.groups)
        fan_in = self._fan_in(shape, strides)
        where = self._geometry(shape, strides, groups) if self.settings.needs_geometry else None
        recipe = self._recipe(fan_in, self.positivity, where)
        raw = drawn(recipe.weight, recipe.positivity, shape, wide(dtype), self._seeds())
        remember_kernel(shape, fan_in, self._key(), where)
        if flaw := note_drawn(self):
            warnings.warn(flaw, UserWarning, stacklevel=2)
        return ops.cast(raw, keras.backend.standardize_dtype(dtype))

    def bound(self, positivity: Positivity, layout: str) -> ICNNInit:
        """Return this initializer for a layer with this map and kernel; the two go on counting draws together.

        Raises:
            ValueError: if it was made for another map.
        """
        if self.positivity.reparametrises and self.positivity != positivity:
            raise ValueError(
                f"positivity {self.positivity} of the kernel_initializer is not the layer's {positivity}; leave it out"
            )
        other = copy.copy(self)
        other.positivity = positivity
        other.layout = layout if self.layout is None and self.fan_in is None else self.layout
        other._check(WIDE if self.fan_in is None else self.fan_in, positivity)
        return other

    def bias(self) -> ICNNBias:
        """Return the bias initializer that goes with this one."""
        chosen = self.settings
        return ICNNBias(
            self.fan_in,
            chosen.correlation,
            chosen.variance,
            chosen.bias_noise,
            self.fed_by,
            self._given_seed,
            skip_share=chosen.skip_share,
            method=chosen.method,
        )

    def _geometry(self, shape: Sequence[int], strides: int | Sequence[int] | None, groups: int | None) -> Geometry:
        from convex_init.keras.model import fans  # needed when a kernel is drawn, and not before

        unknown = [
            name
            for name, value, layouts in (
                ("strides", strides, ("conv", "conv_transpose", "depthwise")),
                ("groups", groups, ("conv",)),
            )
            if value is None and self.layout in layouts
        ]
        if unknown:
            raise ValueError(
                f"method {self.settings.method!r} for layout {self.layout!r} needs {' and '.join(unknown)} of the "
                "convolution, which are taken from one of Keras' layers only: pass "
                + ", ".join(f"{name}=" for name in unknown)
            )
        return fans.kernel_geometry(shape, self.layout, strides, groups or 1)

    def _fan_in(self, shape: Sequence[int], strides: int | Sequence[int] | None) -> float:
        from convex_init.keras.model import fans  # needed when a kernel is drawn, and not before

        if self.fan_in is None:
            return fans.kernel_fan_in(shape, self.layout, strides)
        if self.layout is not None and fans.kernel_fan_in(shape, self.layout, strides) != self.fan_in:
            raise ValueError(
                f"fan_in {self.fan_in:g} disagrees with layout {self.layout!r} of a kernel of shape {tuple(shape)}, "
                f"which sums {fans.kernel_fan_in(shape, self.layout, strides):g}; leave one of them out"
            )
        return self.fan_in

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for ``from_config``."""
        return {
            **super().get_config(),
            "distribution": self.settings.distribution,
            "match_moments": self.settings.match_moments,
            "positivity": positivity_config(self.positivity),
            "layout": self.layout,
            "strides": self.strides,
            "groups": self.groups,
        }


@keras.saving.register_keras_serializable(package="convex_init")
class ICNNBias(ICNNInitializer):
    """Draw the bias that centres a layer of non-negative weights: N(μ_b, σ_b²), equations (12), (33), (46).

    Args:
        fan_in: N of the layer's kernel. ``None`` takes it from the :class:`ICNNInit` kernel that the same layer
            has just drawn (Keras' layers draw the kernel first), whose other settings must be the same.
        correlation: as for :class:`ICNNInit`, and so are the following.
        variance: σ*².
        bias_noise: β.
        fed_by: φ that feeds the layer.
        seed: matters only with bias noise.
        skip_share: share of a free skip.
        method: of the kernel. For ``"isometric"`` leave ``fan_in`` out: the bias depends on the kernel's shape.

    Raises:
        ValueError: when called without ``fan_in`` and no kernel with the same settings has just been drawn.

    Example:
        >>> import keras
        >>> from convex_init.keras import ICNNBias
        >>> bias = ICNNBias(fan_in=784, fed_by="relu")((2,))
        >>> [round(float(value), 3) for value in bias]
        [-0.739, -0.739]
    """

    role = BIAS

    def __init__(
        self,
        fan_in: float | None = None,
        correlation: float = 0.5,
        variance: float = 1.0,
        bias_noise: float = 0.0,
        fed_by: ActivationSpec = "relu",
        seed: Any = None,
        *,
        skip_share: float = 0.0,
        method: str = "log_normal",
        **_unknown: NoReturn,
    ) -> None:
        refuse_unknown(_unknown, type(self).__init__)
        _check_numbers(fan_in=fan_in, correlation=correlation, variance=variance)
        settings = InitSettings(correlation, variance, bias_noise, skip_share=skip_share, method=method)
        super().__init__(settings, fed_by, seed, fan_in)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a bias of ``shape``; drawn in float32 or wider, cast to ``dtype`` last."""
        from convex_init.keras.draws.filling import drawn
        from convex_init.keras.owners.check import note_drawn
        from convex_init.keras.owners.last_kernel import kernel_of

        note_drawn(self)
        fan_in, where = self.fan_in, None
        if fan_in is None or self.settings.needs_geometry:
            kernel = kernel_of(int(shape[-1]) if len(shape) else 1, self._key())
            fan_in, where = kernel.fan_in, kernel.geometry
        bias = drawn(self._recipe(fan_in, geometry=where).bias, None, shape, wide(dtype), self._seeds())
        return ops.cast(bias, keras.backend.standardize_dtype(dtype))


def checked_shape(shape: object) -> tuple[int, ...]:
    """Return the shape of a weight as ints of at least 1."""
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise TypeError(f"shape must be a tuple of whole numbers, got {shape!r}")
    return tuple(checks.whole(f"shape[{axis}]", size) for axis, size in enumerate(shape))


def _checked_layout(layout: Layout) -> Layout:
    if not (layout is None or isinstance(layout, Iterable)):
        raise TypeError(f"layout must be a name, an einsum equation or a tuple of axes, got {layout!r}")
    return (
        layout
        if layout is None or isinstance(layout, str)
        else tuple(checks.whole("layout", axis, -(10**6)) for axis in layout)
    )


def _checked_strides(strides: int | Sequence[int]) -> int | tuple[int, ...]:
    if isinstance(strides, str | bool) or not isinstance(strides, Iterable):
        return checks.whole("strides", strides)
    return tuple(checks.whole("strides", step) for step in strides)


def _check_numbers(**given: Any) -> None:
    for name, value in given.items():
        if isinstance(value, str):
            raise TypeError(
                f"{name} must be a number, got {value!r}; name the activation that feeds the layer as "
                f"fed_by={value!r}, or use **icnn({value!r})"
            )


def icnn(
    fed_by: ActivationSpec = "relu",
    *,
    layout: Layout = None,
    strides: int | Sequence[int] | None = None,
    groups: int | None = None,
    fan_in: float | None = None,
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    distribution: str = "log_normal",
    skip_share: float = 0.0,
    method: str = "log_normal",
    match_moments: bool = False,
    seed: Any = None,
    **_unknown: NoReturn,
) -> dict[str, Any]:
    """Return kernel initializer, bias initializer and constraint for one of Keras' layers.

    One line of code::

        keras.layers.Dense(64, activation="relu", **icnn("relu"))

    Args:
        fed_by: φ that *feeds* the layer; the others as for :class:`ICNNInit`. With ``layout="depthwise"`` the
            names are those of ``DepthwiseConv``.
        layout: see :class:`ICNNInit`.
        strides: see :class:`ICNNInit`.
        groups: see :class:`ICNNInit`.
        fan_in: see :class:`ICNNInit`.
        correlation: see :class:`ICNNInit`.
        variance: see :class:`ICNNInit`.
        bias_noise: see :class:`ICNNInit`.
        distribution: see :class:`ICNNInit`.
        skip_share: see :class:`ICNNInit`.
        method: see :class:`ICNNInit`.
        match_moments: see :class:`ICNNInit`.
        seed: see :class:`ICNNInit`.

    Example:
        >>> import keras
        >>> from convex_init.keras import icnn
        >>> layer = keras.layers.Dense(64, activation="relu", **icnn("relu", seed=0))
        >>> layer.build((None, 784))
        >>> bool(keras.ops.all(layer.kernel >= 0))
        True
    """
    refuse_unknown(_unknown, icnn)
    kernel = ICNNInit(
        correlation,
        variance,
        bias_noise,
        fed_by,
        distribution,
        seed=seed,
        layout=layout,
        strides=strides,
        groups=groups,
        fan_in=fan_in,
        skip_share=skip_share,
        method=method,
        match_moments=match_moments,
    )
    of = "depthwise" if layout == "depthwise" else "kernel"
    return {f"{of}_initializer": kernel, "bias_initializer": kernel.bias(), f"{of}_constraint": NonNeg()}
