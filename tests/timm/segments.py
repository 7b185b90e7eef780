"""How far a model rises above its chords, on random segments in float64."""

from __future__ import annotations

import copy

import torch


def rise_above_chords(model, size, *, segments=64, reach=2.0, seed=0):
    """Largest rise and largest sag of the outputs between two inputs, relative to the outputs' spread."""
    model = copy.deepcopy(model).double().eval()
    generator = torch.Generator().manual_seed(seed)
    a, b = (reach * torch.randn(segments, *size, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.rand(segments, 1, 1, 1, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        at_a, at_b, between = (model(x).flatten(1) for x in (a, b, t * a + (1.0 - t) * b))
    t = t.flatten(1)
    above = between - (t * at_a + (1.0 - t) * at_b)
    spread = torch.cat([at_a, at_b]).std(0).mean()
    assert torch.isfinite(spread)
    assert spread > 0.0
    return float(above.max() / spread), float(-above.min() / spread)


def assert_convex(model, size, **options):
    rise, sag = rise_above_chords(model, size, **options)
    assert rise < 1e-9
    assert sag > 1e-3  # and not just affine


def train(model, size, classes, *, steps=5, rate=0.05, optimizer=None):
    """A few large steps on noise, which push many weights below 0."""
    generator = torch.Generator().manual_seed(1)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), rate)
    model.train()
    for _ in range(steps):
        x = torch.randn(8, *size, generator=generator)
        y = torch.randint(classes, (8,), generator=generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model
