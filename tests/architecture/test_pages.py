"""What the pages say is there: files and names of docs/architecture.md exist, and all code on the pages is Python."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.checkout import CHECKOUT

PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((CHECKOUT / "docs").glob("*.md"))))
FLOOR_PLAN = ("docs/architecture.md", "CONTRIBUTING.md")
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHOWN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def text_of(page: str) -> str:
    return (CHECKOUT / page).read_text(encoding="utf-8")


def shown(text: str) -> list[str]:
    """What stands between single backticks, outside of blocks of code."""
    return _SHOWN.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def paths_in(text: str) -> set[str]:
    """Files and folders of the checkout among what is shown."""
    return {name for name in shown(text) if "/" in name and not set(name) & set(" (){}=*<>")}


def rows(page: str) -> list[tuple[str, list[str], list[str]]]:
    """The rows of the table "Where is …?": question, files, names."""
    table = text_of(page).split("## Where is …?")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return [(row[0].strip(), shown(row[1]), shown(row[2])) for row in cells]


def defined(source: str) -> set[str]:
    """Functions, methods and classes, and all names that something is assigned to."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_compiles(page):
    for block in _BLOCK.findall(text_of(page)):
        compile(block, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    folder = (CHECKOUT / page).parent
    targets = {link for link in _LINK.findall(text_of(page)) if "://" not in link}
    assert [link for link in sorted(targets) if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", FLOOR_PLAN)
def test_every_file_that_is_named_exists(page):
    named = paths_in(text_of(page))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (CHECKOUT / path).exists()] == []


def test_every_name_is_where_the_table_says():
    table = rows("docs/architecture.md")
    assert len(table) >= 16
    for question, files, names in table:
        found = set().union(*(defined((CHECKOUT / path).read_text(encoding="utf-8")) for path in files))
        assert names
        assert set(names) <= found, question


def recipes() -> dict[str, list[tuple[list[str], list[str]]]]:
    """The tables of CONTRIBUTING.md that say where something is added: files, and names that are in one of them."""
    found: dict[str, list[tuple[list[str], list[str]]]] = {}
    for section in text_of("CONTRIBUTING.md").split("\n## Add ")[1:]:
        title, new = section.partition("\n")[0], set(re.findall(r"^(?:`|For [^\n]*`)(\w+)", section, re.MULTILINE))
        cells = [line.strip("|").split(" | ") for line in section.split("\n## ")[0].splitlines() if line[:3] == "| `"]
        for files, what in cells:
            names = [name for name in shown(what) if name.isidentifier() and name.casefold() not in new]
            found.setdefault(title, []).append((shown(files), names))
    return found


def test_every_name_of_a_recipe_is_in_its_file():
    tables = recipes()
    assert len(tables) >= 4
    assert sum(len(names) for rows in tables.values() for _, names in rows) >= 15
    for title, table in tables.items():
        for files, names in table:
            found = set().union(*(defined((CHECKOUT / path).read_text(encoding="utf-8")) for path in files))
            assert set(names) <= found, title


@pytest.mark.parametrize("folder", ["convex_init_core", "plugins/convex_init", "integrations/convex_init"])
def test_every_folder_of_the_packages_is_on_the_floor_plan(folder):
    named = {path.rstrip("/") for path in paths_in(text_of("docs/architecture.md"))}
    inner = [path for path in (CHECKOUT / folder).iterdir() if any(path.glob("__init__.py"))]
    assert inner
    assert [path.name for path in inner if path.relative_to(CHECKOUT).as_posix() not in named] == []


def test_the_reader_of_pages_sees_what_it_should():
    text = "`a/b.py` and `f(x) / 2`\n```python\n`c/d.py`\n```\n`e/`\n"
    assert paths_in(text) == {"a/b.py", "e/"}
    assert defined("class A:\n    x: int = 1\n    def f(self):\n        self.y = 2\n") == {"A", "x", "f", "y"}
    assert _LINK.findall("[a](b.md#c) ![d](e.png)") == ["b.md", "e.png"]
