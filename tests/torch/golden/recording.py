"""One model: its plan, its weights after ``apply_`` and its certificate."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import convex_init.torch as ci
from convex_init.torch.api import own_settings
from convex_init.torch.model.parameters import Parameters
from tests.golden.outcome import attempted, certified, four_digits, planned, raised, weighed


@dataclass(frozen=True)
class Case:
    """A model and the calls on it.

    ``make`` builds the model and its inputs. ``shown`` says whether ``plan`` and ``apply_`` see the inputs; the
    certificate always does. ``options`` are those of ``plan``. The others are as in :class:`tests.torch.zoo.Entry`.
    ``in_full`` is false for a deep model, of which the plan's rows are not kept: they are those of a shallow one.
    """

    make: Callable[[], tuple[nn.Module, Any]]
    shown: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    convex_inputs: Any = None
    entry: str = "forward"
    outputs: str | None = None
    tighten: str = ""
    in_full: bool = True


def recorded(case: Case) -> dict[str, Any]:
    """What the model gets; where its plan is refused, the certificate is of the weights that it was built with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice is recorded with the plan
        try:
            model, inputs = _made(case)
        except ValueError as error:
            return {"building": raised(error)}
        found = {"plan": attempted(partial(_plan, case, model, inputs))}
        if "raises" not in found["plan"]:
            found["weights"] = attempted(partial(_weights, case))
            model, inputs = _applied(case) if "raises" not in found["weights"] else (model, inputs)
        found["certificate"] = attempted(partial(_certificate, case, model, inputs))
    return found


def _made(case: Case) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    return case.make()


def _options(case: Case, model: nn.Module, inputs: Any) -> dict[str, Any]:
    seen = {"example_inputs": inputs, "convex_inputs": case.convex_inputs, "entry": case.entry} if case.shown else {}
    own = any("method" in settings for _, settings in own_settings(model))
    one_method = {} if own else {"method": "bounded_gain"}  # what "auto" prefers has tests of its own
    return {**one_method, **seen, **case.options}


def _plan(case: Case, model: nn.Module, inputs: Any) -> dict[str, Any]:
    decided = ci.plan(model, **_options(case, model, inputs))
    found = planned(decided)
    if not case.in_full:
        return {"number of layers": len(found["layers"]), "advice": found["advice"]}
    for row, layer in zip(found["layers"], decided.layers, strict=True):
        row["shift into"], row["beside"] = layer.shift_into, ", ".join(layer.beside)
    found["biases"] = [
        {"layer": name, "mean": four_digits(law.mean), "deviation": four_digits(law.std)}
        for name, law in decided.biases.items()
    ]
    return found


def _applied(case: Case, **more: Any) -> tuple[nn.Module, Any]:
    model, inputs = _made(case)
    ci.apply_(model, **_options(case, model, inputs), **more, generator=torch.Generator().manual_seed(1))
    return model, inputs


def _weights(case: Case) -> dict[str, Any]:
    """All weights; those that a measurement has changed are there as they were drawn, too.

    A draw depends on torch alone, a measurement on the processor's order of summation as well.
    """
    found = _weighed(case, *_applied(case))
    if not case.shown:
        return {"drawn": found}
    if case.options.get("calibrate"):
        return {"measured": found}
    drawn = attempted(lambda: _weighed(case, *_applied(case, calibrate=False)))
    if "raises" in drawn:
        return {"measured": found, "without measuring": drawn}
    measured = {name: found[name] for name in found if found[name] != drawn[name]}
    return {"drawn": drawn, **({"measured": measured} if measured else {})}


def _weighed(case: Case, model: nn.Module, inputs: Any) -> dict[str, dict[str, Any]]:
    tensors = dict(model.state_dict())
    parameters = Parameters(model)
    held = {tensor.data_ptr() for tensor in tensors.values()}
    for layer in ci.plan(
        model, **_options(case, model, inputs)
    ).layers:  # what lies in a plain list is in no state dict
        raw = parameters.slot(layer.name).raw
        if raw.data_ptr() not in held:
            tensors[layer.name] = raw
    return weighed({name: _values(tensor) for name, tensor in tensors.items()})


def _values(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy()


def _certificate(case: Case, model: nn.Module, inputs: Any) -> dict[str, Any]:
    if case.tighten:
        getattr(model, case.tighten)()
        ci.project_(model)
    call = getattr(model, case.entry)
    call(*inputs) if isinstance(inputs, tuple) else call(inputs)  # some set themselves by the first batch
    return certified(
        ci.certify(model, inputs, case.convex_inputs, entry=case.entry, outputs=case.outputs, search=False)
    )


def circumstances(file: str) -> dict[str, str]:
    """What the digits of the weights depend on, in each of the files."""
    return {
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
