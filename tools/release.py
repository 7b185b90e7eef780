"""What a release asks of the files: ``python tools/release.py check TAG`` and ``python tools/release.py notes TAG``.

``check`` fails unless the tag, the package, CITATION.cff and the newest section of CHANGELOG.md have one version, and
the section and the citation one date. ``notes`` prints that section. Standard library only: a release runs it before
anything is installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
_HEAD = re.compile(r"^## \[?(?P<version>\d+\.\d+\.\d+)\]? - (?P<date>\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def sections(changelog: str) -> dict[str, tuple[str, str]]:
    """Return date and text of each version in the changelog, the newest first; what is unreleased is left out."""
    heads = list(_HEAD.finditer(changelog))
    ends = [*(head.start() for head in heads), len(changelog)][1:]
    return {
        head["version"]: (head["date"], changelog[head.end() : end].strip())
        for head, end in zip(heads, ends, strict=True)
    }


def faults(checkout: Path, tag: str | None = None) -> list[str]:
    """Return what does not fit together in a checkout; nothing if it can be released.

    Args:
        checkout: its folder.
        tag: of the release; left out if ``None``.
    """
    package = _found(r'^__version__ = "(.+)"$', checkout / "plugins" / "convex_init" / "__init__.py")
    cited = _found(r"^version: (.+)$", checkout / "CITATION.cff")
    cited_date = _found(r"^date-released: (.+)$", checkout / "CITATION.cff")
    known = sections((checkout / "CHANGELOG.md").read_text(encoding="utf-8"))
    newest, (date, text) = next(iter(known.items()), ("", ("", "")))
    found = []
    if tag is not None and tag != f"v{package}":
        found.append(f"the tag is {tag}, and the package has version {package}")
    if newest != package:
        found.append(
            f"the newest section of CHANGELOG.md is {newest or 'missing'}, and the package has version {package}"
        )
    if not text:
        found.append(f"CHANGELOG.md says nothing of {newest}")
    if (cited, cited_date) != (package, date):
        found.append(f"CITATION.cff has version {cited} of {cited_date}, and the changelog {newest} of {date}")
    return found


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def main(arguments: list[str]) -> int:
    """Run a command; 1 if something does not fit, 2 for another command."""
    if len(arguments) != 2 or arguments[0] not in ("check", "notes"):
        print("python tools/release.py check|notes TAG", file=sys.stderr)
        return 2
    command, tag = arguments
    if command == "notes":
        known = sections((CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8"))
        print(known[tag.removeprefix("v")][1])
        return 0
    problems = faults(CHECKOUT, tag)
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
