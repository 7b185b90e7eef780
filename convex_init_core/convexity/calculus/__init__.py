"""A calculus of convexity: which operations keep a value convex in declared inputs (disciplined convex programming).

Every value of a computation carries its curvature, jointly in all *declared convex inputs*, its monotonicity in each
of them, and its sign. Everything else (weights, biases, context) is constant in them. Each rule is sound: it says
``CONVEX`` only of what is convex, and otherwise keeps the reason why it could not. Rules are those of Grant, Boyd & Ye
(2006), *Disciplined Convex Programming*, stated for the operations that networks are made of.
"""

from convex_init_core.convexity.calculus.composition import ElementWise, apply, norm, spread
from convex_init_core.convexity.calculus.operations import add, maximum, minimum, multiply, negate, side_by_side
from convex_init_core.convexity.calculus.properties import Curvature, Monotonicity, Sign, Under
from convex_init_core.convexity.calculus.value import Value, constant, numbers, unknown, variable

__all__ = [
    "Curvature",
    "ElementWise",
    "Monotonicity",
    "Sign",
    "Under",
    "Value",
    "add",
    "apply",
    "constant",
    "maximum",
    "minimum",
    "multiply",
    "negate",
    "norm",
    "numbers",
    "side_by_side",
    "spread",
    "unknown",
    "variable",
]
