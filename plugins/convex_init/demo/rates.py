"""The learning rates of the demo's networks, by number of hidden layers.

Each is the best of :data:`GRID` for its network, by ``tools/demo_rates.py``: on other seeds than the demo's, on other
functions than are shown, and without the test images of the digits. ``results/demo_rates.json`` has all losses.
"""

from __future__ import annotations

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Tried are the middle four, and more as long as the best is at an end of what was tried."""

_DIGITS = {
    "non-convex, He": {5: 3e-3},
    "ICNN, default": {5: 1e-3},
    "ICNN, ours": {5: 1e-2},
    "ICNN + skip, default": {5: 3e-2},
    "ICNN + skip, ours": {5: 3e-3},
}
_CURVE = {
    "non-convex, He": {3: 1e-2, 5: 1e-2, 10: 3e-3},
    "ICNN, default": {3: 1e-2, 5: 3e-3, 10: 3e-3},
    "ICNN, ours": {3: 1e-2, 5: 3e-2, 10: 3e-3},
    "ICNN + skip, default": {3: 0.3, 5: 0.3, 10: 0.3},
    "ICNN + skip, ours": {3: 1e-2, 5: 1e-2, 10: 1e-2},
}
_SURFACE = {
    "non-convex, He": {3: 3e-2, 5: 1e-2, 10: 3e-3},
    "ICNN, default": {3: 3e-2, 5: 3e-3, 10: 3e-3},
    "ICNN, ours": {3: 0.1, 5: 3e-2, 10: 1e-2},
    "ICNN + skip, default": {3: 3e-2, 5: 0.3, 10: 0.3},
    "ICNN + skip, ours": {3: 1e-2, 5: 1e-2, 10: 3e-3},
}
RATES = {"digits": _DIGITS, "mnist": {name: {5: 1e-3} for name in _DIGITS}, "curve": _CURVE, "surface": _SURFACE}
"""By task and network."""
