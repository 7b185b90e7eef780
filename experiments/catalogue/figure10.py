"""Figure 10: weights as exponentials."""

from __future__ import annotations

from experiments.learning_curves import declare

EXPERIMENT = declare(
    "figure10",
    "Figure 10: exp-ICNNs with five hidden layers",
    ("exp-ICNN + init", "exp-ICNN", "exp-ICNN + skip", "non-convex"),
    "Weights exp(Ŵ): with the init, Ŵ is the logarithm of log-normal weights; exp-ICNN and exp-ICNN + skip draw Ŵ as "
    "He would. Median and quartiles over the seeds.",
    depths=(5,),
    ours="exp-ICNN + init",
    verdict="the initialisation makes exp-ICNNs trainable, and they are not quite as good as with the projection "
    "(C.5). No test.",
)
