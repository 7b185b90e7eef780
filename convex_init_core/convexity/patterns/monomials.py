"""Write a value as a sum of products of arrays, each axis with a letter, as ``einsum`` would: to see squares in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from convex_init_core.convexity.calculus import Curvature
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node

_DEPTH = 24  # of the operations that are looked through
_TERMS, _FACTORS = 8, 6  # of one value; with more it is left alone

Letters = tuple["int | None", ...]  # of the axes of an array; none for an axis of length 1


@dataclass(frozen=True)
class Factor:
    """An array with the letters of its axes."""

    node: Node
    letters: Letters


@dataclass(frozen=True)
class Monomial:
    """``number · Π factors``, summed over all letters that the value itself does not have."""

    number: float
    factors: tuple[Factor, ...]

    def renamed(self, names: dict[int, int]) -> Monomial:
        """Return it with some letters exchanged for others."""
        factors = (
            Factor(part.node, tuple(letter if letter is None else names.get(letter, letter) for letter in part.letters))
            for part in self.factors
        )
        return Monomial(self.number, tuple(factors))

    def has(self, letter: int) -> bool:
        """Whether a factor has this letter."""
        return any(letter in part.letters for part in self.factors)


@dataclass(frozen=True)
class Polynomial:
    """A sum of monomials with the letters of the value's axes; these have no letter in common with another value's."""

    letters: Letters
    terms: tuple[Monomial, ...]


class TooLongError(ValueError):
    """There are too many terms or factors."""


@dataclass(eq=False)
class Expansion:
    """Writes values as polynomials.

    Attributes:
        values: of the nodes.
        opened: whether products with constants, and of constants, are looked into, if more is known of them than that
            they are unknown.
        sizes: of the axes, by letter.
    """

    values: Values
    opened: bool
    sizes: dict[int, int] = field(default_factory=dict)
    _letters: Iterator[int] = field(default_factory=itertools.count)

    def of(self, node: Node, depth: int = _DEPTH) -> Polynomial:
        """Return a value as a polynomial.

        Raises:
            TooLongError: if it has too many terms.
        """
        step = _STEPS.get(node.name)
        value = self.values[node]
        is_closed = value.is_constant if self.opened else value.curvature is not Curvature.UNKNOWN
        if node.is_fixed:
            is_open = node.name == "transpose" or (self.opened and node.name in ("reshape", "contract"))
            # Steps within one operation of a framework have no numbers of their own.
            is_closed = not is_open or any(part.bounds is None for part in node.inputs)
        elif node.op.moves:
            is_closed = False
        if step is None or depth == 0 or is_closed:
            return self.leaf(node)
        found = step(self, node, depth - 1)
        if found is None:
            return self.leaf(node)
        if len(found.terms) > _TERMS or any(len(term.factors) > _FACTORS for term in found.terms):
            raise TooLongError(node.at)
        return found

    def outermost(self, node: Node) -> Polynomial | None:
        """Return a value that is not judged yet as a polynomial; ``None`` if it is no sum of products."""
        step = _STEPS.get(node.name)
        return None if step is None else step(self, node, _DEPTH)

    def leaf(self, node: Node) -> Polynomial:
        """Return an array as itself."""
        number = self.values.number(node)
        letters = tuple(self.letter(size) for size in node.shape)
        if number is not None:
            return Polynomial(letters, (Monomial(number, ()),))
        return Polynomial(letters, (Monomial(1.0, (Factor(node, letters),)),))

    def letter(self, size: int) -> int | None:
        """Return a new letter for an axis."""
        if size == 1:
            return None
        found = next(self._letters)
        self.sizes[found] = size
        return found

    def joined(self, a: Letters, b: Letters) -> tuple[Letters, dict[int, int]]:
        """Match the axes of two values from the last on; returns the letters of both, and new names for those of b."""
        rank = max(len(a), len(b))
        a, b = (None,) * (rank - len(a)) + a, (None,) * (rank - len(b)) + b
        names = {theirs: ours for ours, theirs in zip(a, b, strict=True) if ours is not None and theirs is not None}
        return tuple(theirs if ours is None else ours for ours, theirs in zip(a, b, strict=True)), names


def _moved(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    source = node.inputs[0]
    inner = self.of(source, depth)
    if node.name == "transpose":
        return Polynomial(tuple(inner.letters[axis] for axis in node.params["axes"]), inner.terms)
    if node.name == "slice":
        return inner if node.shape == source.shape else None
    if node.name == "cast":
        return inner if node.dtype == source.dtype else None
    long = [letter for letter, size in zip(inner.letters, source.shape, strict=True) if size != 1]
    if [size for size in source.shape if size != 1] == [size for size in node.shape if size != 1]:
        left = iter(long)
        return Polynomial(tuple(next(left) if size != 1 else None for size in node.shape), inner.terms)
    if node.name != "broadcast":
        return None
    missing = len(node.shape) - len(source.shape)
    letters = (None,) * missing + inner.letters
    kept = (
        letter if letter is not None else self.letter(size) for letter, size in zip(letters, node.shape, strict=True)
    )
    return Polynomial(tuple(kept), inner.terms)


def _multiplied(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    a, b = (self.of(part, depth) for part in node.inputs)
    letters, names = self.joined(a.letters, b.letters)
    return Polynomial(letters, tuple(_products(a.terms, [term.renamed(names) for term in b.terms])))


def _products(a: Sequence[Monomial], b: Sequence[Monomial]) -> Iterator[Monomial]:
    for one, other in itertools.product(a, b):
        yield Monomial(one.number * other.number, (*one.factors, *other.factors))


def _contracted(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    a, b = (self.of(part, depth) for part in node.inputs)
    pairs = [(i, j) for kind in ("batch", "axes") for i, j in zip(*node.params[kind], strict=True)]
    names = {}
    for i, j in pairs:
        ours, theirs = a.letters[i], b.letters[j]
        if ours is not None and theirs is not None:
            names[theirs] = ours
        elif ours is not theirs:
            return None
    batch = node.params["batch"][0]
    taken = {i for i, _ in pairs}, {j for _, j in pairs}
    letters = (
        *(a.letters[i] for i in batch),
        *(letter for i, letter in enumerate(a.letters) if i not in taken[0]),
        *(letter for j, letter in enumerate(b.letters) if j not in taken[1]),
    )
    terms = list(_products(a.terms, [term.renamed(names) for term in b.terms]))
    gone = [a.letters[i] for i in node.params["axes"][0]]
    return Polynomial(letters, tuple(_summed_over(self, terms, gone)))


def _summed_over(self: Expansion, terms: Sequence[Monomial], letters: Sequence[int | None]) -> Iterator[Monomial]:
    """A term without a letter is as often there as its axis is long."""
    for term in terms:
        times = math.prod(self.sizes[letter] for letter in letters if letter is not None and not term.has(letter))
        yield Monomial(term.number * times, term.factors)


def _summed(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    inner = self.of(node.inputs[0], depth)
    axes = node.params["axes"]
    gone = [inner.letters[axis] for axis in axes]
    terms = list(_summed_over(self, inner.terms, gone))
    if node.name == "mean":
        count = math.prod(node.inputs[0].shape[axis] for axis in axes)
        terms = [Monomial(term.number / max(count, 1), term.factors) for term in terms]
    keeps = node.params["keepdims"]
    letters = [None if i in axes else letter for i, letter in enumerate(inner.letters) if keeps or i not in axes]
    return Polynomial(tuple(letters), tuple(terms))


def _added(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    a, b = (self.of(part, depth) for part in node.inputs)
    letters, names = self.joined(a.letters, b.letters)
    sign = -1.0 if node.name == "subtract" else 1.0
    others = [Monomial(sign * term.number, term.renamed(names).factors) for term in b.terms]
    return Polynomial(letters, (*a.terms, *others))


def _negated(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    inner = self.of(node.inputs[0], depth)
    return Polynomial(inner.letters, tuple(Monomial(-term.number, term.factors) for term in inner.terms))


def _divided(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    number = self.values.number(node.inputs[1])
    if not number or len(node.inputs[1].shape) > len(node.inputs[0].shape):
        return None
    inner = self.of(node.inputs[0], depth)
    return Polynomial(inner.letters, tuple(Monomial(term.number / number, term.factors) for term in inner.terms))


def _squared(self: Expansion, node: Node, depth: int) -> Polynomial | None:
    if node.name == "power" and self.values.number(node.inputs[1]) != 2.0:
        return None
    base = self.leaf(node.inputs[0])
    return Polynomial(base.letters, tuple(_products(base.terms, base.terms)))


_STEPS: dict[str, Callable[[Expansion, Node, int], Polynomial | None]] = {
    **dict.fromkeys(("reshape", "transpose", "broadcast", "slice", "cast"), _moved),
    "multiply": _multiplied,
    "contract": _contracted,
    **dict.fromkeys(("sum", "mean"), _summed),
    **dict.fromkeys(("add", "subtract"), _added),
    "negate": _negated,
    "divide": _divided,
    **dict.fromkeys(("square", "power"), _squared),
}
