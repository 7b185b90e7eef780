"""How large everything is: in full on an accelerator, and small where the command is only rehearsed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of all parts.

    Attributes:
        name: that result files have.
        layers: number and width of the square layers whose initialisation and projection is timed.
        rounds: of each timing; fewer if time is short.
        step: layers, width and batch of the training steps that are timed.
        compiler: backend of ``torch.compile``; the rehearsal takes one that needs no C++ compiler.
        images: for training; all test images if it is ``None``, too.
        width: of the networks that are trained; their depths, the most telling first; epochs, seeds, rates.
        figure2_epochs: and seeds.
    """

    name: str
    layers: tuple[tuple[int, int], ...]
    rounds: int
    step: tuple[int, int, int]
    compiler: str
    images: int | None
    width: int
    depths: tuple[int, ...]
    epochs: int
    seeds: int
    rates: tuple[float, ...]
    figure2_epochs: int
    figure2_seeds: int


FULL = Sizes(
    name="full",
    layers=((5, 784), (2, 4096), (4, 16384)),
    rounds=25,
    step=(5, 784, 64),
    compiler="inductor",
    images=None,
    width=784,
    depths=(5, 20, 7, 10, 3, 50, 100),
    epochs=4,
    seeds=5,
    rates=(1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
    figure2_epochs=10,
    figure2_seeds=10,
)

REHEARSAL = Sizes(
    name="rehearsal",
    layers=((5, 16), (2, 64), (4, 128)),
    rounds=4,
    step=(3, 24, 16),
    compiler="aot_eager",
    images=320,
    width=16,
    depths=(3, 5),
    epochs=1,
    seeds=2,
    rates=(3e-4, 1e-3),
    figure2_epochs=1,
    figure2_seeds=2,
)
