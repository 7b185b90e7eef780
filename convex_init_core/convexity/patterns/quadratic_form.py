"""Read quadratic forms and sums of squares: ``((x @ Q) * x).sum(-1)``, einsums, bilinear maps.

They are convex in an affine x if Q, as it is, is positive semi-definite. Linear terms may stand inside, as in
``x * (x @ Q + b)``.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from convex_init_core.convexity import calculus
from convex_init_core.convexity.calculus import ElementWise, Sign, Under, Value
from convex_init_core.convexity.functions import FUNCTIONS
from convex_init_core.convexity.patterns.monomials import Expansion, Factor, Letters, Monomial, TooLongError
from convex_init_core.convexity.rules.element_wise import size_of
from convex_init_core.convexity.values import Values
from convex_init_core.graph.nodes import Node
from convex_init_core.graph.precision import bits_of, rounding_of

_LARGEST = 512  # rows of a matrix
_EXACT = 24  # rows of a matrix of which the definiteness is told in fractions


def as_squares(node: Node, values: Values) -> Value | None:
    """Return a value as a sum of quadratic forms, linear terms and constants; ``None`` if it is none.

    Args:
        node: a product, or a sum of products.
        values: of the nodes before it.
    """
    refusal: Value | None = None
    for opened in (False, True):
        expansion = Expansion(values, opened)
        try:
            found = _Judge(expansion, values, node).value()
        except TooLongError:
            continue
        if found is not None and found.curvature is not calculus.Curvature.UNKNOWN:
            return found
        refusal = found or refusal
    return refusal


class _Judge:
    """What is known of a polynomial."""

    def __init__(self, expansion: Expansion, values: Values, node: Node) -> None:
        self.expansion, self.values, self.at = expansion, values, node.at
        self.polynomial = expansion.outermost(node)

    def value(self) -> Value | None:
        if self.polynomial is None or not any(map(self._is_square, self.polynomial.terms)):
            return None
        found = [self._term(term, self.polynomial.letters) for term in self.polynomial.terms]
        known = [value for value in found if value is not None]
        return calculus.add(known, self.at) if len(known) == len(found) else None

    def _is_square(self, term: Monomial) -> bool:
        return sum(not self.values[part.node].is_constant for part in term.factors) == 2

    def _term(self, term: Monomial, letters: Letters) -> Value | None:
        varying = [part for part in term.factors if not self.values[part.node].is_constant]
        constants = [part for part in term.factors if self.values[part.node].is_constant]
        sign = _sign(term.number)
        for part in constants:
            sign = sign * self.values[part.node].sign
        if any(not self.values[part.node].finite for part in term.factors):
            return None
        if not varying:
            return calculus.constant(sign)
        if len(varying) == 1:
            return calculus.multiply(calculus.constant(sign), self.values[varying[0].node], self.at)
        if len(varying) > 2 or not self.values.are_same(varying[0].node, varying[1].node):
            return None
        return self._square(term.number, varying, constants, sign, letters)

    def _square(
        self, number: float, varying: list[Factor], constants: list[Factor], sign: Sign, outer: Letters
    ) -> Value | None:
        base = varying[0].node
        pairs = list(zip(varying[0].letters, varying[1].letters, strict=True))
        rows = tuple(a for a, b in pairs if a != b)
        columns = tuple(b for a, b in pairs if a != b)
        if not rows:
            if sign is Sign.ANY:
                return None
            squared = calculus.apply(FUNCTIONS["square"], size_of(base, self.values), self.at)
            return calculus.multiply(calculus.constant(sign), squared, self.at)
        shared = {a for a, b in pairs if a == b}
        apart = {*rows, *columns}
        if len(apart) != 2 * len(rows) or apart & (shared | set(outer)) or None in apart:
            return None
        kept = {letter for letter in (*outer, *shared) if letter is not None}
        convex, concave, refusal = self._definite(number, constants, rows, columns, kept)
        sign = Sign.NON_NEGATIVE if convex else Sign.NON_POSITIVE if concave else Sign.ANY
        claim = ElementWise(
            "a quadratic form",
            convex=convex,
            concave=concave,
            sign=sign,
            refusal=refusal,
            convex_under=Under.ROOT if convex else Under.NOTHING,
        )
        return calculus.apply(claim, self.values[base], self.at)

    def _definite(
        self, number: float, constants: list[Factor], rows: Letters, columns: Letters, kept: set[int]
    ) -> tuple[bool, bool, str]:
        """Whether the matrix between two arrays is positive or negative semi-definite, and why it is neither."""
        inner, within, below = _without_frame(constants, rows, columns, kept, self.values)
        is_gram = len(inner) == 1 and _is_gram(inner[0], within, below, self.values)
        if is_gram or (within == below and all(self._is_weight(part, within) for part in inner)):
            for part in constants:
                self._note_rounding(part.node)
            return number >= 0.0, number <= 0.0, ""
        told = self._by_numbers(number, constants, rows, columns, kept)
        if len(inner) < len(constants) and within != below and not (told[0] or told[1]):
            told = self._by_numbers(number, inner, within, below, kept)
        return told

    def _is_weight(self, part: Factor, letters: Letters) -> bool:
        """Whether a constant is a non-negative weight of squares, ``c`` in ``Σ cₖ sₖ²``."""
        return self.values[part.node].sign.is_non_negative and {*part.letters} - {None} <= set(letters)

    def _by_numbers(
        self, number: float, constants: list[Factor], rows: Letters, columns: Letters, kept: set[int]
    ) -> tuple[bool, bool, str]:
        matrices = self._matrices(number, constants, rows, columns, kept)
        if matrices is None:
            return False, False, "the numbers of its matrix are not known"
        exact = len(constants) <= 1  # else its elements were rounded
        found = [_definite(matrix, exact) for matrix in matrices]
        convex, concave = (all(part[i] for part in found) for i in (0, 1))
        refusal = next((why for *_, why in found if why), "its matrices are not definite in the same way")
        return convex, concave, "" if convex or concave else refusal

    def _matrices(
        self, number: float, constants: list[Factor], rows: Letters, columns: Letters, kept: set[int]
    ) -> NDArray[np.float64] | None:
        names: dict[int, int] = {}
        parts: list[object] = []
        sizes = self.expansion.sizes
        within = [*rows, *columns]
        for part in constants:
            numbers = self.values.numbers(part.node)
            if numbers is None or not np.isfinite(numbers).all():
                return None
            letters = [letter for letter in part.letters if letter is not None]
            parts += [numbers.reshape([sizes[letter] for letter in letters]), letters]
        known = {letter for letters in parts[1::2] for letter in letters}  # type: ignore[attr-defined]
        for letter in within:
            if letter not in known and letter is not None:
                parts += [np.ones(sizes[letter]), [letter]]
        beside = [letter for letter in dict.fromkeys(known) if letter in kept]  # the others are summed here
        order = [*beside, *(letter for letter in within if letter is not None)]
        length = math.prod(sizes[letter] for letter in rows if letter is not None)
        if length > _LARGEST or math.prod(sizes[letter] for letter in order) > _LARGEST**2:
            return None
        for letter in (*order, *known):
            names.setdefault(letter, len(names))
        for i in range(1, len(parts), 2):
            parts[i] = [names[letter] for letter in parts[i]]  # type: ignore[attr-defined]
        found = np.sign(number) * np.einsum(*parts, [names[letter] for letter in order])  # type: ignore[call-overload]
        made: NDArray[np.float64] = found.reshape(-1, length, length)
        return made

    def _note_rounding(self, matrix: Node) -> None:
        bits = bits_of(matrix.dtype)
        if bits is not None and bits < 23:
            note = f"{self.at}: the matrix of the form is rounded to {matrix.dtype}; the answer holds up to that"
            if note not in self.values.notes:
                self.values.notes.append(note)


def _sign(number: float) -> Sign:
    return Sign.ZERO if number == 0.0 else Sign.NON_NEGATIVE if number > 0.0 else Sign.NON_POSITIVE


def _definite(numbers: NDArray[np.float64], exact: bool) -> tuple[bool, bool, str]:
    """Whether a matrix is positive semi-definite, negative semi-definite, and why it is neither.

    Eigenvalues decide where they are further from 0 than they can be wrong; else row sums, or exact arithmetic.
    """
    eigenvalues = np.linalg.eigvalsh(0.5 * (numbers + numbers.T))
    low, high = float(eigenvalues[0]), float(eigenvalues[-1])
    wrong = 8.0 * len(numbers) * rounding_of("float64") * float(np.abs(numbers).sum(1).max())
    convex = low > wrong or (exact and low >= -wrong and _is_semi_definite(numbers))
    concave = high < -wrong or (exact and high <= wrong and _is_semi_definite(-numbers))
    if convex or concave:
        return convex, concave, ""
    if low < -wrong and high > wrong:
        return False, False, "its matrix has a negative eigenvalue"
    return False, False, "its matrix has an eigenvalue that is too close to 0 to tell"


def _is_semi_definite(numbers: NDArray[np.float64]) -> bool:
    """Whether a matrix is positive semi-definite without any rounding; ``False`` if that takes too long."""
    rows = [[(float(numbers[i, j]), float(numbers[j, i])) for j in range(len(numbers))] for i in range(len(numbers))]
    dominant = all(
        math.fsum([*(abs(part) for j, pair in enumerate(row) if j != i for part in pair), -2.0 * row[i][0]]) <= 0.0
        for i, row in enumerate(rows)
    )
    if dominant or len(numbers) > _EXACT:
        return dominant
    left = [[Fraction(a) + Fraction(b) for a, b in row] for row in rows]
    while left:
        pivot, *rest = left[0]
        if pivot < 0 or (pivot == 0 and any(rest)):
            return False
        left = [
            [part - (row[0] * other / pivot if pivot else 0) for part, other in zip(row[1:], rest, strict=True)]
            for row in left[1:]
        ]
    return True


def _without_frame(
    constants: list[Factor], rows: Letters, columns: Letters, kept: set[int], values: Values
) -> tuple[list[Factor], Letters, Letters]:
    """Take ``A`` and ``Aᵀ`` off ``A M Aᵀ``, as often as they are there: that is semi-definite if M is.

    Returns what is left of the constants, and the axes of M.
    """
    while len(rows) == 1:
        found = [
            (first, second, *inner)
            for first, second in itertools.permutations(constants, 2)
            if values.are_same(first.node, second.node)
            and (inner := _inner_axes(first.letters, second.letters, rows[0], columns[0])) is not None
        ]
        if not found:
            break
        first, second, row, column = found[0]
        rest = [part for part in constants if part is not first and part is not second]
        times = sum(letter in (row, column) for part in rest for letter in part.letters)
        beside = [part for part in rest if row in part.letters]
        is_diagonal = row == column and all({*part.letters} - {None} == {row} for part in beside)
        if not (is_diagonal or (row != column and times == 2)) or {row, column} & kept:
            break
        constants, rows, columns = rest, (row,), (column,)
    return constants, rows, columns


def _inner_axes(first: Letters, second: Letters, row: int | None, column: int | None) -> tuple[int, int] | None:
    """The other axes of two copies of one matrix, of which one has the row and one, in its place, the column."""
    if len(first) != 2 or len(second) != 2 or None in (*first, *second):
        return None
    for at in (0, 1):
        if first[at] == row and second[at] == column:
            return first[1 - at], second[1 - at]  # type: ignore[return-value]
    return None


def _is_gram(part: Factor, rows: Letters, columns: Letters, values: Values) -> bool:
    """Whether a matrix is ``A Aᵀ`` by the way it is made, whatever numbers A holds."""
    matrix = part.node
    while matrix.name in ("reshape", "transpose"):  # it is symmetric
        matrix = matrix.inputs[0]
    letters = sorted(letter for letter in part.letters if letter is not None)
    if len(rows) != 1 or letters != sorted([rows[0], columns[0]]):  # type: ignore[type-var]
        return False
    if matrix.name != "contract" or any(map(len, matrix.params["batch"])) or len(matrix.shape) != 2:
        return False
    (a, of_a), (b, of_b) = map(_behind_transposes, matrix.inputs, matrix.params["axes"])
    return values.are_same(a, b) and of_a == of_b


def _behind_transposes(node: Node, axes: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    while node.name == "transpose":
        axes = tuple(node.params["axes"][axis] for axis in axes)
        node = node.inputs[0]
    return node, axes
