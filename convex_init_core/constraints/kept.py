"""One parameter that must stay in an interval: what a plan hands to a framework's projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

Interval: TypeAlias = "tuple[float, float]"
ANY: Interval = (-math.inf, math.inf)
NON_NEGATIVE: Interval = (0.0, math.inf)


@dataclass(frozen=True)
class Kept:
    """A parameter whose numbers must all stay between ``low`` and ``high``, both included.

    Attributes:
        name: of the parameter, as the framework names it.
        path: of its layer; of the parameter itself where it belongs to no known layer.
        low: smallest number that it may hold.
        high: largest; infinite for a weight that must be non-negative.
        why: what depends on it.
        drawn: whether the initialisation draws it; the others are clamped as they are.
    """

    name: str
    path: str = ""
    low: float = 0.0
    high: float = math.inf
    why: str = ""
    drawn: bool = False

    @property
    def interval(self) -> Interval:
        """Both ends."""
        return self.low, self.high

    @property
    def is_non_negative(self) -> bool:
        """Whether the interval is [0, ∞)."""
        return self.interval == NON_NEGATIVE

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers and texts, with ``None`` for an end that is not there."""
        ends = {"low": self.low, "high": self.high}
        finite = {name: end if math.isfinite(end) else None for name, end in ends.items()}
        return {"parameter": self.name, "path": self.path, **finite, "why": self.why, "drawn": self.drawn}

    def __str__(self) -> str:
        """Return the interval and the reason."""
        return f"{self.path or self.name} is kept in {shown_interval(*self.interval)}: {self.why}"


def shown_interval(low: float, high: float) -> str:
    """Return an interval for a message.

    Example:
        >>> import math
        >>> shown_interval(0.0, math.inf), shown_interval(0.0, 1.0)
        ('[0, ∞)', '[0, 1]')
    """
    left = "(-∞" if low == -math.inf else f"[{low:g}"
    return f"{left}, " + ("∞)" if high == math.inf else f"{high:g}]")


def together(one: Interval, other: Interval) -> Interval | None:
    """Return what lies in two intervals; ``None`` if no more than a single number does."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low < high else None
