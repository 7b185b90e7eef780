"""Figure 9: the correlation that the initialisation aims at."""

from __future__ import annotations

from experiments.learning_curves import declare

EXPERIMENT = declare(
    "figure9",
    "Figure 9: ρ* of 0.1, 0.5 and 0.9",
    ("ICNN + init (corr: 0.1)", "ICNN + init (corr: 0.9)", "ICNN + init", "non-convex"),
    "ICNN + init: ρ* = 1/2. Median and quartiles over the seeds.",
    verdict="a lower ρ* might let deeper networks train, since the correlation drifts towards one (C.4). No test.",
)
