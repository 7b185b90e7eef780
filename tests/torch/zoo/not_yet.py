"""What is not there yet, by kind of test and case; each is expected to fail, and an unexpected success is an error."""

from __future__ import annotations

NOT_YET: dict[str, dict[str, str]] = {
    "plan": {},
    "reading": {},
    "refusal": {},
    "signal": {},
    "certificate": {
        "squared first layer-3": "the square of a leaky ReLU is convex, but no rule says so",
        "squared first layer-10": "the square of a leaky ReLU is convex, but no rule says so",
    },
}
