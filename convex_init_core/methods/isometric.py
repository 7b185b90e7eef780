"""Weights that keep the signal at any depth: the non-negative counterpart of an orthogonal matrix.

A non-negative W with orthonormal rows has rows of disjoint supports (a sum of products w_ik w_jk ≥ 0 is 0 only if each
is). Square, it is a permutation; for a convolution a permutation of channels at one tap. With ReLU and no bias
``φ(Pφ(s)) = Pφ(s)``: from the first hidden layer on, signal and gradient pass any number of layers unchanged, and the
input–output Jacobian keeps the singular values of a network with one hidden layer.

With M outputs and S sources (features a layer can tell apart: channels × phases of the stride):

- M ≤ S: every source goes to one output, which sums r = ⌊S/M⌋ or ⌈S/M⌉ of them, each with weight R/r;
- M > S: every output copies one source (R = 1), each source being copied ⌊M/S⌋ or ⌈M/S⌉ times.

``R² = 1/mean(1/r)`` gives the rows a mean square norm of 1, so that independent features keep their variance. All rows
have the sum R, so one bias serves all units.

A sum of :data:`FRESH` features or more is close to a Gaussian signal and no copy of anything: it is scaled to the
variance σ*² and centred, as the first layer's outputs are. That is the case of most output layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from convex_init_core.theory.activation import Activation
from convex_init_core.theory.moments import feature_moments
from convex_init_core.theory.operating_point import operating_point
from convex_init_core.theory.statistics import LayerStatistics
from convex_init_core.weights.positivity import Positivity
from convex_init_core.weights.weight_axes import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKGROUND = 1e-3
"""Row sum of the weights off the support, where the positivity map has no 0 that trains. A shared shift of the features
grows by 1 + this sum in every layer, (1.001)^L, so it stays far below the number of layers."""


FRESH = 2
"""A unit that sums so many features or more is a new signal; see the module."""


@dataclass(frozen=True)
class Isometric:
    """Law of a weight of which every source is read by the right number of outputs; see the module.

    Unlike the other laws it belongs to one shape, and its draws are not independent: :meth:`entries` gives them all.

    Attributes:
        geometry: the axes of the weight.
        gain: factor on the weights of the support.
        background: weight everywhere else, at least 0.
    """

    geometry: Geometry
    gain: float = 1.0
    background: float = 0.0

    @property
    def has_zeros(self) -> bool:
        """Whether some weights are exactly 0."""
        return self.background == 0.0

    @cached_property
    def row_sum(self) -> float:
        """``gain · R``, the sum of the weights of an output on its support."""
        return self.gain * _row_sum(self._targets, self._sources)

    @property
    def sources_of_output(self) -> int:
        """The least number of sources that an output sums; 1 where outputs copy."""
        return max(self._sources // max(self._targets, 1), 1)

    @property
    def fan_in(self) -> float:
        """Number of weights that one output sums."""
        return self.geometry.fan_in

    @property
    def mean(self) -> float:
        """Mean of all entries of the tensor."""
        return self._moment(1)

    @property
    def variance(self) -> float:
        """Variance of all entries of the tensor."""
        return self._moment(2) - self.mean**2

    def entries(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return where the support lies in the flat tensor, in any order, and the weights there.

        Args:
            seed: at least 0; decides the permutations, one for each group of channels.
        """
        rng, geometry = np.random.default_rng(seed), self.geometry
        phases = np.array(self._phases, np.int64).reshape(len(self._phases), -1)
        places: list[NDArray[np.int64]] = []
        values: list[NDArray[np.float64]] = []
        for group in range(geometry.groups):
            output, source, count = _assign(self._targets, self._sources, rng)
            weight = self.row_sum / count[output]
            if geometry.transposed:  # every phase of the output repeats the same channels
                output, source = np.repeat(output, len(phases)), np.repeat(source, len(phases))
                weight = np.repeat(weight, len(phases))
                tap = np.tile(phases, (len(output) // len(phases), 1))
            elif len(phases) == 1:
                tap = phases
            else:
                source, tap = source // len(phases), phases[source % len(phases)]
            places.append(geometry.positions(np.array(group), output, source, tap))
            values.append(weight)
        return np.concatenate(places), np.concatenate(values)

    @cached_property
    def _phases(self) -> list[tuple[int, ...]]:
        return self.geometry.phases()

    @cached_property
    def _targets(self) -> int:
        return self.geometry.outputs_of_group

    @cached_property
    def _sources(self) -> int:
        return self.geometry.inputs_of_group * (1 if self.geometry.transposed else len(self._phases))

    def _moment(self, power: int) -> float:
        m, s = self._targets, self._sources
        low, extra = divmod(max(s, m), m)
        repeats = len(self._phases) if self.geometry.transposed else 1
        counts = ((low, m - extra), (low + 1, extra))
        on = sum(repeats * rows * r * (self.row_sum / r) ** power for r, rows in counts if r)
        size = math.prod(self.geometry.shape) / self.geometry.groups
        off = size - repeats * max(m, s)
        return (on + off * self.background**power) / size


def solve_isometric(
    geometry: Geometry,
    activation: Activation,
    variance: float = 1.0,
    skip_share: float = 0.0,
    background: float = 0.0,
    part: float = 1.0,
    kept: float = 1.0,
) -> tuple[Isometric, LayerStatistics]:
    """Return the law of an isometric weight, and the moments of the layer with the bias that goes with it.

    With c the activation's operating point, g its gain there and R the row sum, the bias of a copy is::

        b = κ (c − g φ(c)) − ((R + η) √(p(1−γ)) − κ) g E[φ(c + σz)]

    and that of a fresh signal, whose weights are scaled by ``σ*/√Var[φ(c + σz)]``, ``b = c − Σw E[φ(c + σz)]``.

    It takes c to c, which is no centring: φ − E[φ] would switch off a part of the units in every layer, and nothing
    would bring them back. What the row sum adds to that of a copy is removed at its mean.

    Args:
        geometry: of the weight.
        activation: φ, which *feeds* the layer.
        variance: σ*² of the signal.
        skip_share: γ in [0, 1), the share of the variance that a free skip, summed with the layer, brings. The weights
            are scaled by √(1−γ), which bounds the sum at any depth; the path through L layers keeps (1−γ)^(L/2).
        background: η, the sum of the weights of a row off its support, at least 0.
        part: p in (0, 1], the share of the variance for this layer where several are summed.
        kept: κ in [0, 1], the share of a copy's mean that this layer passes on.

    Raises:
        ValueError: if φ has no bounded slope; see :func:`~convex_init_core.theory.operating_point.operating_point`.
    """
    point = operating_point(activation)
    keep = math.sqrt(part * (1.0 - skip_share))
    features = feature_moments(activation, 0.0, variance, point.location)
    gain, bias = point.gain * keep, kept * point.bias + kept * point.gain * features.mean
    around = gain * background  # the whole layer is scaled, its background too
    law = Isometric(geometry, gain, around / geometry.fan_in)
    if law.sources_of_output >= FRESH and features.variance > 0.0:
        law = replace(law, gain=keep * math.sqrt(variance / features.variance))
        bias = kept * point.location
    bias -= (law.row_sum + around) * features.mean
    return law, LayerStatistics(
        fan_in=law.fan_in,
        weight_mean=law.mean,
        weight_variance=law.variance,
        bias_mean=bias,
        skip_variance=skip_share * variance,
    )


def structured_raw(
    law: Isometric, positivity: Positivity, seed: int
) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Return the raw value off the support, the flat positions of the support, and the raw values there.

    The same on every device and however the tensor is spread: each part takes the positions that it holds.

    Args:
        law: of the effective weight.
        positivity: the map from raw to effective.
        seed: 32 bits, decides the permutation.
    """
    places, values = law.entries(seed)
    off = float(positivity.inverse(np.array(law.background)))
    return off, places, np.asarray(positivity.inverse(values), np.float64)


def _row_sum(targets: int, sources: int) -> float:
    """``R = 1/√mean(1/r)`` over the outputs; 1 where outputs copy."""
    low, extra = divmod(max(sources, targets), targets)
    return math.sqrt(targets / ((targets - extra) / low + extra / (low + 1)))


def _assign(
    targets: int, sources: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return pairs of output and source, and for each output the number of its sources."""
    if targets > sources:
        rounds = -(-targets // sources)
        source = np.concatenate([rng.permutation(sources) for _ in range(rounds)])[:targets]
        return np.arange(targets), source, np.ones(targets)
    count = np.full(targets, sources // targets) + (np.arange(targets) < sources % targets)
    output = np.arange(targets) if targets == sources else np.repeat(np.arange(targets), count)
    return output, rng.permutation(sources), count.astype(np.float64)
