"""A misspelt argument of a network or a layer gets the nearest name, whoever of those it is passed on to has it."""

from __future__ import annotations

import pytest

import convex_init.torch as ci

MISSPELT = {
    "of a network": (lambda: ci.ICNN(3, [4], activaton="relu"), "activaton=; did you mean activation="),
    "a setting of a network": (lambda: ci.ICNN(3, [4], corelation=0.5), "corelation=; did you mean correlation="),
    "of a layer": (lambda: ci.ConvexLinear(3, 4, positivty="exp"), "positivty=; did you mean positivity="),
    "of torch's layer": (lambda: ci.ConvexConv2d(3, 4, 3, strde=2), "strde=; did you mean stride="),
    "of the layer's draw": (
        lambda: ci.ConvexLinear(3, 4).reset_parameters(corelation=0.5),
        "did you mean correlation=",
    ),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_the_nearest_name_is_offered(name: str) -> None:
    call, said = MISSPELT[name]
    with pytest.raises(TypeError, match=said):
        call()
