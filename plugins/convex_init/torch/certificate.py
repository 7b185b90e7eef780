"""Is this network convex? A certificate by the calculus of convexity, and a search for a counterexample."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convex_init.torch.inputs import arguments_of, floating_inputs, names_of
from convex_init.torch.recording import Recording, record, same_course
from convex_init.torch.violations import Violation, search_violation
from convex_init_core.calculus import Curvature


@dataclass(frozen=True, eq=False)
class Certificate:
    """The answer of :func:`certify`; prints as text and is true if the network is certified.

    Attributes:
        verdict: ``"convex"`` (proved for the weights as they are), ``"not convex"`` (a counterexample was found), or
            ``"cannot tell"``.
        reasons: why not, one for each output or doubt; empty for ``"convex"``.
        outputs: curvature of each output, by its place in the result.
        violation: the counterexample, if one was searched for and found.
    """

    verdict: str
    reasons: tuple[str, ...]
    outputs: Mapping[str, Curvature]
    violation: Violation | None = None

    def __bool__(self) -> bool:
        """Whether the network is certified as convex."""
        return self.verdict == "convex"

    def __str__(self) -> str:
        """Return verdict, reasons and counterexample as text."""
        lines = [self.verdict if not self.reasons else f"{self.verdict}: {self.reasons[0]}", *self.reasons[1:]]
        if self.violation is not None:
            lines.append(str(self.violation))
        return "\n".join(lines)


def certify(
    model: nn.Module,
    example_inputs: Any,
    convex_inputs: Iterable[str | int] | str | int | None = None,
    *,
    outputs: Iterable[str] | str | None = None,
    method: str = "forward",
    search: bool = True,
    generator: torch.Generator | None = None,
) -> Certificate:
    """Tell whether every output of ``model`` is convex in the named inputs, for the weights that it has now.

    The model runs on the example inputs while every operation is recorded, however it is written, and each result gets
    its curvature by the rules of disciplined convex programming. ``"convex"`` is a proof, up to rounding. Without one,
    a gradient-guided search looks for a segment on which the output lies above its chord.

    The model runs as it is, in training or evaluation mode, on a copy. Dropout in training mode counts as a fixed mask,
    batch normalisation in training mode cannot be certified.

    Args:
        model: any module.
        example_inputs: one tensor, a tuple of positional inputs, or a dict of keyword inputs. Inputs inside lists and
            dicts are named ``"0.key"``.
        convex_inputs: names or positions of the inputs in which the output is to be convex, jointly; by default all
            floating-point ones. The others are context, of which nothing is assumed.
        outputs: which outputs are asked for, by their place: ``"output"`` for a tensor, ``"output.0"`` or
            ``"output.name"`` in a tuple or dict; by default all floating-point ones.
        method: the entry point, such as ``"energy"``.
        search: whether to look for a counterexample where there is no proof.
        generator: source of randomness for the search; a fixed seed by default.

    Returns:
        A :class:`Certificate`.

    Raises:
        ValueError: if a named input or output does not exist.
        TypeError: if the model is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    model = copy.deepcopy(getattr(model, "_orig_mod", model))  # some models clamp their weights when they run
    args, kwargs = arguments_of(example_inputs)
    named = floating_inputs(args, kwargs)
    chosen = names_of(convex_inputs) if convex_inputs is not None else list(named)
    if not chosen:
        raise ValueError("example_inputs hold no floating-point tensor to be convex in")
    source = generator if generator is not None else torch.Generator().manual_seed(0)
    first = record(model, args, kwargs, chosen, getattr(model, method))
    doubts = list(dict.fromkeys(first.doubts))
    other_args, other_kwargs = _moved((args, kwargs), source)
    if not doubts and not same_course(first, record(model, other_args, other_kwargs, chosen, getattr(model, method))):
        doubts.append(
            "two runs on different inputs did different things, so the code looks at the numbers in a way that was not "
            "recorded"
        )
    curvatures, reasons = _judge(first, outputs)
    if not doubts and not reasons:
        return Certificate("convex", (), curvatures)
    violation = None
    if search:
        call = _scalar_outputs(getattr(model, method), outputs)
        violation = search_violation(call, args, kwargs, chosen, source)
    verdict = "cannot tell" if violation is None else "not convex"
    return Certificate(verdict, (*reasons, *doubts), curvatures, violation)


def assert_convex_(model: nn.Module, example_inputs: Any, *args: Any, **kwargs: Any) -> nn.Module:
    """Raise unless :func:`certify`, with the same arguments, proves the model convex; return the model.

    Raises:
        AssertionError: with the certificate's reasons, and a counterexample if there is one.
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
        return type(tree)(_moved(item, generator) for item in tree)
    return tree


def _judge(recording: Recording, outputs: Iterable[str] | str | None) -> tuple[dict[str, Curvature], list[str]]:
    wanted = None if outputs is None else [outputs] if isinstance(outputs, str) else list(outputs)
    for name in wanted or ():
        if name not in recording.outputs:
            raise ValueError(
                f"outputs names {name!r}, but the model returns {', '.join(recording.outputs) or 'no tensor'}"
            )
    curvatures, reasons = {}, []
    for name, node in recording.outputs.items():
        if wanted is not None and name not in wanted:
            continue
        curvatures[name] = node.value.curvature
        if node.value.curvature is Curvature.CONCAVE:
            reasons.append(f"{name} is concave")
        elif not node.value.curvature.is_convex:
            reasons.append(f"{name}: {node.value.reason}")
    if not curvatures:
        reasons.append("the model returned no tensor")
    return curvatures, list(dict.fromkeys(reasons))


def _scalar_outputs(call: Callable[..., Any], outputs: Iterable[str] | str | None) -> Callable[..., Tensor]:
    """The entry point as a function to one flat row of numbers for each sample."""
    wanted = None if outputs is None else [outputs] if isinstance(outputs, str) else list(outputs)

    def flat(*args: Any, **kwargs: Any) -> Tensor:
        from convex_init.torch.recording import named_tensors

        found = [
            tensor
            for name, tensor in named_tensors("output", call(*args, **kwargs))
            if tensor.is_floating_point() and (wanted is None or name in wanted)
        ]
        return torch.cat([tensor.flatten() for tensor in found])

    return flat
