"""The projection against a pass over memory, a loop, and a training step: ``python -m benchmarks.torch_projection``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import convex_init.torch as ci
from benchmarks.measure import environment, ratio, side_by_side, write


def tensors(shapes: list[tuple[int, ...]], device: torch.device) -> list[Tensor]:
    """Signed tensors, so that the projection has something to do."""
    return [torch.randn(shape, device=device) for shape in shapes]


def training_step(device: torch.device) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A step of the paper's MNIST network at batch 64 without projection, and the projection of its weights."""
    model = ci.ICNN(784, [784] * 5, 10, device=device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(64, 784, device=device), torch.randint(10, (64,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step, lambda: ci.project_(model)


@torch.no_grad()
def main() -> None:
    """Measure, print ratios, write results/torch_projection_<device>.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    rows: dict[str, Any] = {}

    def compare(name: str, actions: dict[str, Callable[[], Any]], of: str, to: str, rounds: int) -> None:
        seconds = side_by_side(actions, rounds=rounds, synchronise=synchronise)
        found = ratio(seconds, of, to)
        rows[name] = {"of": of, "to": to, "ratio": found, "seconds": seconds}
        print(
            f"{name}: {of} / {to} = {found['median']:.3f}, "
            f"quartiles {found['lower_quartile']:.3f} and {found['upper_quartile']:.3f}"
        )

    large = tensors([(4096, 4096)] * 4, device)
    compare(
        "4 layers of 4096x4096",
        {
            "project_": lambda: ci.project_(large),
            "_foreach_mul_": lambda: torch._foreach_mul_(large, 1.0),
        },
        "project_",
        "_foreach_mul_",
        arguments.rounds,
    )
    deep = nn.Sequential(*(ci.ConvexLinear(64, 64, device=device) for _ in range(200)))
    small = list(ci.projected_parameters(deep).values())
    optimizer = torch.optim.SGD(deep.parameters())  # without gradients its step does nothing but call the hook
    ci.project_after_step(optimizer, deep)
    repeats = range(20)  # one pass is too short to time alone

    def loop() -> None:
        for tensor in small:
            tensor.clamp_(min=0.0)

    def loop_of_data() -> None:
        for tensor in small:
            tensor.data = torch.clamp(tensor.data, min=0.0)

    def repeated(action: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in repeats:
                action()

        return run

    for name, other in (("in-place loop", loop), ("loop that replaces .data", loop_of_data)):
        compare(
            f"200 layers of 64x64, {name}",
            {name: repeated(other), "project_after_step": repeated(optimizer.step)},
            name,
            "project_after_step",
            arguments.rounds,
        )
    with torch.enable_grad():
        step, projection = training_step(device)
        compare("5x784 MLP, batch 64", {"projection": projection, "Adam step": step}, "projection", "Adam step", 31)
    shown = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    settings = {"device": shown, "threads": torch.get_num_threads(), "rounds": arguments.rounds}
    write(f"torch_projection_{device.type}", {"settings": settings, **environment("torch"), "rows": rows})


if __name__ == "__main__":
    main()
