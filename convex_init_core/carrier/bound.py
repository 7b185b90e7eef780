"""How far below 0 weights may go beside a carrier, and what does not go with one."""

from __future__ import annotations

import math

from convex_init_core import checks
from convex_init_core.carrier.stages import check_classes
from convex_init_core.weights.positivity import Positivity

BOUND = 0.03
"""c by default. R is at most ``c N`` and the largest row sum together."""

UP_TO_A_SHIFT = (
    "weights beside a carrier may be below 0: its logits are to be convex up to a shift that they have in common, "
    "which softmax does not see; ask certify of as_convex(model, x), which is the network that is convex itself"
)
"""What a certificate adds for a network that is trained beside a carrier."""


def bound(name: str, value: object) -> float:
    """Return c of an argument: ``True`` for the default, ``False`` for none, or a number of at least 0, also infinite.

    Raises:
        ValueError: if it is below 0 or NaN; the message names the argument.
        TypeError: if it is no number.
    """
    if value is True or value is False:
        return BOUND if value else 0.0
    return math.inf if value == math.inf else checks.non_negative(name, value)


def check_carried(positivity: Positivity, method: str | None) -> None:
    """Refuse what has no meaning beside a carrier.

    Raises:
        ValueError: for a positivity map, or another method of initialisation than the isometric one.
    """
    if positivity.reparametrises:
        raise ValueError(
            "positivity must be 'projection' beside a carrier: a map keeps weights at 0 and above, where they may go "
            "below, and None is the baseline without a bound; leave positivity out, or carrier"
        )
    if method not in (None, "auto", "isometric"):
        raise ValueError(
            f"method {method!r} makes networks of non-negative weights, which need no carrier; beside one they start "
            "as an isometry: leave method out, or carrier"
        )


def check_carried_network(outputs: int, skip: bool, positivity: Positivity, method: str | None) -> None:
    """Refuse a network that cannot have a carrier.

    Args:
        outputs: number of classes.
        skip: whether it has free skips.
        positivity: of its weights; any map for a baseline whose weights have either sign.
        method: of its initialisation, or ``None``.

    Raises:
        ValueError: with the reason.
    """
    check_classes(outputs)
    check_carried(positivity, method)
    if skip:
        raise ValueError("skip=True brings the input to every layer, and so does a carrier: leave one of them out")
