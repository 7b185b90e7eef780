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
import convex_init_core as core
from convex_init.torch import certify, mark_projected, plan, project_after_step, projected_parameters
from tests.timm.segments import assert_convex, rise_above_chords, train

SIZE = (3, 32, 32)
SMALL_RESNET = {"layers": (1, 1, 1, 1), "channels": (64, 12, 12, 16), "num_classes": 5}


def resnet(**options):
    from timm.models.resnet import BasicBlock, ResNet

    torch.manual_seed(0)
    return ResNet(BasicBlock, **{**SMALL_RESNET, **options})


def example(size=SIZE):
    return torch.zeros(2, *size)


def state(model):
    own = {f"{path}.{key}": repr(value) for path, module in model.named_modules() for key, value in vars(module).items()
           if not key.startswith("_") or key.startswith("_convex")}  # fmt: skip
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    return own, [(path, type(module)) for path, module in model.named_modules()], tensors


def assert_untouched(model, before):
    own, modules, tensors = state(model)
    assert own == before[0]
    assert modules == before[1]
    assert all(torch.equal(value, tensors[name]) for name, value in before[2].items())


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


class Wrapped(nn.Module):
    """Two convolutions around one operation."""

    def __init__(self, middle, *modules, norm=True):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.extra = nn.ModuleList(modules)
        self.middle = middle

    def forward(self, x):
        return self.last(self.middle(self, self.first(x))).mean((2, 3))


CONVEX = {
    "functional": lambda m, s: torch.relu(s),
    "in place": lambda m, s: torch.relu_(s),
    "in place on a view": lambda m, s: (s.view(-1).relu_(), s)[1],
    "clamp from below": lambda m, s: s.clamp(min=-0.5),
    "max pooling alone": lambda m, s: nn.functional.max_pool2d(s, 2),
    "maximum": lambda m, s: torch.maximum(s, s.flip(1)),
    "weighted sum": lambda m, s: 0.5 * torch.relu(s) - 3.0 * s + 1.0,
    "difference from affine": lambda m, s: torch.relu(s) - s,
    "concatenation": lambda m, s: torch.cat([torch.relu(s[:, :2]), s[:, 2:]], 1),
    "upsampling": lambda m, s: nn.functional.interpolate(torch.relu(s), scale_factor=2.0, mode="bilinear"),
    "batch norm without scale": lambda m, s: m.extra[0](torch.relu(s)),
    "square": lambda m, s: torch.relu(s) ** 2,
    "overwritten": lambda m, s: s.copy_(torch.relu(s)),
    "subtracted twice": lambda m, s: s - (1.0 - torch.relu(s)),
    "chosen": lambda m, s: torch.where(s > 0, s, 0.1 * s),
    "shared activation": lambda m, s: m.extra[1](m.extra[1](s) + s),
}

NOT_CONVEX = {
    "negated": (lambda m, s: -torch.relu(s), "neg is concave: it subtracts"),
    "subtracted": (lambda m, s: s - torch.relu(s), "sub is concave: it subtracts"),
    "one minus": (lambda m, s: 1.0 - torch.relu(s), "rsub is concave: it subtracts"),
    "alpha": (lambda m, s: torch.add(s, torch.relu(s), alpha=-2.0), "negative"),
    "negative factor": (lambda m, s: -0.1 * torch.relu(s), "negative"),
    "gate": (lambda m, s: s * torch.relu(s), "multiplies two"),
    "quotient": (lambda m, s: s / (1.0 + torch.relu(s)), "divides by a value that depends"),
    "clamped on both sides": (lambda m, s: s.clamp(0.0, 1.0), "minimum of values"),
    "sigmoid": (lambda m, s: torch.sigmoid(s), "concave"),
    "steep leaky relu": (lambda m, s: nn.functional.leaky_relu(s, 1.5), "slope drops"),
    "place of the maximum": (lambda m, s: s + s.max(1, keepdim=True)[1], "whole numbers"),
    "gathered": (lambda m, s: s + s.gather(1, s.argmax(1, keepdim=True)), "argmax"),
    "bicubic": (
        lambda m, s: nn.functional.interpolate(torch.relu(s), scale_factor=2.0, mode="bicubic"),
        "negative coefficients",
    ),
    "minimum": (lambda m, s: torch.minimum(s, s.flip(1)), "minimum is concave"),
    "square of both signs": (lambda m, s: (torch.relu(s) - 1.0) ** 2, "pow"),
    "rounded in place": (lambda m, s: torch.relu(s).round_(), "round"),
    "overwritten through a view": (lambda m, s: (s[:, :1].relu_(), s - 2.0 * s.flip(1))[1], "convex and a concave"),
    "layer norm": (lambda m, s: nn.functional.layer_norm(s, s.shape[1:]), "not convex"),
    "batch statistics": (lambda m, s: nn.functional.batch_norm(s, None, None, training=True), "batch"),
    "computed weight": (
        lambda m, s: nn.functional.conv2d(torch.relu(s), m.last.weight / m.last.weight.norm()),
        "no function of one raw number",
    ),
    "made integer": (lambda m, s: s + torch.relu(s).to(torch.int32), "whole numbers"),
}


def modules():
    return nn.BatchNorm2d(4, affine=False), nn.ReLU(inplace=True)


@pytest.mark.parametrize("middle", CONVEX.values(), ids=CONVEX)
def test_convex_operations_are_passed_and_the_next_weight_is_positive(middle):
    torch.manual_seed(0)
    model = ct.convexify(Wrapped(middle, *modules()), example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight"}
    assert (model.first.weight < 0).any()
    assert_convex(model, (3, 8, 8))


@pytest.mark.parametrize(("middle", "reason"), NOT_CONVEX.values(), ids=NOT_CONVEX)
def test_other_operations_are_refused(middle, reason):
    model = Wrapped(middle, *modules())
    before = state(model)
    with pytest.raises(ct.NotConvexifiable, match=reason):
        ct.convexify(model, example((3, 8, 8)))
    assert_untouched(model, before)


def test_learnt_factors_become_non_negative():
    class Scaled(Wrapped):
        def __init__(self):
            super().__init__(lambda m, s: torch.relu(s) * m.gamma.reshape(1, -1, 1, 1))
            self.gamma = nn.Parameter(torch.tensor([-1.0, 0.5, 2.0, 0.0]))

    model = ct.convexify(Scaled(), example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight", "gamma"}
    assert model.gamma.tolist() == [0.0, 0.5, 2.0, 0.0]
    assert_convex(model, (3, 8, 8))


def test_a_blur_filter_is_checked_by_its_values():
    from timm.layers import BlurPool2d

    def blurred(m, s):
        return m.extra[0](torch.relu(s))

    assert_convex(ct.convexify(Wrapped(blurred, BlurPool2d(4)), example((3, 8, 8))), (3, 8, 8))
    assert ct.convexity_report(Wrapped(blurred, BlurPool2d()), example((3, 8, 8))).convexifiable
    sharpening = BlurPool2d(4)
    sharpening.filt[:, :, 0, 0] = -0.1
    with pytest.raises(ct.NotConvexifiable, match=r"goes down to -0\.1"):
        ct.convexify(Wrapped(blurred, sharpening), example((3, 8, 8)))


def test_tied_weights_of_two_roles_are_refused():
    model = Wrapped(lambda m, s: torch.relu(m.extra[0](torch.relu(m.extra[0](s)))), nn.Conv2d(4, 4, 1))
    with pytest.raises(ct.NotConvexifiable, match="two places"):
        ct.convexify(model, example((3, 8, 8)))


LEARNT = {
    "divisor": (lambda m, s: torch.relu(s) / m.own, "may be of either sign"),
    "slope": (lambda m, s: nn.functional.prelu(s, m.own), "prelu"),
    "sum of one and a factor": (lambda m, s: torch.relu(s) * (1.0 + m.own), "'own' takes both signs"),
    "exponent": (lambda m, s: torch.relu(s) ** m.own, "pow"),
}


@pytest.mark.parametrize(("middle", "reason"), LEARNT.values(), ids=LEARNT)
def test_numbers_that_training_will_change_prove_nothing(middle, reason):
    model = Wrapped(middle)
    model.own = nn.Parameter(torch.full((1,), 0.5))
    assert certify(model.eval(), example((3, 8, 8)), search=False).verdict == "cannot tell"  # for the last layer
    with pytest.raises(ct.NotConvexifiable, match=reason):
        ct.convexify(model, example((3, 8, 8)))


def test_all_offenders_are_listed_and_nothing_behind_them():
    def middle(m, s):
        s.sigmoid()  # of which nothing is made
        s = m.extra[0](torch.tanh(s))
        return m.extra[1](-torch.relu(s).sqrt())

    model = Wrapped(middle, nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    found = ct.convexity_report(model, example((3, 8, 8))).blockers
    assert [blocker.reason.split()[0].strip(":") for blocker in found] == ["tanh", "sqrt", "neg"]


@pytest.mark.parametrize("positivity", [torch.exp, lambda w: torch.nn.functional.softplus(w) / 36.0])
def test_a_map_in_the_forward_is_drawn_through_and_not_projected(positivity):
    class Mapped(nn.Conv2d):
        def forward(self, x):
            return self._conv_forward(x, positivity(self.weight), self.bias)

    model = Wrapped(lambda m, s: torch.relu(m.extra[0](torch.relu(s))), Mapped(4, 4, 3, padding=1))
    ct.convexify(model, example((3, 8, 8)))
    assert set(projected_parameters(model)) == {"last.weight"}
    with torch.no_grad():
        effective = positivity(model.extra[0].weight)
        named_apply(ct.init_weights, model)
        again = positivity(model.extra[0].weight)
    wanted = core.positive_recipe(36, "relu", core.InitSettings()).statistics.weight_mean
    for weight in (effective, again):
        # 144 log-normal weights: five standard errors of their mean
        bound = 5.0 * float(weight.std()) / 12.0
        assert float(weight.mean()) == pytest.approx(wanted, abs=bound)
    assert_convex(model, (3, 8, 8))


@pytest.mark.parametrize("method", ["bounded_gain", "log_normal", "isometric"])
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
    with pytest.raises(ValueError, match="example_input"):
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
