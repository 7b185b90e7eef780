"""Time to plan and certify an input-convex network as large as ResNet-50: ``python -m benchmarks.certificate_speed``.

The network has ResNet-50's 53 convolutions, in bottleneck blocks with residual connections, and its classifier. Only
the first convolution is free; all later weights are non-negative, and batch normalisation is left out.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor, nn

import convex_init.torch as ci
from benchmarks import measure


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 1)
        self.conv = nn.Conv2d(width, width, 3, stride, 1)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.shortcut = nn.Conv2d(channels, 4 * width, 1, stride) if channels != 4 * width else None

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.conv(torch.relu(self.reduce(x))))
        return torch.relu(self.expand(z) + (x if self.shortcut is None else self.shortcut(x)))


class ConvexResNet(nn.Module):
    """ResNet-50 without normalisation, each output convex in the image."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3)
        blocks, channels = [], 64
        for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for i in range(count):
                blocks.append(Bottleneck(channels, width, stride if i == 0 else 1))
                channels = 4 * width
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(channels, classes)
        with torch.no_grad():
            for layer in [m for m in self.blocks.modules() if isinstance(m, nn.Conv2d)] + [self.head]:
                layer.weight.abs_().mul_(0.1)

    def forward(self, image: Tensor) -> Tensor:
        z = nn.functional.max_pool2d(torch.relu(self.stem(image)), 3, 2, 1)
        return self.head(self.blocks(z).mean((2, 3)))


def timed(action: Any) -> tuple[float, float, Any]:
    """Seconds by the clock and of all cores, and what the action returned or the error it raised."""
    start, worked = time.perf_counter(), time.process_time()
    try:
        result = action()
    except ValueError as error:
        result = str(error)
    return time.perf_counter() - start, time.process_time() - worked, result


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model, image = ConvexResNet().eval(), torch.randn(1, 3, 224, 224)
    parameters = sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        model(image)
        forward = [timed(lambda: model(image)) for _ in range(options.rounds)]
    # The first call counts too: it loads the modules.
    certifying = [timed(lambda: ci.certify(model, image)) for _ in range(options.rounds)]
    planning = [timed(lambda: ci.plan(model, image)) for _ in range(options.rounds)]
    plan = planning[0][2]
    actions = {"forward": forward, "certify": certifying, "plan": planning}
    measure.write(
        "certificate_speed",
        {
            "environment": measure.environment("torch"),
            "settings": {"input": [1, 3, 224, 224], "threads": options.threads, "rounds": options.rounds},
            "parameters": parameters,
            "convolutions": sum(isinstance(m, nn.Conv2d) for m in model.modules()),
            "verdict": certifying[0][2].verdict,
            "plan": plan if isinstance(plan, str) else f"{len(plan.layers)} layers",
            "seconds": {name: [round(clock, 3) for clock, _, _ in found] for name, found in actions.items()},
            "core_seconds": {name: [round(worked, 3) for _, worked, _ in found] for name, found in actions.items()},
            "plan_and_certify_first_call": certifying[0][0] + planning[0][0],
        },
    )


if __name__ == "__main__":
    main()
