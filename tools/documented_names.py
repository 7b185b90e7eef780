"""Fail if a public name of our packages has no docstring: ``python tools/documented_names.py [FOLDER ...]``.

Public are all modules, and in them the classes, functions, methods and properties without a leading
underscore, in private modules too, since those names are re-exported. A constant counts if ``__all__`` names
it; its docstring is the string below it. The source is read and not imported, so no framework is needed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = ("convex_init_core", "plugins/convex_init", "integrations/convex_init")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_names(source: str) -> Iterator[tuple[str, int, bool]]:
    """Yield (dotted name, line, whether documented) for the module itself and every public name in it."""
    module = ast.parse(source)
    yield "(module)", 1, ast.get_docstring(module) is not None
    exported = _exported(module)
    yield from _definitions(module.body, "")
    yield from (constant for constant in _constants(module.body) if constant[0] in exported)


def _exported(module: ast.Module) -> set[str]:
    for statement in module.body:
        if "__all__" in _bound_names(statement) and isinstance(statement, ast.Assign | ast.AnnAssign):
            return set(ast.literal_eval(statement.value)) if statement.value else set()
    return set()


def _bound_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        targets = []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int, bool]]:
    for statement in body:
        if isinstance(statement, Definition):
            if _is_public(statement):
                name = prefix + statement.name
                yield name, statement.lineno, ast.get_docstring(statement) is not None
                if isinstance(statement, ast.ClassDef):
                    yield from _definitions(statement.body, f"{name}.")
        else:  # definitions under `if TYPE_CHECKING`, in `try ... except ImportError` and the like
            for block in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(statement, block, []), prefix)
            for handler in getattr(statement, "handlers", []):
                yield from _definitions(handler.body, prefix)


def _is_public(definition: Definition) -> bool:
    # A setter shares its getter's docstring, an overload that of its implementation.
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in definition.decorator_list}
    return not definition.name.startswith("_") and not decorators & {"setter", "deleter", "overload"}


def _constants(body: list[ast.stmt]) -> Iterator[tuple[str, int, bool]]:
    for statement, following in zip(body, [*body[1:], None], strict=True):
        for name in _bound_names(statement):
            yield name, statement.lineno, _is_string(following)


def _is_string(statement: ast.stmt | None) -> TypeGuard[ast.Expr]:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def main(arguments: list[str]) -> int:
    """Print the undocumented public names under the folders (default: our packages); 1 if there are any."""
    folders = [Path(argument) for argument in arguments] or [CHECKOUT / package for package in PACKAGES]
    names = undocumented = 0
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for name, line, documented in public_names(path.read_text(encoding="utf-8")):
            names += 1
            if not documented:
                undocumented += 1
                print(f"{path}:{line}: {name} has no docstring")
    if not names:
        print(f"no Python files under {', '.join(map(str, folders))}")
        return 1
    print(f"{names} public names, {undocumented} without a docstring")
    return 1 if undocumented else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
