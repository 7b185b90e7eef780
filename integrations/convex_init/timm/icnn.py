"""The entry points ``icnn_*`` of ``timm.create_model``."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from convex_init.timm.networks import IcnnConvNet, IcnnMlp, IcnnResNet


def _cfg(side: int, channels: int, pool: bool) -> dict[str, Any]:
    mean, std = ((0.1307,), (0.3081,)) if channels == 1 else ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    return {
        "num_classes": 10,
        "input_size": (channels, side, side),
        "fixed_input_size": not pool,
        "pool_size": (side // 4, side // 4) if pool else None,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": mean,
        "std": std,
        "first_conv": "stem.conv" if pool else "stem",
        "classifier": "head",
        "license": "mit",
    }


default_cfgs = generate_default_cfgs(
    {
        **{f"icnn_mlp_{depth}x784.untrained": _cfg(28, 1, pool=False) for depth in (3, 5, 7)},
        **{f"icnn_convnet{depth}.untrained": _cfg(32, 3, pool=True) for depth in (5, 9)},
        **{f"icnn_resnet{depth}.untrained": _cfg(32, 3, pool=True) for depth in (8, 14, 20)},
    }
)


def _create(cls: type[nn.Module], variant: str, pretrained: bool, **kwargs: Any) -> nn.Module:
    if kwargs.get("features_only"):
        raise ValueError(f"features_only is not available for {variant}: use forward_features")
    model: nn.Module = build_model_with_cfg(cls, variant, pretrained, **kwargs)
    return model


@register_model
def icnn_mlp_3x784(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Three hidden layers of 784, the paper's smallest for MNIST; arguments of :class:`IcnnMlp`."""
    return _create(IcnnMlp, "icnn_mlp_3x784", pretrained, **{"hidden": (784,) * 3, **kwargs})


@register_model
def icnn_mlp_5x784(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Five hidden layers of 784, the paper's network for MNIST; arguments of :class:`IcnnMlp`.

    Example:
        >>> import timm
        >>> import torch
        >>> import convex_init.timm
        >>> model = timm.create_model("icnn_mlp_5x784", num_classes=10, in_chans=1, img_size=28)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    return _create(IcnnMlp, "icnn_mlp_5x784", pretrained, **{"hidden": (784,) * 5, **kwargs})


@register_model
def icnn_mlp_7x784(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Seven hidden layers of 784, the paper's largest for MNIST; arguments of :class:`IcnnMlp`."""
    return _create(IcnnMlp, "icnn_mlp_7x784", pretrained, **{"hidden": (784,) * 7, **kwargs})


@register_model
def icnn_convnet5(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Five convolutions, 32 to 128 channels; arguments of :class:`IcnnConvNet`."""
    return _create(IcnnConvNet, "icnn_convnet5", pretrained, **{"widths": (32, 32, 64, 64, 128), **kwargs})


@register_model
def icnn_convnet9(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Nine convolutions, 32 to 128 channels; arguments of :class:`IcnnConvNet`."""
    return _create(IcnnConvNet, "icnn_convnet9", pretrained, **{"widths": (*[32] * 3, *[64] * 3, *[128] * 3), **kwargs})


@register_model
def icnn_resnet8(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """One block in each of three stages, 32 to 128 channels; arguments of :class:`IcnnResNet`."""
    return _create(IcnnResNet, "icnn_resnet8", pretrained, **{"layers": (1, 1, 1), **kwargs})


@register_model
def icnn_resnet14(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Two blocks in each of three stages, 32 to 128 channels; arguments of :class:`IcnnResNet`."""
    return _create(IcnnResNet, "icnn_resnet14", pretrained, **{"layers": (2, 2, 2), **kwargs})


@register_model
def icnn_resnet20(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Three blocks in each of three stages, 32 to 128 channels; arguments of :class:`IcnnResNet`."""
    return _create(IcnnResNet, "icnn_resnet20", pretrained, **{"layers": (3, 3, 3), **kwargs})
