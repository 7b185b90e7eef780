"""What one run of the demo is told, and what it does by default."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from convex_init.demo.rates import RATES


@dataclass(frozen=True)
class DemoSettings:
    """The options of one task; the command line checks them.

    Attributes:
        task: ``"digits"``, ``"mnist"``, ``"curve"`` or ``"surface"``.
        depths: numbers of hidden layers, each of which is trained.
        width: units in each of them.
        epochs: passes over the training examples.
        seeds: number of repetitions, with seeds 0, 1, ….
        batch_size: examples in a step.
        lr: learning rate of Adam; the one of :mod:`convex_init.demo.rates` for each network if ``None``.
        limit: at most so many training images, and as many test images; all if ``None``.
        method: of our initialisation; ``apply_``'s default if ``None``.
        threshold: τ of our initialisation, for networks without skips; ``apply_``'s default if ``None``.
        threads: CPU threads; as many as torch takes if ``None``.
        device: where to train, as torch names it.
        data: folder of the MNIST files.
        out: folder for the pictures and the results; nothing is written if ``None``.
    """

    task: str
    depths: tuple[int, ...]
    width: int
    epochs: int
    seeds: int
    batch_size: int
    lr: float | None = None
    limit: int | None = None
    method: str | None = None
    threshold: float | None = None
    threads: int | None = None
    device: str = "cpu"
    data: Path | None = None
    out: Path | None = None

    def rate(self, network: str, depth: int) -> float:
        """Return the learning rate of a network: what was asked for, or what is known to suit it at this depth."""
        if self.lr is not None:
            return self.lr
        known = RATES[self.task][network]
        return known[min(known, key=lambda tried: abs(tried - depth))]


# Small matrices gain nothing from a second thread, and lose much where others use the cores too.
_FIT = DemoSettings("curve", depths=(3, 5, 10), width=64, epochs=40, seeds=3, batch_size=64, threads=1)
DEFAULTS = {
    "digits": DemoSettings("digits", depths=(5,), width=128, epochs=20, seeds=3, batch_size=64, threads=1),
    "mnist": DemoSettings("mnist", depths=(5,), width=784, epochs=4, seeds=3, batch_size=64, limit=6000),
    "curve": _FIT,
    "surface": replace(_FIT, task="surface", epochs=20),
}
"""By task. The mnist settings are those of the digits with MNIST's width, and were not tuned by themselves."""
