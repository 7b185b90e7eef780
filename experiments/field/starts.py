"""Every start in the comparison: those in use, each written from its description, and ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch import apply_
from experiments.field.forms import FORMS, Network
from experiments.field.networks import Shape
from experiments.field.partial_net import OF_CONTEXT

Start = Callable[[Network, Tensor, Tensor, torch.Generator], None]


@dataclass(frozen=True)
class Method:
    """One row: how weights are kept non-negative, and how they start.

    Attributes:
        positivity: a name of :data:`experiments.field.networks.MAPS`.
        start: a name of :data:`STARTS`; ``"ours"`` is ``apply_`` with ``options``.
        kind: ``"rival"``, ``"ours"`` or ``"mark"``, which only shows where one stands: no input-convex network, or a
            rival's start with a remedy of ours.
        options: of ``apply_``.
        targets: whether ``apply_`` is given the training targets.
        positive_share: of the learning rate that the positive weights have.
        where: what a cell must have for the row to exist: fields of its shape, and ``has_values`` (the output itself is
            what is learnt, and not its gradient).
    """

    positivity: str
    start: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    targets: bool = False
    positive_share: float = 1.0
    where: Mapping[str, Any] = field(default_factory=dict)


def built(shape: Shape, method: Method, inputs: Tensor, targets: Tensor, seed: int) -> Network:
    """Return a network as a method starts it, the same for the same seed.

    Args:
        shape: of the network; its map is the method's.
        method: the row.
        inputs: training inputs, ``[samples, inputs]``, some of which are the example inputs.
        targets: what the training knows of them: values of the output, or of its gradient.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2000 + seed)
        network = FORMS[shape.form](shape).to(inputs.dtype)
    if method.start == "ours":
        options = dict(method.options)
        if method.targets:
            options["targets"] = targets
        if shape.form == "partial":
            options["convex_inputs"] = {"x": slice(0, shape.decisions)}
        with warnings.catch_warnings():  # that a method is not known to carry this depth: here it is what is measured
            warnings.simplefilter("ignore", UserWarning)
            apply_(network, inputs[:256], generator=generator, **options)
    else:
        with torch.no_grad():
            STARTS[method.start](network, inputs, targets, generator)
    if method.positivity == "clamp":
        with torch.no_grad():
            for layer in network.linears(free=False):
                layer.weight.clamp_(min=0.0)
    return network


def _default(*_: object) -> None:
    """What torch gives ``nn.Linear``: everything uniform in ±1/√fan_in."""


def _he(network: Network, _: Tensor, __: Tensor, generator: torch.Generator) -> None:
    """He's normal law behind the activations, LeCun's behind the input, biases 0."""
    for layer in network.linears(free=False):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    for layer in network.linears(free=True):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=generator)
    _no_biases(network)


def _small_normal(network: Network, _: Tensor, __: Tensor, generator: torch.Generator) -> None:
    """N(0, 0.1²) for every parameter, as in Wasserstein-2 generative networks (Korotin et al. 2021).

    But for what sees the context of a partially convex network alone, which no start here touches.
    """
    for parameter in _of_convex_inputs(network):
        nn.init.normal_(parameter, std=0.1, generator=generator)


def _small_uniform(network: Network, _: Tensor, __: Tensor, generator: torch.Generator) -> None:
    """Convex weights uniform in [0, 0.001], the rest torch's, as in convex regularisers (Mukherjee et al. 2020)."""
    for layer in network.linears(free=False):
        nn.init.uniform_(layer.weight, 0.0, 0.001, generator=generator)


def _lecun(network: Network, _: Tensor, __: Tensor, generator: torch.Generator) -> None:
    """LeCun's normal law for what stands behind the map and for the free weights, biases 0, as flax and OTT do."""
    for layer in (*network.linears(free=True), *network.linears(free=False)):
        nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5, generator=generator)
    _no_biases(network)


def _identity(network: Network, _: Tensor, __: Tensor, generator: torch.Generator) -> None:
    """A potential whose gradient is nearly the identity (Bunne et al. 2022): A = I, the rest all but nothing."""
    _faint(network, generator)
    assert network.quadratic is not None
    nn.init.eye_(network.quadratic.weight)


def _gaussian(network: Network, source: Tensor, image: Tensor, generator: torch.Generator) -> None:
    """A potential whose gradient maps the source's mean and covariance to the image's (Bunne et al. 2022)."""
    _faint(network, generator)
    assert network.quadratic is not None
    root = _root(torch.cov(source.T))
    inverse = torch.linalg.inv(root)
    matrix = inverse @ _root(root @ torch.cov(image.T) @ root) @ inverse
    network.quadratic.weight.copy_(_root(matrix))
    if network.shape.skip:
        network.linears(free=True)[-1].weight.copy_((image.mean(0) - matrix @ source.mean(0))[None])


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * values.clamp(min=1e-6).sqrt()) @ vectors.T
    return found


def _no_biases(network: Network) -> None:
    for layer in (network.first, *network.linears(free=False)):
        nn.init.zeros_(layer.bias)


def _of_convex_inputs(network: Network) -> list[Tensor]:
    return [each for name, each in network.named_parameters() if name.split(".")[0] not in OF_CONTEXT]


def _faint(network: Network, generator: torch.Generator) -> None:
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.01, generator=generator)


STARTS: dict[str, Start] = {
    "default": _default,
    "he": _he,
    "small_normal": _small_normal,
    "small_uniform": _small_uniform,
    "lecun": _lecun,
    "identity": _identity,
    "gaussian": _gaussian,
}


def _ours(positivity: str = "clamp", **options: Any) -> Method:
    return Method(positivity, "ours", "ours", options)


_POTENTIAL = {"quadratic": True}
_COMPOSED = {"composed": True}  # of the rows of two others, by the rule of the core: see ratios.py
_VALUES = {"quadratic": False, "has_values": True, "form": "dense"}
_RELU_CHAIN = {"activation": "relu", "skip": False, "quadratic": False, "form": "dense"}
METHODS: dict[str, Method] = {
    "default": Method("clamp", "default", "rival"),
    "He, clipped": Method("clamp", "he", "rival"),
    "N(0, 0.1²)": Method("clamp", "small_normal", "rival"),
    "U(0, 0.001)": Method("clamp", "small_uniform", "rival"),
    "default behind softplus/fan_in": Method("softplus/fan_in", "default", "rival"),
    "LeCun behind softplus": Method("softplus", "lecun", "rival"),
    "identity": Method("clamp", "identity", "rival", where=_POTENTIAL),
    "Gaussian map": Method("clamp", "gaussian", "rival", where=_POTENTIAL),
    "auto": _ours(method="auto"),
    "auto, targets": Method("clamp", "ours", "ours", {"method": "auto"}, targets=True, where={"has_values": True}),
    "auto, output_variance 0.01": Method(
        "clamp", "ours", "ours", {"method": "auto", "output_variance": 0.01}, where={"has_values": True}
    ),
    "auto, its rates": Method("clamp", "ours", "ours", {"method": "auto"}, where=_COMPOSED),
    "auto, targets, its rates": Method("clamp", "ours", "ours", {"method": "auto"}, targets=True, where=_COMPOSED),
    "auto, positive rate 0.3": Method("clamp", "ours", "ours", {"method": "auto"}, positive_share=0.3),
    "auto, positive rate 0.1": Method("clamp", "ours", "ours", {"method": "auto"}, positive_share=0.1),
    "auto, targets, positive rate 0.3": Method(
        "clamp", "ours", "ours", {"method": "auto"}, targets=True, positive_share=0.3, where={"has_values": True}
    ),
    "default, positive rate 0.3": Method("clamp", "default", "mark", positive_share=0.3),
    "U(0, 0.001), positive rate 0.3": Method("clamp", "small_uniform", "mark", positive_share=0.3),
    "auto behind relu": _ours("relu", method="auto"),
    "auto behind softplus/fan_in": _ours("softplus/fan_in", method="auto"),
    "auto behind exp": _ours("exp", method="auto"),
    "bounded_gain": _ours(method="bounded_gain"),
    "log_normal": _ours(method="log_normal"),
    "isometric": _ours(method="isometric"),
    "bounded_gain, match_moments": _ours(method="bounded_gain", match_moments=True),
    "bounded_gain, spike_and_slab": _ours(method="bounded_gain", distribution="spike_and_slab"),
    "bounded_gain, calibrated": _ours(method="bounded_gain", calibrate=True),
    "bounded_gain, targets": Method(
        "clamp", "ours", "ours", {"method": "bounded_gain"}, targets=True, where={"has_values": True}
    ),
    "bounded_gain behind relu": _ours("relu", method="bounded_gain"),
    "bounded_gain behind softplus/fan_in": _ours("softplus/fan_in", method="bounded_gain"),
    "bounded_gain behind exp": _ours("exp", method="bounded_gain"),
    "isometric behind relu": _ours("relu", method="isometric"),
    "isometric, threshold 1, behind relu": Method(
        "relu", "ours", "ours", {"method": "isometric", "threshold": 1.0}, where=_RELU_CHAIN
    ),
    "bounded_gain, spread": _ours(method="bounded_gain", kinks="spread"),
    "spike_and_slab, spread": _ours(method="bounded_gain", distribution="spike_and_slab", kinks="spread"),
    "gamma, spread": _ours(method="bounded_gain", distribution="gamma", kinks="spread"),
    "isometric, spread": _ours(method="isometric", kinks="spread"),
    "bounded_gain, spread behind softplus/fan_in": _ours("softplus/fan_in", method="bounded_gain", kinks="spread"),
    "isometric, threshold 1, spread behind relu": Method(
        "relu", "ours", "ours", {"method": "isometric", "threshold": 1.0, "kinks": "spread"}, where=_RELU_CHAIN
    ),
    "isometric, threshold 1, spread": Method(
        "clamp", "ours", "ours", {"method": "isometric", "threshold": 1.0, "kinks": "spread"}, where=_RELU_CHAIN
    ),
    "isometric, threshold 0.5, spread": Method(
        "clamp", "ours", "ours", {"method": "isometric", "threshold": 0.5, "kinks": "spread"}, where=_RELU_CHAIN
    ),
    "isometric, threshold 2, spread": Method(
        "clamp", "ours", "ours", {"method": "isometric", "threshold": 2.0, "kinks": "spread"}, where=_RELU_CHAIN
    ),
    "bounded_gain, spread, targets": Method(
        "clamp", "ours", "ours", {"method": "bounded_gain", "kinks": "spread"}, targets=True, where={"has_values": True}
    ),
    "bounded_gain, spread, skip_share 0.9": Method(
        "clamp", "ours", "ours", {"method": "bounded_gain", "kinks": "spread", "skip_share": 0.9}, where={"skip": True}
    ),
    "spike_and_slab, spread, skip_share 0.9": Method(
        "clamp",
        "ours",
        "ours",
        {"method": "bounded_gain", "distribution": "spike_and_slab", "kinks": "spread", "skip_share": 0.9},
        where={"skip": True},
    ),
    "isometric, spread, skip_share 0.9": Method(
        "clamp", "ours", "ours", {"method": "isometric", "kinks": "spread", "skip_share": 0.9}, where={"skip": True}
    ),
    "bounded_gain, spread, skip_share 0.98": Method(
        "clamp", "ours", "ours", {"method": "bounded_gain", "kinks": "spread", "skip_share": 0.98}, where={"skip": True}
    ),
    "isometric, spread, skip_share 0.98": Method(
        "clamp", "ours", "ours", {"method": "isometric", "kinks": "spread", "skip_share": 0.98}, where={"skip": True}
    ),
    "spike_and_slab, spread, bias_noise 0.5": _ours(
        method="bounded_gain", distribution="spike_and_slab", kinks="spread", bias_noise=0.5
    ),
    "non-convex, He": Method("free", "he", "mark"),
    "max-affine": Method("max-affine", "lecun", "mark", where=_VALUES),
}
