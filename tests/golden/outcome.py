"""What a call on a model came to, as plain data that can be written to a file and read there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np


def attempted(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What an action returns, or the error that it raises."""
    try:
        return action()
    except Exception as error:
        return raised(error)


def raised(error: Exception) -> dict[str, str]:
    return {"raises": type(error).__name__, "saying": without_lines(str(error))}


def without_lines(text: str) -> str:
    """A message without the numbers of the lines that it names, which move with whatever stands above them."""
    return re.sub(r"\((\S+\.py):\d+\)", r"(\1)", text)


def planned(decided: Any) -> dict[str, Any]:
    """A plan's printed table by rows and columns, and the advice below it."""
    text = str(decided).splitlines()
    rows = 1 + len(decided.layers)
    return {"layers": _by_column(text[:rows]), "advice": without_lines("\n".join(text[rows:]))}


def _by_column(lines: list[str]) -> list[dict[str, str]]:
    """Cells by the name of their column; names begin where cells do, and are two or more spaces apart."""
    names = [(found.group(), found.start()) for found in re.finditer(r"\S+(?: \S+)*", lines[0])]
    ends = [*(start for _, start in names[1:]), None]
    return [
        {name: line[start:end].strip() for (name, start), end in zip(names, ends, strict=True)} for line in lines[1:]
    ]


def certified(certificate: Any) -> dict[str, Any]:
    """What a certificate says."""
    return {
        "verdict": certificate.verdict,
        "reasons": [without_lines(reason) for reason in certificate.reasons],
        "notes": [without_lines(note) for note in certificate.notes],
        "outputs": {name: curvature.name.lower() for name, curvature in certificate.outputs.items()},
    }


def weighed(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Mean and variance of each array to four digits, for people, and a digest of its numbers in float32."""
    return {
        name: {
            "mean": four_digits(array.astype("float64").mean()),
            "variance": four_digits(array.astype("float64").var()),
            "sha256": hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()[:16],
        }
        for name, array in arrays.items()
    }


def four_digits(number: float) -> float:
    return float(f"{number:.4g}")
