"""The signal report of a model that is no chain: its sums are measured where a recorded run makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch.activations import ActivationLike
from convex_init.torch.behaviour import Reading, Sum, Term, read_behaviour
from convex_init.torch.fans import AFFINE, geometry
from convex_init.torch.feeding import Signals, as_factor
from convex_init.torch.inputs import floating_inputs
from convex_init.torch.reading import activation_for
from convex_init.torch.recording import Node, Recording, named_tensors, record
from convex_init.torch.report import LayerSignal, SignalReport, correlation_matrix, statistics_of
from convex_init.torch.sharding import whole
from convex_init.torch.slots import slot_of
from convex_init_core import FeatureMoments, LayerStatistics, SignalStatistics, dense_geometry
from convex_init_core.methods.normalised import normalised_output
from convex_init_core.methods.sum_budget import forward_sum
from convex_init_core.signal.prediction import UNKNOWN, is_isometric
from convex_init_core.signal.signal_moments import activated, pre_activation


def report_by_running(
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor] | None,
    convex_inputs: Iterable[str | int] | str | int | None,
    entry: str,
    activation: ActivationLike | dict[str, ActivationLike] | None,
) -> SignalReport:
    """Return the report; arguments and errors are those of :func:`convex_init.torch.signal_report`."""
    reading = read_behaviour(model, batch, convex_inputs, entry)
    if not reading.sums:
        raise ValueError(f"{type(model).__name__} has no product with a weight to measure")
    samples = max(tensor.shape[0] if tensor.ndim else 1 for tensor in floating_inputs(*reading.inputs).values())
    if samples < 2:
        raise ValueError(f"batch must hold at least two samples for a correlation, got {samples}")
    places = [reading.place[id(found.root)] for found in reading.sums]
    tensors, gradients = _run(reading, places, loss)
    signals = Signals(weighted=reading.weighted())
    layers = []
    for found, values, gradient in zip(reading.sums, tensors, gradients, strict=True):
        s = _units_second(found, values.double())
        measured = statistics_of(s)
        predicted = _predict(reading.model, found, signals, activation)
        # One step at a time: what a layer makes of the signal that it gets, not of one that was predicted for it.
        signals.decided[id(found.root)] = pre_activation(measured.mean, measured.variance, measured.correlation)
        terms = found.positive or found.free
        layers.append(
            LayerSignal(
                path=" + ".join(dict.fromkeys(term.product.slot.path for term in terms)),
                mean=measured.mean,
                variance=measured.variance,
                correlation=measured.correlation,
                active=float((s > 0).double().mean()),
                gradient=float("nan") if gradient is None else float((gradient * samples).square().mean().sqrt()),
                predicted=predicted,
                predicted_gradient=float("nan"),
                sample=s.flatten()[:: max(1, s.numel() // 10_000)].clone(),
                correlations=correlation_matrix(s),
            )
        )
    return SignalReport(tuple(layers))


def _run(
    reading: Reading, places: list[int], loss: Callable[[Any], Tensor] | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    """The values of the sums and their gradients; the loss is that of the model's first floating-point output."""
    model, results = reading.model, []

    def call(*args: Any, **kwargs: Any) -> Any:
        result = (model if reading.entry == "forward" else getattr(model, reading.entry))(*args, **kwargs)
        results.append(result)
        return result

    args, kwargs = reading.inputs
    # With gradients torch executes some more operations, so the places are found anew, then their numbers copied.
    first = record(model, args, kwargs, reading.convex_inputs, call, gradients=True)
    there = _same_places(reading.recording, first, places)
    run = record(model, args, kwargs, reading.convex_inputs, call, keep=there, gradients=True)
    with torch.enable_grad():
        result = results[-1]
        if loss is not None:
            total = loss(result)
        else:
            output = next(tensor for _, tensor in named_tensors("output", result) if tensor.is_floating_point())
            total = output.flatten(1).mean(0).sum() if output.ndim > 1 else output.mean()
    nodes = [run.nodes[place] for place in there]
    alive = [node.tensor for node in nodes if node.tensor is not None and node.tensor.requires_grad]
    grads: dict[int, Tensor | None] = {}
    if alive and total.requires_grad:
        grads = dict(zip(map(id, alive), torch.autograd.grad(total, alive, allow_unused=True), strict=True))
    return [node.kept for node in nodes if node.kept is not None], [grads.get(id(node.tensor)) for node in nodes]


def _same_places(before: Recording, after: Recording, places: list[int]) -> list[int]:
    """Find nodes of one recording in another by how many of their operation came before them."""

    def keys(recording: Recording) -> list[tuple[str, int]]:
        counts: Counter[str] = Counter()
        found = []
        for node in recording.nodes:
            counts[node.operation] += 1
            found.append((node.operation, counts[node.operation]))
        return found

    wanted = keys(before)
    there = {key: place for place, key in enumerate(keys(after))}
    return [there[wanted[place]] for place in places]


def _units_second(found: Sum, s: Tensor) -> Tensor:
    """Put the units in dimension 1, where a convolution has its channels; a linear layer has them last."""
    if s.ndim < 2:
        return s.reshape(-1, 1)
    is_field = any("convolution" in term.product.node.operation for term in found.terms)
    return s if is_field or s.ndim == 2 else s.movedim(-1, 1)


def _predict(
    model: nn.Module, found: Sum, signals: Signals, activation: ActivationLike | dict[str, ActivationLike] | None
) -> SignalStatistics:
    if found.normalised is not None:
        return _predict_normalised(found, signals, activation)
    if any(_is_isometric(term) for term in found.positive):
        return UNKNOWN
    terms = [(_layer(term), _features(term, signals, activation)) for term in found.terms if not term.squares]
    present = [as_factor(factor, signals.of(node)[0]) for node, factor in found.present]
    mean, variance = found.offset, 0.0
    for source, factor in found.biases:
        bias = slot_of(model, source).raw.detach().double()
        mean += factor * float(bias.mean())
        variance += factor**2 * float(bias.var(correction=0))
    behind = forward_sum(terms, present, mean, variance)
    rho = behind.covariance / behind.variance if behind.variance > 0.0 else 0.0
    return SignalStatistics(behind.mean, behind.variance, rho)


def _predict_normalised(
    found: Sum, signals: Signals, activation: ActivationLike | dict[str, ActivationLike] | None
) -> SignalStatistics:
    """Of one layer behind a batch normalisation, whose statistics are taken to be those of the batch."""
    assert found.normalised is not None
    if len(found.terms) != 1 or found.present:
        return UNKNOWN
    term, affine = found.terms[0], found.normalised.args[1:3]
    gain, shift = (
        part.tensor.detach().double() if isinstance(part, Node) and part.tensor is not None else None for part in affine
    )
    features, layer = _features(term, signals, activation), _layer(term)
    behind = normalised_output(features, layer, 1.0 if gain is None else float(gain.square().mean().sqrt()))
    if shift is None:
        return behind
    spread = float(shift.var(correction=0))
    variance = behind.variance + spread
    rho = behind.correlation * behind.variance / variance if variance > 0.0 else 0.0
    return SignalStatistics(float(shift.mean()), variance, rho)


def _features(
    term: Term, signals: Signals, activation: ActivationLike | dict[str, ActivationLike] | None
) -> FeatureMoments:
    chosen = activation_for(activation, term.product.slot.path)
    moments = signals.of(term.product.data)[0]
    if chosen is not None and term.product.positive:
        moments = activated(chosen, moments)
    return as_factor(term.factor, moments)


def _layer(term: Term) -> LayerStatistics:
    weight = _weight(term)
    return LayerStatistics(term.product.fan_in, float(weight.mean()), float(weight.var(correction=0)))


def _is_isometric(term: Term) -> bool:
    weight, module = _weight(term), term.product.slot.module
    if isinstance(module, AFFINE) and geometry(module).shape == tuple(weight.shape):
        return is_isometric(weight.cpu().numpy(), geometry(module))
    matrix = weight.squeeze()  # of a product over a batch of one
    if matrix.ndim != 2:
        return False
    if matrix.shape[1] != term.product.fan_in:
        matrix = matrix.T  # of a square one it does not matter which of its axes the model sums
    return is_isometric(matrix.cpu().numpy(), dense_geometry(*matrix.shape))


def _weight(term: Term) -> Tensor:
    """The weight as it was used, in double precision."""
    factors = [part for part in term.product.node.inputs if part.fixed and part.sources]
    weight = max(factors, key=lambda part: part.tensor.numel() if part.tensor is not None else 0)
    assert weight.tensor is not None
    return whole(weight.tensor.detach()).double()
