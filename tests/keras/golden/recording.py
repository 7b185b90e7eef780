"""One model: its plan, its weights after ``apply_`` and its certificate."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from convex_init.keras import LayerPlan, apply_, certify, plan
from convex_init.keras.owners.own_settings import own_settings
from tests.golden.outcome import attempted, certified, raised, weighed
from tests.keras.arrays import array

OF_KERAS = re.compile(r"(?<=goes down to )-[\d.e-]*\d")  # numbers that Keras' own initializers drew

UNOPTIMISED = "JAX_DISABLE_MOST_OPTIMIZATIONS"  # fuses other operations, and rounds otherwise


@dataclass(frozen=True)
class Case:
    """A model, alone or with inputs for its certificate, and the options of ``plan``."""

    make: Callable[[], keras.Model | tuple[keras.Model, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    convex_inputs: Any = None


def recorded(case: Case) -> dict[str, Any]:
    """What the model gets; where its plan is refused, the certificate is of the weights that it was built with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice is recorded with the plan
        keras.utils.clear_session(free_memory=False)  # names of layers count from the start of a session
        keras.utils.set_random_seed(0)
        try:
            made = case.make()
        except (ValueError, TypeError) as error:
            return {"building": raised(error)}
        model, inputs = made if isinstance(made, tuple) else (made, None)
        plan, why = _told(attempted(partial(_plan, case, model, inputs)))
        weights = attempted(partial(_weights, case, model, inputs)) if "raises" not in plan else {}
        certificate, reasons = _told(attempted(partial(_certificate, case, model, inputs)))
        texts = {"plan": why, "certificate": reasons}
        return {"plan": plan, "certificate": certificate, "texts": texts, **({"weights": weights} if weights else {})}


def _told(found: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """An outcome, and apart from it the words for it, which name operations of the backend."""
    return found, found.pop("texts", None) or found.pop("saying", "")


def _options(case: Case, model: keras.Model) -> dict[str, Any]:
    """By one method, unless a network of ours has its own: what ``"auto"`` prefers has tests of its own."""
    own = any("method" in settings for _, settings in own_settings(model))
    return {**({} if own else {"method": "bounded_gain"}), **case.options}


def _plan(case: Case, model: keras.Model, inputs: Any) -> dict[str, Any]:
    decided = plan(model, inputs, convex_inputs=case.convex_inputs, **_options(case, model))
    free = {variable.path for variable in model.variables if variable.constraint is None} & set(decided.project)
    rows = [{**_row(layer), "constraint": "is added" if layer.name in free else ""} for layer in decided.layers]
    return {"layers": rows, "advice": decided.advice, "texts": [layer.why for layer in decided.layers]}


def _row(layer: LayerPlan) -> dict[str, str]:
    """What a table of four digits shows of a layer, and the bias that takes its shift."""
    found = layer.to_dict()
    spread = f" ± {found['bias_variance'] ** 0.5:.3g}" if found["bias_variance"] else ""
    return {
        "layer": found["path"],
        "role": found["role"],
        "fan_in": f"{found['fan_in']:g}",
        "fed by": (found["fed_by"] or "-").replace("softplus(1, inf)", "softplus(1, 20)"),  # the same in torch
        "weight law": found["law"],
        "mean": f"{found['mean']:.4g}",
        "variance": f"{found['variance']:.4g}",
        "bias": f"{found['bias_mean']:.4g}{spread}",
        "through": found["positivity"] or "-",
        "shift into": found["shift_into"],
    }


def _weights(case: Case, model: keras.Model, inputs: Any) -> dict[str, Any]:
    apply_(model, inputs, convex_inputs=case.convex_inputs, **_options(case, model), seed=1)
    return {"drawn": weighed({weight.path: array(weight) for weight in model.weights})}


def _certificate(case: Case, model: keras.Model, inputs: Any) -> dict[str, Any]:
    found = certified(certify(model, inputs, case.convex_inputs, search=False))
    reasons = [OF_KERAS.sub("…", reason) for reason in found.pop("reasons")]
    return {**found, "texts": reasons}


def circumstances(file: str) -> dict[str, str]:
    """What the file depends on: plans on none of it, the digits of weights on all."""
    backend = keras.backend.backend()
    if not file.endswith(backend):
        return {"keras": keras.__version__}
    compiled = {UNOPTIMISED: os.environ.get(UNOPTIMISED, "")} if backend == "jax" else {}
    return {
        **compiled,
        "keras": keras.__version__,
        backend: version({"tensorflow": "tensorflow-cpu"}.get(backend, backend)).partition("+")[0],
        "instructions": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
    }
