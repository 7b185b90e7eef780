"""Denoise signals with a learnt convex regulariser: ``python examples/regulariser.py``.

The regulariser R is trained to tell clean signals from noisy ones with a slope near 1 (the adversarial convex
regulariser of Mukherjee et al., 2020); a signal is then restored by minimising ½|x − noisy|² + λ R(x), which has one
minimum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.torch import apply_, assert_convex_, project_after_step

NOISE = 0.3


class Regulariser(nn.Module):
    """A small convolutional ICNN; the mean over all places makes it one number for each signal."""

    def __init__(self, channels: int) -> None:
        """Make a network of three convolutions."""
        super().__init__()
        self.first = nn.Conv1d(1, channels, 5, padding=2, padding_mode="replicate")
        self.second = nn.Conv1d(channels, channels, 5, padding=2, padding_mode="replicate")
        self.last = nn.Conv1d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each signal of shape ``(signals, places)``."""
        z = nn.functional.leaky_relu(self.first(x[:, None]), 0.2)
        z = nn.functional.leaky_relu(self.second(z), 0.2)
        return self.last(z).sum((1, 2))


def signals(count: int, random: torch.Generator) -> Tensor:
    """Return steps: signals of 64 places that jump at few of them."""
    jumps = torch.rand(count, 64, generator=random) < 0.06
    return torch.cumsum(jumps * torch.randn(count, 64, generator=random), dim=1)


def restored(model: nn.Module, noisy: Tensor, weight: float, steps: int = 100) -> Tensor:
    """Minimise ½|x − noisy|² + weight · R(x)."""
    x = noisy.clone()
    for k in range(steps):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x)
        x = (x - 0.3 / (1 + 0.05 * k) * (x - noisy + weight * slope)).detach()
    return x


def main(steps: int = 300) -> tuple[float, float]:
    """Return the mean squared error of noisy signals, and of the restored ones."""
    random = torch.Generator().manual_seed(0)

    def pairs(count: int) -> tuple[Tensor, Tensor]:
        clean = signals(count, random)
        return clean, clean + NOISE * torch.randn(clean.shape, generator=random)

    model = Regulariser(16)
    apply_(model, pairs(64)[1], generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    project_after_step(optimizer, model)
    for _ in range(steps):
        clean, noisy = pairs(32)
        between = torch.lerp(clean, noisy, torch.rand(32, 1, generator=random)).requires_grad_()
        (slope,) = torch.autograd.grad(model(between).sum(), between, create_graph=True)
        steepness = (slope.square().sum(1).sqrt() - 1.0).square().mean()
        optimizer.zero_grad()
        (model(clean).mean() - model(noisy).mean() + 10.0 * steepness).backward()
        optimizer.step()
    assert_convex_(model, signals(4, random))

    clean, noisy = pairs(64)  # the weight is chosen on signals of its own
    weight = min((0.25, 0.5, 1.0, 2.0, 4.0), key=lambda tried: _error(restored(model, noisy, tried), clean))
    clean, noisy = pairs(256)
    before, after = _error(noisy, clean), _error(restored(model, noisy, weight), clean)
    print(f"convex regulariser; mean squared error {before:.4f} of noisy signals, {after:.4f} of restored ones")
    return before, after


def _error(x: Tensor, clean: Tensor) -> float:
    return float((x - clean).square().mean())


if __name__ == "__main__":
    main()
