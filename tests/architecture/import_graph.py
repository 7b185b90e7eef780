"""Which of our modules imports which: read from the sources, imports inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.checkout import CHECKOUT

ROOTS = (CHECKOUT, CHECKOUT / "plugins", CHECKOUT / "integrations")
PACKAGES = ("convex_init_core", "convex_init")

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """All modules of our packages by their dotted names; a package has the name of its folder."""
    found = {}
    for root in ROOTS:
        for package in PACKAGES:
            for path in sorted((root / package).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(paths: dict[str, Path]) -> Graph:
    """The modules that each module imports, one way or another.

    What a package exports counts as an import of the module where it is defined. A package itself imports nothing here:
    its ``__init__`` is there to import everything. Imports for type checkers alone do not count.
    """
    sources = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    packages = {name for name, path in paths.items() if path.name == "__init__.py"}
    exports = {name: dict(_exports(sources[name], name, set(paths))) for name in packages}
    graph: Graph = {}
    for name in paths.keys() - packages:
        found = set()
        for target in _imported(ast.parse(sources[name]), name):
            package, _, member = target.rpartition(".")
            if target in paths:
                found.add(target)
            elif package in exports:
                found.add(exports[package].get(member, package))
            elif package in paths:
                found.add(package)
        graph[name] = found - packages - {name}
    return graph


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """The sets of modules in which each imports every other, through others or not."""
    reached = {name: _reached(graph, name) for name in graph}
    found = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in graph
        if name in reached[name]
    }
    return sorted(found)


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def _imported(tree: ast.AST, module: str, for_types: bool = False) -> Iterator[str]:
    """Dotted names, of a module or of what is in one; those under ``if TYPE_CHECKING`` only where asked for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".")[: -node.level] if node.level else []
            start = ".".join([*parent, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not for_types:
            for other in node.orelse:
                yield from _imported(ast.Module([other], []), module)
        else:
            yield from _imported(node, module, for_types)


def _exports(source: str, package: str, names: set[str]) -> Iterator[tuple[str, str]]:
    """What a package passes on, with the module that it comes from; on demand, it is imported for type checkers."""
    for target in _imported(ast.parse(source), f"{package}.__init__", for_types=True):
        origin, _, member = target.rpartition(".")
        if origin in names and origin != package:
            yield member, origin
