"""What a described model's plan says, in the words of the description; run it to write what is expected by torch."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convex_init_core.planning.outputs.level import Level
from tests.contract.description import Model
from tests.contract.frameworks import adapter

EXPECTED = Path(__file__).with_name("expected_plans.json")


def outcome_of(framework: str, model: Model) -> dict[str, Any]:
    """The plan of a described model in a framework and the verdicts before and after, or that it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of depth, and the frameworks' own
        return _outcome(adapter(framework, model))


def _outcome(found: Any) -> dict[str, Any]:
    try:
        plan = found.plan()
    except ValueError:
        return {"refused": True}
    before = found.certificate().verdict
    found.apply()
    rows = [_row(layer.to_dict(), found.layer_of) for layer in plan.layers]
    return {
        "before": before,
        "after": found.certificate().verdict,
        "measured": [_measured(each, found.layer_of) for each in plan.measured],
        "rows": rows,
        "kept": sorted([_owner(found.layer_of(each.path)), *map(str, each.interval)] for each in _beside(plan)),
    }


def _beside(plan: Any) -> list[Any]:
    """What is kept in an interval and not drawn."""
    return [each for each in plan.kept if not each.drawn]


def _owner(path: str) -> str:
    """The layer of a parameter that is no weight of its own."""
    return re.split(r"[./]", path)[0]


def in_any_order(outcome: dict[str, Any]) -> dict[str, Any]:
    """Leave out what depends on the order in which layers that stand beside each other run."""
    if "rows" not in outcome:
        return outcome
    rows = [{**row, "beside": sorted(row["beside"])} for row in outcome["rows"]]
    sums = sorted(sorted(found.split(", ")) for found in outcome["measured"])
    return {**outcome, "rows": sorted(rows, key=lambda row: str(row["layer"])), "measured": sums}


def _measured(found: Any, layer_of: Callable[[str], str]) -> str:
    """The layers of a sum, or that an output's mean or the statistics of a normalisation are."""
    layers = ", ".join(map(layer_of, getattr(found, "paths", ())))
    return f"output behind {layers}" if isinstance(found, Level) else layers or "statistics"


def _row(found: dict[str, Any], layer_of: Callable[[str], str]) -> dict[str, Any]:
    return {
        "layer": layer_of(found["path"]),
        "role": found["role"],
        "fan_in": found["fan_in"],
        "fed_by": None if found["fed_by"] is None else found["fed_by"].partition("(")[0],
        "law": found["law"],
        "mean": found["mean"],
        "variance": found["variance"],
        "bias": [found["bias_mean"], found["bias_variance"]],
        "positivity": found["positivity"],
        "shift_into": layer_of(found["shift_into"]),
        "add_bias": found["add_bias"],
        "beside": [layer_of(path) for path in found["beside"]],
    }


if __name__ == "__main__":
    from tests.contract.models import MODELS

    made = {name: outcome_of("torch", model) for name, model in MODELS.items()}
    EXPECTED.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
