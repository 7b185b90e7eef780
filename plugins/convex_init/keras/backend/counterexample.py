"""Search for a counterexample to convexity without gradients: random segments, the worst of which are made worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from convex_init.keras.model.calls import Call
from convex_init.keras.model.inputs import named_parts
from convex_init_core.convexity.certificate import Certificate, Violation
from convex_init_core.convexity.inputs.parts import Part
from convex_init_core.convexity.monotonicity import Monotone, searched

_ROWS, _ROUNDS = 128, 12
_SHORTEST = 0.1  # the smallest size of a segment, the largest is 100 times that
_ROUNDINGS, _FEW = 200.0, 8.0  # how many roundings an excess may be due to, and in a dtype of less than 13 bits
_SHIFT, _AGREE = 0.02, 0.9  # what is no rounding is there beside the segment, too
_CLEAR = 100.0  # times the tolerance: no need to look for a clearer counterexample


def search_violation(
    call: Call, convex_inputs: Mapping[str, Part | None], outputs: set[str], seed: int, epsilon: float
) -> Violation | None:
    """Return the clearest violation found beyond rounding, or ``None``.

    Args:
        call: of the model, which gets batches of 128 rows; the first row of its example inputs is the context, and one
            end of some segments.
        convex_inputs: those that vary, and the part of each that does.
        outputs: places of the outputs that are asked for; all if empty.
        seed: of the random segments.
        epsilon: of the coarsest dtype in which the model computes.
    """
    rng = np.random.default_rng(seed)
    names = call.names
    rows = [np.repeat(np.asarray(part)[:1], _ROWS, 0) for part in keras.tree.flatten(call.structure)]
    varied = [i for i, name in enumerate(names) if name in convex_inputs]
    parts = {i: part for i in varied if (part := convex_inputs[names[i]]) is not None}
    masks = {i: part.mask(names[i], rows[i].shape) for i, part in parts.items()}
    size = {
        i: masks.get(i, 1.0) * _SHORTEST * 10.0 ** rng.uniform(0.0, 2.0, (_ROWS, *[1] * (rows[i].ndim - 1)))
        for i in varied
    }
    a, b = (
        {
            i: np.where(masks.get(i, True), base, 1.0) * rows[i] + size[i] * rng.standard_normal(rows[i].shape)
            for i in varied
        }
        for base in (0.0, 1.0)
    )

    def holds(row: int, element: int) -> bool:
        """Whether the excess is there for segments beside it, too.

        Values on the way to a small result may be large, and are rounded as such; how large is not known. But rounding
        is above the chord as often as below it when both ends move together by a little.
        """
        moved = {
            i: (masks.get(i, 1.0) * rng.standard_normal(rows[i].shape))
            * (_SHIFT * (_SHORTEST + np.sqrt(np.square(b[i][row] - a[i][row]).mean())))
            for i in varied
        }
        ends = tuple({i: end[i][row] + moved[i] for i in varied} for end in (a, b))
        found = _excess(call, rows, ends[0], ends[1], outputs, epsilon)[0][:, element]
        return bool((found > 0.0).mean() > _AGREE)

    best: Violation | None = None
    for _ in range(_ROUNDS):
        excess, tolerance, order_one = _excess(call, rows, a, b, outputs, epsilon)
        clarity = np.where(np.isfinite(excess), excess / tolerance, -np.inf)
        worst = clarity.max(1)
        row, element = divmod(int(clarity.argmax()), clarity.shape[1])
        if (
            worst[row] > 1.0
            and (best is None or worst[row] > best.clarity)
            and (excess[row, element] > order_one[row, element] or holds(row, element))
        ):
            ends = [{names[i]: end[i][row].astype(rows[i].dtype) for i in varied} for end in (a, b)]
            best = Violation(float(excess[row, element]), float(tolerance[row, element]), ends[0], ends[1], element)
        if best is not None and best.clarity > _CLEAR:
            break
        parents = np.argsort(worst)[-_ROWS // 8 :].repeat(8)
        for i in varied:
            a[i], b[i] = (end[i][parents] + 0.3 * size[i] * rng.standard_normal(end[i].shape) for end in (a, b))
    return best


def searched_for_steps(certificate: Certificate, call: Call, seed: int) -> tuple[Monotone, ...]:
    """Look for two points between which an output goes the wrong way, for each input that is asked for."""
    at = {name: np.asarray(part) for name, part in call.arrays.items()}

    def run(name: str, numbers: Any) -> Any:
        given = {key: np.asarray(numbers, array.dtype) if key == name else array for key, array in at.items()}
        result = call(**{key: keras.ops.convert_to_tensor(array) for key, array in given.items()})
        found = [
            np.ravel(np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64))
            for place, tensor in named_parts("output", result)
            if place in certificate.outputs
        ]
        return np.concatenate(found)

    epsilon = float(np.finfo(np.float32).eps)
    return searched(certificate.monotone, run, at, np.random.default_rng(seed), epsilon)


def _excess(
    call: Call, rows: list[Any], a: dict[int, Any], b: dict[int, Any], outputs: set[str], epsilon: float
) -> tuple[Any, Any, Any]:
    """How far every output lies above its chord in the middle, a row for each segment, and what rounding explains.

    The latter first by the size of the output, then as if values of order 1 were on the way.
    """
    middle = {i: 0.5 * (a[i] + b[i]) for i in a}
    values = np.stack([_run(call, rows, point, outputs) for point in (a, b, middle)])
    roundings = (_ROUNDINGS if epsilon < 2.0**-12 else _FEW) * max(1.0, values.shape[-1] ** 0.25)
    with np.errstate(invalid="ignore"):  # where an output is not finite, it tells nothing
        scale = np.abs(values).max(0) + np.finfo(np.float32).tiny
        return (
            values[2] - 0.5 * (values[0] + values[1]),
            roundings * epsilon * scale,
            roundings * epsilon * (scale + 1.0),
        )


def _run(call: Call, rows: list[Any], point: dict[int, Any], outputs: set[str]) -> Any:
    filled = [np.asarray(point.get(i, part), dtype=part.dtype) for i, part in enumerate(rows)]
    given = (keras.ops.convert_to_tensor(array) for array in filled)
    result = call(**dict(zip(call.names, given, strict=True)))
    found = [
        np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64).reshape(_ROWS, -1)
        for name, tensor in named_parts("output", result)
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)) and name in (outputs or {name})
    ]
    return np.concatenate(found, 1)
