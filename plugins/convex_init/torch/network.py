"""The paper's networks: non-convex, ICNN, ICNN with skips, exp-ICNN."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from convex_init.torch.api import apply_
from convex_init.torch.layers import ConvexLinear, check_dtype
from convex_init.torch.model.activations import activation_module, read_activation
from convex_init.torch.model.fans import fan_in
from convex_init.torch.write.drawing import Fill, fill_
from convex_init.torch.write.positivity import raw_parameter
from convex_init_core import checks
from convex_init_core.carrier.activations import beside_carrier
from convex_init_core.carrier.bound import bound, check_carried_network
from convex_init_core.methods.log_normal import solve_centred
from convex_init_core.request import check_names, request, settings_in
from convex_init_core.theory.activation import Activation
from convex_init_core.theory.activations import identity
from convex_init_core.weights.laws import Normal
from convex_init_core.weights.positivity import Positivity, as_positivity

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from convex_init.torch.carrier.convex_form import ConvexForm
    from convex_init_core.request import Options, Start


class ICNN(nn.Module):
    """Fully connected input-convex network: every output is a convex function of the input.

    The first layer is free; all later ones are :class:`ConvexLinear`. With ``skip``, a free linear map of the input is
    added before every later pre-activation, the output's included.

    Args:
        in_features: length of an input vector.
        hidden: widths of the hidden layers, at least one; a number for a single layer.
        out_features: number of outputs.
        activation: a torch module, copied for each hidden layer, or the name of one, such as ``"softplus"``; ReLU by
            default.
        skip: whether there are free maps from the input.
        positivity: ``"projection"`` (then use :func:`project_after_step`), a map such as ``"exp"`` (the paper's
            exp-ICNN), or ``None`` for the paper's *non-convex* baseline: the same network with weights of either sign.
        carrier: for a classifier whose outputs go to a softmax: whether the hidden weights may go down to −0.03, or
            how far (c > 0), and those of the last layer anywhere. The network is an ordinary one then, and its logits
            are convex up to a shift that they have in common: :meth:`convex_form` returns the network with one more
            unit in each layer, the carrier, whose weights are all non-negative and whose logits are convex. It starts
            as an isometry, and needs :func:`project_after_step`.
        bias: whether the layers have biases; positive layers without need ``skip``, whose maps then carry the shift.
        device: of the parameters.
        dtype: of the parameters.
        **settings: of the initialisation of a convex network, as for :func:`convex_init.torch.apply_`, which keeps them
            when it is called with the network: ``method`` (``"auto"``; ``"isometric"`` carries any depth),
            ``correlation``, ``variance``, ``bias_noise``, ``distribution``, ``skip_share``, ``match_moments``,
            ``threshold``, ``kinks``. And where the outputs start, for this draw alone: ``output_mean`` and
            ``output_variance`` (1, whatever ``variance`` says of the layers before), or ``targets``.

    Shape:
        Input ``(*, in_features)``, output ``(*, out_features)``.

    Raises:
        ValueError: if a width is below 1, there is no hidden layer, an activation or positivity may not be used, a
            setting is out of range or given to the baseline, or ``carrier`` is asked for with one output (a regression,
            an energy or a potential, where the shift counts), free skips or a positivity map.
        TypeError: if a setting does not exist.

    Example:
        >>> import torch
        >>> from convex_init.torch import ICNN
        >>> model = ICNN(2, [64, 64], activation=torch.nn.Softplus(), positivity="exp")
        >>> x, y = torch.randn(2, 100, 2)
        >>> bool((model((x + y) / 2) <= (model(x) + model(y)) / 2 + 1e-5).all())
        True
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int] | int,
        out_features: int = 1,
        *,
        activation: nn.Module | str = "relu",
        skip: bool = False,
        positivity: str | Positivity | None = "projection",
        carrier: bool | float = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **settings: Unpack[Start],
    ) -> None:
        """Make the network and initialise it; see the class."""
        super().__init__()
        check_names(settings, ICNN)
        inner = checks.widths("hidden", hidden)
        n_in, n_out = checks.whole("in_features", in_features), checks.whole("out_features", out_features)
        widths = [n_in, *inner, n_out]
        skip, bias = checks.truth("skip", skip), checks.truth("bias", bias)
        phi = activation_module(activation)
        check_dtype(dtype)
        self.carrier_bound = bound("carrier", carrier)
        if self.carrier_bound > 0.0:
            check_carried_network(n_out, skip, as_positivity(positivity or "exp"), settings.get("method"))
            beside_carrier(read_activation(phi))
            settings["method"] = "isometric"
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        pairs = list(itertools.pairwise(widths[1:]))
        self.layers = nn.ModuleList([nn.Linear(widths[0], widths[1], bias, **options)])
        for n, m in pairs:
            if positivity is None:
                self.layers.append(nn.Linear(n, m, bias, **options))
            else:
                down = math.inf if self.carrier_bound and len(self.layers) == len(inner) else self.carrier_bound
                layer = ConvexLinear(n, m, bias, positivity=positivity, fed_by=phi, carrier=down, **options)
                self.layers.append(layer)
        # Somewhere there must be a bias for the centring shift: in the skips if not in the layers.
        self.skips = nn.ModuleList(nn.Linear(n_in, m, not bias, **options) for _, m in pairs) if skip else None
        self.activations = nn.ModuleList(copy.deepcopy(phi) for _ in inner)
        self.is_convex, self.init_settings = positivity is not None, dict[str, Any]()
        self.reset_parameters(**settings)

    def reset_parameters(self, generator: torch.Generator | None = None, **settings: Any) -> None:
        """Draw all parameters anew: the principled initialisation, or He's for the non-convex baseline.

        Args:
            generator: source of randomness; torch's global CPU generator by default.
            **settings: as for :func:`convex_init.torch.apply_`; they are kept, beside those that the network has.
                None for the baseline.
        """
        self._check(settings)
        before = self.init_settings
        self.init_settings = {**before, **settings_in(settings)}
        try:
            self._draw(generator, {name: settings[name] for name in settings if name not in self.init_settings})
        except BaseException:
            self.init_settings = before
            raise

    def _check(self, settings: dict[str, Any]) -> None:
        request(**{**self.init_settings, **settings})
        if settings and not self.is_convex:
            raise ValueError(f"{sorted(settings)} are settings of the convex initialisation; the baseline has none")

    def _draw(self, generator: torch.Generator | None, options: dict[str, Any]) -> None:
        if any(parameter.device.type == "meta" for parameter in self.parameters()):
            return
        if self.is_convex:
            apply_(self, generator=generator, **cast("Options", options))
        else:
            fill_(self._centred_fills(), generator)

    def _centred_fills(self) -> list[Fill]:
        fills = []
        layers: list[tuple[nn.Module, Activation]] = [(self.layers[0], identity())]
        for k, bend in enumerate(self.activations):
            layers += [(self.skips[k], identity())] if self.skips is not None else []
            layers.append((self.layers[k + 1], read_activation(bend)))
        for layer, phi in layers:
            fills.append(Fill(raw_parameter(layer), Normal(0.0, solve_centred(fan_in(layer), phi).weight_std)))
            if isinstance(layer.bias, Tensor):
                fills.append(Fill(layer.bias, Normal(0.0, 0.0)))
        return fills

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for inputs of shape ``(*, in_features)``."""
        s: Tensor = self.layers[0](x)
        for k, phi in enumerate(self.activations):
            features = phi(s)
            s = self.layers[k + 1](features)
            if self.skips is not None:
                s = s + self.skips[k](x)
        return s

    def chain(self) -> list[tuple[str, nn.Module]]:
        """Return the parts that the network applies one after another, with their paths.

        Raises:
            ValueError: if it has free skips, and so is no chain.
        """
        if self.skips is not None:
            raise ValueError("a network with free skips is no chain; leave skip out")
        layers = [(f"layers.{place}", layer) for place, layer in enumerate(self.layers)]
        bends = [(f"activations.{place}", bend) for place, bend in enumerate(self.activations)]
        return [part for pair in zip(layers, bends, strict=False) for part in pair] + layers[-1:]

    def convex_form(self, example_inputs: Tensor, *, dtype: torch.dtype | None = None) -> ConvexForm:
        """Return the network with a carrier in each layer, whose logits are convex; see :func:`as_convex`.

        Args:
            example_inputs: ``(batch, in_features)``, whose means centre the carriers.
            dtype: of the new network; that of the inputs by default.

        Raises:
            ValueError: as :func:`as_convex`.
        """
        from convex_init.torch.carrier.convex_form import as_convex  # rarely needed

        return as_convex(self, example_inputs, dtype=dtype)

    def __prepare_scriptable__(self) -> ICNN:
        """Refuse ``torch.jit.script``, which calls this: it does not compile a loop over two lists of layers.

        Raises:
            ValueError: with the remedy.
        """
        raise ValueError("torch.jit.script does not compile ICNN; use torch.jit.trace(model, x), or torch.export")
