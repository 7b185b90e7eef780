"""One picture of each result, as PNG."""

from __future__ import annotations

from pathlib import Path

from convex_init.demo.failure import needed
from convex_init.demo.results.record import Results


def draw(results: Results, path: Path) -> None:
    """Write the picture of a result: losses by epoch, curves, or level lines."""
    figure = needed("matplotlib.figure").Figure(layout="constrained")
    from convex_init.demo.results.fits import draw_curves, draw_level_lines
    from convex_init.demo.results.learning_curves import draw_losses

    drawn = {"curve": draw_curves, "surface": draw_level_lines}.get(results["task"], draw_losses)
    drawn(figure, results)
    figure.savefig(path, dpi=150)
