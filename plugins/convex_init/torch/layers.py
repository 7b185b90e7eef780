"""Torch layers with non-negative weights, for those who build their own network."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from convex_init.torch.init_functions import icnn_
from convex_init.torch.model.activations import ActivationLike, read_activation
from convex_init.torch.model.fans import fan_in, geometry
from convex_init.torch.write.positivity import Positive, mark_projected, raw_parameter, read_positivity
from convex_init_core import checks
from convex_init_core.argument_names import refuse
from convex_init_core.carrier.bound import bound, check_carried
from convex_init_core.theory.activation import Activation
from convex_init_core.weights.positivity import Positivity, as_positivity


def check_dtype(dtype: object) -> None:
    """Refuse what parameters cannot have.

    Raises:
        TypeError: if it is no dtype of torch.
        ValueError: if it is not floating point, or torch cannot reckon in it.
    """
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be a torch.dtype, such as torch.float32, got {dtype!r}")
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"dtype must be floating point, such as torch.float32, got {dtype}")
    if dtype is not None and dtype.itemsize < 2:
        raise ValueError(f"dtype {dtype} is one to store numbers in, not to reckon; take torch.bfloat16 or a wider one")


class _ConvexLayer(nn.Module):
    """What the convex layers share: the positivity map, the feeding activation, and initialisation through both."""

    _SIZES = ("in_channels", "out_channels")

    def __init__(
        self,
        *args: Any,
        positivity: str | Positivity = "projection",
        fed_by: ActivationLike = "relu",
        method: str | None = None,
        carrier: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Make torch's layer and put the map on its weight; see the class."""
        if "activation" in kwargs:
            raise TypeError("activation= is called fed_by=: the layer applies none, it names what feeds the layer")
        own = inspect.signature(super().__init__).parameters
        refuse(kwargs, ("positivity", "fed_by", "method", "carrier", *own))
        check_dtype(kwargs.get("dtype"))
        sizes = [checks.whole(name, size) for name, size in zip(self._SIZES, args, strict=False)]
        kwargs |= {name: checks.whole(name, kwargs[name]) for name in self._SIZES if name in kwargs}
        super().__init__(*sizes, *args[len(sizes) :], **kwargs)
        through = as_positivity(positivity)
        self.carrier_bound = bound("carrier", carrier)
        if self.carrier_bound > 0.0:
            check_carried(through, method)
            method = "isometric"
        self.init_settings = {} if method is None else {"method": method}  # kept by apply_
        self.feeding_activation: Activation = read_activation(fed_by)  # TorchScript reads annotations of classes
        if through.reparametrises:
            parametrize.register_parametrization(self, "weight", Positive(through))
        elif self.carrier_bound < math.inf:
            mark_projected(self, low=-self.carrier_bound)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None, **settings: Any) -> None:
        """Draw weight and bias anew with the principled initialisation.

        Args:
            generator: source of randomness; torch's global CPU generator by default.
            **settings: ``correlation``, ``variance``, ``bias_noise``, ``distribution``, ``method``, ``match_moments``,
                as for ``icnn_``; the layer's own method by default.
        """
        if not hasattr(self, "feeding_activation"):
            return  # called by torch's constructor, before there is a map to write through
        raw = raw_parameter(self)
        if raw.device.type == "meta":
            return
        bias = self.bias if isinstance(self.bias, torch.Tensor) else None
        icnn_(
            raw,
            bias,
            fan_in=fan_in(self),
            geometry=geometry(self),
            fed_by=self.feeding_activation,
            positivity=read_positivity(self) or "projection",
            generator=generator,
            **{"method": "log_normal", **self.init_settings, **settings},
        )

    def __prepare_scriptable__(self) -> _ConvexLayer:
        """Tell ``torch.jit.script``, which calls this, that a map cannot be compiled.

        Raises:
            ValueError: with the remedy.
        """
        if parametrize.is_parametrized(self):
            raise ValueError(
                f"torch.jit.script does not compile {type(self).__bases__[0].__name__} with positivity "
                f"{str(read_positivity(self))!r}; use torch.jit.trace or torch.export, or positivity='projection'"
            )
        return self

    def extra_repr(self) -> str:
        """Show torch's description, the map and the feeding activation."""
        beside = f", beside a carrier at least {-self.carrier_bound:g}" if self.carrier_bound else ""
        return (
            f"{super().extra_repr()}, positivity={read_positivity(self) or 'none'}, fed by {self.feeding_activation}"
            + beside
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle parametrized layers too, which torch refuses because it makes their class at run time."""
        if not parametrize.is_parametrized(self):
            return super().__reduce_ex__(protocol)
        return _restore, (type(self).__bases__[0], read_positivity(self), self.__dict__.copy())


def _restore(cls: type[nn.Module], positivity: Positivity, state: dict[str, Any]) -> nn.Module:
    layer: nn.Module = cls.__new__(cls)
    nn.Module.__init__(layer)
    layer.weight = nn.Parameter(torch.zeros(1))
    parametrize.register_parametrization(layer, "weight", Positive(positivity), unsafe=True)
    layer.__dict__.update(state)
    return layer


class ConvexLinear(_ConvexLayer, nn.Linear):
    """:class:`torch.nn.Linear` with a non-negative weight, initialised for the activation that feeds it.

    Args:
        *args: of torch's layer: in_features, out_features, bias. Without a bias, the centring shift must go into a free
            layer that is summed with this one.
        positivity: ``"projection"`` (clamp with :func:`project_after_step`) or a map: ``"exp"``, ``"softplus"``,
            ``"square"``, ``"abs"``, ``"relu"``, or a :class:`convex_init_core.Positivity`.
        fed_by: the activation that feeds the layer: a name, module or function.
        carrier: c ≥ 0: the weights may go down to −c, and the layer is convex beside a carrier, for a network whose
            outputs go to a softmax: see :class:`ICNN` and :func:`as_convex`. Infinite for its last layer.
        method: of initialisation, ``"log_normal"`` (the paper's) or ``"isometric"`` (for any depth); see ``icnn_``.
        **kwargs: of torch's layer.

    Raises:
        ValueError: if the positivity or the activation is unknown or may not be used.

    Example:
        >>> import torch
        >>> from convex_init.torch import ConvexLinear
        >>> layer = ConvexLinear(784, 100, positivity="softplus", fed_by="leaky_relu")
        >>> str(layer.feeding_activation), bool((layer.weight >= 0).all())
        ('leaky_relu(0.01)', True)
    """

    _SIZES = ("in_features", "out_features")


class ConvexConv1d(_ConvexLayer, nn.Conv1d):
    """:class:`torch.nn.Conv1d` with a non-negative kernel; see :class:`ConvexLinear` for its own arguments."""


class ConvexConv2d(_ConvexLayer, nn.Conv2d):
    """:class:`torch.nn.Conv2d` with a non-negative kernel; see :class:`ConvexLinear` for its own arguments."""


class ConvexConv3d(_ConvexLayer, nn.Conv3d):
    """:class:`torch.nn.Conv3d` with a non-negative kernel; see :class:`ConvexLinear` for its own arguments."""
