"""The tables of ``docs/clients.md``, from the result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
BEGIN, END = "<!-- table: begin (python -m benchmarks.{} --page) -->", "<!-- table: end -->"
HEADER = ("class", "positive", "variances at the start", "certificate", "error from its default", "from ours", "ratio")


def table(result: dict[str, Any]) -> str:
    """Return the table in Markdown, with the versions and settings above it."""
    versions, settings = result["environment"]["versions"], result["settings"]
    named = ", ".join(f"{name} {number}" for name, number in versions.items() if name not in ("convex-init", "numpy"))
    lines = [
        f"{named}; {settings['seeds']} seeds, {settings['steps']} steps of Adam on {settings['examples']} examples, "
        "each start at its own best rate.",
        "",
        "| " + " | ".join(HEADER) + " |",
        "|" + "---|" * len(HEADER),
    ]
    for name, client in result["clients"].items():
        lines.append("| " + " | ".join(_cells(name, client)) + " |")
    return "\n".join(lines)


def _cells(name: str, client: dict[str, Any]) -> list[str]:
    if "broken" in client:
        return [name, f"does not run: `{client['broken']}`", *[""] * (len(HEADER) - 2)]
    low, high = client["variances"]
    default, ours = client["default"]["error"], client["ours"]["error"]
    verdict = client["certificate"].splitlines()[0].split(":")[0]
    if client["remark"]:
        verdict = f"{verdict}: {client['remark']}"
    return [
        name,
        str(client["positive"]),
        f"{low:.2f} to {high:.2f}",
        verdict,
        f"{default:.3f}",
        f"{ours:.3f}",
        f"{ours / default:.2f}",
    ]


def write_page(result: dict[str, Any], module: str = "clients") -> None:
    """Put the table between its marks on the page.

    Args:
        result: what the result file has.
        module: that measures it.
    """
    text, begin = PAGE.read_text(), BEGIN.format(module)
    before, rest = text.split(begin)
    PAGE.write_text(f"{before}{begin}\n{table(result)}\n{END}{rest.partition(END)[2]}")
