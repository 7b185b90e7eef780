"""What one run of the demo is told, and what it does by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoSettings:
    """The demo's options; the command line checks them.

    Attributes:
        dataset: ``"digits"`` or ``"mnist"``.
        depth: number of hidden layers.
        width: units in each of them.
        epochs: passes over the training images.
        seeds: number of repetitions, with seeds 0, 1, ….
        lr: learning rate of Adam.
        batch_size: images in a step.
        limit: at most so many training images, and as many test images; all if ``None``.
        bias_noise: β of the principled initialisation.
        distribution: its law of the positive weights.
        threads: CPU threads; as many as torch takes if ``None``.
        device: where to train, as torch names it.
        data: folder of the MNIST files.
        out: folder for the picture and the results; nothing is written if ``None``.
    """

    dataset: str
    depth: int
    width: int
    epochs: int
    seeds: int
    lr: float
    batch_size: int
    limit: int | None = None
    threads: int | None = None
    # β = 1/2 (the paper's C.3). With 0 and so few steps, some seeds do not leave the plateau at this depth.
    bias_noise: float = 0.5
    distribution: str = "log_normal"
    device: str = "cpu"
    data: Path | None = None
    out: Path | None = None


# Five hidden layers, the middle depth of the paper's figures, with few enough images and epochs for two CPU cores.
# The digits' small matrices gain nothing from a second thread, and lose much where others use the cores too.
DEFAULTS = {
    "digits": DemoSettings("digits", depth=5, width=128, epochs=20, seeds=5, lr=2e-3, batch_size=32, threads=1),
    "mnist": DemoSettings("mnist", depth=5, width=784, epochs=4, seeds=3, lr=1e-3, batch_size=64, limit=6000),
}
