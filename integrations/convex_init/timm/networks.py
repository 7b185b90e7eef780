"""Input-convex networks as timm's image models: the paper's fully connected ones, a ConvNet and a ResNet.

Train them under ``project_after_step(optimizer, model)``, which keeps weights and batch normalisation's scales
non-negative. Every logit is then a convex function of the image in evaluation mode.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.layers.config import is_scriptable
from timm.models import named_apply
from torch import Tensor, nn

from convex_init.timm import arguments
from convex_init.timm.laws import init_weights, note_layer, note_norm
from convex_init.torch import ConvexConv2d, ConvexLinear, mark_projected, read_activation
from convex_init_core import checks
from convex_init_core.methods.normalised import residual_gain
from convex_init_core.weights.positivity import Positivity, as_positivity


class _Icnn(nn.Module):
    """What timm expects of an image model, for networks of ``features`` and a non-negative ``head``."""

    def __init__(
        self,
        num_classes: int,
        in_chans: int,
        num_features: int,
        drop_rate: float,
        act_layer: str | type[nn.Module],
        positivity: str | Positivity,
    ) -> None:
        super().__init__()
        if is_scriptable() and as_positivity(positivity).reparametrises:  # type: ignore[no-untyped-call]
            raise ValueError(
                f"scriptable=True needs positivity 'projection', got {str(positivity)!r}: TorchScript does not compile "
                "the map; leave scriptable out, and use torch.export or torch.jit.trace"
            )
        self.num_classes = checks.whole("num_classes", num_classes, 0)
        self.in_chans, self.drop_rate = checks.whole("in_chans", in_chans), arguments.rate(drop_rate)
        self.num_features = self.head_hidden_size = num_features
        self.positivity, self._make_act = positivity, arguments.activation_class(act_layer)
        self.head_drop = nn.Dropout(self.drop_rate)

    def _act(self) -> nn.Module:
        act = self._make_act()
        read_activation(act)  # refuses what is not convex
        return act

    def _make_head(self, features: int) -> nn.Module:
        if self.num_classes == 0:
            return nn.Identity()
        return ConvexLinear(features, self.num_classes, positivity=self.positivity, fed_by=self._act())

    def init_weights(self, generator: torch.Generator | None = None, **settings: Any) -> None:
        """Draw all parameters anew; arguments are those of :func:`convex_init.timm.init_weights`."""
        self.init_settings = settings  # kept by convex_init.torch.apply_
        named_apply(partial(init_weights, generator=generator, **settings), self)

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        return self.get_submodule("head")

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return the patterns by which timm groups parameters for layer-wise learning rates."""
        return {"stem": r"^stem", "blocks": r"^blocks\.(\d+)"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Refuse gradient checkpointing, which these small networks do not have.

        Raises:
            ValueError: if ``enable`` is true.
        """
        if enable:
            raise ValueError(f"enable must be False: {type(self).__name__} has no gradient checkpointing")

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the features that the head reads, before pooling."""
        raise NotImplementedError

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of features, or with ``pre_logits`` what the last layer reads."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(N, num_classes)`` of images ``(N, in_chans, H, W)``."""
        return self.forward_head(self.forward_features(x))


class IcnnMlp(_Icnn):
    """The paper's fully connected input-convex network on flattened images.

    Args:
        num_classes: number of logits; 0 for none, so that the model returns features.
        in_chans: channels of the image.
        img_size: side, or height and width, of the image in pixels.
        hidden: widths of the hidden layers, at least one.
        drop_rate: dropout before the last layer.
        act_layer: class of the activation, such as ``nn.ReLU``, or timm's name of it, such as ``"leaky_relu"``.
        positivity: of the layers behind the first: ``"projection"``, or a map such as ``"exp"``.

    Raises:
        ValueError: if the activation or the positivity may not be used.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 28,
        hidden: Sequence[int] = (784,) * 5,
        drop_rate: float = 0.0,
        act_layer: str | type[nn.Module] = nn.ReLU,
        positivity: str | Positivity = "projection",
    ) -> None:
        """Make the network and initialise it; see the class."""
        hidden = checks.widths("hidden", hidden)
        super().__init__(num_classes, in_chans, hidden[-1], drop_rate, act_layer, positivity)
        self.img_size = arguments.sides(img_size)
        self.stem = nn.Linear(self.in_chans * self.img_size[0] * self.img_size[1], hidden[0])
        self.stem_act = self._act()
        blocks = []
        for n, m in itertools.pairwise(hidden):
            layer = ConvexLinear(n, m, positivity=positivity, fed_by=self._act())
            blocks.append(nn.Sequential(OrderedDict(layer=layer, act=self._act())))
        self.blocks = nn.Sequential(*blocks)
        self.head = self._make_head(hidden[-1])
        self.init_weights()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the last layer by a newly initialised one with ``num_classes`` outputs (0 for none).

        Raises:
            ValueError: if ``global_pool`` is given: there are no positions to pool.
        """
        if global_pool:
            raise ValueError(f"global_pool must be None or '' for a fully connected network, got {global_pool!r}")
        self.num_classes = checks.whole("num_classes", num_classes, 0)
        self.head = self._make_head(self.num_features).to(self.stem.weight.device, self.stem.weight.dtype)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last hidden features, ``(N, hidden[-1])``."""
        features: Tensor = self.blocks(self.stem_act(self.stem(x.flatten(1))))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of features, or with ``pre_logits`` what the last layer reads."""
        x = self.head_drop(x)
        logits: Tensor = x if pre_logits else self.head(x)
        return logits


class _Convolutional(_Icnn):
    """What the two convolutional networks share: a free stem, and pooling in front of the head."""

    def __init__(
        self,
        num_classes: int,
        in_chans: int,
        widths: tuple[int, int],
        global_pool: str,
        drop_rate: float,
        act_layer: str | type[nn.Module],
        positivity: str | Positivity,
    ) -> None:
        first, last = widths
        super().__init__(num_classes, in_chans, last, drop_rate, act_layer, positivity)
        self.stem = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(self.in_chans, first, 3, padding=1, bias=False), norm=nn.BatchNorm2d(first))
        )
        self._make_pool(global_pool)

    def _make_pool(self, global_pool: str) -> None:
        if not arguments.pooling(global_pool) and self.num_classes > 0:
            raise ValueError("global_pool '' leaves positions, which the head cannot read: pass num_classes=0 with it")
        self.global_pool = SelectAdaptivePool2d(pool_type=global_pool, flatten=bool(global_pool))
        copies = 2 if global_pool.startswith("cat") else 1
        self.head = self._make_head(self.num_features * copies)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace pooling (if given) and the last layer by a newly initialised one (0 classes for none).

        Raises:
            ValueError: if ``global_pool`` is unknown, or ``''`` although there are classes.
        """
        self.num_classes = checks.whole("num_classes", num_classes, 0)
        weight = self.stem.conv.weight  # type: ignore[union-attr]
        self._make_pool(str(self.global_pool.pool_type) if global_pool is None else global_pool)
        self.head.to(weight.device, weight.dtype)  # type: ignore[arg-type]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of features, or with ``pre_logits`` what the last layer reads."""
        x = self.head_drop(self.global_pool(x))
        logits: Tensor = x if pre_logits else self.head(x)
        return logits

    def _conv(self, n: int, m: int, stride: int = 1) -> ConvexConv2d:
        options: dict[str, Any] = {"padding": 1, "bias": False, "positivity": self.positivity}
        conv = ConvexConv2d(n, m, 3, stride, **options, fed_by=self._act())
        note_layer(conv, self._act(), normalised=True)
        return conv

    def _norm(self, channels: int, layer: nn.Module | None = None, gain: float = 1.0) -> nn.BatchNorm2d:
        norm = nn.BatchNorm2d(channels)
        mark_projected(norm)
        note_norm(norm, gain, layer)
        return norm


class IcnnConvNet(_Convolutional):
    """Input-convex plain ConvNet: 3×3 convolutions, each with a batch normalisation and an activation.

    Args:
        num_classes: number of logits; 0 for none.
        in_chans: channels of the image.
        widths: channels of each convolution; where they rise, the convolution has stride 2.
        global_pool: ``"avg"``, ``"max"``, ``"avgmax"``, ``"catavgmax"``, or ``""`` without classes.
        drop_rate: dropout before the last layer.
        act_layer: class of the activation.
        positivity: of the convolutions behind the first and of the head. The scales of the batch normalisations are
            projected in any case.

    Raises:
        ValueError: if the activation, the positivity or the pooling may not be used.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        widths: Sequence[int] = (32, 32, 64, 64, 128),
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        act_layer: str | type[nn.Module] = nn.ReLU,
        positivity: str | Positivity = "projection",
    ) -> None:
        """Make the network and initialise it; see the class."""
        widths = checks.widths("widths", widths)
        ends = widths[0], widths[-1]
        super().__init__(num_classes, in_chans, ends, global_pool, drop_rate, act_layer, positivity)
        self.stem.append(self._act())
        blocks = []
        for n, m in itertools.pairwise(widths):
            conv = self._conv(n, m, 2 if m > n else 1)
            blocks.append(nn.Sequential(OrderedDict(conv=conv, norm=self._norm(m, conv), act=self._act())))
        self.blocks = nn.Sequential(*blocks)
        self.init_weights()

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last features, ``(N, C, H', W')``."""
        features: Tensor = self.blocks(self.stem(x))
        return features


class IcnnBlock(nn.Module):
    """Residual block ``s ↦ shortcut(s) + norm(W₂ φ(norm(W₁ φ(norm(s)))))`` with non-negative weights and scales.

    The shortcut has no weights: the identity, or average pooling with the channels laid twice side by side.
    """

    def __init__(
        self, norm1: nn.Module, conv1: nn.Module, norm2: nn.Module, conv2: nn.Module, norm3: nn.Module, act: nn.Module
    ) -> None:
        """Take the parts; channels double and sides halve if ``conv1`` has stride 2."""
        super().__init__()
        self.norm1, self.conv1, self.norm2, self.conv2, self.norm3 = norm1, conv1, norm2, conv2, norm3
        self.act = act
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if conv1.stride == (2, 2) else None

    def forward(self, s: Tensor) -> Tensor:
        """Return the block's pre-activations."""
        branch = self.norm2(self.conv1(self.act(self.norm1(s))))
        branch = self.norm3(self.conv2(self.act(branch)))
        shortcut = s if self.pool is None else self.pool(s).repeat(1, 2, 1, 1)
        total: Tensor = shortcut + branch
        return total


class IcnnResNet(_Convolutional):
    """Input-convex ResNet with pre-activation blocks: three stages whose channels double.

    A sum of convex functions is convex, and the identity is a non-negative weight. The variances of shortcut and branch
    add (with a covariance, since both rise with the same inputs); the last normalisation of each branch has the scale
    1/√(number of blocks), see :func:`convex_init_core.methods.normalised.forward_residual`.

    Args:
        num_classes: number of logits; 0 for none.
        in_chans: channels of the image.
        layers: number of blocks in each stage.
        width: channels of the first stage.
        global_pool: as for :class:`IcnnConvNet`, as are the other arguments.
        drop_rate: dropout before the last layer.
        act_layer: class of the activation.
        positivity: of the convolutions behind the first and of the head.

    Raises:
        ValueError: if the activation, the positivity or the pooling may not be used.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 3,
        layers: Sequence[int] = (1, 1, 1),
        width: int = 32,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        act_layer: str | type[nn.Module] = nn.ReLU,
        positivity: str | Positivity = "projection",
    ) -> None:
        """Make the network and initialise it; see the class."""
        layers, width = checks.widths("layers", layers), checks.whole("width", width)
        last = width * 2 ** (len(layers) - 1)
        super().__init__(num_classes, in_chans, (width, last), global_pool, drop_rate, act_layer, positivity)
        gain = residual_gain(sum(layers))
        blocks, n = [], width
        for stage, count in enumerate(layers):
            for k in range(count):
                doubles = stage > 0 and k == 0
                blocks.append(self._block(n, 2 * n if doubles else n, gain))
                n *= 2 if doubles else 1
        self.blocks = nn.Sequential(*blocks)
        self.norm = self._norm(n)
        self.act = self._act()
        self.init_weights()

    def _block(self, n: int, m: int, gain: float) -> IcnnBlock:
        conv1, conv2 = self._conv(n, m, m // n), self._conv(m, m)
        norms = self._norm(n), self._norm(m, conv1), self._norm(m, conv2, gain)
        return IcnnBlock(norms[0], conv1, norms[1], conv2, norms[2], self._act())

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last features, ``(N, C, H', W')``."""
        features: Tensor = self.act(self.norm(self.blocks(self.stem(x))))
        return features
