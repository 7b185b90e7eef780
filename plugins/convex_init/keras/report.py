"""Measure the signal of a model layer by layer, beside what the theory predicts for its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from convex_init.keras.activations import ActivationSpec
from convex_init.keras.fans import kernel_fan_in, layer_geometry, layer_layout
from convex_init.keras.gradients import gradient
from convex_init.keras.planning import feeding_activation, layer_positivity
from convex_init.keras.reading import Selection, Site, read
from convex_init_core import GradientStatistics, LayerStatistics, SignalStatistics, identity
from convex_init_core.signal.prediction import Stage, is_isometric, predict_gradients, predict_signals
from convex_init_core.tables import signal_table

Array: TypeAlias = NDArray[np.float64]
_SHOWN = 100  # features in a correlation matrix


@dataclass(frozen=True, eq=False)
class LayerSignal:
    """Statistics of the pre-activations of one layer on a batch.

    Attributes:
        path: of the layer.
        mean: over batch, units and positions.
        variance: likewise, about the common mean.
        correlation: of two different units: the variance that they share, over the variance.
        active: fraction of pre-activations above 0.
        gradient: root mean square over the units of the loss's gradient, for one sample.
        predicted: mean, variance and correlation by (5)–(7) and (16)–(19), from the layer's own weight moments. The
            equations are for weights drawn one by one: NaN from an isometric layer on, and behind a signal so large
            or so far from the bends that it has no moments to speak of.
        predicted_gradient: by (24)–(27), from the gradient measured at the output; NaN in front of such a layer.
        sample: up to 10,000 pre-activations, for a histogram.
        correlations: matrix of the correlations over the batch of up to 100 features φ(s) (or s, at the output).
    """

    path: str
    mean: float
    variance: float
    correlation: float
    active: float
    gradient: float
    predicted: SignalStatistics
    predicted_gradient: float
    sample: Array = field(repr=False)
    correlations: Array = field(repr=False)


@dataclass(frozen=True, eq=False)
class SignalReport:
    """The :class:`LayerSignal` of every layer, in the order of the signal; prints as a table."""

    layers: tuple[LayerSignal, ...]

    def __str__(self) -> str:
        """Return the table: measured values, each beside its prediction, a dash where there is none."""
        return signal_table(self.layers)

    def plot(self, path: str | None = None) -> Any:
        """Draw histograms of the pre-activations above feature-correlation matrices (Fig. 1 and 6 of the paper).

        Args:
            path: where to save the picture; not saved if ``None``.

        Returns:
            The matplotlib figure.

        Raises:
            ModuleNotFoundError: if matplotlib is missing: ``pip install 'convex-init[plot]'``.
        """
        from convex_init.plotting import draw_report

        return draw_report(self, path)


def signal_report(
    model: keras.Model,
    batch: Any,
    loss: Callable[[Any], Any] | None = None,
    *,
    positive: Selection | None = None,
    activation: ActivationSpec | Mapping[str, ActivationSpec] = None,
) -> SignalReport:
    """Run ``model`` on ``batch`` and measure every layer's pre-activations and gradients.

    The model is run with ``training=False`` and left as it was. The prediction starts from the statistics of each
    free layer's input and uses the moments of the weights that are there, so it can be asked of any initialisation.
    For convolutions, positions count as further samples.

    Args:
        model: any model that :func:`convex_init.keras.plan` can read.
        batch: one input, or a list of them; at least two samples.
        loss: maps the output to a scalar with ``keras.ops``; by default the mean of the outputs over the batch,
            summed over units.
        positive: as for ``apply_``.
        activation: as for ``apply_``.

    Raises:
        ValueError: if the model cannot be read, a layer does not run, or the batch has fewer than two samples.
    """
    sites = [site for site in read(model, positive) if not site.problem]
    samples = len(batch[0] if isinstance(batch, (list, tuple)) else batch)
    if samples < 2:
        raise ValueError(f"batch must hold at least two samples for a correlation, got {samples}")
    seen, found, fed = _run(model, sites, batch, loss)
    deltas = {path: part * samples for path, part in found.items()}
    skips = {site.beside: site for site in sites if site.role == "skip"}
    for beside, skip in skips.items():
        seen[beside] = seen[beside] + seen[skip.path]
    main = [site for site in sites if site.role != "skip"]
    stages = [_stage(site, skips.get(site.path), fed, activation, first=not place) for place, site in enumerate(main)]
    predicted = predict_signals(stages)
    backwards = predict_gradients(stages, predicted, _gradient_statistics(deltas[main[-1].path], main[-1].layer))
    rows = []
    for place, (site, theory, slope) in enumerate(zip(main, predicted, backwards, strict=True)):
        behind = main[place + 1] if place + 1 < len(main) else None
        s = seen[site.path]
        measured = _statistics(s, site.layer)
        rows.append(
            LayerSignal(
                site.path,
                measured.mean,
                measured.variance,
                measured.correlation,
                active=float(np.mean(s > 0.0)),
                gradient=float(np.sqrt(np.mean(deltas[site.path] ** 2))),
                predicted=theory,
                predicted_gradient=slope,
                sample=s.ravel()[:: max(1, s.size // 10_000)].copy(),
                correlations=_correlations(
                    _rows(s, site.layer) if behind is None else _rows(fed[behind.path], behind.layer)
                ),
            )
        )
    return SignalReport(tuple(rows))


def _run(
    model: Any, sites: list[Site], batch: Any, loss: Callable[[Any], Any] | None
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Pre-activations, their gradients, and the inputs of the layers, by path."""
    seen: dict[str, Any] = {}
    fed: dict[str, Any] = {}
    added: dict[str, Any] = {}

    def watch(path: str, s: Any) -> Any:
        seen[path] = s
        return s + added[path] if path in added else s

    def total(parts: list[Any]) -> Any:
        added.update(zip(seen_paths, parts, strict=True))
        outputs = model(batch, training=False)
        return ops.sum(ops.mean(outputs, axis=0)) if loss is None else loss(outputs)

    with _watched(sites, watch, fed):
        model(batch, training=False)
        first = {path: ops.convert_to_numpy(s) for path, s in seen.items()}
        inputs = {path: ops.convert_to_numpy(x).astype(np.float64) for path, x in fed.items()}
        seen_paths = list(first)
        # The gradient with respect to a pre-activation is that with respect to zeros added to it.
        found = gradient(total, [np.zeros_like(first[path]) for path in seen_paths])
    missing = [site.path for site in sites if site.path not in first]
    if missing:
        raise ValueError(f"layers {missing} did not run on this batch; leave them out of the model or of positive=")
    wide = {path: s.astype(np.float64) for path, s in first.items()}
    return wide, {path: part.astype(np.float64) for path, part in zip(seen_paths, found, strict=True)}, inputs


@contextmanager
def _watched(sites: list[Site], watch: Callable[[str, Any], Any], fed: dict[str, Any]) -> Iterator[None]:
    """Let every layer show its pre-activation (before its own activation) and its input."""
    before = [(site.layer, site.layer.activation, site.layer.call) for site in sites]
    try:
        for site in sites:
            _watch(site, watch, fed)
        yield
    finally:
        for layer, activation, call in before:
            layer.activation, layer.call = activation, call


def _watch(site: Site, watch: Callable[[str, Any], Any], fed: dict[str, Any]) -> None:
    layer, path = site.layer, site.path
    activation, call = layer.activation, layer.call

    def activate(s: Any) -> Any:
        shown = watch(path, s)
        return shown if activation is None else activation(shown)

    def run(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        fed[path] = inputs
        return call(inputs, *args, **kwargs)

    layer.activation, layer.call = activate, run


def _rows(s: Array, layer: Any) -> Array:
    """Samples and positions as rows, units as columns."""
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else s.ndim - 1
    return np.moveaxis(s, axis, -1).reshape(-1, s.shape[axis])


def _statistics(s: Array, layer: Any) -> SignalStatistics:
    """Mean, variance, and correlation of different units: pairs share what their sum over units varies by."""
    rows = _rows(s, layer)
    mean = float(rows.mean())
    centred = rows - mean
    variance, units = float(np.mean(centred**2)), rows.shape[1]
    if units < 2 or variance == 0.0:
        return SignalStatistics(mean, variance, 0.0)
    pairs = np.mean(centred.sum(1) ** 2 - (centred**2).sum(1)) / (units * (units - 1))
    return SignalStatistics(mean, variance, float(np.clip(pairs / variance, -1.0, 1.0)))


def _values(layer: Any) -> tuple[Array, Array]:
    """Effective weights and biases (0 if there is none)."""
    through = layer_positivity(layer)
    kernel = through.value(ops.convert_to_numpy(layer.kernel).astype(np.float64))
    bias = np.zeros(1) if layer.bias is None else ops.convert_to_numpy(layer.bias).astype(np.float64)
    return kernel, bias


def _stage(
    site: Site,
    skip: Site | None,
    fed: Mapping[str, Array],
    activation: ActivationSpec | Mapping[str, ActivationSpec],
    first: bool,
) -> Stage:
    kernel, bias = _values(site.layer)
    extra = 0.0
    if skip is not None:
        across, shift = _values(skip.layer)
        fan_in = kernel_fan_in(skip.layer.kernel.shape, *layer_layout(skip.layer))
        extra, bias = float(across.var()) * fan_in * float(np.mean(fed[skip.path] ** 2)), bias + shift
    fan_in = kernel_fan_in(kernel.shape, *layer_layout(site.layer))
    positive = site.role == "positive"
    return Stage(
        LayerStatistics(
            fan_in, float(kernel.mean()), float(kernel.var()), float(bias.mean()), float(bias.var()), extra
        ),
        (feeding_activation(activation, site) if positive else None) or identity(),
        _fan_out(site.layer),
        incoming=None if positive and not first else _statistics(fed[site.path], site.layer),
        independent=not (positive and is_isometric(kernel, layer_geometry(site.layer))),
    )


def _gradient_statistics(delta: Array, layer: Any) -> GradientStatistics:
    rows = _rows(delta, layer)
    units = rows.shape[1]
    pairs = np.mean(rows.sum(1) ** 2 - (rows**2).sum(1)) / max(units * (units - 1), 1)
    return GradientStatistics(float(rows.mean()), float(np.mean(rows**2)), float(pairs))


def _correlations(rows: Array) -> Array:
    """Correlations over the batch of up to 100 features; a constant feature correlates with nothing."""
    shown = rows[:, np.linspace(0, rows.shape[1] - 1, min(rows.shape[1], _SHOWN)).astype(int)]
    centred = shown - shown.mean(0)
    scaled = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-30)
    matrix: Array = scaled.T @ scaled
    return matrix


def _fan_out(layer: Any) -> float:
    """How many pre-activations a feature reaches: kernel elements per input unit, thinned out by the stride."""
    sizes = [int(size) for size in layer.kernel.shape]
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        reached = float(prod(sizes[:-2]) * sizes[-1])
    elif isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)):
        return float(prod(sizes[:-1]))
    else:
        reached = prod(sizes) / kernel_fan_in(sizes, *layer_layout(layer))
        if len(sizes) > 2 and not isinstance(layer, layers.EinsumDense):
            reached = float(prod(sizes[:-2]) * sizes[-1] / layer.groups)
    return max(1.0, reached / prod(getattr(layer, "strides", ())))
