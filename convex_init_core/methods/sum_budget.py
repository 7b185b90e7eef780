"""The variance budget of a sum: what each of its terms may contribute so that the pre-activation hits its target.

People build ``s = Σ_p W_p f_p + Σ_f A_f x + r + b``: several positive layers, free maps of the input, values that are
added as they are (residual identities, the input itself), and perhaps no bias at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from convex_init_core import checks
from convex_init_core.methods.log_normal import solve
from convex_init_core.settings import InitSettings
from convex_init_core.signal.signal_moments import pre_activation, scaled, shared_amplitude, unshared_variance
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.moments import FeatureMoments
from convex_init_core.theory.statistics import LayerStatistics

LEAST_PARTICIPATION = 2.5
"""How many weights a unit should listen to, where the gain of a sum is held back."""

TIED_GAIN = 0.5
"""Largest ``Σ N μ`` of a weight that is used again and again, as in a recurrent network: one matrix, applied many
times, grows a signal by its spectral radius, which exceeds ``N μ`` by what its random part adds."""


@dataclass(frozen=True)
class Fed:
    """One layer of non-negative weights in a sum.

    Attributes:
        fan_in: N, the number of features that one pre-activation sums.
        features: moments of these features.
        factor: c > 0, by which the model multiplies the layer's product before it is added.
    """

    fan_in: float
    features: FeatureMoments
    factor: float = 1.0


@dataclass(frozen=True)
class Budget:
    """What :func:`solve_sum` found.

    Attributes:
        layers: moments of each positive layer's weights, in the order given; biases are those of the whole sum.
        free_variance: variance that each of the free maps is to contribute, quadratic ones included.
        inner_variances: for each quadratic map, the variance of the terms that it squares.
        bias_mean: of the bias, for the whole sum.
        bias_variance: likewise.
        outgoing: moments of the pre-activation that results.
    """

    layers: tuple[LayerStatistics, ...]
    free_variance: float
    inner_variances: tuple[float, ...]
    bias_mean: float
    bias_variance: float
    outgoing: FeatureMoments


def solve_sum(
    fed: Sequence[Fed],
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    skip_share: float = 0.5,
    *,
    free: int = 0,
    squares: Sequence[float] = (),
    present: Sequence[FeatureMoments] = (),
    settled: Sequence[FeatureMoments] = (),
    kept: float = 0.0,
    residuals: int = 1,
    has_bias: bool = True,
    gain_limit: float = math.inf,
    is_strict: bool = False,
    equal_sums: bool = False,
) -> Budget:
    """Return the moments of every term so that the sum has mean ``kept``, variance σ*² and correlation ρ*.

    With the shared amplitude ``A = √(ρσ²)`` and the unshared variance ``U = (1−ρ)σ²`` of the target, values that are
    present as they are take ``A₀ = Σ √Cov_j`` and ``U₀ = Σ (Var_j − Cov_j)``; where that leaves less than a share of
    ``1/(4R)``, as behind a residual identity that holds a full signal already, the layers get this share, so that R
    residual sums grow the signal by a bounded factor (``e^{1/2}``). Bias noise and free maps take their shares of what
    remains of U as in :func:`~convex_init_core.methods.log_normal.solve`. Several positive layers count as one that
    reads all features: layer p gets the part ``a_p = N_p / Σ N`` of amplitude and variance::

        μ_p² = a_p² A² / (c N_p [Var_p + (N_p − 1) Cov_p])      σ_p² = a_p U / (N_p E[f_p²])

    with ``c = Σ a_p² (1 − r_p²) + (Σ a_p r_p)²`` and ``r_p² = N_p Cov_p / (Var_p + (N_p − 1) Cov_p)``, the part of a
    layer's mean over its features that other layers share: c is 1 for one layer and, nearly, for wide ones.

    For one layer these are (11), (12), (42), (43). Without a bias nothing can be centred: the mean
    ``Σ N μ E[f] + Σ E[r]`` goes on to the next layer, which a (leaky) ReLU passes on its linear side.

    Args:
        fed: the positive layers; none for a sum of free maps only, which then share σ*² among themselves.
        correlation: ρ* in (0, 1).
        variance: σ*² > 0.
        bias_noise: β in [0, 1); 0 is used where there is no bias.
        skip_share: in [0, 1), the part of what bias noise leaves that goes to free maps, where there are some.
        free: number of free maps ``A x``.
        squares: for each free quadratic map ``Σ_r (a_r·x)²``, the number R of squares that one unit sums.
        present: moments of the values that are added as they are.
        settled: moments of products whose weights are decided already, where they were used before: they are there like
            the values that are present, but pass no signal on undiminished.
        kept: the part of their mean that the bias leaves alone: that of a residual identity, which an activation then
            passes on its linear side. Centred, half of it would be lost at every sum, and what the layers have to put
            in its place is made of few large values.
        residuals: R ≥ 1, the number of sums in the network that hold such values.
        has_bias: whether the sum has a bias.
        gain_limit: largest admissible ``M = Σ N μ``, to which a residual identity adds 1; see :func:`gain_limit`. Where
            it holds the means back, the correlation stays below ρ* and unshared variance makes up for it: that of the
            weights only as far as they keep a participation ``(Σw)²/Σw² ≈ M²/(N σ_w²)`` of 2.5, below which a layer
            would hang on a few giant weights, and that of free maps beyond. A sum without free maps and other values
            keeps the gain that it needs for this participation.
        is_strict: whether such a sum is held to the limit, too, because its weights see what they have made.
        equal_sums: whether the weights of every unit add up to the same, as those of a sample with exact moments do:
            then a unit's share of the features' mean is no variance, and E[f²] above becomes Var[f].

    Raises:
        ValueError: if an argument is out of range, or some features are constant.
    """
    rho, sigma2 = checks.target_correlation(correlation), checks.positive("variance", variance)
    beta, share = checks.share("bias_noise", bias_noise), checks.share("skip_share", skip_share)
    if residuals < 1:
        raise ValueError(f"residuals must be at least 1, got {residuals}")
    beta = beta if has_bias and fed else 0.0
    there = (*present, *settled)
    taken_amplitude = sum(shared_amplitude(part) for part in there)
    taken_variance = sum(unshared_variance(part) for part in there)
    shared, unshared = math.sqrt(rho * sigma2), (1.0 - rho) * sigma2
    least = 0.25 / residuals
    amplitude = shared if not there else max(shared - taken_amplitude, least * shared)
    left = unshared if not there else max(unshared - taken_variance, least * unshared)
    maps = free + len(squares)
    gamma = share * (1.0 - beta) if maps else 0.0
    free_variance = 0.0
    if not fed:  # free maps see nothing that is shared: the whole variance is theirs
        whole = sigma2 if not there else max(sigma2 - taken_variance - taken_amplitude**2, least * sigma2)
        free_variance = whole / max(maps, 1)
    if equal_sums:
        fed = [replace(term, features=replace(term.features, second=term.features.variance)) for term in fed]
    features = sum(checks.fan("fan_in", term.fan_in) for term in fed)
    parts = [1.0 if len(fed) == 1 else term.fan_in / features for term in fed]
    fractions = [_common(term.fan_in, term.features) for term in fed]
    # Amplitudes add up but for what each layer's mean of finitely many features has for itself.
    whole_part = math.sqrt(_joint(list(zip(parts, fractions, strict=True)))) if fed else 1.0
    means = [part / whole_part for part in parts]
    gain = sum(part * _gain(term, amplitude) for part, term in zip(means, fed, strict=True))
    limit = max(gain_limit - sum(part.covariance > 0.0 for part in present), least) if present else gain_limit
    if fed and not maps and not there and not is_strict:
        limit = max(limit, _least_gain(fed, sigma2))
    is_held = gain > limit
    if is_held:
        left += (amplitude**2 * (1.0 - (limit / gain) ** 2)) if not there else 0.0
        amplitude, gain = amplitude * limit / gain, limit
    weights = (1.0 - beta - gamma) * left
    if is_held:
        weights = min(weights, gain**2 * _mean_second(fed) / LEAST_PARTICIPATION)
    if fed:
        free_variance = ((1.0 - beta) * left - weights) / maps if maps else 0.0
    layers = [
        _layer(term, part * amplitude, share * weights) for term, part, share in zip(fed, means, parts, strict=True)
    ]
    inner = tuple(_inner_variance(free_variance, count) for count in squares)
    mean = sum(part.mean for part in there) + sum(count * each for count, each in zip(squares, inner, strict=True))
    for layer, term in zip(layers, fed, strict=True):
        mean += layer.fan_in * layer.weight_mean * term.features.mean * term.factor
    if (there or is_held) and fed:
        amplitudes = [(part * amplitude, r) for part, r in zip(means, fractions, strict=True)]
        shared2 = _joint(amplitudes, taken_amplitude)
        total = shared2 + weights + maps * free_variance + beta * left + taken_variance
        outgoing = pre_activation(kept if has_bias else mean, total, shared2 / total)
    else:
        outgoing = pre_activation(kept if has_bias else mean, sigma2, rho)
    shift = kept - mean if has_bias else 0.0
    return Budget(tuple(layers), free_variance, inner, shift, beta * left, outgoing)


def fixed_point_budget(fan_in: float, activation: Activation, settings: InitSettings, free: int = 0) -> Budget:
    """Return the budget of one layer whose features come from a signal at its target: the paper's, as it stands.

    It is what :func:`~convex_init_core.methods.recipes.positive_recipe` has, number by number.

    Args:
        fan_in: N.
        activation: φ, which feeds the layer.
        settings: for the whole network.
        free: number of free maps of the input that are summed with the layer.
    """
    share = settings.skip_share * (1.0 - settings.bias_noise) if free else 0.0
    layer = solve(fan_in, activation, settings.correlation, settings.variance, settings.bias_noise, share)
    outgoing = pre_activation(0.0, settings.variance, settings.correlation)
    return Budget((layer,), layer.skip_variance / max(free, 1), (), layer.bias_mean, layer.bias_variance, outgoing)


def scaled_budget(budget: Budget, factor: float) -> Budget:
    """Return the budget of a sum whose variance is multiplied by a factor, while what feeds it stays."""
    if factor == 1.0:
        return budget
    size = math.sqrt(factor)
    layers = [
        replace(
            layer,
            weight_mean=layer.weight_mean * size,
            weight_variance=layer.weight_variance * factor,
            bias_mean=layer.bias_mean * size,
            bias_variance=layer.bias_variance * factor,
            skip_variance=layer.skip_variance * factor,
        )
        for layer in budget.layers
    ]
    return Budget(
        tuple(layers),
        budget.free_variance * factor,
        tuple(inner * size for inner in budget.inner_variances),
        budget.bias_mean * size,
        budget.bias_variance * factor,
        scaled(budget.outgoing, size),
    )


def gain_limit(depth: int) -> float:
    """Return how large ``Σ N μ`` may be in a network of so many positive layers one behind the other.

    All units of a layer share the mean ``m(x)`` of a sample x, and ``m' = N μ E_k[φ(s_k)] + μ_b``: where m is large, a
    (leaky) ReLU passes it with slope 1, so that ``N μ > 1`` (1.85 at the paper's fixed point) multiplies it at every
    layer, for some inputs without bound. The limit ``max(1, 4^{1/L})`` lets it grow by 4 over L layers.

    Raises:
        ValueError: if ``depth`` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return float(4.0 ** (1.0 / depth))


def forward_sum(
    terms: Sequence[tuple[LayerStatistics, FeatureMoments]],
    present: Sequence[FeatureMoments] = (),
    bias_mean: float = 0.0,
    bias_variance: float = 0.0,
) -> FeatureMoments:
    """Return the moments of a sum of layers and other values: (5), (6), (16)–(19), with shared parts added up.

    Args:
        terms: moments of each layer's weights, and of the features that feed it.
        present: moments of the values that are added as they are.
        bias_mean: of all biases together.
        bias_variance: likewise.
    """
    mean, own, taken = bias_mean, bias_variance, 0.0
    amplitudes = []
    for layer, f in terms:
        n = layer.fan_in
        mean += n * layer.weight_mean * f.mean
        own += n * layer.weight_variance * f.second
        spread = max(f.variance + (n - 1.0) * f.covariance, 0.0)  # with what a free layer reads, Cov may be negative
        amplitudes.append((layer.weight_mean * math.sqrt(n * spread), _common(n, f)))
    for part in present:
        mean, own = mean + part.mean, own + unshared_variance(part)
        taken += shared_amplitude(part)
    covariance = _joint(amplitudes, taken)
    return FeatureMoments(mean, own + covariance + mean**2, own + covariance, covariance)


def _spread(fan_in: float, features: FeatureMoments) -> float:
    """``Var + (N − 1) Cov``: N times the variance of the mean of N features."""
    return features.variance + (fan_in - 1.0) * max(features.covariance, 0.0)


def _common(fan_in: float, features: FeatureMoments) -> float:
    """The correlation of the mean of N features with what the features of all layers share."""
    spread = _spread(fan_in, features)
    return math.sqrt(fan_in * max(features.covariance, 0.0) / spread) if spread > 0.0 else 0.0


def _joint(amplitudes: Sequence[tuple[float, float]], taken: float = 0.0) -> float:
    """The covariance of two units of a sum: amplitudes of its layers, each with its correlation to what is common."""
    own = sum(amplitude**2 * (1.0 - r**2) for amplitude, r in amplitudes)
    return own + (sum(amplitude * r for amplitude, r in amplitudes) + taken) ** 2


def _inner_variance(variance: float, squares: float) -> float:
    """The variance v of each ``a_r·x``: for Gaussian ones, ``Σ_r (a_r·x)²`` has mean R v and variance 2 R v²."""
    return math.sqrt(variance / (2.0 * checks.fan("squares", squares)))


def _mean_second(fed: Sequence[Fed]) -> float:
    return sum(term.fan_in * term.features.second for term in fed) / sum(term.fan_in for term in fed)


def _least_gain(fed: Sequence[Fed], variance: float) -> float:
    """The M for which ``M² C + M² E[f²]/P = σ²``: the whole variance, at the least participation P."""
    features = sum(term.fan_in for term in fed)
    shared = sum(_spread(term.fan_in, term.features) for term in fed) / features
    second = _mean_second(fed)
    return math.sqrt(LEAST_PARTICIPATION * variance / (second + LEAST_PARTICIPATION * shared)) if second > 0.0 else 0.0


def _gain(term: Fed, amplitude: float) -> float:
    spread, n = _spread(term.fan_in, term.features), term.fan_in
    return n * amplitude / math.sqrt(n * spread) if spread > 0.0 else 0.0


def _layer(term: Fed, amplitude: float, variance: float) -> LayerStatistics:
    n, f = term.fan_in, term.features
    factor = checks.positive("factor", term.factor)
    spread = _spread(n, f)
    if spread <= 0.0 or f.second <= 0.0:
        raise ValueError(
            "its features are constant where the signal lives: no signal passes; choose another activation"
        )
    return LayerStatistics(
        fan_in=n,
        weight_mean=amplitude / math.sqrt(n * spread) / factor,
        weight_variance=variance / (n * f.second) / factor**2,
    )
