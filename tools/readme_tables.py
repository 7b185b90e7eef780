"""Write the tables of the first pages from the committed results: ``python tools/readme_tables.py [--check]``.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->`` in README.md or docs/demo.md. ``NAME`` is that of
a result of the demo, ``results/NAME.json``, or the path of a page that an experiment wrote, such as
``results/experiments/cpu/field.md``, whose first table is taken. With ``--check`` nothing is written, and the exit code
is 1 if a page says something else than the results.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

from convex_init.demo.results import record, table

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/demo.md")
_TABLE = re.compile(r"(<!-- table:(\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def with_tables(text: str, checkout: Path) -> str:
    """Return the Markdown ``text`` with every marked table made anew from the results in ``checkout``.

    Raises:
        ValueError: if no table is marked, or a page has none.
        FileNotFoundError: if a table has no results.
    """
    if not _TABLE.search(text):
        raise ValueError("there is no <!-- table:NAME --> with a <!-- /table --> behind it")

    def made(found: re.Match[str]) -> str:
        name = found[2]
        content = (
            first_table(checkout / name) if name.endswith(".md") else of_demo(checkout / "results" / f"{name}.json")
        )
        return f"{found[1]}{content}\n{found[3]}"

    return _TABLE.sub(made, text)


def of_demo(path: Path) -> str:
    """Return the table of a result of the demo, with its caption."""
    content = record.read(path)
    return f"{table.caption(content)}.\n\n{table.as_markdown(content)}"


def first_table(page: Path) -> str:
    """Return the first table of a Markdown page.

    Raises:
        ValueError: if there is none.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = list(itertools.takewhile(_is_row, itertools.dropwhile(lambda line: not _is_row(line), lines)))
    if not rows:
        raise ValueError(f"{page.name} has no table")
    return "\n".join(rows)


def _is_row(line: str) -> bool:
    return line.startswith("|")


def main(arguments: list[str]) -> int:
    """Write the tables, or compare them; 1 if a comparison fails."""
    if arguments not in ([], ["--check"]):
        print(f"unknown arguments {' '.join(arguments)}; there is only --check")
        return 2
    differs = False
    for name in PAGES:
        page = CHECKOUT / name
        before = page.read_text(encoding="utf-8")
        after = with_tables(before, CHECKOUT)
        if arguments:
            if before != after:
                print(f"{name} does not say what the results say: python tools/readme_tables.py")
                differs = True
        else:
            page.write_text(after, encoding="utf-8")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
