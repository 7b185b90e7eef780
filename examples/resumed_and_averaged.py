"""Save, resume and average a convex network: ``python examples/resumed_and_averaged.py``.

A state dict holds numbers and no marks, so that a network that was loaded is told anew what has to stay non-negative:
``constrain_`` finds it and draws nothing. Averages of non-negative weights are non-negative.
"""

from __future__ import annotations

import io

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from convex_init.torch import apply_, assert_convex_, constrain_, project_after_step


def built() -> nn.Sequential:
    """Return the architecture, with torch's own weights."""
    return nn.Sequential(nn.Linear(4, 64), nn.Softplus(), nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 1))


def trained(model: nn.Module, steps: int, seed: int, average: AveragedModel | None = None) -> float:
    """Train on noisy values of a norm; return the last loss."""
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    project_after_step(optimizer, model)
    for _ in range(steps):
        x = torch.randn(128, 4, generator=random)
        y = x.norm(dim=1, keepdim=True) + 0.3 * torch.randn(128, 1, generator=random)
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        if average is not None:
            average.update_parameters(model)
    return loss.item()


def error(model: nn.Module, x: Tensor) -> float:
    """Return the mean squared error of the noiseless norm."""
    with torch.no_grad():
        return float((model(x) - x.norm(dim=1, keepdim=True)).square().mean())


def main(steps: int = 300) -> dict[str, float]:
    """Return the error after the first part, after the second, and of the average of weights."""
    x = torch.randn(2048, 4, generator=torch.Generator().manual_seed(1))
    model = apply_(built(), x, generator=torch.Generator().manual_seed(0))
    trained(model, steps, seed=2)
    found = {"first": error(model, x)}
    file = io.BytesIO()
    torch.save(model.state_dict(), file)

    file.seek(0)
    resumed = built()
    resumed.load_state_dict(torch.load(file))
    constrain_(resumed, x)
    average = AveragedModel(resumed, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    trained(resumed, steps, seed=3, average=average)
    found |= {"resumed": error(resumed, x), "average": error(average, x)}
    assert_convex_(resumed, x)
    assert_convex_(average, x)
    print("all convex; error " + ", ".join(f"{value:.4f} {name}" for name, value in found.items()))
    return found


if __name__ == "__main__":
    main()
