"""Write the README's tables from the committed results: ``python tools/readme_tables.py [--check]``.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->`` and is made from ``results/NAME.json``. With
``--check`` nothing is written, and the exit code is 1 if the README says something else than the results.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from convex_init.demo.results import record, table

CHECKOUT = Path(__file__).resolve().parent.parent
_TABLE = re.compile(r"(<!-- table:(\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def with_tables(text: str, folder: Path) -> str:
    """Return the Markdown ``text`` with every marked table made anew from its results in ``folder``.

    Raises:
        ValueError: if no table is marked.
        FileNotFoundError: if a table has no results.
    """
    if not _TABLE.search(text):
        raise ValueError("there is no <!-- table:NAME --> with a <!-- /table --> behind it")

    def made(found: re.Match[str]) -> str:
        content = record.read(folder / f"{found[2]}.json")
        return f"{found[1]}{table.caption(content)}.\n\n{table.as_markdown(content)}\n{found[3]}"

    return _TABLE.sub(made, text)


def main(arguments: list[str]) -> int:
    """Write the tables, or compare them; 1 if a comparison fails."""
    readme = CHECKOUT / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = with_tables(before, CHECKOUT / "results")
    if arguments == ["--check"]:
        if before != after:
            print("README.md does not say what the results say: python tools/readme_tables.py")
            return 1
    elif arguments:
        print(f"unknown arguments {' '.join(arguments)}; there is only --check")
        return 2
    else:
        readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
