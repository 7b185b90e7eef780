"""What a user of torch, ignite and timm writes."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from torch import nn
from torch.nn import functional
from typing_extensions import assert_type

import convex_init
from convex_init.ignite import ConvexityGuard, NonNegProjection, SignalMonitor
from convex_init.timm import ConvexityReport, convexify, convexity_report
from convex_init.torch import (
    ICNN,
    Certificate,
    ConvexLinear,
    Plan,
    SignalReport,
    apply_,
    assert_convex_,
    certify,
    constrain_,
    icnn_,
    level_set_path,
    plan,
    project_,
    project_after_step,
    signal_report,
)

model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), torch.zeros(8, 4)

assert_type(plan(model), Plan)
assert_type(plan(model, x, convex_inputs=["0"], free=["0"], positive=lambda path, module: path == "2"), Plan)
assert_type(plan(model).to_dict()["layers"], object)  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]
assert_type(apply_(model, x, method="log_normal", generator=torch.Generator()), nn.Module)
assert_type(certify(model, x, monotone={"0": "non-decreasing"}), Certificate)
assert_type(signal_report(model, x), SignalReport)
apply_(model, fed_by=torch.relu)
apply_(model, fed_by={"2": nn.Softplus(), "*": functional.softplus})
constrain_(model, positive=lambda path, module: isinstance(module, nn.Linear))
apply_(model, activation="relu")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
certify(model, x, method="energy")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
apply_(model, method=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

network = ICNN(4, hidden=[8, 8], out_features=1, skip=True)
assert_type(network, ICNN)
layer: nn.Module = ConvexLinear(4, 8, positivity="softplus", fed_by="elu")
icnn_(torch.empty(8, 4), torch.empty(8), fan_in=4)
constrain_(model, x)
project_(model)
project_after_step(torch.optim.SGD(model.parameters(), 0.1), model)
assert_convex_(model, x)
level_set_path(network, x[0], x[1], output=0)

trainer = Engine(lambda engine, batch: None)
NonNegProjection(model).attach(trainer)
ConvexityGuard(model).attach(trainer)
SignalMonitor(model, x)
NonNegProjection("model")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(convexity_report(model), ConvexityReport)
convexify(model)

convex_init.torch.apply_(model)
