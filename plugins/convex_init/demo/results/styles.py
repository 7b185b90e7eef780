"""What the demo's pictures have in common: colours, dashes, titles."""

from __future__ import annotations

from typing import Any

from convex_init.demo.results.record import Results
from convex_init.demo.results.table import caption

# Okabe & Ito's colours, told apart by colour-blind readers too; dashes for print without colour.
DEFAULT, OURS = "#D55E00", "#0072B2"
_STYLES: dict[tuple[str, str], dict[str, Any]] = {
    ("non-convex", "He"): {"color": "#000000", "linestyle": (0, (1, 1.2))},
    ("ICNN", "default"): {"color": DEFAULT, "linestyle": "-"},
    ("ICNN", "ours"): {"color": OURS, "linestyle": "-"},
    ("ICNN + skip", "default"): {"color": "#E69F00", "linestyle": (0, (5, 1.5))},
    ("ICNN + skip", "ours"): {"color": "#56B4E9", "linestyle": (0, (5, 1.5))},
}


def style_of(network: dict[str, Any]) -> dict[str, Any]:
    """Return colour and dashes of a network."""
    return _STYLES[network["name"], network["start"]]


def title(results: Results) -> str:
    """Return what was trained and how, in two lines."""
    what, how, *_ = caption(results).split("; ")
    return f"{what}\n{how}"


def plain(axes: Any) -> None:
    """Give a panel a thin grid and no frame."""
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
