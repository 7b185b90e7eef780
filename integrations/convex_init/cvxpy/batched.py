"""Minima, conjugates and proximal maps for many examples at once, on the device of their framework.

No form of the model is needed, only its values and gradients, so that it may be large. What comes back says how far
from the solution it is at most, for every convex model, with kinks or without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from convex_init.cvxpy.arguments import positive, whole
from convex_init.cvxpy.evaluation import Evaluation, evaluation_of
from convex_init_core.solving import bundle, proximal_point
from convex_init_core.solving.bundle import Evaluate

Model = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Batch:
    """What was found for many examples; arrays of the framework.

    Attributes:
        point: (examples, *shape).
        value: least value (of a conjugate: the largest), (examples,).
        gap: of a proximal map, by how much the value lies above the least one, at most. Of a minimum, e in
            ``f(w) ≥ value − e − gradient_norm · |w − point|``, which holds for all w.
        gradient_norm: see there; 0 for proximal maps.
        converged: whether these are below the tolerance.
        diverged: whether the point has run so far that there seems to be no minimum.
        gradient: with respect to y of a conjugate, or to x of a Moreau envelope, by the envelope theorem; of minima
            there is none.
        evaluations: of the model and its gradient, on the whole batch.
    """

    point: Any
    value: Any
    gap: Any
    gradient_norm: Any
    converged: Any
    diverged: Any
    gradient: Any
    evaluations: int


def proximal_batched(
    model: Model,
    x: Any,
    t: float = 1.0,
    *,
    tolerance: float = 1e-4,
    limit: int = 500,
    differentiable: bool = False,
) -> Batch:
    """Return ``argmin over u of f(u) + |u − x|²/2t`` for each x of a batch, with its duality gap.

    Args:
        model: f: any function from a batch to one number for each example; it has to be convex, which is not checked
            here: see ``certify``.
        x: (examples, *shape), of float32 or float64, a tensor of torch, JAX or TensorFlow, whose device is used.
        t: step, > 0.
        tolerance: of the gap, relative to ``1 + |value|``.
        limit: of evaluations of the model.
        differentiable: whether ``value`` can be differentiated, with respect to x and to the parameters of the model,
            by the envelope theorem.

    Returns:
        a :class:`Batch`. A point lies within ``√(2 t gap)`` of the solution.

    Raises:
        ValueError: if t is not positive, x holds NaN, the model returns more than one number for an example, or what it
            returns shows that it is not convex.
        TypeError: if x is no such array, or t no number.

    Example:
        >>> import convex_init, torch
        >>> x = torch.tensor([[3.0, -0.5], [1.0, 1.0]])
        >>> found = convex_init.cvxpy.proximal_batched(lambda u: u.abs().sum(1), x)
        >>> bool(found.converged.all()), (found.point + 0.0).abs().round(decimals=2).tolist()
        (True, [[2.0, 0.0], [0.0, 0.0]])
    """
    t = positive("t", t)
    f = evaluation_of(model, x, "x")
    made = bundle.proximal(
        f.of, f.start, t, f.steps, tolerance=positive("tolerance", tolerance), limit=whole("limit", limit)
    )
    value = made.value + ((made.point - f.start) ** 2).sum(1) / (2.0 * t)
    gap = f.steps.xp.where(made.gap < 0.0, 0.0 * made.gap, made.gap)
    converged = gap <= tolerance * (1.0 + abs(value))
    none = 0.0 * value
    slope, point = (f.back(each.reshape(f.shape)) for each in ((f.start - made.point) / t, made.point))
    whole_value = f.back(value)
    if differentiable:
        apart = f.flat((f.still(point) - x) ** 2)
        whole_value = f.value(f.still(point)) + _sum(apart) / (2.0 * t)
    gap, none, converged, ran = map(f.back, (gap, none, converged, none > 0.0))
    return Batch(point, whole_value, gap, none, converged, ran, slope, made.evaluations)


def minimise_batched(
    model: Model,
    start: Any,
    *,
    step: float = 1.0,
    tolerance: float = 1e-3,
    limit: int = 3000,
    differentiable: bool = False,
) -> Batch:
    """Minimise a function over each example of a batch, without constraints, by the accelerated proximal point method.

    Args:
        model: any convex function from a batch to one number for each example.
        start: (examples, *shape), of float32 or float64, a tensor of torch, JAX or TensorFlow.
        step: of the first proximal map.
        tolerance: of the gradient's length, and of the gap relative to ``1 + |value|``.
        limit: of evaluations of the model.
        differentiable: whether ``value`` can be differentiated, with respect to the parameters of the model.

    Returns:
        a :class:`Batch`. Of a flat minimum it is one of its points; what has none is ``diverged``.

    Raises:
        ValueError: if x, t or a limit does not fit; if the model returns more than one number for an example.
        TypeError: if start is no such array.

    Example:
        >>> import convex_init, torch
        >>> found = convex_init.cvxpy.minimise_batched(lambda x: (x - 1.0).abs().sum(1), torch.zeros(2, 3))
        >>> bool(found.converged.all()), bool((found.value < 0.01).all())
        (True, True)
    """
    f = evaluation_of(model, start, "start")
    return _minimised(f, f.of, step, tolerance, limit, differentiable)


def conjugate_batched(
    model: Model,
    y: Any,
    *,
    start: Any = None,
    step: float = 1.0,
    tolerance: float = 1e-3,
    limit: int = 3000,
    differentiable: bool = False,
) -> Batch:
    """Return ``max over x of y·x − f(x)`` for each y of a batch; the points are the gradients with respect to y.

    Args:
        model: f, as for :func:`minimise_batched`.
        y: (examples, *shape), of float32 or float64, a tensor of torch, JAX or TensorFlow.
        start: where to begin; by default at y.
        step: of the first proximal map.
        tolerance: as for :func:`minimise_batched`.
        limit: of evaluations of the model.
        differentiable: whether ``value`` can be differentiated, with respect to y and to the parameters of the model.

    Returns:
        a :class:`Batch`; where the conjugate is infinite, it is ``diverged``.

    Raises:
        ValueError: if x, t or a limit does not fit; if the model returns more than one number for an example.
        TypeError: if y or start is no such array.

    Example:
        >>> import convex_init, torch
        >>> found = convex_init.cvxpy.conjugate_batched(lambda x: x.square().sum(1) / 2.0, torch.tensor([[1.0, 2.0]]))
        >>> bool(found.converged.all()), round(float(found.value), 2)
        (True, 2.5)
    """
    f = evaluation_of(model, y, "y")
    slope = f.start
    if start is not None:
        f = evaluation_of(model, start, "start")
        if type(start) is not type(y) or f.shape != tuple(y.shape):
            raise ValueError(f"start must be an array like y, of shape {tuple(y.shape)}, got one of shape {f.shape}")

    def tilted(x: Any) -> tuple[Any, Any]:
        value, gradient = f.of(x)
        return value - (slope * x).sum(1), gradient - slope

    found = _minimised(f, tilted, step, tolerance, limit, False)
    value = -found.value
    if differentiable:
        point = f.still(found.point)
        value = _sum(f.flat(point * y)) - f.value(point)
    return replace(found, value=value, gradient=found.point)


def _minimised(
    f: Evaluation, evaluate: Evaluate, step: float, tolerance: float, limit: int, differentiable: bool
) -> Batch:
    made = proximal_point.minimised(
        evaluate,
        f.start,
        f.steps,
        step=positive("step", step),
        tolerance=positive("tolerance", tolerance),
        limit=whole("limit", limit),
    )
    point = f.back(made.point.reshape(f.shape))
    value = f.value(f.still(point)) if differentiable else f.back(made.value)
    error, slope, converged, diverged = map(f.back, (made.error, made.slope, made.converged, made.diverged))
    return Batch(point, value, error, slope, converged, diverged, None, made.evaluations)


def _sum(rows: Any) -> Any:
    """Sums of rows, of any framework."""
    return (rows @ (0.0 * rows[0] + 1.0)[:, None])[:, 0]
