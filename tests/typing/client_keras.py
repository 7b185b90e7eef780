"""What a user of Keras writes; Keras itself has no types."""

from __future__ import annotations

import keras
from typing_extensions import assert_type

from convex_init.keras import ICNN, Certificate, NonNeg, Plan, SignalReport, apply_, certify, icnn, plan, signal_report

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, **icnn("relu"))])
assert_type(plan(model, free=["dense"]), Plan)
assert_type(certify(model), Certificate)
assert_type(signal_report(model, [[0.0] * 4] * 2), SignalReport)
apply_(model, seed=0, method="log_normal")
apply_(model, seed=0, activation="relu")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ICNN(4, [8], 1, seed=0)
NonNeg()
