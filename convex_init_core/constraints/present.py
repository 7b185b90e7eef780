"""Models that have their weights already: what may be asked of them, what lies outside, what a map can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from convex_init_core.checks import warn_caller
from convex_init_core.constraints.kept import Kept, shown_interval

if TYPE_CHECKING:
    from convex_init_core.weights.positivity import Positivity

_ROUNDING = 256.0  # an exponential multiplies the rounding of its argument, which is below 100 in size


def refuse_settings(name: str, options: Mapping[str, object]) -> None:
    """Refuse arguments that say how weights are drawn, of a function that draws none.

    Raises:
        TypeError: naming them.
    """
    allowed = ("convex_inputs", "entry", "exclude", "free", "positive")
    if extra := sorted(set(options) - set(allowed)):
        raise TypeError(f"{name} takes {', '.join(allowed)}, and no {', '.join(extra)}: it draws nothing")


def warn_of_outside(kept: Iterable[Kept], held: Callable[[str], Any | None], what: str) -> None:
    """Warn of present numbers that lie outside of their interval, as far as their type can reach its ends.

    Args:
        kept: what has to stay where.
        held: a parameter by name, as an array of the framework; ``None`` if it has no numbers.
        what: happens to them, such as ``"the projection will change"``.
    """
    found = []
    for each in kept:
        numbers = held(each.name)
        if numbers is not None and not _is_inside(numbers, each):
            ends = f"between {float(numbers.min()):g} and {float(numbers.max()):g}"
            found.append(f"{each.name} ({ends}, kept in {shown_interval(*each.interval)})")
    if found:
        warn_caller(f"{what} what lies outside of its interval now: {', '.join(found)}")


def _is_inside(numbers: Any, kept: Kept) -> bool:
    return bool((numbers >= kept.low).all()) and bool((numbers <= kept.high).all())


def raw_numbers(
    kept: Kept,
    weight: Any,
    through: Positivity,
    inverse: Callable[[Any], Any],
    xp: Any,
    epsilon: float,
    remedy: str,
) -> Any | None:
    """Return what a map has to be given, in the weight's own type, to hold a weight; ``None`` for a clamp's.

    Args:
        kept: what is asked of it; another interval than [0, ∞) is clamped.
        weight: an array of the framework.
        through: the map.
        inverse: of the map, rounded to the weight's type.
        xp: the framework's array functions.
        epsilon: of the weight's type.
        remedy: how numbers are brought into an interval first.

    Raises:
        ValueError: if the map cannot give these numbers; with the remedy.
    """
    if 0 in weight.shape:
        return inverse(weight) if kept.is_non_negative else None
    low, high = float(weight.min()), float(weight.max())
    present = f"its numbers go from {low:g} to {high:g}"
    if not low <= high:
        raise ValueError("it holds NaN: load or draw its numbers first")
    if not kept.is_non_negative:
        if not _is_inside(weight, kept):
            raise ValueError(f"it must stay in {shown_interval(*kept.interval)}, but {present}; {remedy}")
        return None
    takes_zero = bool(through.value(xp.zeros(()), xp) == 0.0)  # of a number, and not in the limit
    if not (low >= 0.0 if takes_zero else low > 0.0):
        other = "take positivity='relu', which can, or leave positivity out" if low >= 0.0 else remedy
        raise ValueError(f"{present}, which {through} cannot give; {other}")
    raw = inverse(weight)
    if not bool((abs(through.value(raw, xp) - weight) <= _ROUNDING * epsilon * abs(weight)).all()):
        raise ValueError(
            f"{through} cannot give its numbers in {weight.dtype}; use a wider dtype, or leave positivity out"
        )
    return raw
