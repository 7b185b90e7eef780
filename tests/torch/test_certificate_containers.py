"""``certify`` where code works behind torch's back, and where inputs and outputs come in containers."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import library

import convex_init.torch as ci
from tests.torch.functions_as_models import Function, certificate_of


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def negated_by_numpy(self, x):
    y = x.relu()
    y.numpy()[:] *= -1.0
    return y


def negated_by_a_list(self, x):
    y = x.relu()
    torch._foreach_neg_([y])
    return y


def negated_by_data(self, x):
    y = x.relu()
    y.data.neg_()
    return y


def negated_by_exchange(self, x):
    y = x.relu()
    y.data = -y.data
    return y


def negated_weight_by_exchange(self, x):
    (x.relu() * self.w).sum()
    self.w.data = -self.w.data
    return x.relu() * self.w


def negated_weights_by_a_list(self, x):
    w = [torch.ones(4)]
    torch._foreach_neg_(w)
    return x.relu() * w[0]


def negated_through_out(self, x):
    y = x.relu()
    torch.neg(x.relu(), out=y)
    return y


def scaled_by_a_python_number(self, x):
    return x * float(x.numpy().sum() ** 2)


def read_as_another_type(self, x):
    return x.relu().view(torch.float16)


def averaged_with_a_negative_divisor(self, x):
    return F.avg_pool2d(x.relu()[None], 2, divisor_override=-1)


def undefined_turned_into_numbers(self, x):
    return torch.nan_to_num(-torch.log(x), nan=0.0)


def custom_operation_named_relu(self, x):
    return torch.ops.convex_init_tests.relu(x)


@pytest.mark.parametrize(
    "function",
    [
        *(negated_by_numpy, negated_by_a_list, negated_by_data, negated_by_exchange, negated_weight_by_exchange),
        *(negated_weights_by_a_list, negated_through_out, scaled_by_a_python_number, read_as_another_type),
        *(averaged_with_a_negative_divisor, undefined_turned_into_numbers, custom_operation_named_relu),
    ],
)
def test_what_is_not_convex_gets_no_certificate(function):
    if function is custom_operation_named_relu:
        kit = library.Library("convex_init_tests", "FRAGMENT")
        kit.define("relu(Tensor x) -> Tensor")
        kit.impl("relu", torch.neg, "CompositeExplicitAutograd")
        assert torch.equal(torch.ops.convex_init_tests.relu(torch.ones(1)), -torch.ones(1))
    assert not certificate_of(function, w=torch.ones(4))


def test_data_of_a_weight_and_of_a_value_are_seen_through():
    assert certificate_of(lambda self, x: x.relu().data @ self.w.data, w=torch.rand(4, 2))
    certificate = certificate_of(lambda self, x: x.relu() @ self.w.data, w=-torch.rand(4, 2))
    assert certificate.outputs["output"].value == "concave"


# Inputs and outputs

Pair = namedtuple("Pair", ["x", "y"])


@dataclass
class Answer:
    energy: torch.Tensor
    place: torch.Tensor


def test_outputs_that_are_no_floating_numbers_do_not_count():
    certificate = certificate_of(lambda self, x: (x.relu(), x.argmax(1), 3, None))
    assert certificate
    assert list(certificate.outputs) == ["output.0"]
    assert "no floating-point tensor" in str(certificate_of(lambda self, x: x.argmax(1)))
    assert "no floating-point tensor" in str(certificate_of(lambda self, x: 1.0))


def test_outputs_in_a_dict_a_dataclass_or_a_named_tuple():
    assert list(certificate_of(lambda self, x: {"a": {"b": x}}).outputs) == ["output.a.b"]
    assert list(certificate_of(lambda self, x: Answer(x.relu(), x.argmax())).outputs) == ["output.energy"]
    assert list(certificate_of(lambda self, x: Pair(x, x)).outputs) == ["output.0", "output.1"]


def test_inputs_in_a_named_tuple_jointly_and_one_by_one():
    def product(self, pair):
        return pair.x.relu() * pair.y.square() + pair.x

    model, inputs = Function(product), (Pair(torch.randn(3, 4), torch.randn(3, 4)),)
    assert ci.certify(model, inputs, "0.0")
    assert not ci.certify(model, inputs, "0.1", search=False).outputs["output"].is_concave
    assert ci.certify(model, inputs).verdict == "not convex"


def test_several_convex_inputs_jointly():
    def forward(self, x, y, *, t):
        return F.softplus(x @ self.a + y @ self.b) * t.exp()

    model = Function(forward, a=torch.randn(4, 2), b=torch.randn(3, 2))
    inputs = {"x": torch.randn(3, 4), "y": torch.randn(3, 3), "t": torch.randn(3, 1)}
    assert ci.certify(model, inputs, ["x", "y"])
    assert ci.certify(model, inputs, ["t"])
    assert not ci.certify(model, inputs, ["x", "t"], search=False)


@dataclass
class Batch:
    y: torch.Tensor


def test_tensors_inside_an_object_are_context():
    model = Function(lambda self, x, batch: x.relu() * batch.y)
    assert not ci.certify(model, (torch.randn(3, 4), Batch(torch.ones(3, 4))), 0, search=False)
    model = Function(lambda self, x, batch: x.relu() * batch.y.exp())
    assert ci.certify(model, (torch.randn(3, 4), Batch(torch.ones(3, 4))), 0)


def test_memory_that_no_recorded_operation_wrote_is_not_taken_for_a_constant():
    by_a_kernel = certificate_of(lambda self, x: torch.empty_like(x).add_(1.0))  # which torch would not see
    assert "before a recorded operation has written" in str(by_a_kernel)

    def in_two_parts(self, x):
        y = torch.empty_like(x)
        y[:, :2], y[:, 2:] = x[:, :2].relu(), x[:, 2:].square()
        return y

    assert certificate_of(in_two_parts)


def test_a_model_that_fails_on_other_inputs_is_not_certified():
    def looked_up(self, x, t):
        return x.relu() * self.table[(t * 3).long()].exp()

    model, t = Function(looked_up, table=torch.randn(4, 1)), torch.tensor([0.1, 0.5, 0.9])
    certificate = ci.certify(model, (torch.randn(3, 4), t), 0, search=False)
    assert "fails for some values" in str(certificate)

    def refused(self, x):
        if x.numpy(force=True).sum() != 0.0:  # where nothing is recorded
            raise ValueError("only zeros")
        return x.relu()

    certificate = certificate_of(refused, torch.zeros(3, 4))
    assert "takes numbers out of torch" in str(certificate)


def test_random_numbers_and_places_are_constants():
    assert certificate_of(lambda self, x: x.relu()[:, torch.randperm(4)] * torch.rand(4))
    assert not certificate_of(lambda self, x: x.relu() * torch.randn(4))
