"""What the site needs beyond ``docs/``, as hooks of mkdocs.

The pages are written for the repository: their links lead to results, examples and code beside ``docs/``. What they
link to becomes part of the site here, links are rewritten to where it lies there, and formulas become MathML, which
browsers draw without a script or a font from elsewhere.
"""

from __future__ import annotations

import html
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

CHECKOUT = Path(__file__).resolve().parent.parent
_ADDED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CITATION.cff",
    "LICENSE",
)  # README.md would be a second home
_FOLDERS = ("examples", "experiments", "integrations", "results")
_SUFFIXES = {".cff", ".csv", ".ipynb", ".json", ".jsonl", ".md", ".png", ".py", ".svg", ""}
_LINK = re.compile(r"(?P<front>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_CODE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_files(files: Any, config: Any) -> Any:
    """Add what lies beside ``docs/``, under its path in the repository."""
    paths = [CHECKOUT / name for name in _ADDED]
    for folder in _FOLDERS:
        paths += [
            path for path in sorted((CHECKOUT / folder).rglob("*")) if path.is_file() and path.suffix in _SUFFIXES
        ]
    for path in paths:
        place = path.relative_to(CHECKOUT).as_posix()
        if files.get_file_from_path(place) is None and "__pycache__" not in place:
            files.append(File(place, str(CHECKOUT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite relative links from the repository to the site."""
    known = set(files.src_uris)
    parts = _CODE.split(markdown)  # every other one is code
    return "".join(part if i % 2 else _rewritten(part, page.file.src_uri, known) for i, part in enumerate(parts))


def on_page_content(html_text: str, **_: Any) -> str:
    """Put MathML in the place of formulas."""

    def drawn(found: re.Match[str]) -> str:
        return str(convert(html.unescape(found["tex"]), display="block" if found["open"] == "[" else "inline"))

    return _FORMULA.sub(drawn, html_text)


def _rewritten(text: str, page: str, known: set[str]) -> str:
    def moved(found: re.Match[str]) -> str:
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            return found[0]
        place, anchor = site_place(page, target), found["anchor"] or ""
        if place in known:
            return f"{found['front']}({posixpath.relpath(place, posixpath.dirname(page))}{anchor})"
        repository = os.environ.get("CONVEX_INIT_REPOSITORY", "").rstrip("/")
        if not (CHECKOUT / place).exists():
            return found[0]  # which mkdocs complains of
        if repository:
            return f"{found['front']}({repository}/blob/HEAD/{place}{anchor})"
        return found["front"].strip("[]")  # code, without a place where it could be read

    return _LINK.sub(moved, text)


def site_place(page: str, target: str) -> str:
    """Return the path in the site of what a page links to.

    Args:
        page: path of the page in the site; without a counterpart in the root of the checkout it is one of ``docs/``.
        target: as the page has it, relative to its place in the repository.
    """
    in_repository = page if (CHECKOUT / page).is_file() else f"docs/{page}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target)).removeprefix("docs/")
