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

from convex_init.keras import apply_, certify, plan
from tests.golden.outcome import attempted, certified, planned, raised, weighed
from tests.keras.arrays import array

# Numbers that Keras' own initializers drew, and what a backend says of an operation that it does not know.
OF_THE_BACKEND = re.compile(r"(goes down to|than keras\.ops:) (?:-[\d.e-]*\d|[\s\S]+)")

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
        found = {"plan": attempted(partial(_plan, case, model))}
        if "raises" not in found["plan"]:
            found["weights"] = attempted(partial(_weights, case, model))
        found["certificate"] = attempted(partial(_certificate, case, model, inputs))
        return found


def _plan(case: Case, model: keras.Model) -> dict[str, Any]:
    decided = plan(model, **case.options)
    found = planned(decided)
    for row, layer in zip(found["layers"], decided.layers, strict=True):
        row["shift into"], row["constraint"] = layer.shift_into, "is added" if layer.add_constraint else ""
    return found


def _weights(case: Case, model: keras.Model) -> dict[str, Any]:
    apply_(model, **case.options, seed=1)
    return {"drawn": weighed({weight.path: array(weight) for weight in model.weights})}


def _certificate(case: Case, model: keras.Model, inputs: Any) -> dict[str, Any]:
    found = certified(certify(model, inputs, case.convex_inputs, search=False))
    found["reasons"] = [OF_THE_BACKEND.sub(r"\1 …", reason) for reason in found["reasons"]]
    return found


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
