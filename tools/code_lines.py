"""Print how many lines of code each part has, and how many for each line of the core: ``python tools/code_lines.py``.

Comments, blank lines and strings that stand by themselves, such as docstrings, do not count. A folder within a part has
a row of its own; the part's row counts it, too. ``python tools/code_lines.py FOLDER ...`` counts other folders of the
checkout; ``--page`` writes the table of docs/architecture.md.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CORE = "convex_init_core"
PAGE = CHECKOUT / "docs" / "architecture.md"
BEGIN, END = "<!-- code lines -->", "<!-- /code lines -->"
PARTS = (
    CORE,
    *("plugins/convex_init/torch", "plugins/convex_init/jax", "plugins/convex_init/tensorflow"),
    *("plugins/convex_init/keras", "plugins/convex_init/command", "plugins/convex_init/demo"),
    *("integrations/convex_init/cvxpy", "integrations/convex_init/ignite", "integrations/convex_init/timm"),
    *("tests", "experiments", "benchmarks", "tools", "examples"),
)
_SMALL = 0.05  # of the core: no row of the page for such a folder
LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def code_lines(source: str) -> int:
    """Return the number of lines that hold code; a string of many lines that is a value counts as many."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def counts(folder: Path) -> tuple[int, int]:
    """Return the files and the code lines in a folder and those within it."""
    paths = sorted(folder.rglob("*.py"))
    return len(paths), sum(code_lines(path.read_text(encoding="utf-8")) for path in paths)


def rows(folders: list[Path]) -> list[tuple[str, int, int]]:
    """Return name, files and code lines of each folder, each followed by the folders in it that hold modules."""
    found = []
    for folder in folders:
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.rglob("*.py"))]
        for path, margin in [(folder, ""), *((path, "  ") for path in inner)]:
            name = path.relative_to(CHECKOUT).as_posix() if not margin else path.name
            found.append((margin + name, *counts(path)))
    return found


def table(found: list[tuple[str, int, int]], of_core: int) -> str:
    """Return rows as Markdown; small folders and those within tests and the like are left out."""
    lines = ["| part | files | lines | per line of the core |", "|---|---:|---:|---:|"]
    of_code = False
    for name, files, count in found:
        is_inner = name.startswith("  ")
        of_code = of_code if is_inner else name.startswith(("convex_init", "plugins", "integrations"))
        if not is_inner or (of_code and count >= _SMALL * of_core):
            shown = f"… `{name.strip()}`" if is_inner else f"`{name}`"
            lines.append(f"| {shown} | {files} | {count:,} | {count / of_core:.2f} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print a row for each part, or write them into the page."""
    if arguments == ["--page"]:
        found = rows([CHECKOUT / part for part in PARTS])
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        made = table(found, counts(CHECKOUT / CORE)[1])
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")
        return
    folders = [Path(argument).resolve() for argument in arguments] or [CHECKOUT / part for part in PARTS]
    of_core = counts(CHECKOUT / CORE)[1]
    print(f"{'part':36}{'files':>7}{'lines':>8}{'per line of the core':>23}")
    for name, files, lines in rows(folders):
        print(f"{name:36}{files:7}{lines:8}{lines / of_core:23.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
