"""Measure the signal of a model layer by layer, beside what the theory predicts for its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch.activations import ActivationLike
from convex_init.torch.fans import fan_in, fan_out, geometry
from convex_init.torch.reading import Selection, activation_for, is_read_by_running, read
from convex_init.torch.sharding import whole
from convex_init.torch.sites import Site
from convex_init_core import GradientStatistics, LayerStatistics, SignalStatistics, identity
from convex_init_core.signal.prediction import Stage, is_isometric, predict_gradients, predict_signals
from convex_init_core.tables import signal_table

_SHOWN = 100  # features in a correlation matrix, values in a histogram's sample times this


@dataclass(frozen=True, eq=False)
class LayerSignal:
    """Statistics of the pre-activations of one layer on a batch.

    Attributes:
        path: of the layer; of all positive layers (or all layers) of a sum.
        mean: over batch, units and positions.
        variance: likewise, about the common mean.
        correlation: of two different units: the variance that they share, over the variance.
        active: fraction of pre-activations above 0.
        gradient: root mean square over the units of the loss's gradient, for one sample.
        predicted: mean, variance and correlation by (5)–(7) and (16)–(19), from the layer's own weight moments. The
            equations are for weights drawn one by one: NaN from an isometric layer on, and behind a signal so large
            or so far from the bends that it has no moments to speak of.
        predicted_gradient: by (24)–(27), from the gradient measured at the output; NaN in front of such a layer, and
            for a model that is no chain.
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
    sample: Tensor = field(repr=False)
    correlations: Tensor = field(repr=False)


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
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    entry: str = "forward",
    positive: Selection | None = None,
    activation: ActivationLike | dict[str, ActivationLike] | None = None,
) -> SignalReport:
    """Run ``model`` on ``batch`` and measure every layer's pre-activations and gradients.

    The model is left as it was: no gradient is kept, no buffer or mode changes. The prediction starts from the
    statistics of each free layer's input and uses the moments of the weights that are there, so it can be asked of any
    initialisation. In a model that is read by running it, each prediction starts from the signal measured before it.
    For convolutions, positions count as further features.

    Args:
        model: any model that :func:`convex_init.torch.plan` can read with ``batch`` as its example inputs. With
            ``positive``, it has to call its layers (rather than only use their weights).
        batch: one input, a tuple of positional inputs, or a dict of keyword inputs; at least two samples.
        loss: maps the output to a scalar; by default the mean of the outputs over the batch, summed over units.
        convex_inputs: as for ``apply_``.
        entry: as for ``apply_``.
        positive: as for ``apply_``.
        activation: as for ``apply_``.

    Raises:
        ValueError: if the model cannot be read, calls none of its layers, or gets fewer than two samples.
    """
    model = getattr(model, "_orig_mod", model)
    if positive is None and (entry != "forward" or is_read_by_running(model, register_missing_bias=True)):
        from convex_init.torch.running_report import report_by_running  # only needed here, and not small

        return report_by_running(model, batch, loss, convex_inputs, entry, activation)
    sites = read(model, positive)
    inputs = batch if isinstance(batch, tuple) else (batch,)
    if inputs[0].shape[0] < 2:
        raise ValueError(f"batch must hold at least two samples for a correlation, got {inputs[0].shape[0]}")
    seen, gradients, fed = _run(model, sites, inputs, loss)
    skips = {path: site for site in sites for path in site.beside}
    main = [site for site in sites if site.role != "skip" and site.path in seen]
    stages = [_stage(site, skips.get(site.path), fed, activation, first=not place) for place, site in enumerate(main)]
    predicted = predict_signals(stages)
    backwards = predict_gradients(stages, predicted, _gradient_statistics(gradients[main[-1].path]))
    layers = []
    for i, site in enumerate(main):
        s = seen[site.path]
        found = statistics_of(s)
        layers.append(
            LayerSignal(
                path=site.path,
                mean=found.mean,
                variance=found.variance,
                correlation=found.correlation,
                active=float((s > 0).double().mean()),
                gradient=float(gradients[site.path].square().mean().sqrt()),
                predicted=predicted[i],
                predicted_gradient=backwards[i],
                sample=s.flatten()[:: max(1, s.numel() // 10_000)].clone(),
                correlations=correlation_matrix(fed[main[i + 1].path] if i + 1 < len(main) else s),
            )
        )
    return SignalReport(tuple(layers))


def _run(
    model: nn.Module, sites: list[Site], inputs: tuple[Any, ...], loss: Callable[[Any], Tensor] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Pre-activations (skips added), their gradients for one sample, and the inputs of the layers, by path."""
    outputs: dict[str, Tensor] = {}
    fed: dict[str, Tensor] = {}
    handles = []
    for site in sites:

        def record(module: nn.Module, args: tuple[Any, ...], output: Tensor, path: str = site.path) -> Tensor:
            # A copy goes on through the model, since an in-place activation would overwrite what is measured.
            fed[path], outputs[path] = _units_second(module, args[0].detach().double()), output
            return output.clone()

        handles.append(site.module.register_forward_hook(record))
    was_training = {module: module.training for module in model.modules()}
    try:
        model.eval()  # dropout off, running statistics untouched
        with torch.enable_grad():
            # Inputs that need a gradient make every layer's output part of the graph, frozen or not.
            alive = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
            result = model(*alive)
            if not outputs:
                raise ValueError(
                    f"{type(model).__name__} uses the weights of {', '.join(site.path for site in sites)} without "
                    "calling these layers, so their outputs cannot be seen; call the layers, with a parametrization "
                    "for the map"
                )
            total = result.flatten(1).mean(0).sum() if loss is None else loss(result)
            paths = list(outputs)
            found = torch.autograd.grad(total, [outputs[path] for path in paths], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in was_training.items():
            module.training = training
    samples = inputs[0].shape[0]
    modules = {site.path: site.module for site in sites}
    gradients = {
        path: _units_second(modules[path], torch.zeros_like(outputs[path]) if grad is None else grad).double() * samples
        for path, grad in zip(paths, found, strict=True)
    }
    seen = {path: _units_second(modules[path], output.detach().double()) for path, output in outputs.items()}
    for site in sites:
        for path in site.beside:
            if path in seen and site.path in seen:
                seen[path] = seen[path] + seen[site.path]
    return seen, gradients, fed


def _units_second(module: nn.Module, s: Tensor) -> Tensor:
    """Put a layer's units in dimension 1, where a convolution has its channels; a linear layer has them last."""
    return s.movedim(-1, 1) if isinstance(module, nn.Linear) and s.ndim > 2 else s


def rows_of(s: Tensor) -> Tensor:
    """Samples and positions as rows, units as columns."""
    return s if s.ndim == 2 else s.movedim(1, -1).flatten(0, -2)


def statistics_of(s: Tensor) -> SignalStatistics:
    """Mean, variance, and correlation of different units: pairs share what their sum over units varies by."""
    rows = rows_of(s)
    mean = rows.mean()
    centred = rows - mean
    variance = float(centred.square().mean())
    units = rows.shape[1]
    if units < 2 or variance == 0.0:
        return SignalStatistics(float(mean), variance, 0.0)
    pairs = (centred.sum(1).square() - centred.square().sum(1)).mean() / (units * (units - 1))
    return SignalStatistics(float(mean), variance, max(-1.0, min(1.0, float(pairs) / variance)))


def _stage(
    site: Site,
    skip: Site | None,
    fed: dict[str, Tensor],
    activation: ActivationLike | dict[str, ActivationLike] | None,
    first: bool,
) -> Stage:
    weight, bias = _tensor(site.module, "weight"), _tensor(site.module, "bias")
    assert weight is not None
    extra = 0.0
    if skip is not None:
        across, features = _tensor(skip.module, "weight"), statistics_of(fed[skip.path])
        assert across is not None
        extra = float(across.var(correction=0)) * fan_in(skip.module) * (features.variance + features.mean**2)
        shift = _tensor(skip.module, "bias")
        bias = shift if bias is None else bias if shift is None else bias + shift
    layer = LayerStatistics(
        fan_in=fan_in(site.module),
        weight_mean=float(weight.mean()),
        weight_variance=float(weight.var(correction=0)),
        bias_mean=0.0 if bias is None else float(bias.mean()),
        bias_variance=0.0 if bias is None else float(bias.var(correction=0)),
        skip_variance=extra,
    )
    positive = site.role == "positive"
    phi = (activation_for(activation, site.path) or site.activation) if positive else None
    return Stage(
        layer,
        phi or identity(),
        fan_out(site.module),
        incoming=None if positive and not first else statistics_of(fed[site.path]),
        independent=not (positive and is_isometric(weight.cpu().numpy(), geometry(site.module))),
    )


def _tensor(module: nn.Module, name: str) -> Tensor | None:
    value = getattr(module, name, None)
    return whole(value.detach()).double() if isinstance(value, Tensor) else None


def _gradient_statistics(gradient: Tensor) -> GradientStatistics:
    rows = rows_of(gradient)
    square, units = rows.square(), rows.shape[1]
    pairs = (rows.sum(1).square() - square.sum(1)).mean() / max(units * (units - 1), 1)
    return GradientStatistics(float(rows.mean()), float(square.mean()), float(pairs))


def correlation_matrix(features: Tensor) -> Tensor:
    """Correlations over the batch of up to 100 features; a constant feature correlates with nothing."""
    rows = rows_of(features)
    columns = rows[:, torch.linspace(0, rows.shape[1] - 1, min(rows.shape[1], _SHOWN)).long()]
    centred = columns - columns.mean(0)
    norm = centred.norm(dim=0).clamp_min(1e-30)
    matrix: Tensor = (centred / norm).T @ (centred / norm)
    return matrix
