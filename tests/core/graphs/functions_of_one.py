"""Random functions of one number, written out of pieces: choices on what they compute, bounds, exponentials, masks."""

from __future__ import annotations

import random
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity.calculus import Curvature, Value
from convex_init_core.convexity.judge import judge
from convex_init_core.graph.nodes import Node
from tests.core.graphs.builder import Builder, NumpyFramework

Shown = Node | float

_NUMBERS = (0.0, 0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 0.3, 0.09, 0.6, 3.0, -0.5)
_SMOOTH = ("relu", "abs", "negate", "square", "exp", "expm1", "elu", "sign", "softplus", "erf", "atan")
_RELATIONS = (">", ">=", "<", "<=")
_CLOSE = 1e-10  # of the largest value on the way: rounding

# Far out, where exponentials vanish; in the middle; and so near to some numbers that differences are rounding.
PLACES: tuple[NDArray[np.float64], ...] = (
    np.linspace(-900.0, 700.0, 3201),
    *(np.linspace(-width, width, 401) for width in (3.0, 40.0)),
    *(
        centre + np.linspace(-width, width, 401)
        for centre in (0.0, 1.0, -1.0, 0.3, 0.5, 2.0, -2.0)
        for width in (1e-6, 4e-8, 1e-3)
    ),
)


class FunctionOfOne:
    """One function, made from its number.

    Attributes:
        node: what it is.
        value: what the judge says of it.
    """

    def __init__(self, number: int) -> None:
        """Grow a tree of 2 to 5 levels, whose parts are used again."""
        self._random = random.Random(number)
        self._b = Builder()
        self._s = self._b.input("x", (1, 1))
        self._made: list[Node] = [self._s]
        self.node = self._as_node(self._tree(self._random.randint(2, 5)))

    @cached_property
    def value(self) -> Value:
        """What the judge says of it."""
        return judge(self._b.graph, framework=NumpyFramework())[self.node]

    @property
    def is_certified(self) -> bool:
        """Whether it is said to be convex or concave."""
        return self.value.curvature in (Curvature.CONVEX, Curvature.CONCAVE, Curvature.AFFINE)

    def is_violated(self) -> bool:
        """Whether it lies above a chord somewhere, or below if it is said to be concave, beyond rounding."""
        sign = -1.0 if self.value.curvature is Curvature.CONCAVE else 1.0
        return any(self._is_violated_on(places, sign) for places in PLACES)

    def _is_violated_on(self, places: NDArray[np.float64], sign: float) -> bool:
        with np.errstate(all="ignore"):
            known = self._b.evaluate({"x": places[:, None]})
            columns = [np.broadcast_to(np.asarray(part, np.float64), (len(places), 1))[:, 0] for part in known.values()]
            y = sign * np.broadcast_to(np.asarray(known[self.node], np.float64), (len(places), 1))[:, 0]
            above = y[1:-1] - 0.5 * (y[:-2] + y[2:])
            sizes = np.max(np.abs(columns), axis=0)
            rounding = _CLOSE * (1.0 + np.maximum(np.maximum(sizes[:-2], sizes[2:]), sizes[1:-1]))
        is_finite = np.isfinite(above) & np.isfinite(rounding)
        return bool((above[is_finite] > rounding[is_finite]).any())

    def _tree(self, depth: int) -> Shown:
        rng = self._random
        if depth == 0 or rng.random() < 0.12:
            return rng.choice(self._made) if rng.random() < 0.75 else rng.choice(_NUMBERS)
        made = rng.choice((self._smooth, self._sum, self._product, self._bound, self._choice, self._choice))(depth - 1)
        self._made.append(made)
        return made

    def _as_node(self, part: Shown) -> Node:
        return part if isinstance(part, Node) else self._b.add(self._b.multiply(self._s, 0.0), part)

    def _some(self, depth: int) -> Node:
        return self._as_node(self._tree(depth))

    def _smooth(self, depth: int) -> Node:
        return self._b.op(self._random.choice(_SMOOTH), self._some(depth))

    def _sum(self, depth: int) -> Node:
        return self._b.op(self._random.choice(("add", "subtract")), self._some(depth), self._tree(depth))

    def _product(self, depth: int) -> Node:
        other = self._random.choice(_NUMBERS) if self._random.random() < 0.7 else self._tree(depth)
        return self._b.multiply(self._some(depth), other)

    def _bound(self, depth: int) -> Node:
        return self._b.op(self._random.choice(("maximum", "minimum")), self._some(depth), self._tree(depth))

    def _choice(self, depth: int) -> Node:
        rng, b = self._random, self._b
        condition = b.compare(self._some(depth), rng.choice(_RELATIONS), self._tree(depth))
        one, other = self._some(depth), self._tree(depth)
        if rng.random() < 0.25:
            return b.multiply(one, b.cast(condition))
        if rng.random() < 0.3:  # the same, or nearly
            other = b.add(one, rng.choice((0.0, 1e-3, -1.0, 1.0)))
        return b.where(condition, one, other)
