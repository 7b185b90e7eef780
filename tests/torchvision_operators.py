"""Make timm importable beside a torch without CUDA: torchvision's wheels then miss two of their own operators."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def define_missing_operators() -> Any:
    """Declare torchvision's ``nms`` and ``qnms`` where torch has no CUDA; nothing here calls them.

    Returns the library, which must stay alive, or ``None`` where nothing is missing. Call it before timm is imported.
    """
    if find_spec("torch") is None or find_spec("torchvision") is None:
        return None
    import torch

    if torch.version.cuda is not None:
        return None
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
