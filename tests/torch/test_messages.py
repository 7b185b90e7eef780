"""Calls that cannot be done say which argument, where, and what to do, and what they advise works."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.masked import masked_tensor
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import convex_init.torch as ci
from tests.messages import Refusal, assert_refused


def x(*shape):
    return torch.randn(*(shape or (8, 4)), generator=torch.Generator().manual_seed(0))


def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def reparametrised(by):
    def make():
        model = plain()
        by(model[2])
        return model

    return make


class Two(nn.Module):
    """Two layers, and what ``forward`` makes of them."""

    def __init__(self, forward):
        super().__init__()
        self.a, self.b, self.made = nn.Linear(4, 8), nn.Linear(8, 1), forward

    def forward(self, x):
        return self.made(self, x)


def two(forward):
    return lambda: Two(forward)


class Transport(nn.Module):
    """A map that is the gradient of a potential."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 1)

    def potential(self, x):
        return self.b(F.softplus(self.a(x)))

    def forward(self, x):
        with torch.enable_grad():
            x = x.requires_grad_()
            return torch.autograd.grad(self.potential(x).sum(), x, create_graph=True)[0]


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(3, 8)

    def forward(self, x, y):
        return self.b(F.softplus(self.a(x) * self.c(y).relu()))


def sparse_weight():
    model = plain()
    model[2].weight = nn.Parameter(model[2].weight.detach().to_sparse())
    return model


def nested():
    return torch.nested.nested_tensor([x(2, 4), x(3, 4)])


def scheduler():
    return torch.optim.lr_scheduler.StepLR(torch.optim.SGD(plain().parameters(), 0.1), 1)


SIN = two(lambda m, x: m.b(torch.sin(m.a(x))))
PAIR = x(8, 4), x(8, 3)
HERE = "test_messages.py:"

REFUSALS = {
    "weight norm": Refusal(
        lambda m: ci.apply_(m, x()),
        ("'2'", "weight norm", "exclude="),
        model=reparametrised(weight_norm),
        remedy=lambda m: ci.plan(m, x(), exclude="2"),
    ),
    "spectral norm": Refusal(
        lambda m: ci.apply_(m, x()),
        ("'2'", "exclude="),
        model=reparametrised(spectral_norm),
        remedy=lambda m: ci.plan(m, x(), exclude="2"),
    ),
    **{
        f"{kind} input, {call.__name__}": Refusal(
            lambda m, call=call, made=made: call(m, made()),
            ("example_inputs", "'0'", kind, word),
            model=plain,
            remedy=lambda m, call=call, made=made, way=way: call(m, way(made())),
        )
        for kind, made, word, way in (
            ("sparse", lambda: x().to_sparse(), ".to_dense()", torch.Tensor.to_dense),
            (
                "quantised",
                lambda: torch.quantize_per_tensor(x(), 0.1, 0, torch.qint8),
                ".dequantize()",
                torch.dequantize,
            ),
            ("nested", nested, "to_padded_tensor", lambda n: torch.nested.to_padded_tensor(n, 0.0)),
            ("masked", lambda: masked_tensor(x(), x() > 0), ".to_tensor(0.0)", lambda m: m.to_tensor(0.0)),
        )
        for call in (ci.plan, ci.certify, ci.signal_report)
    },
    "jagged input": Refusal(
        lambda m: ci.plan(m, torch.nested.nested_tensor([x(2, 4), x(3, 4)], layout=torch.jagged)),
        ("example_inputs", "nested", "to_padded_tensor"),
        model=plain,
    ),
    "compressed input": Refusal(lambda m: ci.plan(m, x().to_sparse_csr()), ("sparse", ".to_dense()"), model=plain),
    "sparse weight": Refusal(lambda m: ci.apply_(m, x()), ("'2.weight'", "sparse", ".to_dense()"), model=sparse_weight),
    "certify a sparse weight": Refusal(lambda m: ci.certify(m, x()), ("'2.weight'", "sparse"), model=sparse_weight),
    "nested inside": Refusal(
        lambda m: ci.certify(m, x()),
        ("makes a nested tensor", "in the model's forward", HERE),
        model=two(lambda m, x: m.b(m.a(torch.nested.nested_tensor([x, x]).unbind()[0]))),
    ),
    **{
        f"entry, {call.__name__}": Refusal(
            lambda m, call=call: call(m, x(), entry="nope"),
            ("entry 'nope'", "Transport", "'forward', 'potential'"),
            model=Transport,
            remedy=lambda m, call=call: call(m, x(), entry="potential"),
        )
        for call in (ci.plan, ci.certify, ci.signal_report)
    },
    "entry that is none": Refusal(lambda: ci.certify(plain(), x(), entry=None), ("entry must be",), TypeError),
    "a script of ICNN": Refusal(
        lambda: torch.jit.script(ci.ICNN(4, [8], 1)),
        ("ICNN", "torch.jit.trace(model, x)"),
        remedy=lambda: torch.jit.trace(ci.ICNN(4, [8], 1), x()),
    ),
    "a script of a map": Refusal(
        lambda: torch.jit.script(nn.Sequential(ci.ConvexLinear(4, 8, positivity="exp"))),
        ("ConvexLinear", "'exp'", "positivity='projection'"),
        remedy=lambda: torch.jit.script(nn.Sequential(ci.ConvexLinear(4, 8, positivity="projection"))),
    ),
    "activation by a wrong name": Refusal(lambda: ci.ICNN(4, [8], activation="nope"), ("'nope'", "leaky_relu")),
    "activation not convex": Refusal(lambda: ci.ICNN(4, [8], activation="tanh"), ("tanh", "concave", "softplus")),
    "activation as a class": Refusal(lambda: ci.ICNN(4, [8], activation=nn.Softplus), ("activation", "()"), TypeError),
    "a width that is a string": Refusal(lambda: ci.ICNN(4, "16"), ("hidden", "whole numbers"), TypeError),
    "a width that is true": Refusal(lambda: ci.ICNN(4, [True]), ("hidden[0]", "whole number"), TypeError),
    "a width of 0": Refusal(lambda: ci.ICNN(4, [8, 0]), ("hidden[1]", "at least 1")),
    "no width": Refusal(lambda: ci.ICNN(4, []), ("hidden", "affine")),
    "features that are a float": Refusal(lambda: ci.ICNN(4.0, [8]), ("in_features",), TypeError),
    "bias as a word": Refusal(lambda: ci.ICNN(4, [8], bias="no"), ("bias", "True or False"), TypeError),
    "whole numbers as a dtype": Refusal(lambda: ci.ICNN(4, [8], dtype=torch.long), ("dtype", "floating point")),
    "NumPy's dtype": Refusal(lambda: ci.ConvexLinear(4, 8, dtype=np.float32), ("dtype", "torch.float32"), TypeError),
    "a method for the baseline": Refusal(
        lambda: ci.ICNN(4, [8], positivity=None, method="isometric"), ("method", "baseline")
    ),
    "a layer's size": Refusal(lambda: ci.ConvexLinear(4, "8"), ("out_features", "whole number"), TypeError),
    "no example inputs": Refusal(lambda m: ci.signal_report(m, None), ("example_inputs",), model=plain),
    "certify without inputs": Refusal(lambda m: ci.certify(m, None), ("example_inputs",), TypeError, plain),
    "NumPy's array": Refusal(
        lambda m: ci.plan(m, np.ones((8, 4))),
        ("example_inputs", "ndarray", "torch.as_tensor"),
        TypeError,
        plain,
        lambda m: ci.plan(m, torch.as_tensor(np.ones((8, 4)), dtype=torch.float32)),
    ),
    "another width": Refusal(
        lambda m: ci.apply_(m, x(8, 5)), ("example_inputs", "RuntimeError", "8x5 and 4x8"), model=plain
    ),
    "certify another width": Refusal(
        lambda m: ci.certify(m, x(8, 5)), ("example_inputs", HERE), model=two(lambda m, x: m.b(m.a(x)))
    ),
    "a forward that fails": Refusal(
        lambda m: ci.plan(m, x()), ("example_inputs", "KeyError", HERE), model=two(lambda m, x: {}["q"])
    ),
    "a scheduler": Refusal(
        lambda m: ci.project_after_step(scheduler(), m),
        ("optimizer", "StepLR", ".optimizer"),
        TypeError,
        lambda: ci.ICNN(4, [8]),
    ),
    "a seed": Refusal(
        lambda m: ci.apply_(m, x(), seed=0),
        ("seed=", "generator=torch.Generator().manual_seed(seed)"),
        TypeError,
        plain,
        lambda m: ci.apply_(m, x(), generator=torch.Generator().manual_seed(0)),
    ),
    "a number as generator": Refusal(
        lambda m: ci.certify(m, x(), generator=0), ("generator", "manual_seed"), TypeError, plain
    ),
    "match_moments": Refusal(
        lambda m: ci.apply_(m, x(), match_moments="yes"), ("match_moments", "True or False"), TypeError, plain
    ),
    "match_moments of a tensor": Refusal(
        lambda: ci.icnn_(torch.empty(3, 4), match_moments=1), ("match_moments", "True or False"), TypeError
    ),
    "register_missing_bias": Refusal(
        lambda m: ci.apply_(m, x(), register_missing_bias="x"), ("register_missing_bias",), TypeError, plain
    ),
    "a longer bias": Refusal(lambda: ci.icnn_(torch.empty(3, 4), torch.empty(5)), ("bias", "3", "(5,)")),
    "a shorter bias": Refusal(lambda: ci.lecun_(torch.empty(3, 4), torch.empty(1)), ("bias", "3", "(1,)")),
    "a bias of a kernel": Refusal(
        lambda: ci.icnn_(torch.empty(6, 4, 3, 3), torch.empty(5), fan_in=36), ("bias", "6", "(5,)")
    ),
    "no geometry": Refusal(
        lambda: ci.icnn_(torch.empty(3, 4), geometry="dense", method="isometric"), ("geometry",), TypeError
    ),
    "a weight without numbers": Refusal(lambda: ci.icnn_(torch.empty(3, 4, device="meta")), ("weight", "to_empty")),
    "a sine in the model": Refusal(lambda m: ci.plan(m, x()), ("sin in the model's forward", HERE), model=SIN),
    "a gradient": Refusal(
        lambda m: ci.apply_(m, x()),
        ("gradient", "entry=", "'potential'", HERE),
        model=Transport,
        remedy=lambda m: ci.apply_(m, x(), entry="potential"),
    ),
    "a product of inputs": Refusal(
        lambda m: ci.plan(m, PAIR),
        ("multiplies two values", HERE, "convex_inputs='0'"),
        model=Conditional,
        remedy=lambda m: ci.plan(m, PAIR, convex_inputs="x"),
    ),
    "an input that is none": Refusal(
        lambda m: ci.plan(m, PAIR, convex_inputs="z"), ("'z'", "0 (x), 1 (y)"), model=Conditional
    ),
    "a truth value as an input": Refusal(
        lambda m: ci.certify(m, PAIR, True), ("convex_inputs", "True"), TypeError, Conditional
    ),
    "an output that is a number": Refusal(lambda m: ci.certify(m, x(), outputs=0), ("outputs", "0"), TypeError, plain),
    "a loss per sample": Refusal(
        lambda m: ci.signal_report(m, x(), lambda out: out),
        ("loss", "(8, 1)"),
        model=plain,
        remedy=lambda m: ci.signal_report(m, x(), lambda out: out.mean()),
    ),
    "a loss that is a number": Refusal(lambda m: ci.signal_report(m, x(), 3), ("loss", "3"), TypeError, plain),
    "steps of a path": Refusal(
        lambda m: ci.level_set_path(m, x(), x(), steps=1.5), ("steps",), TypeError, lambda: ci.ICNN(4, [8])
    ),
    "a start that is not finite": Refusal(
        lambda m: ci.level_set_path(m, x() / 0.0, x()), ("start", "finite"), model=lambda: ci.ICNN(4, [8])
    ),
    "a model that is none": Refusal(lambda: ci.projected_parameters(None), ("model", "NoneType"), TypeError),
    "a mark on nothing": Refusal(lambda: ci.mark_projected(None), ("module", "NoneType"), TypeError),
    "whole numbers to project": Refusal(lambda: ci.project_(torch.ones(3, dtype=torch.long)), ("target", "int64")),
    "a layer as activation": Refusal(lambda: ci.read_activation(nn.Linear(3, 3)), ("activation", "Linear")),
}


def numbers_of(model):
    weights = {name: tensor.detach().to_dense().tolist() for name, tensor in model.state_dict().items()}
    return weights, {path: sorted(vars(module)) for path, module in model.named_modules()}


@pytest.mark.filterwarnings("ignore")  # sparse, nested and masked tensors warn that they are new
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], numbers_of)


def in_place_on_a_view(m, x):
    h = m.a(x).relu_()
    h[:, ::2].mul_(2.0)
    return m.b(h)


def into_out(m, x):
    out = torch.empty(2, 8, 8)
    with torch.no_grad():
        torch.add(m.a(x), m.a(x), out=out[0])
    return m.b(out[0])


def under_autocast(call):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return call()


def certified_under_autocast():
    model = ci.ICNN(4, [8], 1)

    def call():
        model(x())  # what autocast keeps of the weights
        return ci.certify(model, x())

    certificate = under_autocast(call)
    assert certificate, certificate
    assert "rounds to bfloat16" in str(certificate)


def planned_in_parallel():
    """A wrapper that is looked at only; it is made without the processes that its constructor asks for."""
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = plain()
    assert [layer.path for layer in ci.plan(wrapped, x()).layers] == ["0", "2"]
    assert [layer.path for layer in ci.signal_report(wrapped, x()).layers] == ["0", "2"]
    with pytest.raises(ValueError, match="initialise it before wrapping"):
        ci.apply_(wrapped, x())


def same_draws_for_numpys_sizes():
    ci.ICNN(np.int64(4), np.array([8, 8]), np.int32(1))
    ci.ConvexLinear(np.int64(4), np.int64(8))
    ci.ICNN(5, 16, 1)
    assert isinstance(ci.ICNN(4, np.int64(8), activation="leaky_relu").activations[0], nn.LeakyReLU)


def named_by_the_signature():
    model = Conditional()
    names = {name: str(ci.plan(model, PAIR, convex_inputs=name)) for name in ("x", 0, np.int64(0))}
    assert names["x"] == names[0] == names[np.int64(0)]
    assert str(ci.plan(model, dict(zip("xy", PAIR, strict=True)), convex_inputs=0)) == names["x"]


WORKS = {
    "a view that is written": lambda: ci.plan(Two(in_place_on_a_view), x()),
    "a result in out=": lambda: ci.certify(Two(into_out), x()),
    "a view that torch refuses to write where gradients are recorded": lambda: ci.certify(
        Two(lambda m, x: m.b(torch.cat([part.relu_() for part in m.a(x).chunk(2, 1)], 1))), x()
    ),
    "autocast": certified_under_autocast,
    "apply_ under autocast": lambda: under_autocast(lambda: ci.apply_(ci.ICNN(4, [8], 1), x())),
    "a wrapped model": planned_in_parallel,
    "NumPy's sizes": same_draws_for_numpys_sizes,
    "NumPy's truth": lambda: ci.plan(plain(), x(), register_missing_bias=np.bool_(True)),
    "names of the signature": named_by_the_signature,
}


@pytest.mark.parametrize("name", WORKS)
def test_what_a_user_may_expect_works(name):
    WORKS[name]()
