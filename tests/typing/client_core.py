"""What a researcher writes on NumPy alone."""

from __future__ import annotations

from typing_extensions import assert_type

from convex_init_core import InitSettings
from convex_init_core.convexity.certificate import Certificate
from convex_init_core.planning.plan import LayerPlan, Plan

settings = InitSettings(correlation=0.5, bias_noise=0.1)
assert_type(settings, InitSettings)
InitSettings(corelation=0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def read(plan: Plan, certificate: Certificate) -> str:
    assert_type(plan.layers, tuple[LayerPlan, ...])
    assert_type(bool(certificate), bool)
    assert_type(certificate.verdict, str)
    return "; ".join(layer.path for layer in plan.layers)
