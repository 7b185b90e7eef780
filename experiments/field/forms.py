"""The forms of networks in the benchmark by name; positive and free layers have the same names in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from experiments.field.convolutional_net import ConvolutionalNet, convolutional
from experiments.field.networks import ConvexNet, Shape
from experiments.field.partial_net import PartialNet, partial

Network = ConvexNet | ConvolutionalNet | PartialNet
FORMS: dict[str, Callable[[Shape], Network]] = {
    "dense": ConvexNet,
    "convolutional": ConvolutionalNet,
    "partial": PartialNet,
}
# What those compute that have one function for a network and for a stack.
FUNCTIONS: dict[str, Callable[[Shape, Mapping[str, Tensor], Tensor], Tensor]] = {
    "convolutional": convolutional,
    "partial": partial,
}
