"""Classify digits with twenty convex layers: ``python examples/deep_classifier.py`` (needs scikit-learn)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from convex_init.torch import ICNN, apply_, assert_convex_, plan

DEPTH, WIDTH = 20, 64


def main(epochs: int = 8) -> tuple[float, float]:
    """Return the training loss and the test accuracy."""
    random = torch.Generator().manual_seed(0)
    images, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
    order = torch.randperm(len(images), generator=random)
    x, y = ((images - images.mean()) / images.std()).float()[order], labels[order]
    train_x, train_y, test_x, test_y = x[:1440], y[:1440], x[1440:], y[1440:]

    # Weights behind a ReLU stay non-negative by themselves: nothing has to be projected.
    model = ICNN(64, [WIDTH] * DEPTH, 10, positivity="relu")
    print(plan(model, train_x))
    apply_(model, train_x, generator=random)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(train_x), generator=random).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
    assert_convex_(model, train_x[:8])
    with torch.no_grad():
        loss = float(nn.functional.cross_entropy(model(train_x), train_y))
        accuracy = float((model(test_x).argmax(1) == test_y).float().mean())
    print(f"{DEPTH} convex layers; training loss {loss:.3f}, test accuracy {100 * accuracy:.1f} %")
    return loss, accuracy


if __name__ == "__main__":
    main()
