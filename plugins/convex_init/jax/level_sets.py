"""Move through the inputs of a convex function while its output stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from convex_init.jax.certificate import certify
from convex_init.jax.model.modules import opened
from convex_init_core.reporting import level_sets
from convex_init_core.reporting.level_sets import LevelSetPath, Settings

__all__ = ["LevelSetPath", "level_set_path"]


def level_set_path(
    model: Any,
    start: Any,
    target: Any,
    *,
    output: int | None = None,
    steps: int = 50,
    tolerance: float = 1e-4,
    minimiser: Any = None,
    assume_convex: bool = False,
) -> LevelSetPath:
    r"""Move from ``start`` towards ``target`` on the set of inputs for which a convex output :math:`f` is as at start.

    Every step goes an equal share of the remaining way, :math:`y = x + (t - x)/k`, and back to the level set on the
    line between y and a minimiser m, where a convex function grows away from m (Nesterov et al., 2022). If y lies
    below the level, the step is first made orthogonal to a subgradient g at x: since
    :math:`f(y) \geq f(x) + g^\top (y - x)`, it then ends on the level or above, and the way back exists. Where a path
    ends is told on the page on level sets.

    Args:
        model: as for :func:`convex_init.jax.apply`, of one input; it maps ``[batch, ...]`` to ``[batch, outputs]``,
            ``[batch, 1]`` or ``[batch]``, each sample by itself. A module of equinox that takes single samples is
            mapped over the batch; equinox and nnx modules do what they do after training.
        start: ``[batch, ...]``, floating point.
        target: of the same shape, or one that broadcasts to it.
        output: which of several outputs; may be left out if there is one.
        steps: number of steps, at least 1.
        tolerance: how far the output may be from its level, in its own units. Below about 1e-6 of the output's size,
            use double precision (``jax_enable_x64``).
        minimiser: point below the level for every start, such as a minimiser that is known, of the shape of ``start``
            or one that broadcasts to it; searched for by default.
        assume_convex: whether to take the model as convex without :func:`certify`.

    Returns:
        A :class:`LevelSetPath` of arrays of the dtype of ``start``.

    Raises:
        ValueError: if an argument is out of range or the model cannot be certified; with the remedy.
        TypeError: if an array is not one, or it is no model.
        RuntimeError: if the output cannot be kept within the tolerance; with the remedy.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> def norm(params, x):
        ...     return jnp.linalg.norm(x @ params["w"], axis=-1)
        >>> start, target = jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 9.0]])
        >>> path = convex_init.jax.level_set_path((norm, {"w": jnp.eye(2)}), start, target, steps=10)
        >>> path.points.shape, path.deviation < 1e-4
        ((11, 1, 2), True)
    """
    for name, array in (("start", start), ("target", target), ("minimiser", minimiser)):
        if not isinstance(array, jax.Array | np.ndarray) and not (array is None and name == "minimiser"):
            raise TypeError(f"{name} must be an array, got {type(array).__name__}")
    settings, start = Settings(output, steps, tolerance, assume_convex), jnp.asarray(start)
    is_floating = bool(jnp.issubdtype(start.dtype, jnp.floating))
    begin = level_sets.checked_start(np.asarray(start), start.dtype, is_floating=is_floating)
    taken = opened(model, ((start,), {}))
    call, tree = taken.call, taken.tree
    if not assume_convex:
        level_sets.refuse_uncertified(certify((call, tree), start))

    def of_each(x: Any) -> Any:
        return level_sets.one_output(call(tree, x), output, len(x))

    f = _Function(of_each, start.dtype)
    return level_sets.level_set_path(f, begin, target, minimiser, settings).converted(
        lambda array: jnp.asarray(array, start.dtype if array.dtype.kind == "f" else None)
    )


class _Function:
    """One output for the core, in the precision of the starts."""

    def __init__(self, of_each: Callable[[Any], Any], dtype: Any) -> None:
        self._value, self._dtype = jax.jit(of_each), dtype
        self._slope = jax.jit(jax.grad(lambda x: of_each(x).sum()))

    def value(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._value(jnp.asarray(x, self._dtype)), np.float64)

    def gradient(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._slope(jnp.asarray(x, self._dtype)), np.float64)
