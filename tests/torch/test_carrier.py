"""``as_convex``: the class probabilities of an ordinary classifier, from a network whose logits are convex."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from convex_init.torch import as_convex, certify
from tests.torch.classifiers import CLASSIFIERS, REFUSED, dense
from tests.torch.networks import generator


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_class_probabilities_from_convex_logits(name):
    make, shape = CLASSIFIERS[name]
    torch.manual_seed(0)
    model = make()
    x = torch.randn(shape, generator=generator(1))
    model(x)  # lazy layers get their shapes
    model.eval()
    before = copy.deepcopy(model.state_dict())
    convex = as_convex(model, x, dtype=torch.float64)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    other = 3.0 * torch.randn(shape, generator=generator(2)).double()  # not what centred the carriers
    expected = copy.deepcopy(model).double()(other).softmax(1)
    if name == "softmax at the end":
        expected = copy.deepcopy(model).double()(other).exp()
    torch.testing.assert_close(convex(other).softmax(1), expected, rtol=0.0, atol=1e-8)
    certificate = certify(convex, x.double())
    assert certificate, certificate
    free = [parameter for layer in list(convex)[1:] for parameter in layer.parameters() if parameter.ndim > 1]
    assert name == "linear" or free
    assert not any(parameter.requires_grad for parameter in convex.parameters())


def test_the_hidden_weights_are_all_at_least_0_and_there_is_one_more_unit():
    torch.manual_seed(0)
    convex = as_convex(dense(nn.ReLU()), torch.randn(20, 5))
    first, *others = [layer for layer in convex if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in others] == [(8, 8), (8, 7), (7, 3)]
    assert all(bool((layer.weight >= 0.0).all()) for layer in others)
    assert bool((first.weight < 0.0).any())
    assert len(convex.measured.row_sums) == 3


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_convex_form_is_refused_with_the_reason(name):
    make, shape, message = REFUSED[name]
    torch.manual_seed(0)
    model = make()
    if name == "not finite":
        model[1].weight.fill_(float("nan"))
    x = torch.randn(shape)
    with torch.no_grad():
        model(x)
    with pytest.raises(ValueError, match=message):
        as_convex(model, x)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0] * 5],), TypeError, "example_inputs must be"),
        ((torch.zeros(3, 5, dtype=torch.long),), TypeError, "example_inputs must be"),
        ((torch.zeros(3, 5), {"dtype": torch.int64}), ValueError, "dtype must be floating point"),
        ((torch.zeros(3, 5), {"dtype": torch.float8_e4m3fn}), ValueError, "dtype .*float8_e4m3fn .* torch.bfloat16"),
        ((torch.zeros(3, 5), {"tolerance": 0.0}), ValueError, "tolerance must be"),
        ((torch.zeros(0, 5),), ValueError, "example_inputs: .* is empty"),
        ((torch.full((3, 5), torch.nan),), ValueError, "example_inputs: .* NaN"),
        ((torch.zeros(3, 4),), ValueError, "example_inputs: the model fails on them with RuntimeError: mat1 and mat2"),
    ],
)
def test_arguments(arguments, error, message):
    x, options = (*arguments, {})[:2]
    with pytest.raises(error, match=message):
        as_convex(dense(nn.ReLU()), x, **options)


def test_rounding_that_shows_is_an_error_and_the_wider_dtype_the_remedy():
    torch.manual_seed(0)
    widths = (64,) * 8
    model, x = dense(nn.ReLU(), widths=widths), torch.randn(50, 5)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    with pytest.raises(ValueError, match=r"in float32 class probabilities are off by .* pass dtype float64"):
        as_convex(model, x)
    convex = as_convex(model, x, dtype=torch.float64)
    assert convex.measured.common_part > 1e8  # what float32 cannot hold beside the logits
    assert convex.measured.error < 1e-4
    with pytest.raises(ValueError, match=r"more than tolerance=1e-20.*each layer; train with weights"):
        as_convex(model, x, dtype=torch.float64, tolerance=1e-20)


def test_centred_carriers_are_smaller():
    """What as_convex takes off is the mean, so that the largest common part is less than it would be."""
    torch.manual_seed(0)
    model, x = dense(nn.ReLU(), widths=(32,) * 4), torch.randn(200, 5)
    convex = as_convex(model, x)
    common = convex(x) - model(x).detach()
    assert abs(float(common.mean())) < 0.1 * float(common.std())


def test_a_convex_form_is_saved_copied_and_loaded_as_any_module():
    torch.manual_seed(0)
    x = torch.randn(20, 5)
    convex = as_convex(dense(nn.ELU(), nn.ReLU()), x)
    again = as_convex(dense(nn.ELU(), nn.ReLU()), x)
    again.load_state_dict(convex.state_dict())
    for each in (copy.deepcopy(convex), pickle.loads(pickle.dumps(convex)), again):
        assert torch.equal(each(x), convex(x))


def test_a_compiled_classifier_is_the_one_that_was_compiled():
    torch.manual_seed(0)
    x, model = torch.randn(20, 5), dense(nn.ReLU())
    inside = nn.Sequential(*model[:2], torch.compile(model[2:], backend="eager"))
    expected = as_convex(model, x, dtype=torch.float64)
    for each in (torch.compile(model, backend="eager"), inside):
        assert torch.equal(as_convex(each, x, dtype=torch.float64)(x.double()), expected(x.double()))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 3)), "lazy and has no weights yet; run it once"),
        (dense(nn.ReLU()).to("meta"), "on the meta device and has no numbers"),
    ],
    ids=["lazy", "meta"],
)
def test_a_classifier_without_numbers(model, message):
    with pytest.raises(ValueError, match=message):
        as_convex(model, torch.zeros(3, 5))


def test_nothing_is_written_over_the_examples():
    torch.manual_seed(0)
    x = torch.randn(20, 5, dtype=torch.float64)
    before = x.clone()
    model = nn.Sequential(nn.ELU(inplace=True), dense(nn.ReLU(inplace=True))).double()
    convex = as_convex(model, x)
    assert torch.equal(x, before)
    torch.testing.assert_close(convex(x.clone()).softmax(1), model(x.clone()).softmax(1))
