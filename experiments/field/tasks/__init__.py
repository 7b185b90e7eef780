"""Every task of the benchmark by name, and the half that it is in."""

from __future__ import annotations

from experiments.field.tasks.control import cost_to_go
from experiments.field.tasks.convex import convex
from experiments.field.tasks.denoising import denoising
from experiments.field.tasks.dynamics import dynamics
from experiments.field.tasks.flows import flow
from experiments.field.tasks.mechanics import energy
from experiments.field.tasks.multi_label import completion, toxicity
from experiments.field.tasks.small_images import images
from experiments.field.tasks.tables import table
from experiments.field.tasks.task import Task
from experiments.field.tasks.transport import convex_gradient, gaussians

# Divided before anything was run: what is chosen is chosen on the first half, and both are reported.
TUNE = (
    convex("max-affine", 16),
    convex("log-sum-exp", 16),
    convex("norms", 16),
    convex("log-sum-exp", 4),
    convex("norms shifted", 64),
    convex("log-sum-exp", 16, centred=False),
    convex("log-sum-exp", 16, noise=0.3),
    convex("log-sum-exp", 16, raw=True),
    gaussians(2),
    gaussians(16, quadratic=False),
    gaussians(64),
    convex_gradient(16),
    energy("Mooney-Rivlin"),
    cost_to_go("double integrator"),
    table("concrete"),
    table("yacht"),
    table("concrete", raw=True),
    images("mnist"),
    flow("two moons"),
    denoising("mnist"),
    dynamics("pendulum"),
    toxicity(),
    images("cifar10", convolutional=True),
)
HELD_OUT = (
    convex("norms shifted", 16),
    convex("quadratic", 16),
    convex("support", 16),
    convex("max-affine", 4),
    convex("log-sum-exp", 64),
    convex("quadratic", 16, centred=False),
    convex("max-affine", 16, noise=0.3),
    convex("norms shifted", 16, raw=True),
    gaussians(16),
    convex_gradient(2),
    convex_gradient(16, quadratic=False),
    convex_gradient(64),
    energy("Gent"),
    energy("Ogden"),
    cost_to_go("two masses"),
    table("airfoil_centred"),
    table("energy"),
    table("power-plant"),
    table("energy", raw=True),
    flow("two rings"),
    denoising("cifar10"),
    dynamics("building"),
    completion(),
    images("cifar10"),
    images("mnist", convolutional=True),
    # Few inputs, drawn to try once what the results on the others suggested.
    convex("log-sum-exp", 8),
    convex("norms shifted", 4),
    convex("quadratic", 4),
    convex("support", 8),
    convex("norms shifted", 8),
)
TASKS: dict[str, Task] = {task.name: task for task in (*TUNE, *HELD_OUT)}


def half_of(name: str) -> str:
    """Return ``"tune"`` or ``"held out"``."""
    return "tune" if any(task.name == name for task in TUNE) else "held out"
