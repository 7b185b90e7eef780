"""Classify digits with twenty layers beside a carrier: ``python examples/deep_classifier.py`` (needs scikit-learn)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from convex_init.torch import ICNN, assert_convex_, project_after_step

DEPTH, WIDTH = 20, 64


def main(epochs: int = 8) -> tuple[float, float]:
    """Return the training loss, and the test accuracy of the convex network."""
    random = torch.Generator().manual_seed(0)
    images, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
    order = torch.randperm(len(images), generator=random)
    x, y = ((images - images.mean()) / images.std()).float()[order], labels[order]
    train_x, train_y, test_x, test_y = x[:1440], y[:1440], x[1440:], y[1440:]

    torch.manual_seed(0)
    model = ICNN(64, [WIDTH] * DEPTH, 10, carrier=True, threshold=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    project_after_step(optimizer, model)
    for _ in range(epochs):
        for batch in torch.randperm(len(train_x), generator=random).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        loss = float(nn.functional.cross_entropy(model(train_x), train_y))

    # The same class probabilities, from a network whose logits are convex; at this depth in float64.
    convex = model.convex_form(train_x, dtype=torch.float64)
    assert_convex_(convex, test_x[:8].double())
    with torch.no_grad():
        accuracy = float((convex(test_x.double()).argmax(1) == test_y).float().mean())
    print(f"{DEPTH} layers, convex; training loss {loss:.3f}, test accuracy {100 * accuracy:.1f} %")
    return loss, accuracy


if __name__ == "__main__":
    main()
