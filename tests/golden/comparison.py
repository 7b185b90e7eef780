"""The differences of two outcomes, one line each, with the place where they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

TOLERANCE = 2e-3  # four digits are shown, and the last may fall either way
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")  # that stands by itself
DIGEST = "sha256"


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Every difference but that of digests, which hold on one machine only."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys((*before, *now)):
            inside = f"{place}, {name}" if place else name
            if name not in before:
                yield f"{inside}: is new, {_short(now[name])}"
            elif name not in now:
                yield f"{inside}: is gone, was {_short(before[name])}"
            elif name == "mean" and DIGEST in before:
                if not _same_mean(before, now):
                    yield f"{inside}: was {before[name]}, is {now[name]}"
            elif name != DIGEST:
                yield from differences(before[name], now[name], inside)
    elif isinstance(before, list) and isinstance(now, list):
        named = [[_name(item, index) for index, item in enumerate(items)] for items in (before, now)]
        if named[0] != named[1]:
            yield f"{place}: were {', '.join(named[0])}; are {', '.join(named[1])}"
        pairs = dict(zip(named[1], now, strict=True))
        for name, item in zip(named[0], before, strict=True):
            if name in pairs:
                yield from differences(item, pairs[name], f"{place}, {name}")
    elif isinstance(before, str) and isinstance(now, str):
        if not _same_text(before, now):
            yield f"{place}: was {before!r}, is {now!r}"
    elif not _same_number(before, now):
        yield f"{place}: was {_short(before)}, is {_short(now)}"


def changed_digests(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of the weights whose numbers are not those of before."""
    return [name for name in before if name in now and before[name].get(DIGEST) != now[name].get(DIGEST)]


def _name(item: Any, index: int) -> str:
    return repr(item["layer"]) if isinstance(item, dict) and "layer" in item else str(index)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}…"


def _same_mean(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """A mean near 0 is known as well as the deviation allows."""
    size = abs(before["mean"]) + math.sqrt(before["variance"]) + 1e-9
    return abs(before["mean"] - now["mean"]) <= TOLERANCE * size or repr(before["mean"]) == repr(now["mean"])


def _same_number(before: Any, now: Any) -> bool:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (before, now)):
        return before == now
    return repr(before) == repr(now) or math.isclose(before, now, rel_tol=TOLERANCE)  # repr for NaN


def _same_text(before: str, now: str) -> bool:
    """Texts are equal but for the last digits of real numbers."""
    if NUMBER.sub("#", before) != NUMBER.sub("#", now):
        return False
    for one, other in zip_longest(NUMBER.findall(before), NUMBER.findall(now)):
        is_real = any(mark in number for mark in ".e" for number in (one, other))
        if one != other and not (is_real and math.isclose(float(one), float(other), rel_tol=TOLERANCE)):
            return False
    return True
