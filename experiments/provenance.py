"""With what a run was made."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

_PACKAGES = ("convex-init", "numpy", "pytorch-ignite", "rdkit", "scikit-learn", "selfies", "torch")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that experiments use, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def device_name(device: str) -> str:
    """Return what the device is, in words."""
    import torch

    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, threads: {torch.get_num_threads()}" if device == "cpu" else device
