"""``apply_`` against torch's own init over the same tensors: ``python -m benchmarks.torch_init [--device cuda]``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import convex_init.torch as ci
from benchmarks.measure import environment, ratio, side_by_side, write


def networks() -> dict[str, nn.Module]:
    """Networks of a few sizes, from the paper's to one large layer."""

    def mlp(*widths: int) -> nn.Module:
        pairs = list(itertools.pairwise(widths))
        layers = [layer for n, m in pairs for layer in (nn.Linear(n, m), nn.ReLU())]
        return nn.Sequential(*layers[:-1])

    return {
        "mlp 5x784": mlp(784, 784, 784, 784, 784, 784, 10),
        "mlp 2x4096": mlp(4096, 4096, 4096, 1),
        "mlp 20x128": mlp(128, *[128] * 20, 1),
    }


def main() -> None:
    """Measure, print ratios, write results/torch_init_<device>.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    rows: list[dict[str, Any]] = []
    for name, model in networks().items():
        model.to(device)
        weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

        def kaiming(weights: list[nn.Parameter] = weights) -> None:
            for weight in weights:
                nn.init.kaiming_normal_(weight)

        @torch.no_grad()
        def normal_exp(weights: list[nn.Parameter] = weights) -> None:
            for weight in weights:
                weight.normal_().exp_()

        @torch.no_grad()
        def log_normal(weights: list[nn.Parameter] = weights) -> None:
            for weight in weights:
                weight.log_normal_()

        @torch.no_grad()
        def floor(weights: list[nn.Parameter] = weights) -> None:
            for weight in weights:
                weight.fill_(1.0)

        actions: dict[str, Callable[[], Any]] = {
            "kaiming_normal_": kaiming,
            "normal_().exp_()": normal_exp,
            "fill_ (bandwidth floor)": floor,
            "apply_": lambda model=model: ci.apply_(model, method="log_normal"),
            "apply_, isometric": lambda model=model: ci.apply_(model, method="isometric"),
            "apply_, matched moments": lambda model=model: ci.apply_(model, match_moments=True),
        }
        if device.type == "cuda" or name == "mlp 20x128":
            actions["log_normal_"] = log_normal
        seconds = side_by_side(actions, rounds=arguments.rounds, synchronise=synchronise)
        count = sum(weight.numel() for weight in weights)
        ratios = {action: ratio(seconds, action, "kaiming_normal_") for action in actions}
        rows.append({"network": name, "weights": count, "ratio_to_kaiming_normal_": ratios, "seconds": seconds})
        print(f"{name} ({count:,} weights), time / kaiming_normal_:")
        for action, found in ratios.items():
            print(
                f"  {action:24} {found['median']:6.2f}  [{found['lower_quartile']:.2f}, {found['upper_quartile']:.2f}]"
            )
    shown = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    settings = {"device": shown, "threads": torch.get_num_threads(), "rounds": arguments.rounds}
    write(f"torch_init_{device.type}", {"settings": settings, **environment("torch"), "rows": rows})


if __name__ == "__main__":
    main()
