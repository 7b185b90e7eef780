"""Keep a model convex that has its weights already: loaded, pretrained, or drawn by other means."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from convex_init.jax.api import asked_of, in_place
from convex_init.jax.framework import JaxFramework
from convex_init.jax.model.modules import Model, opened
from convex_init.jax.model.parameters import Parameters
from convex_init_core.constraints.kept import Kept
from convex_init_core.constraints.present import raw_numbers, refuse_settings, warn_of_outside
from convex_init_core.planning.build import what_to_keep
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from convex_init_core.request import Selections

__all__ = ["Kept", "Mapped", "constrain", "constrain_", "constraints"]

_REMEDY = "clip it first: model = constrain(model, example_inputs)"


def constraints(
    model: Any, example_inputs: Any, *, buffers: Collection[str] = (), **options: Unpack[Selections]
) -> tuple[Kept, ...]:
    """Return what has to stay in which interval for a model to stay convex, whatever its weights are now.

    It is what the ``kept`` of a plan lists, and what :func:`projection` and :func:`project` take in place of a plan:
    for models that are not to be initialised. Arguments and errors are those of :func:`constrain`.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> fn = lambda p, x: jax.nn.relu(x @ p["w"]) @ p["v"]
        >>> params = {"w": jnp.ones((4, 8)), "v": jnp.ones((8, 1))}
        >>> [(each.name, each.interval) for each in convex_init.jax.constraints((fn, params), jnp.ones((2, 4)))]
        [('v', (0.0, inf))]
    """
    return _found("constraints", model, example_inputs, buffers, options)[1]


def constrain(
    model: Any,
    example_inputs: Any,
    positivity: str | Positivity = "projection",
    *,
    buffers: Collection[str] = (),
    **options: Unpack[Selections],
) -> Any:
    """Return a model anew with everything that convexity depends on in its interval, and draw nothing.

    What that is, is found as :func:`convex_init.jax.plan` does; :func:`constraints` lists it. With ``"projection"``
    what lies outside is clipped, once: pass the constraints to :func:`projection` to keep it there in training. With a
    map the model becomes a pair ``(fn, raw)``: ``fn`` applies the map first, and ``raw`` is its tree of arrays with
    what the map has to be given to hold the present weights. What has another interval than [0, ∞), such as a learnt
    slope, is clipped by ``fn`` then. ``fn.effective(raw)`` is the tree with the weights that multiply.

    Args:
        model: any that :func:`convex_init.jax.plan` can read.
        example_inputs: as for :func:`convex_init.jax.plan`.
        positivity: ``"projection"``, ``"relu"``, ``"softplus"``, ``"exp"``, or another map.
        buffers: as for :func:`convex_init.jax.plan`.
        **options: ``convex_inputs``, ``entry``, ``positive``, ``free`` and ``exclude``, as for
            :func:`convex_init.jax.apply`.

    Returns:
        what :func:`convex_init.jax.apply` returns; with a map always a pair ``(fn, raw)``, whose ``fn`` does what the
        module does while training.

    Raises:
        ValueError: if the model is not known to be convex even if all of this is kept, or a map cannot give a weight
            that is there, or there are shapes in place of weights.
        TypeError: if an argument does not exist or has the wrong type.

    Warns:
        UserWarning: if present numbers lie outside of their interval, so that they are clipped, or the model's
            convexity rests on numbers that nothing keeps as they are.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> fn = lambda p, x: jax.nn.relu(x @ p["w"]) @ p["v"]
        >>> params = {"w": -jnp.ones((4, 8)), "v": jnp.full((8, 1), 2.0)}
        >>> mapped, raw = convex_init.jax.constrain((fn, params), jnp.ones((2, 4)), "softplus")
        >>> round(float(raw["v"][0, 0]), 3), round(float(mapped.effective(raw)["v"][0, 0]), 3)
        (1.855, 2.0)
    """
    through = as_positivity(positivity)
    framework, kept = _found("constrain", model, example_inputs, buffers, options)
    for each in kept:
        if isinstance(framework.arrays[each.name], jax.ShapeDtypeStruct):
            raise ValueError(f"{each.name!r} is a shape and has no numbers: load or draw them first")
    if not through.reparametrises:
        warn_of_outside(kept, framework.arrays.get, "constrain clips")
        for each in kept:
            framework.clip(each.name, each.low, each.high)
        return framework.written()
    training = opened(model, framework.inputs, entry=options.get("entry", "forward"), buffers=buffers, evaluating=False)
    parameters = Parameters(replace(training, tree=framework.model.tree))
    raw = parameters.rebuilt(parameters.arrays | _raw(parameters.arrays, kept, through))
    return Mapped(training, kept, through), raw


def constrain_(model: Any, example_inputs: Any, **options: Unpack[Selections]) -> Any:
    """Clip a module of flax nnx in place, as :func:`constrain` does, and return it.

    Raises:
        TypeError: if it is no module of nnx; otherwise see :func:`constrain`.

    Example:
        >>> import jax, jax.numpy as jnp, convex_init
        >>> from flax import nnx
        >>> rngs = nnx.Rngs(0)
        >>> ones = nnx.initializers.ones
        >>> last = nnx.Linear(8, 1, kernel_init=ones, rngs=rngs)
        >>> icnn = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), jax.nn.relu, last)
        >>> bool(convex_init.jax.certify(convex_init.jax.constrain_(icnn, jnp.ones((2, 4))), jnp.ones((2, 4))))
        True
    """
    refuse_settings("constrain_", options)
    return in_place("constrain", model, lambda: constrain(model, example_inputs, **options))


class Mapped:
    """A model behind maps: ``fn(raw, *inputs)``, from :func:`constrain`."""

    def __init__(self, model: Model, kept: tuple[Kept, ...], through: Positivity) -> None:
        """Keep the call, and which arrays are mapped how; none of the arrays themselves."""
        self._model, self._kept, self._through = replace(model, tree=None), kept, through
        with suppress(TypeError, ValueError):
            self.__signature__ = inspect.signature(model.call)

    def effective(self, raw: Any) -> Any:
        """Return the tree with the weights that multiply, as the model without maps takes them."""
        parameters = Parameters(replace(self._model, tree=raw))
        return parameters.rebuilt(parameters.arrays | {each.name: self._of(each, parameters) for each in self._kept})

    def _of(self, each: Kept, parameters: Parameters) -> Any:
        array = parameters.arrays[each.name]
        return self._through.value(array, jnp) if each.is_non_negative else jnp.clip(array, *each.interval)

    def __call__(self, raw: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the model with the weights behind their maps."""
        return self._model.call(self.effective(raw), *args, **kwargs)


def _found(
    name: str, model: Any, example_inputs: Any, buffers: Collection[str], options: Mapping[str, Any]
) -> tuple[JaxFramework, tuple[Kept, ...]]:
    refuse_settings(name, options)
    framework, asked = asked_of(model, example_inputs, buffers, options)
    return framework, what_to_keep(framework, asked)


def _raw(arrays: Mapping[str, Any], kept: tuple[Kept, ...], through: Positivity) -> dict[str, Any]:
    """What each array has to be for its map to hold the present weight."""
    made: dict[str, Any] = {}
    problems = []
    for each in kept:
        array = arrays[each.name]

        def inverse(weight: Any) -> Any:
            return jnp.asarray(through.inverse(np.asarray(weight, np.float64), np), weight.dtype)

        try:
            raw = raw_numbers(each, array, through, inverse, jnp, float(jnp.finfo(array.dtype).eps), _REMEDY)
        except ValueError as error:
            problems.append(f"{each.name!r}: {error}")
        else:
            made |= {} if raw is None else {each.name: raw}
    if problems:
        raise ValueError("nothing was changed: " + "\n".join(problems))
    return made
