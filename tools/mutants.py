"""Small faults of a source file: what :mod:`tools.mutation_score` tries."""

from __future__ import annotations

import ast
import contextlib
import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

# A mutant that any run of its line notices says nothing about the tests: + becomes - and no shift.
_OPERATORS = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul", "BitXor_BitAnd"),
    *("RShift_LShift", "LShift_RShift", "BitAnd_BitOr", "BitOr_BitAnd"),
    *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
    *("Is_IsNot", "IsNot_Is", "Delete_USub", "Delete_Not"),
)
_WHOLE = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "RemoveDecorator"),
    "ZeroIterationForLoop",
)


class SwapArguments(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Swaps two neighbouring positional arguments of a call that minds their order."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield where the first and second, second and third, ... may be swapped."""
        for a, b in self._pairs(node):
            yield node.children[a].start_pos, node.children[b].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Swap the pair with this number."""
        a, b = self._pairs(node)[index]
        node.children[a], node.children[b] = node.children[b], node.children[a]
        return node

    @staticmethod
    def _pairs(node: Any) -> list[tuple[int, int]]:
        if getattr(node, "type", "") != "arglist" or node.parent.type != "trailer":
            return []
        if getattr(node.parent.get_previous_sibling(), "value", "") in ("max", "min"):
            return []
        places = [i for i, child in enumerate(node.children) if child.type not in ("operator", "argument")]
        code = [child.get_code().strip() for child in node.children]
        return [(a, b) for a, b in itertools.pairwise(places) if code[a] != code[b]]

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        """Return none; cosmic-ray's own tests ask."""
        return ()


@dataclass(frozen=True)
class Mutant:
    """One file with one change, ``change`` as text and ``code`` as the whole file."""

    file: str
    line: int
    operator: str
    change: str
    code: str


class _Bare(ast.NodeTransformer):
    """Drops what does not run: annotations, and imports for type checkers."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=0)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        named = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
        return None if named == {"TYPE_CHECKING"} else self.generic_visit(node)  # "not" before it tells nothing, too


def what_runs(source: str) -> str:
    """Return a text that is equal for two sources that do the same at run time."""
    return ast.dump(_Bare().visit(ast.parse(source)))


def operators() -> list[tuple[str, Operator]]:
    """Return the operators that are used, by name."""
    chosen = [("SwapArguments", SwapArguments())]
    for name in operator_names():
        short = name.removeprefix("core/")
        if short in _WHOLE or short.partition("Operator_")[2] in _OPERATORS:
            chosen.append((short, get_operator(name)()))
    return sorted(chosen, key=lambda pair: pair[0])


def mutants_of(root: Path, file: str, only: str = "") -> Iterator[Mutant]:
    """Yield every mutant of one file, or those of one operator."""
    source = (root / file).read_text(encoding="utf-8")
    bare = what_runs(source)
    for name, operator in operators():
        if only not in ("", name):
            continue
        for number in range(10_000):
            code = mutate_code(source, operator, number)
            if code is None:
                break
            with contextlib.suppress(SyntaxError):
                if what_runs(code) != bare:
                    yield Mutant(file, *_difference(source, code, name), code)


def _difference(source: str, code: str, name: str) -> tuple[int, str, str]:
    old, new = source.splitlines(), code.splitlines()
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            was, becomes = (" ".join(part.strip() for part in lines) for lines in (old[i1:i2], new[j1:j2]))
            first = next((i for i in range(i1, i2) if old[i].strip()), i1)
            return first + 1, name, f"{was}  ->  {becomes}"
    raise ValueError("the mutant is the source")
