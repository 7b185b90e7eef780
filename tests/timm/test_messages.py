"""Our models of timm take its names and NumPy's numbers, and refuse the rest by the name of the argument."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import convex_init.timm as ct
from tests.messages import Refusal, assert_refused

SMALL = {
    "icnn_mlp_3x784": {"hidden": (6, 5)},
    "icnn_convnet5": {"widths": (4, 6)},
    "icnn_resnet8": {"layers": (1,), "width": 4},
}


def made(entry="icnn_convnet5", **options):
    return timm.create_model(entry, **{**SMALL[entry], **options})


REFUSALS = {
    "act_layer unknown": Refusal(lambda: made(act_layer="nope"), ("act_layer", "leaky_relu")),
    "act_layer not convex": Refusal(lambda: made(act_layer="tanh"), ("Tanh", "concave", "softplus")),
    "act_layer a module": Refusal(lambda: made(act_layer=nn.ReLU()), ("act_layer", "class"), TypeError),
    "num_classes": Refusal(lambda: made(num_classes=-1), ("num_classes", "at least 0")),
    "in_chans": Refusal(lambda: made(in_chans="3"), ("in_chans", "whole number"), TypeError),
    "widths": Refusal(lambda: made(widths=()), ("widths", "empty")),
    "hidden": Refusal(lambda: made("icnn_mlp_3x784", hidden="8"), ("hidden", "whole numbers"), TypeError),
    "layers": Refusal(lambda: made("icnn_resnet8", layers=(0,)), ("layers[0]", "at least 1")),
    "drop_rate": Refusal(lambda: made(drop_rate=2.0), ("drop_rate", "at most 1")),
    "global_pool": Refusal(lambda: made(global_pool="nope"), ("global_pool", "avg")),
    "img_size": Refusal(lambda: made("icnn_mlp_3x784", img_size=(8, 8, 8)), ("img_size", "height and width")),
    "scriptable behind a map": Refusal(
        lambda: made(scriptable=True, positivity="exp"),
        ("scriptable", "torch.jit.trace"),
        remedy=lambda: torch.jit.trace(made(positivity="exp").eval(), torch.zeros(2, 3, 8, 8)),
    ),
    "a number as generator": Refusal(
        lambda m: ct.convexify(m, torch.zeros(2, 3, 8, 8), generator=0), ("generator", "manual_seed"), TypeError, made
    ),
    "a model that is none": Refusal(lambda: ct.convexify(None), ("model", "NoneType"), TypeError),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_leads_on(name):
    assert_refused(REFUSALS[name], lambda model: [parameter.tolist() for parameter in model.parameters()])


@pytest.mark.parametrize("entry", SMALL)
def test_names_of_activations_and_numpys_numbers_are_taken(entry):
    model = made(entry, act_layer="leaky_relu", num_classes=np.int64(3), in_chans=np.int64(1))
    assert any(isinstance(module, nn.LeakyReLU) for module in model.modules())
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    torch.jit.script(made(entry, scriptable=True))
