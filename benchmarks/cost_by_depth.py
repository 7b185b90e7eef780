"""What reading a network costs as it gets deeper: ``python -m benchmarks.cost_by_depth [--layers 10 40 160 1000]``.

Times ``plan``, ``apply_``, ``certify`` without its search and ``signal_report`` on an input-convex network with free
skips, once written by hand and once as our ``ICNN``; ``apply_`` beside ``kaiming_normal_`` on the same weights; and
``plan`` and ``certify`` on a network as large as ResNet-50. A cost per layer that grows with the depth is one that does
not scale. All seconds are those of the processor, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convex_init.torch as ci
from benchmarks.certificate_speed import ConvexResNet
from benchmarks.measure import environment, ratio, side_by_side, write

INPUTS, WIDTH, SAMPLES = 20, 64, 64
DEEP = 100  # layers from which one round has to do
TOGETHER = ("plan", "apply_", "certify")  # at most 5 s for 1,000 layers


class ByHand(nn.Module):
    """An input-convex network with free skips, as people write it."""

    def __init__(self, layers: int):
        super().__init__()
        self.direct = nn.ModuleList([nn.Linear(INPUTS, WIDTH) for _ in range(layers)])
        self.onward = nn.ModuleList([nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers - 1)])
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.direct[0](x))
        for direct, onward in zip(self.direct[1:], self.onward, strict=True):
            z = F.relu(onward(z) + direct(x))
        return self.last(z)


def ours(layers: int) -> nn.Module:
    """The same as one of our networks, which describes itself."""
    return ci.ICNN(INPUTS, [WIDTH] * layers, 1, skip=True)


NETWORKS: dict[str, Callable[[int], nn.Module]] = {"by hand": ByHand, "ICNN": ours}


def by_depth(name: str, layers: int, rounds: int) -> dict[str, Any]:
    """Median seconds of each call on one network; one that describes itself is planned without example inputs."""
    torch.manual_seed(0)
    model, batch = NETWORKS[name](layers), torch.randn(SAMPLES, INPUTS)
    shown = () if name == "ICNN" else (batch,)
    ci.apply_(model, *shown)
    actions = {
        "forward": lambda: model(batch),
        "plan": lambda: ci.plan(model, *shown),
        "apply_": lambda: ci.apply_(model, *shown),
        "certify": lambda: ci.certify(model, batch, search=False),
        "signal_report": lambda: ci.signal_report(model, batch),
    }
    assert actions["certify"]()
    seconds = side_by_side(actions, rounds=rounds, warm_up=int(rounds > 1), clock=time.process_time)
    median = {action: statistics.median(found) for action, found in seconds.items()}
    return {
        "network": name,
        "layers": layers,
        "rounds": rounds,
        "seconds": {action: round(value, 5) for action, value in median.items()},
        "milliseconds_per_layer": {action: round(1e3 * value / layers, 3) for action, value in median.items()},
        "seconds_together": round(sum(median[action] for action in TOGETHER), 3),
    }


def beside_kaiming(rounds: int) -> dict[str, Any]:
    """``apply_`` on twenty layers of 128, in units of ``kaiming_normal_`` on the same weights."""
    widths = [128] * 21
    layers = [part for n in widths for part in (nn.Linear(n, n), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]

    def kaiming() -> None:
        for weight in weights:
            nn.init.kaiming_normal_(weight)

    actions = {"kaiming_normal_": kaiming, "plan": lambda: ci.plan(model), "apply_": lambda: ci.apply_(model)}
    seconds = side_by_side(actions, rounds=rounds, clock=time.process_time)
    return {action: ratio(seconds, action, "kaiming_normal_") for action in actions}


def as_large_as_resnet_50(rounds: int) -> dict[str, list[float]]:
    """Seconds to plan and to certify, as in ``benchmarks/certificate_speed.py``; the first round loads the modules."""
    torch.manual_seed(0)
    model, image = ConvexResNet().eval(), torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        actions = {
            "forward": lambda: model(image),
            "plan": lambda: ci.plan(model, image),
            "certify": lambda: ci.certify(model, image, search=False),
        }
        seconds = side_by_side(actions, rounds=rounds, warm_up=0, clock=time.process_time)
    return {action: [round(value, 3) for value in found] for action, found in seconds.items()}


def shown(rows: list[dict[str, Any]]) -> str:
    """Milliseconds per layer, and beside each how many times those of the shallowest network that is."""
    lines = []
    for name in NETWORKS:
        found = [row["milliseconds_per_layer"] for row in rows if row["network"] == name]
        depths = [row["layers"] for row in rows if row["network"] == name]
        lines.append(f"{name}: ms per layer" + "".join(f"{depth:>16}" for depth in depths))
        for action, first in found[0].items():
            cells = [f"{row[action]:8.3f} (×{row[action] / first:.1f})" for row in found]
            lines.append(f"  {action:18}" + "".join(f"{cell:>16}" for cell in cells))
        together = [row["seconds_together"] for row in rows if row["network"] == name]
        lines.append(f"  {' + '.join(TOGETHER):18}" + "".join(f"{value:>14.2f} s" for value in together))
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[10, 40, 160, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="cost_by_depth", help="of the result file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", message="method 'log_normal'")
    rows = []
    for layers in options.layers:
        for name in NETWORKS:
            rows.append(by_depth(name, layers, options.rounds if layers < DEEP else 1))
            print(rows[-1], flush=True)
    print(shown(rows))
    kaiming = beside_kaiming(3 * options.rounds)
    print("20x128, time / kaiming_normal_:", {action: found["median"] for action, found in kaiming.items()})
    resnet = as_large_as_resnet_50(options.rounds)
    print("as large as ResNet-50, seconds:", resnet)
    settings = {
        "device": "cpu",
        "threads": options.threads,
        "rounds": options.rounds,
        "clock": "process_time",
        "inputs": INPUTS,
        "width": WIDTH,
        "samples": SAMPLES,
        "seed": 0,
    }
    results = {"rows": rows, "mlp_20x128_ratio_to_kaiming_normal_": kaiming, "resnet_50_seconds": resnet}
    write(options.name, {"settings": settings, **environment("torch"), **results})


if __name__ == "__main__":
    main()
