"""Models whose operations run functions of their own, or make tensors without a shape: said where, and what to do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from functorch.experimental.control_flow import map as map_rows
from torch import nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

import convex_init.torch as ci
from tests.messages import Refusal, assert_refused
from tests.torch.test_messages import Two, numbers_of, two, x

HERE = "test_unseen_functions.py:"


def net(m, x):
    return m.b(F.relu(m.a(x)))


def choice(m, x):
    return torch.cond(x.sum() > 0, lambda x: net(m, x), lambda x: net(m, x) + 1.0, (x,))


def choice_in_front(m, x):
    return net(m, torch.cond(x.sum() > 0, lambda x: x + 1.0, lambda x: x - 1.0, (x,)))


def loop(m, x):
    return net(m, while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2.0), (torch.tensor(0), x))[1])


def running_sum(m, x):
    return net(m, scan(lambda total, row: (total + row, total + row), torch.zeros(4), x)[1])


def each_row(m, x):
    return net(m, map_rows(lambda row: row * 2.0, x))


FUNCTIONS = {
    "cond": (choice, lambda m, x: torch.where(x.sum(1, keepdim=True) > 0, net(m, x), net(m, x))),
    "while_loop": (loop, lambda m, x: net(m, x * 2.0 * 2.0 * 2.0)),
    "scan": (running_sum, lambda m, x: net(m, x.cumsum(0))),
    "map_impl": (each_row, lambda m, x: net(m, torch.stack([row * 2.0 for row in x]))),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_functions_inside_an_operation_do_is_not_known(name):
    forward, plainly = FUNCTIONS[name]
    where = (f"{name} in the model's forward", HERE, "not recorded", "torch.where", "Python loop")
    for call in (ci.plan, ci.apply_, ci.signal_report):
        torch.compiler.reset()
        assert_refused(Refusal(lambda m, call=call: call(m, x()), where, model=two(forward)), numbers_of)
    torch.compiler.reset()
    answer = ci.certify(Two(forward), x())
    assert not answer
    assert all(part in str(answer) for part in where)
    if name != "cond":  # two results of one weight are no plan
        ci.plan(Two(plainly), x())
    ci.signal_report(Two(plainly), x())


@pytest.mark.filterwarnings("ignore")
def test_a_choice_in_front_of_the_weights():
    with pytest.raises(ValueError, match=r"cond in the model's forward .*not recorded"):
        ci.plan(Two(choice_in_front), x())
    assert not ci.certify(Two(choice_in_front), x())


NESTED = {
    "strided": lambda m, x: net(m, torch.nested.nested_tensor([x[:3], x[3:]]).to_padded_tensor(0.0)),
    "jagged": lambda m, x: net(m, torch.nested.as_nested_tensor([x[:3], x[3:]], layout=torch.jagged).values()),
    "of offsets": lambda m, x: net(m, torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 3, 8])).values()),
    "narrow": lambda m, x: net(
        m, torch.nested.narrow(x[None], 1, torch.tensor([0]), torch.tensor([3]), layout=torch.jagged).values()
    ),
    "output": lambda m, x: torch.nested.as_nested_tensor([net(m, x)]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", [ci.plan, ci.apply_, ci.certify, ci.signal_report])
@pytest.mark.parametrize("name", NESTED)
def test_a_nested_tensor_on_the_way(name, call):
    said = ("makes a nested tensor", "in the model's forward", HERE, "pad_sequence")
    assert_refused(Refusal(lambda m: call(m, x()), said, model=two(NESTED[name])), numbers_of)


@pytest.mark.parametrize("call", [ci.plan, ci.certify])
def test_padding_in_its_place(call):
    def padded(m, x):
        return net(m, nn.utils.rnn.pad_sequence([x[:3], x[3:]], batch_first=True))

    call(Two(padded), x())


def test_the_search_for_counterexamples_goes_on_without_gradients():
    """As in an operation that has none, and says so as soon as its input asks for some."""

    def without(m, x):
        if x.requires_grad:
            raise NotImplementedError("no backward")
        return net(m, x).sin() * 9.0

    answer = ci.certify(Two(without), x())
    assert answer.violation is not None
