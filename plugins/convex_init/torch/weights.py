"""From the weight that an operation multiplies with, back to the parameter behind it and the map between the two."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convex_init.torch.recording import Node
from convex_init.torch.rules import MOVES
from convex_init_core import Positivity, as_positivity
from convex_init_core.weights.positivity import Softplus

REDUCTIONS = frozenset(
    name for name in MOVES if name in ("sum", "mean", "cumsum") or "pool" in name or "upsample" in name
)
"""Operations among the moves that combine elements."""
RESHAPES = frozenset(MOVES) - REDUCTIONS
"""Operations that move, repeat or drop elements and leave each as it is."""
_COPIES = ("t", "to", "_to_copy", "clone", "detach", "alias", "lift_fresh")


def base_name(node: Node) -> str:
    """The name of the operation, whether in place or not."""
    return node.operation.rstrip("_") if not node.operation.startswith("__") else node.operation


@dataclass(frozen=True)
class Traced:
    """What lies between a parameter and the weight.

    Attributes:
        source: the parameter's name.
        positivity: the map, ``None`` if the weight is the parameter itself.
        factor: by which the weight is multiplied outside of any map, for a weight without one.
    """

    source: str
    positivity: Positivity | None
    factor: float = 1.0


def trace(weight: Node) -> Traced:
    """Follow a fixed weight back to its parameter.

    Of several parameters, as in ``softplus(W) · gain``, the largest is the weight, the others are gains, which count
    with their present values.

    Raises:
        ValueError: if what lies between is none of the known maps.
    """
    scale, slope, offset = 1.0, 1.0, 0.0  # around the map, and inside it
    through: Positivity | None = None
    while weight.operation != "parameter":
        name = base_name(weight)
        if name == "copy" or (len(weight.inputs) == 2 and not weight.args):  # written in place, perhaps by another name
            weight = weight.inputs[-1]
            continue
        parts = [part for part in weight.inputs if part.sources]
        if not parts:
            raise ValueError(f"its weight is made by {weight.operation}, which is no known positivity map")
        main = max(parts, key=_size)
        if name in ("mul", "div") and not (len(parts) == 2 and parts[0] is parts[1]):
            factor = _factor(weight, main, exactly=through is not None)
            scale, slope = (scale * factor, slope) if through is None else (scale, slope * factor)
        elif name in ("add", "sub") and through is not None:
            offset += slope * _shift(weight, main)
        elif len({id(part) for part in parts}) > 1:
            made_of = ", ".join(map(repr, weight.sources))
            raise ValueError(
                f"its weight is made of {made_of} by {weight.operation}, which is not known; initialise it before that "
                "is put on it (such as a weight norm), or leave it out with exclude="
            )
        elif name not in RESHAPES and name not in _COPIES:
            found = _named_map(name, weight)
            is_again = through == found and found.name in ("relu", "abs") and (slope, offset) == (1.0, 0.0)
            if through is not None and not is_again:
                raise ValueError(f"its weight goes through {found} and {through}, which together are not known")
            through = found
        weight = main
    if through is None:
        return Traced(weight.sources[0], None, scale)
    return Traced(weight.sources[0], replace(through, scale=scale, slope=slope, offset=offset))


def _factor(weight: Node, main: Node, exactly: bool) -> float:
    """The positive number by which a product or quotient scales ``main``."""
    other = weight.args[1] if weight.args[0] is main else weight.args[0]
    if isinstance(other, Node) and set(other.sources) & set(main.sources):
        raise ValueError(
            "its weight is normalised by a value that is made of itself, so it is no function of one raw number; "
            "initialise it yourself, and leave it out with exclude="
        )
    number = _exact_number(other) if exactly else _number(other)
    is_upside_down = base_name(weight) == "div" and weight.args[0] is not main
    if number is None or number <= 0.0 or is_upside_down:
        where = " inside its positivity map" if exactly else ""
        raise ValueError(f"its weight is scaled by {weight.operation}{where} in a way that is not known")
    return number if base_name(weight) == "mul" else 1.0 / number


def _shift(weight: Node, main: Node) -> float:
    """The number that a sum or difference adds to ``main``."""
    is_first = weight.args[0] is main
    number = _exact_number(weight.args[1] if is_first else weight.args[0])
    if number is None or len(weight.args) > 2 or weight.keywords or (base_name(weight) == "sub" and not is_first):
        raise ValueError(f"its weight is moved by {weight.operation} inside its positivity map in an unknown way")
    return number if base_name(weight) == "add" else -number


def _size(node: Node) -> int:
    return node.tensor.numel() if node.tensor is not None else 0


def _named_map(name: str, node: Node) -> Positivity:
    numbers = [part for part in node.args[1:] if isinstance(part, (int, float))]
    if name in ("relu", "exp", "square", "abs"):
        return as_positivity(name)
    if name == "mul" or (name == "pow" and numbers == [2]):
        return as_positivity("square")
    if name in ("clamp", "clamp_min") and numbers == [0] and (len(node.args) < 3 or node.args[2] is None):
        return as_positivity("relu")
    if name in ("maximum", "fmax") and any(isinstance(part, Node) and part.bounds == (0.0, 0.0) for part in node.args):
        return as_positivity("relu")
    if name == "softplus":
        return Softplus(beta=float(numbers[0])) if numbers else as_positivity("softplus")
    raise ValueError(f"its weight goes through {name}, which is no known positivity map")


def _exact_number(part: object) -> float | None:
    """The one number that a factor or summand consists of."""
    if isinstance(part, Node):
        return part.bounds[0] if part.bounds is not None and part.bounds[0] == part.bounds[1] else None
    return float(part) if isinstance(part, (int, float)) else None


def _number(part: object) -> float | None:
    """The number that a factor stands for: the mean of a tensor, if all are of one sign."""
    if isinstance(part, Node):
        if part.bounds is None or part.tensor is None or part.bounds[0] * part.bounds[1] <= 0.0:
            return None
        return float(part.tensor.double().mean())
    return float(part) if isinstance(part, (int, float)) else None
