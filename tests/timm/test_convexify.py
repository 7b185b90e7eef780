"""``convexify`` on timm's own CNNs and on small modules made for one rule each."""

from __future__ import annotations

import copy
import pickle

import pytest
import timm
import torch
from timm.models import named_apply
from torch import nn

import convex_init.timm as ct
from convex_init.torch import certify, mark_projected, plan, project_after_step, projected_parameters
from tests.timm.models import SIZE, Wrapped, assert_untouched, example, resnet, state
from tests.timm.segments import assert_convex, rise_above_chords, train


@pytest.mark.parametrize(
    ("name", "replace"),
    [
        ("resnet10t", {}),
        ("mobilenetv3_small_050", {"hardswish": "softplus", "squeeze_excite": "identity"}),
    ],
)
def test_convex_after_training(name, replace):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5)
    assert ct.convexify(model, example(), replace=replace) is model
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    project_after_step(optimizer, model)
    train(model, SIZE, 5, steps=3, optimizer=optimizer)
    assert_convex(model, SIZE, segments=16)


def test_a_resnet_is_not_convex_before_and_is_after():
    model = resnet()
    assert rise_above_chords(model, SIZE)[0] > 1e-3
    ct.convexify(model, example())
    assert_convex(model, SIZE)
    assert certify(model.eval(), torch.zeros(1, *SIZE)).verdict == "convex"
    train(model, SIZE, 5, steps=10, optimizer=torch.optim.Adam(model.parameters(), 0.05))
    assert rise_above_chords(model, SIZE)[0] > 1e-3  # unless it is trained under the projection


def test_what_is_free_and_what_is_positive():
    report = ct.convexity_report(resnet(), example())
    assert report.convexifiable
    roles = {layer.path: (layer.positive, str(layer.fed_by), layer.normalised) for layer in report.layers}
    assert roles.pop("conv1") == (False, "None", True)
    assert roles.pop("fc") == (True, "relu", False)
    assert set(roles) >= {"layer1.0.conv1", "layer1.0.conv2", "layer2.0.downsample.0"}
    assert set(roles.values()) == {(True, "relu", True)}
    scales = {scale.path: (scale.positive, scale.normalises, scale.shortcut) for scale in report.scales}
    assert scales["bn1"] == (False, "conv1", "")
    assert scales["layer1.0.bn2"] == (True, "layer1.0.conv2", "identity")
    assert scales["layer2.0.bn2"] == (True, "layer2.0.conv2", "normalised")
    assert "layer1.0.conv1: non-negative, fed by relu, then normalised" in str(report)


def test_marks_survive_and_checkpoints_load():
    model = ct.convexify(resnet(), example())
    marked = set(projected_parameters(model))
    assert "layer1.0.bn1.weight" in marked
    assert "bn1.weight" not in marked
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert set(projected_parameters(other)) == marked
    plain = resnet()
    assert plain.state_dict().keys() == model.state_dict().keys()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, *SIZE)
    torch.testing.assert_close(plain.eval()(x), model.eval()(x))


def test_one_seed_reproduces_and_spares_the_global_generator():
    before = torch.get_rng_state()
    drawn = [
        ct.convexify(resnet(), example(), generator=torch.Generator().manual_seed(s)).state_dict() for s in (1, 1, 2)
    ]
    torch.manual_seed(0)
    resnet()
    torch.set_rng_state(before)
    model = resnet()
    after_making = torch.get_rng_state()
    ct.convexify(model, example(), generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), after_making)
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())
    assert not torch.equal(drawn[0]["fc.weight"], drawn[2]["fc.weight"])


def test_timms_named_apply_draws_a_convexified_model_anew():
    model = ct.convexify(resnet(), example())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    named_apply(ct.init_weights, model)
    after = model.state_dict()
    assert not torch.equal(before["layer1.0.conv1.weight"], after["layer1.0.conv1.weight"])
    assert torch.equal(before["layer1.0.bn2.weight"], after["layer1.0.bn2.weight"])  # the gain of its branch
    assert not torch.equal(before["layer1.0.bn2.running_mean"], after["layer1.0.bn2.running_mean"])
    assert_convex(model, SIZE)


@pytest.mark.parametrize(
    ("name", "size", "kinds"),
    [
        ("vit_tiny_patch16_224", (3, 224, 224), {"LayerNorm", "Attention", "GELU"}),
        ("convnext_atto", (3, 64, 64), {"LayerNorm2d", "LayerNorm", "GELU"}),
        ("mobilenetv3_small_050", SIZE, {"Hardswish", "SqueezeExcite", "Hardsigmoid"}),
        ("resnetv2_50d_gn", (3, 64, 64), {"GroupNormAct"}),
        ("skresnet18", (3, 64, 64), {"SelectiveKernelAttn", "SelectiveKernel"}),
    ],
)
def test_refusal_lists_the_offenders_and_leaves_the_model_untouched(name, size, kinds):
    model = timm.create_model(name)
    before = state(model)
    with pytest.raises(ct.NotConvexifiable, match="nothing was changed") as caught:
        ct.convexify(model, example(size))
    assert_untouched(model, before)
    found = caught.value.blockers
    assert {blocker.kind for blocker in found} <= kinds | {"Softmax", "VisionTransformer"}
    assert len({blocker.kind for blocker in found} & kinds) >= min(2, len(kinds))
    for blocker in found:
        assert blocker.path in str(caught.value)
        model.get_submodule(blocker.path)


def test_refusal_names_the_replacement_and_only_where_there_is_one():
    report = ct.convexity_report(timm.create_model("mobilenetv3_small_050"), example())
    remedies = {blocker.kind: blocker.remedy for blocker in report.blockers}
    assert "'hardswish': 'softplus'" in remedies["Hardswish"]
    assert "'squeeze_excite': 'identity'" in remedies["Hardsigmoid"]
    report = ct.convexity_report(timm.create_model("convnext_atto"), example((3, 64, 64)))
    assert {bool(blocker.remedy) for blocker in report.blockers if "LayerNorm" in blocker.kind} == {False}


@pytest.mark.parametrize("method", ["auto", "bounded_gain", "log_normal", "isometric"])
def test_a_method_is_for_layers_without_a_normalisation_and_as_in_apply(method):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(12, 16), nn.Linear(16, 16, bias=False), nn.Linear(16, 16)
            self.norm, self.d = nn.BatchNorm1d(16), nn.Linear(16, 5)

        def forward(self, x):
            h = torch.relu(self.a(x.flatten(1)))
            h = torch.relu(self.norm(self.b(h)))
            return self.d(torch.relu(self.c(h) + h))

    torch.manual_seed(0)
    model, plain, x = Net(), Net(), torch.zeros(2, 3, 2, 2)
    ct.convexify(model, x, method=method, generator=torch.Generator().manual_seed(1))
    mark_projected(plain.norm)
    planned = {layer.path: layer.recipe for layer in plan(plain, x, method=method).layers}
    assert float(model.c.bias[0].detach()) == pytest.approx(planned["c"].bias.mean)
    assert float(model.d.bias[0].detach()) == pytest.approx(planned["d"].bias.mean)
    default = ct.convexify(Net(), x)
    assert float(default.c.bias[0].detach()) != pytest.approx(planned["c"].bias.mean, rel=1e-3)  # it sees no shortcut
    assert model.norm.weight.tolist() == [1.0] * 16
    assert_convex(model, (3, 2, 2))


def test_auto_is_what_a_plan_without_inputs_says():
    """Nothing is measured, so that the units of the first layer bend as those of a Gaussian."""
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
    )
    planned = plan(model, torch.zeros(2, 3, 8, 8), method="auto", calibrate=False)
    assert planned.settings.kinks == "spread"
    ct.convexify(model, torch.zeros(2, 3, 8, 8), method="auto", generator=torch.Generator().manual_seed(0))
    first = planned.layers[0].recipe
    assert float(model[0].bias.detach().std()) == pytest.approx(first.bias.std, rel=0.3)
    assert float(model[0].weight.detach().var()) == pytest.approx(first.weight.variance, rel=0.2)
    assert float(model[2].bias.detach()[0]) == pytest.approx(planned.layers[1].recipe.bias.mean)


def test_a_missing_bias_is_asked_for_and_added():
    def make():
        model = Wrapped(lambda m, s: torch.relu(s))
        model.last = nn.Conv2d(4, 4, 3, bias=False)
        return model

    model = make()
    before = state(model)
    with pytest.raises(ValueError, match=r"'last'.*register_missing_bias"):
        ct.convexify(model, example((3, 8, 8)))
    assert_untouched(model, before)
    assert ct.convexify(model, example((3, 8, 8)), register_missing_bias=True).last.bias is not None


def test_frozen_weights_are_refused():
    model = resnet()
    model.layer1[0].bn1.weight.requires_grad_(False)
    model.fc.weight.requires_grad_(False)
    before = state(model)
    with pytest.raises(ValueError, match=r"'fc'.*frozen[\s\S]*layer1.0.bn1.weight.*frozen"):
        ct.convexify(model, example())
    assert_untouched(model, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replace": {"gelu": "softplus"}}, "no such module"),
        ({"replace": {"gellu": "softplus"}}, "known are"),
        ({"replace": {"gelu": "gelu"}}, "known are"),
        ({"replace": {"squeeze_excite": "relu"}}, "identity"),
        ({"correlation": 1.5}, "correlation"),
        ({"distribution": "cauchy"}, "distribution"),
        ({"method": "cubic"}, "method"),
        ({"method": "isometric", "distribution": "gamma"}, "no meaning"),
    ],
)
def test_bad_arguments(options, message):
    model = resnet()
    before = state(model)
    with pytest.raises(ValueError, match=message):
        ct.convexify(model, example(), **options)
    assert_untouched(model, before)


def test_what_cannot_be_traced_is_refused():
    model = Wrapped(lambda m, s: s if s.sum() > 0 else -s)
    model.train()
    with pytest.raises(ValueError, match="cannot be traced"):
        ct.convexify(model, example((3, 8, 8)))
    assert all(module.training for module in model.modules())
    with pytest.raises(ValueError, match="example_inputs"):
        ct.convexify(model)
    with pytest.raises(TypeError, match="Module"):
        ct.convexify("resnet18")


def test_the_size_is_read_from_timms_configuration():
    model = timm.create_model("resnet10t", in_chans=1, num_classes=3)
    assert ct.convexity_report(model).convexifiable


def test_modes_are_kept_and_replacements_stand_in_place():
    model = timm.create_model("mobilenetv3_small_050").train()
    model.blocks[0].eval()
    ct.convexify(model, example(), replace={"hardswish": "elu", "squeeze_excite": "identity"})
    assert model.training
    assert not model.blocks[0].training
    kinds = {type(module).__name__ for module in model.modules()}
    assert {"ELU", "Identity"} <= kinds
    assert not kinds & {"Hardswish", "SqueezeExcite"}
