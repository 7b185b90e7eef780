"""All cases of timm: families that are quick to read, as they are and with replacements."""

from __future__ import annotations

from functools import cache
from typing import Any

import timm

from tests.timm.golden.recording import Case, recorded
from tests.timm.models import CONVEX, NOT_CONVEX, Wrapped, modules, resnet


def _of_timm(name: str, replace: dict[str, str] | None = None, size: int = 64, **options: Any) -> Case:
    return Case(lambda: timm.create_model(name, num_classes=5), (3, size, size), {"replace": replace, **options})


SILU, HARDSWISH = {"silu": "softplus"}, {"hardswish": "softplus"}
NO_GATE = {"squeeze_excite": "identity"}

MODELS = {
    "resnet10t": _of_timm("resnet10t"),
    "resnet18": _of_timm("resnet18"),
    "resnetv2_18": _of_timm("resnetv2_18"),
    "seresnet18": _of_timm("seresnet18"),
    "convmixer_768_32": _of_timm("convmixer_768_32"),
    "mobilenetv2_050": _of_timm("mobilenetv2_050", {"relu6": "relu"}),
    "mobilenetv3_small_050": _of_timm("mobilenetv3_small_050"),
    "mobilenetv3_small_050, replaced": _of_timm("mobilenetv3_small_050", {**HARDSWISH, **NO_GATE}, 32),
    "regnety_002, no gate": _of_timm("regnety_002", NO_GATE),
    "lcnet_050": _of_timm("lcnet_050", {**HARDSWISH, **NO_GATE}),
    "fasternet_t0": _of_timm("fasternet_t0", {"gelu": "softplus"}, register_missing_bias=True),
    "convnext_atto": _of_timm("convnext_atto"),
    "test_vit": _of_timm("test_vit", size=160),
    "test_resnet": _of_timm("test_resnet"),
    "test_efficientnet": _of_timm("test_efficientnet"),
    "test_efficientnet, replaced": _of_timm("test_efficientnet", {**SILU, **NO_GATE}),
    "icnn_mlp_5x784": Case(
        lambda: timm.create_model("icnn_mlp_5x784", hidden=(32,) * 5, img_size=8, in_chans=3), (3, 8, 8)
    ),
    "icnn_convnet5": Case(lambda: timm.create_model("icnn_convnet5", widths=(12,) * 9), (3, 12, 12)),
    "small resnet": Case(resnet, (3, 32, 32)),
    "small resnet, more settings": Case(resnet, (3, 32, 32), {"correlation": 0.2, "variance": 2.0}),
    "small resnet, gamma": Case(resnet, (3, 32, 32), {"distribution": "gamma", "bias_noise": 0.3}),
}


def _wrapped() -> dict[str, Case]:
    middles = {**CONVEX, **{name: middle for name, (middle, _) in NOT_CONVEX.items()}}
    return {
        f"operation, {name}": Case(lambda middle=middle: Wrapped(middle, *modules()), (3, 8, 8))
        for name, middle in middles.items()
    }


FILES = {"timm": {**MODELS, **_wrapped()}}


@cache
def found(file: str, name: str) -> dict[str, Any]:
    """What the case comes to now."""
    return recorded(FILES[file][name])
