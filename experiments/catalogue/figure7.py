"""Figure 7: random biases at the start."""

from __future__ import annotations

from experiments.learning_curves import declare

EXPERIMENT = declare(
    "figure7",
    "Figure 7: biases with noise, β = 1/2",
    ("ICNN + bias-init", "ICNN + init", "non-convex"),
    "ICNN + init: β = 0. ICNN + bias-init: β = 1/2 (C.3). Median and quartiles over the seeds.",
    verdict="random biases let the ICNN of seven layers train on MNIST (C.3). No test.",
)
