"""What a certificate of convexity says, whatever framework the model is written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from convex_init_core.convexity.calculus import Curvature, Value


@dataclass(frozen=True, eq=False)
class Violation:
    """A counterexample: ``f((a+b)/2) > (f(a)+f(b))/2`` for one element of the output.

    Attributes:
        excess: the left side minus the right one.
        tolerance: what rounding could account for.
        a: one end of the segment: the declared inputs, by name.
        b: the other end.
        element: which element of the outputs, flattened and joined.
    """

    excess: float
    tolerance: float
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    element: int

    @property
    def clarity(self) -> float:
        """The excess in units of the tolerance."""
        return self.excess / self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, with both ends as nested lists."""
        a, b = ({name: array.tolist() for name, array in end.items()} for end in (self.a, self.b))
        return {"excess": self.excess, "tolerance": self.tolerance, "element": self.element, "a": a, "b": b}

    def __str__(self) -> str:
        """Say how large the violation is."""
        return (
            f"counterexample: at the middle of a segment an output lies {self.excess:.3g} above its chord (rounding "
            f"accounts for {self.tolerance:.1g})"
        )


@dataclass(frozen=True, eq=False)
class Certificate:
    """The answer of ``certify``; prints as text and is true if the network is certified.

    Attributes:
        verdict: ``"convex"`` (proved for the weights as they are), ``"not convex"`` (a counterexample was found), or
            ``"cannot tell"``.
        reasons: why not, one for each output or doubt; empty for ``"convex"``.
        outputs: curvature of each output, by its place in the result.
        violation: the counterexample, if one was searched for and found.
        notes: what the answer holds for, where that is not plain, such as one draw of a dropout mask.
        monotone: what is known of monotonicity, one answer for each input that was asked for.
    """

    verdict: str
    reasons: tuple[str, ...]
    outputs: Mapping[str, Curvature]
    violation: Violation | None = None
    notes: tuple[str, ...] = ()
    monotone: tuple[Any, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as numbers and texts, to be written to a file or compared."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "outputs": {name: curvature.value for name, curvature in self.outputs.items()},
            "violation": None if self.violation is None else self.violation.to_dict(),
            "notes": list(self.notes),
            "monotone": [answer.to_dict() for answer in self.monotone],
        }

    def __bool__(self) -> bool:
        """Whether the network is certified as convex, and as monotone where that was asked."""
        return self.verdict == "convex" and all(self.monotone)

    def __str__(self) -> str:
        """Return verdict, reasons, counterexample and notes as text."""
        lines = [self.verdict if not self.reasons else f"{self.verdict}: {self.reasons[0]}", *self.reasons[1:]]
        if self.violation is not None:
            lines.append(str(self.violation))
        lines += map(str, self.monotone)
        return "\n".join((*lines, *(f"note: {note}" for note in self.notes)))


def verdict_on(
    outputs: Mapping[str, Value],
    doubts: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Certificate:
    """Return the certificate that the outputs of a model earn, without a search for a counterexample.

    Args:
        outputs: what the calculus knows of each, by its place in the result.
        doubts: reasons why that may not hold for other inputs.
        notes: for the certificate.
    """
    reasons = [reason for name, value in outputs.items() if (reason := _refusal(name, value))]
    if not outputs:
        reasons.append("the model returned no floating-point tensor")
    reasons = list(dict.fromkeys([*reasons, *doubts]))
    curvatures = {name: value.curvature for name, value in outputs.items()}
    return Certificate("cannot tell" if reasons else "convex", tuple(reasons), curvatures, None, tuple(notes))


def _refusal(name: str, value: Value) -> str:
    if not value.finite:
        return f"{name}: {value.reason or 'holds NaN or infinite values'}"
    if value.curvature is Curvature.CONCAVE:
        return f"{name} is concave"
    return "" if value.curvature.is_convex else f"{name}: {value.reason}"
