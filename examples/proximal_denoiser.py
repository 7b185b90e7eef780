"""A denoiser as a proximal map, and what it restores: ``python examples/proximal_denoiser.py`` (extra ``cvxpy``).

A regulariser R is trained such that one gradient step on it, ``noisy − ∇R(noisy)``, is near the clean signal. Its
proximal map is then a denoiser whose every output minimises ``R(u) + |u − noisy|²/2t``, and says by how much it may be
off. The same map fills in what is missing: proximal gradient steps, of a problem with one least value.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convex_init.cvxpy import proximal, proximal_batched
from convex_init.torch import apply_, assert_convex_, project_after_step

NOISE, PLACES = 0.3, 24


class Regulariser(nn.Module):
    """A convolutional ICNN; the sum over all places makes it one number for each signal."""

    def __init__(self, channels: int) -> None:
        """Make a network of two convolutions and a sum."""
        super().__init__()
        self.first = nn.Conv1d(1, channels, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv1d(channels, channels, 3, padding=1, padding_mode="replicate")
        self.last = nn.Conv1d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one number for each signal of shape ``(signals, places)``."""
        z = nn.functional.softplus(self.first(x[:, None]), 10.0)
        z = nn.functional.softplus(self.second(z), 10.0)
        return self.last(z).sum((1, 2))


def signals(count: int, random: torch.Generator) -> Tensor:
    """Return signals that jump at few places."""
    jumps = torch.rand(count, PLACES, generator=random) < 0.1
    return torch.cumsum(jumps * torch.randn(count, PLACES, generator=random), dim=1)


def error(x: Tensor, clean: Tensor) -> float:
    """Return the mean squared error."""
    return float((x - clean).square().mean())


def trained(steps: int, random: torch.Generator) -> Regulariser:
    """Return a regulariser whose gradient is the noise."""
    model = Regulariser(8)
    apply_(model, signals(64, random), generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    project_after_step(optimizer, model)
    for _ in range(steps):
        clean = signals(64, random)
        noisy = (clean + NOISE * torch.randn(clean.shape, generator=random)).requires_grad_()
        (slope,) = torch.autograd.grad(model(noisy).sum(), noisy, create_graph=True)
        optimizer.zero_grad()
        (noisy - slope - clean).square().mean().backward()
        optimizer.step()
    assert_convex_(model, signals(4, random))
    return model


def filled_in(model: nn.Module, seen: Tensor, known: Tensor, steps: int = 15) -> Tensor:
    """Minimise ``½|known · (x − seen)|² + 0.2 R(x)`` by proximal gradient steps."""
    x = seen * known
    for _ in range(steps):
        x = proximal_batched(model, x - known * (x - seen), t=0.2, tolerance=1e-3).point
    return x


def main(steps: int = 300) -> dict[str, float]:
    """Return the errors of noisy and denoised signals, of holes and what is filled in, and the largest gap."""
    random = torch.Generator().manual_seed(0)
    model = trained(steps, random)
    clean = signals(32, random)
    noisy = clean + NOISE * torch.randn(clean.shape, generator=random)

    denoised = proximal_batched(model, noisy, t=1.0, tolerance=1e-3)
    exact = proximal(model, noisy[0].numpy(), t=1.0)  # by a solver, to compare
    off = float((denoised.point[0] - torch.as_tensor(exact.point)).norm())

    known = (torch.rand(clean.shape, generator=random) < 0.7).float()
    filled = filled_in(model, clean * known, known)
    found = {
        "noisy": error(noisy, clean),
        "denoised": error(denoised.point, clean),
        "holes": error(clean * known, clean),
        "filled": error(filled, clean),
        "gap": float(denoised.gap.max()),
        "off": off,
        "bound": float((2.0 * denoised.gap[0]).sqrt()),
    }
    print(
        f"convex regulariser; mean squared error {found['noisy']:.3f} of noisy signals, {found['denoised']:.3f} "
        f"denoised; {found['holes']:.3f} with holes, {found['filled']:.3f} filled in; gap at most {found['gap']:.1e}"
    )
    return found


if __name__ == "__main__":
    main()
