"""One experiment's report: a Markdown page with its figures (PNG and SVG) and tables beside the result file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The same picture from the same records, byte for byte.
_REPRODUCIBLE: Any = {"svg.hashsalt": "convex-init", "svg.fonttype": "path"}


class Page:
    """Collects what a report shows, and writes it.

    Args:
        folder: where ``NAME.md`` and the pictures go.
        name: of the experiment.
        title: heading of the page.
        preset: of the records.
        complete: (runs that are there, runs that the preset has).
    """

    def __init__(self, folder: Path, name: str, title: str, preset: str, complete: tuple[int, int]) -> None:
        """Begin the page; see the class."""
        self.folder, self.name, self.preset = folder, name, preset
        there, all_runs = complete
        self._parts = [f"# {title}"]
        if there < all_runs:
            command = f"python -m experiments run {name} --preset {preset} --resume"
            self._parts.append(f"{there} of {all_runs} runs of the preset `{preset}`; `{command}` makes the others.")
        else:
            self._parts.append(f"All {there} runs of the preset `{preset}`.")

    def text(self, paragraph: str) -> None:
        """Add a paragraph of Markdown."""
        self._parts.append(paragraph)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        """Add a table; all columns but the first are set to the right."""
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        text = "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
        self._parts.append(f"{caption}\n\n{text}" if caption else text)

    def figure(self, name: str, figure: Any, caption: str = "") -> None:
        """Write a matplotlib figure as ``NAME.png`` and ``NAME.svg`` and show it."""
        import matplotlib

        with matplotlib.rc_context(_REPRODUCIBLE):
            figure.savefig(self.folder / f"{name}.svg", metadata={"Date": None})
            figure.savefig(self.folder / f"{name}.png", dpi=110, metadata={"Software": None})
        self._parts.append(f"![{caption or name}]({name}.png)")
        if caption:
            self._parts.append(caption)

    def picture(self, name: str, svg: str, caption: str = "") -> None:
        """Write a picture that is SVG already, and show it."""
        (self.folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        self._parts.append(f"![{caption or name}]({name}.svg)")
        if caption:
            self._parts.append(caption)

    def write(self) -> Path:
        """Write the page and return its path."""
        path = self.folder / f"{self.name}.md"
        path.write_text("\n\n".join(self._parts) + "\n", encoding="utf-8")
        return path
