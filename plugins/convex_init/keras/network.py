"""The paper's networks as Keras functional models: non-convex, ICNN, ICNN with skips, exp-ICNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count, pairwise
from math import inf
from typing import Any

import keras
from keras import layers

from convex_init.keras.constraints import Between
from convex_init.keras.draws.drawing import FREE, seed_stream
from convex_init.keras.initializers import ICNNInit
from convex_init.keras.layers import ConvexDense
from convex_init.keras.owners.own_settings import keep_settings
from convex_init.keras.serialisation import ActivationSpec, core_activation
from convex_init_core import checks
from convex_init_core.carrier.activations import beside_carrier
from convex_init_core.carrier.bound import bound, check_carried_network
from convex_init_core.methods.log_normal import solve_centred
from convex_init_core.methods.recipes import free_recipe, positive_recipe, skip_recipe
from convex_init_core.settings import InitSettings
from convex_init_core.weights.positivity import Positivity, as_positivity
from convex_init_core.weights.weight_axes import dense_geometry


def ICNN(
    in_features: int,
    hidden: Sequence[int] | int,
    out_features: int = 1,
    *,
    activation: ActivationSpec = "relu",
    skip: bool = False,
    positivity: str | Positivity | None = "projection",
    correlation: float = 0.5,
    variance: float = 1.0,
    bias_noise: float = 0.0,
    distribution: str = "log_normal",
    skip_share: float = 0.5,
    method: str | None = None,
    match_moments: bool = False,
    threshold: float = 0.0,
    carrier: bool | float = False,
    output_mean: Any = None,
    output_variance: Any = None,
    targets: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> keras.Model:
    """Return a fully connected network, initialised, each output of which is convex in the input.

    The first layer is free; the later ones are :class:`ConvexDense`. Input ``(batch, in_features)``, output
    ``(batch, out_features)``, no activation at the end.

    Args:
        in_features: length of an input vector.
        hidden: widths of the hidden layers, at least one; a number for a single layer.
        out_features: number of outputs.
        activation: after every hidden layer: a name, a function of ``keras.activations`` or an activation layer.
        skip: add a free linear map of the input before every later pre-activation, the output's included.
        positivity: ``"projection"`` (a constraint), a map such as ``"exp"`` (the paper's exp-ICNN), or ``None`` for
            the paper's *non-convex* baseline, the same network with weights of either sign and He's initialisation.
        correlation: as for :class:`ICNNInit`, and so are the following.
        variance: σ*², of what enters the activations; an output has variance 1.
        bias_noise: β.
        distribution: law of the positive weights.
        skip_share: share of what bias noise leaves that the skips carry, in (0, 1); only with ``skip``.
        method: ``"log_normal"``, the default, or ``"isometric"``, the default and the only one beside a carrier.
        match_moments: give every unit exactly the mean and variance of the law.
        threshold: τ, with ``"isometric"``: spreads the bends of the layers; see
            :class:`convex_init_core.InitSettings`. :func:`convex_init.keras.apply_` keeps all of these settings that
            are not the defaults.
        carrier: for a classifier whose outputs go to a softmax: whether the hidden weights may go down to −0.03, or how
            far (c > 0), and those of the last layer anywhere. The logits are convex up to a shift that they have in
            common then: :func:`as_convex` returns the network that is convex itself. It starts as an isometry.
        output_mean: of the outputs at the start, as for :func:`convex_init.keras.apply_`, and so are the following;
            with example inputs that function sets them by measuring.
        output_variance: likewise.
        targets: a sample that has both.
        seed: an integer fixes every layer's draw; ``None`` takes seeds from Keras' global state.
        name: of the model.

    Raises:
        ValueError: if a width is below 1, there is no hidden layer, a setting is out of range, or a start of the
            outputs is asked of the baseline.

    Example:
        >>> import keras
        >>> from convex_init.keras import ICNN
        >>> model = ICNN(2, [64, 64], activation="softplus", seed=0)
        >>> x, y = keras.random.normal((2, 100, 2), seed=0)
        >>> middle, ends = model((x + y) / 2), (model(x) + model(y)) / 2
        >>> bool(keras.ops.all(middle <= ends + 1e-5))
        True
    """
    inner = checks.widths("hidden", hidden)
    in_features, last = checks.whole("in_features", in_features), checks.whole("out_features", out_features)
    widths, skip, seed = [in_features, *inner, last], checks.truth("skip", skip), checks.seed(seed)
    phi = core_activation(activation, "activation")
    down = bound("carrier", carrier)
    if down > 0.0:
        check_carried_network(last, skip, as_positivity(positivity or "exp"), method)
        beside_carrier(phi)
    method = "isometric" if down > 0.0 else method or "log_normal"
    given = correlation, variance, bias_noise, distribution, skip_share, method, match_moments, threshold
    chosen = InitSettings(*given)
    settings = replace(chosen, threshold=0.0)  # of one layer
    share = skip_share if skip else 0.0
    kernel = ICNNInit(
        *(correlation, variance, bias_noise, phi, distribution),
        seed=seed,
        skip_share=share,
        method=method,
        match_moments=match_moments,
    )
    place = count()

    def normal(std: float) -> Any:
        # Keras' initializers repeat themselves for one seed: each gets its own.
        return keras.initializers.RandomNormal(
            0.0, std, None if seed is None else next(seed_stream(seed, FREE, next(place)))
        )

    x = keras.Input((in_features,), name="x")
    first = normal(free_recipe(in_features, settings).statistics.weight_std)
    s = layers.Dense(widths[1], kernel_initializer=first, name="free")(x)
    for k, (n, m) in enumerate(pairwise(widths[1:]), start=1):
        features = _activation(activation, f"activation_{k}")(s)
        if positivity is None:
            he = normal(solve_centred(n, phi).weight_std)
            s = layers.Dense(m, kernel_initializer=he, name=f"dense_{k}")(features)
            beside = None
        else:
            beside = positive_recipe(n, phi, settings, positivity, skip, dense_geometry(m, n))
            low = inf if down and k == len(inner) else down
            keep = {"kernel_constraint": Between(-low, inf)} if low else {}
            s = ConvexDense(m, positivity=positivity, kernel_initializer=kernel, name=f"positive_{k}", **keep)(features)
        if skip:
            recipe = free_recipe(in_features, settings) if beside is None else skip_recipe(in_features, beside)
            free = normal(recipe.statistics.weight_std)
            across = layers.Dense(m, use_bias=False, kernel_initializer=free, name=f"skip_{k}")
            s = layers.Add(name=f"sum_{k}")([s, across(x)])
    model = keras.Model(x, s, name=name)
    keep_settings(model, chosen)
    asked = {"output_mean": output_mean, "output_variance": output_variance, "targets": targets}
    start = {key: value for key, value in asked.items() if value is not None}
    if start and positivity is None:
        raise ValueError(f"{sorted(start)} are for the convex initialisation; the baseline has none")
    if positivity is not None and (threshold > 0.0 or variance != 1.0 or start):
        from convex_init.keras.api import apply_  # what concerns more than one layer waits until all are there

        apply_(model, seed=seed, method=method, **start)
    return model


def _activation(spec: ActivationSpec, name: str) -> Any:
    if isinstance(spec, layers.Layer):
        return type(spec).from_config({**spec.get_config(), "name": name})
    return layers.Activation(spec, name=name)
