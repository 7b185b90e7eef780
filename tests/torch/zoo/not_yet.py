"""What is not there yet, by kind of test and case; each is expected to fail, and an unexpected success is an error."""

from __future__ import annotations

NOT_YET: dict[str, dict[str, str]] = {
    "plan": {},
    "reading": {},
    "refusal": {},
    "signal": {
        "tied blocks-10": "0.997, 0.592, 0.535, 0.525, 0.467, 0.447, 0.502, 0.523, 0.52",
        "recurrent, 3 steps-3": "0.651, 2.12, 2.07",
        "recurrent, 10 steps-10": "0.631, 1.83, 1.85, 2.51, 2.55, 3.08, 2.45, 2.74, 2.78, 3.13",
    },
    "certificate": {
        "squared first layer-3": "cannot tell: output: pow in '': the power 2 is convex, but n",
        "squared first layer-10": "cannot tell: output: pow in '': the power 2 is convex, but n",
    },
}
