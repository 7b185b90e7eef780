"""Figures 2 and 5: the principled initialisation against He's, with and without skips, and a non-convex network."""

from __future__ import annotations

from experiments.learning_curves import declare

EXPERIMENT = declare(
    "figure5",
    "Figures 2 and 5: training loss at 3, 5 and 7 hidden layers",
    ("non-convex", "ICNN", "ICNN + skip", "ICNN + init", "ICNN + isometric"),
    "Training loss, median and quartiles over the seeds; Figure 2 is the panels with five hidden layers. ICNN + "
    "isometric is not in the paper.",
    verdict="ICNNs with the initialisation learn like the non-convex network; without it, on CIFAR-10 and "
    "CIFAR-100, the loss does not come down to that level (5.1, C.2). No test.",
)
