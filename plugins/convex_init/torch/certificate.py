"""Is this network convex? A certificate by the calculus of convexity, and a search for a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from convex_init.torch.counterexample import Violation, called_at, search_violation
from convex_init.torch.model.copies import copied
from convex_init.torch.model.inputs import check_kinds, checked_arguments, entry_of, inputs_of_part, rebuilt
from convex_init.torch.model.modules import carrier_bound_of, without_wrapper
from convex_init.torch.trace import changed_weights, on_example_inputs, same_course, trace
from convex_init.torch.trace.constants import Numbers
from convex_init.torch.trace.containers import named_inputs, named_tensors
from convex_init.torch.write.drawing import check_generator
from convex_init_core import checks
from convex_init_core.argument_names import refuse_unknown
from convex_init_core.carrier.bound import UP_TO_A_SHIFT
from convex_init_core.collector import collector_paused
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.convexity.inputs.names import input_names, other_names
from convex_init_core.convexity.inputs.parts import ConvexInputs, Part, convex_inputs_of
from convex_init_core.convexity.judge import certificate_of, judge
from convex_init_core.convexity.monotonicity import Monotone, asked_directions, doubted, monotonicity_of, searched
from convex_init_core.graph.nodes import Graph
from convex_init_core.reach import changes, python_state

if TYPE_CHECKING:
    from convex_init_core.framework import Framework

__all__ = ["Certificate", "assert_convex_", "certify"]


def certify(
    model: nn.Module,
    example_inputs: Any,
    convex_inputs: ConvexInputs | None = None,
    *,
    outputs: Iterable[str] | str | None = None,
    entry: str = "forward",
    monotone: Mapping[str | int, str] | None = None,
    search: bool = True,
    generator: torch.Generator | None = None,
    **_unknown: NoReturn,
) -> Certificate:
    """Tell whether every output of ``model`` is convex in the named inputs, for the weights that it has now.

    The model runs on the example inputs while every operation is recorded, however it is written, and each result gets
    its curvature by the rules of disciplined convex programming. ``"convex"`` is a proof, up to rounding, for the
    weights and the mode (training or evaluation) that the model has now, wherever its output is finite. Without one, a
    gradient-guided search looks for a segment on which the output lies above its chord.

    A copy of the model runs. Random numbers, such as dropout in training mode, count as one fixed draw, and the
    certificate notes it. Batch normalisation in training mode cannot be certified; call ``model.eval()``.

    Args:
        model: any module.
        example_inputs: one tensor, a tuple of positional inputs, or a dict of keyword inputs. Inputs inside lists and
            dicts are named ``"0.key"``.
        convex_inputs: names or positions of the inputs in which the output is to be convex, jointly; by default all
            floating-point ones. The others are context, of which nothing is assumed. ``{"0": slice(0, 3)}`` names a
            part: elements along the last axis by a slice or a list of places, along another as ``{"0": np.s_[:, :3]}``.
        outputs: which outputs are asked for, by their place: ``"output"`` for a tensor, ``"output.0"`` or
            ``"output.name"`` in a tuple or dict; by default all floating-point ones.
        entry: the method that is called, such as ``"energy"``, or a module inside, such as ``"energy.net"``, which is
            asked of what the model gives it when it runs on the example inputs; by default the model itself.
        monotone: names or positions of inputs, and ``"non-decreasing"`` or ``"non-increasing"``: whether every output
            is that in each element of the input, for all values of the others. The certificate answers that separately,
            and is true if all that was asked is proved.
        search: whether to look for a counterexample where there is no proof; in float32, at least.
        generator: source of randomness for the search; a fixed seed by default.

    Returns:
        A :class:`Certificate`.

    Raises:
        ValueError: if a named input, output or method does not exist, or the model is lazy.
        TypeError: if the model is not a module.

    Example:
        >>> import torch, convex_init
        >>> model = convex_init.torch.ICNN(4, [16], 1)
        >>> print(convex_init.torch.certify(model, torch.randn(8, 4)))
        convex
        >>> certificate = convex_init.torch.certify(torch.nn.Sequential(model, torch.nn.Tanh()), torch.randn(8, 4))
        >>> bool(certificate), certificate.verdict != "convex"
        (False, True)
    """
    refuse_unknown(_unknown, certify)
    model = without_wrapper(model)
    check_generator(generator)
    entry_of(model, entry)
    tensors = [*model.parameters(), *model.buffers()]
    if any(isinstance(tensor, UninitializedParameter) for tensor in tensors):
        raise ValueError("model is lazy and has no weights yet; run it once")
    check_kinds(model)
    if any(tensor.is_meta for tensor in tensors):
        return Certificate("cannot tell", ("its weights are on the meta device and have no numbers",), {})
    if example_inputs is None:
        raise TypeError("example_inputs are needed: the model runs on them")
    args, kwargs = checked_arguments(example_inputs)
    if entry != "forward":
        args, kwargs = inputs_of_part(copied(model), entry, args, kwargs)
    tensors_of = named_inputs(args, kwargs)
    named = [name for name, tensor in tensors_of.items() if tensor.is_floating_point()]
    if not named:
        raise ValueError(
            "example_inputs hold no floating-point tensor to be convex in: pass x.float(), or what comes out of an "
            "embedding, with entry= for the part behind it"
        )
    asked = convex_inputs_of(named if convex_inputs is None else convex_inputs) or {}
    call = entry_of(model, entry)
    others = other_names(getattr(call, "forward", call), len(args), kwargs)
    chosen = dict(zip(input_names(asked, named, others), asked.values(), strict=True))
    for name, part in chosen.items():
        if part is None and not tensors_of[name].is_meta:
            checks.example(name, tensors_of[name].numel(), bool(torch.isfinite(tensors_of[name]).all()))
    directions = asked_directions(monotone, named, others)
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    wanted = None if outputs is None else checks.names("outputs", outputs)
    search = checks.truth("search", search)
    devices = sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})
    with torch.random.fork_rng(devices):
        model = copied(model)  # some models clamp their weights, or count their calls, when they run
        certificate = _noted(_proof(model, entry, args, kwargs, chosen, wanted, source, directions), model)
        if certificate or not search:
            return certificate
        if certificate.verdict != "convex":
            violation = _searched(model, entry, args, kwargs, chosen, wanted, devices, source)
            if violation is not None:
                certificate = replace(certificate, verdict="not convex", violation=violation)
        answers = _searched_for_steps(certificate, model, entry, (args, kwargs), wanted, devices, source)
        return replace(certificate, monotone=answers)


def _noted(certificate: Certificate, model: nn.Module) -> Certificate:
    """Say where convexity is to be found if not here: layers beside a carrier are convex up to a common shift."""
    if certificate.verdict == "convex" or not any(carrier_bound_of(module) for module in model.modules()):
        return certificate
    return replace(certificate, notes=(*certificate.notes, UP_TO_A_SHIFT))


def _searched_for_steps(
    certificate: Certificate,
    model: nn.Module,
    entry: str,
    inputs: tuple[tuple[Any, ...], dict[str, Any]],
    wanted: list[str] | None,
    devices: list[int],
    source: torch.Generator,
) -> tuple[Monotone, ...]:
    args, kwargs = inputs
    flat, named = _flat(_called(model, entry), wanted, devices), named_inputs(args, kwargs)

    def run(name: str, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        given = torch.as_tensor(numbers).to(named[name])
        with torch.no_grad():
            found: NDArray[np.float64] = called_at(flat, args, kwargs, {name: given}).double().cpu().numpy()
        return found

    at = {name: tensor.detach().double().cpu().numpy() for name, tensor in named.items()}
    types = [tensor.dtype for tensor in named.values() if tensor.is_floating_point()]
    epsilon = max(torch.finfo(dtype).eps for dtype in types)
    seed = int(torch.randint(2**31, (), generator=source))
    return searched(certificate.monotone, run, at, np.random.default_rng(seed), epsilon)


def _searched(
    model: nn.Module,
    entry: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chosen: Mapping[str, Part | None],
    wanted: list[str] | None,
    devices: list[int],
    source: torch.Generator,
) -> Violation | None:
    if not any(tensor.dtype in _COARSE for tensor in named_inputs(args, kwargs).values()):
        return search_violation(_flat(_called(model, entry), wanted, devices), args, kwargs, chosen, source)
    # Rounding would hide all but the largest violations.
    args, kwargs = _in_float32((args, kwargs))
    try:
        wide = _flat(_called(model.float(), entry), wanted, devices)
        return search_violation(wide, args, kwargs, chosen, source)
    except RuntimeError:  # a model that insists on its dtype
        return None


_COARSE = (torch.float16, torch.bfloat16)


def _in_float32(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.float() if tree.dtype in _COARSE else tree
    if isinstance(tree, Mapping):
        return {key: _in_float32(item) for key, item in tree.items()}
    return rebuilt(tree, [_in_float32(item) for item in tree]) if isinstance(tree, (list, tuple)) else tree


def _called(model: nn.Module, entry: str) -> Callable[..., Any]:
    """What is certified: the model itself with its hooks, or another of its methods."""
    return entry_of(model, entry)


@collector_paused
def _proof(
    model: nn.Module,
    entry: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    chosen: Mapping[str, Part | None],
    wanted: list[str] | None,
    source: torch.Generator,
    directions: Mapping[str, str],
) -> Certificate:
    call = _called(model, entry)
    with on_example_inputs():
        first = trace(model, args, kwargs, call)
    certificate = _judged(first, chosen, wanted, directions)
    if certificate.verdict != "convex" and not any(certificate.monotone):
        return certificate

    def again() -> Graph:
        other_args, other_kwargs = _moved((args, kwargs), source)
        return trace(model, other_args, other_kwargs, call)

    doubt, last = _settled(model, first, again)
    if doubt:
        answers = doubted(certificate.monotone, (doubt,))
        return replace(certificate, verdict="cannot tell", reasons=(doubt,), monotone=answers)
    return _judged(
        last, chosen, wanted, directions
    )  # what the first run left behind may have changed what the weights are


def _python_state(model: nn.Module) -> dict[str, Any]:
    return python_state(model, lambda item: False)  # attributes of tensors count as well


def _settled(model: nn.Module, first: Graph, again: Callable[[], Graph]) -> tuple[str, Graph]:
    """Run a model on other inputs, until it leaves nothing behind that a later run could look at.

    Returns:
        A doubt, empty if there is none, and the last graph.
    """
    last, state = first, _python_state(model)
    for _ in range(_RUNS):
        try:
            graph = again()
        except Exception as error:  # whatever the model does with numbers that it was not made for
            return f"a run on other inputs, which has to do the same, ended with {type(error).__name__}: {error}", last
        if not same_course(first, graph):
            return (
                "two runs on different inputs did different things, so the code looks at the numbers in a way that was "
                "not recorded, or draws random ones outside torch"
            ), last
        before, state = state, _python_state(model)
        changed = changes(before, state) + changed_weights(last, graph)
        last = graph
        if not changed:
            return "", last
    return f"the model changes itself at every run ({changed[0]!r}), so that a later one may do something else", last


_RUNS = 6  # of a model that changes itself until it is settled


def assert_convex_(model: nn.Module, example_inputs: Any, *args: Any, **kwargs: Any) -> nn.Module:
    """Raise unless :func:`certify`, with the same arguments, proves the model convex; return the model.

    Raises:
        AssertionError: with the certificate's reasons, and a counterexample if there is one.

    Example:
        >>> import torch, convex_init
        >>> model = convex_init.torch.assert_convex_(convex_init.torch.ICNN(4, [16], 1), torch.randn(8, 4))
    """
    certificate = certify(model, example_inputs, *args, **kwargs)
    if not certificate:
        raise AssertionError(str(certificate))
    return model


def _moved(tree: Any, generator: torch.Generator) -> Any:
    """The same inputs with other numbers, to see whether the code looks at them."""
    if isinstance(tree, Tensor):
        if not tree.is_floating_point():
            return tree
        noise = torch.randn(tree.shape, generator=generator, dtype=torch.float32).to(tree)
        return tree * 0.5 + noise
    if isinstance(tree, Mapping):
        return {key: _moved(item, generator) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return rebuilt(tree, [_moved(item, generator) for item in tree])
    return tree


def _judged(
    graph: Graph, chosen: Mapping[str, Part | None], wanted: list[str] | None, directions: Mapping[str, str]
) -> Certificate:
    framework = cast("Framework", Numbers())
    certificate = certificate_of(graph, judge(graph, chosen, framework=framework), wanted)
    return replace(certificate, monotone=monotonicity_of(graph, directions, certificate.outputs, framework))


def _flat(call: Callable[..., Any], wanted: list[str] | None, devices: list[int]) -> Callable[..., Tensor]:
    """The entry point as a function to one flat tensor of numbers, with the same random draws at every call."""
    generators = [torch.default_generator, *(torch.cuda.default_generators[device] for device in devices)]

    def flat(*args: Any, **kwargs: Any) -> Tensor:
        for generator in generators:
            generator.manual_seed(0)
        found = [
            tensor
            for name, tensor in named_tensors("output", call(*args, **kwargs))
            if tensor.is_floating_point() and (wanted is None or name in wanted)
        ]
        return torch.cat([tensor.flatten() for tensor in found]) if found else torch.zeros(0)

    return flat
