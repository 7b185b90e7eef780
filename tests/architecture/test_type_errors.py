"""Nothing decides by the text of a TypeError, which belongs to Python and changes with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.checkout import CHECKOUT

PACKAGES = ("convex_init_core", "plugins", "integrations")
_TESTS = {"startswith", "endswith", "find", "index", "count", "search", "match", "fullmatch", "findall"}


def searches(source: str) -> Iterator[int]:
    """Yield the lines in handlers of a TypeError that look into its text."""
    for handler in ast.walk(ast.parse(source)):
        if isinstance(handler, ast.ExceptHandler) and handler.name and _catches(handler.type):
            yield from (node.lineno for node in ast.walk(handler) if _looks(node, handler.name))


def _catches(kinds: ast.expr | None) -> bool:
    return kinds is not None and any(isinstance(x, ast.Name) and x.id == "TypeError" for x in ast.walk(kinds))


def _looks(node: ast.AST, name: str) -> bool:
    parts: list[ast.expr] = []
    if isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TESTS:
        parts = [node.func.value, *node.args]
    return any(isinstance(x, ast.Name) and x.id == name for part in parts for x in ast.walk(part))


@pytest.mark.parametrize(
    ("handler", "is_found"),
    [
        ('except TypeError as e:\n    if "unexpected" in str(e): raise', True),
        ('except (ValueError, TypeError) as e:\n    if e.args[0].startswith("f()"): raise', True),
        ('except TypeError as e:\n    if re.search("got", str(e)): raise', True),
        ('except TypeError as e:\n    raise TypeError(f"x: {e}") from None', False),
        ('except ValueError as e:\n    if "shape" in str(e): raise', False),
    ],
)
def test_a_search_is_seen(handler: str, is_found: bool) -> None:
    assert bool(list(searches(f"try:\n    pass\n{handler}\n"))) == is_found


def test_no_text_of_a_type_error_is_searched() -> None:
    files = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]
    assert len(files) > 100
    found = {str(path): lines for path in files if (lines := list(searches(path.read_text(encoding="utf-8"))))}
    assert not found
