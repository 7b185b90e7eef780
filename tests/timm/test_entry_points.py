"""The registered models ``icnn_*`` through timm's own interfaces."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest
import timm
import torch
from timm.models import named_apply
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn

import convex_init.timm as ct
from convex_init.torch import apply_, certify, plan, project_, project_after_step, projected_parameters, signal_report
from tests.timm.segments import assert_convex, rise_above_chords, train

SMALL = {
    "icnn_mlp_3x784": {"hidden": (40, 30, 20), "img_size": (8, 6)},
    "icnn_convnet5": {"widths": (8, 8, 12), "in_chans": 1},
    "icnn_resnet8": {"layers": (1, 2), "width": 6, "in_chans": 1},
}
CHANNELS = {
    "icnn_convnet5": [32, 32, 64, 64, 128],
    "icnn_convnet9": [32, 32, 32, 64, 64, 64, 128, 128, 128],
    "icnn_resnet8": [32, *[32] * 2, *[64] * 2, *[128] * 2],
    "icnn_resnet14": [32, *[32] * 4, *[64] * 4, *[128] * 4],
    "icnn_resnet20": [32, *[32] * 6, *[64] * 6, *[128] * 6],
}
"""Of the convolutions of each entry point that has some."""
SIZES = {"icnn_mlp_3x784": (1, 8, 6), "icnn_convnet5": (1, 8, 8), "icnn_resnet8": (1, 8, 8)}


def small(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, **{**SMALL[name], **options})


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


def test_listed_and_created_with_timms_arguments():
    listed = timm.list_models("icnn*")
    assert set(listed) == {*CHANNELS, "icnn_mlp_3x784", "icnn_mlp_5x784", "icnn_mlp_7x784"}
    assert not timm.list_models("icnn*", pretrained=True)
    model = timm.create_model("icnn_mlp_5x784", num_classes=10, in_chans=1, img_size=28)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert [layer.weight.shape[0] for layer in model.modules() if isinstance(layer, nn.Linear)] == [784] * 5 + [10]
    with pytest.raises(RuntimeError, match="pretrained"):
        timm.create_model("icnn_convnet5", pretrained=True)


@pytest.mark.parametrize("entry", timm.list_models("icnn*"))
def test_every_entry_point_takes_the_input_of_its_configuration(entry):
    model = timm.create_model(entry).eval()
    config = model.default_cfg
    assert config["architecture"] == entry
    with torch.no_grad():
        assert model(torch.zeros(1, *config["input_size"])).shape == (1, config["num_classes"])
    assert model.get_submodule(config["classifier"]) is model.get_classifier()
    assert isinstance(model.get_submodule(config["first_conv"]), (nn.Conv2d, nn.Linear))


@pytest.mark.parametrize("entry", CHANNELS)
def test_the_convolutions_are_those_that_the_name_says(entry):
    model = timm.create_model(entry)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == CHANNELS[entry]
    halved = [layer for layer in convolutions if layer.stride == (2, 2)]
    assert [layer.out_channels for layer in halved] == [64, 128]
    assert all(layer.kernel_size == (3, 3) and layer.padding == (1, 1) for layer in convolutions)
    # Each convolution has a normalisation behind it; a residual block has one in front too, and there is a last one.
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    assert norms == len(convolutions) + ("resnet" in entry) * (len(model.blocks) + 1)
    by_class = type(model)() if entry in ("icnn_convnet5", "icnn_resnet8") else model
    assert [p.shape for p in by_class.parameters()] == [p.shape for p in model.parameters()]


def test_defaults_are_ten_classes_of_the_data_that_the_paper_uses():
    assert ct.IcnnMlp(hidden=(6, 5))(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert ct.IcnnConvNet(widths=(4, 6))(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert ct.IcnnResNet(width=4)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_features_head_and_classes(name):
    model = small(name).eval()
    x = torch.randn(3, *SIZES[name])
    features = model.forward_features(x)
    torch.testing.assert_close(model.forward_head(features), model(x))
    assert model.forward_head(features, pre_logits=True).shape == (3, model.head_hidden_size)
    model.reset_classifier(7)
    assert model(x).shape == (3, 7)
    assert model.num_classes == 7
    assert "head.weight" in projected_parameters(model)
    assert_convex(model, SIZES[name])
    model.reset_classifier(0)
    assert model(x).shape == (3, model.num_features)
    assert isinstance(model.get_classifier(), nn.Identity)


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "catavgmax"])
def test_pooling(pool):
    model = small("icnn_convnet5", global_pool="max")
    model.reset_classifier(4, pool)
    assert_convex(model, SIZES["icnn_convnet5"])
    with pytest.raises(ValueError, match="num_classes=0"):
        model.reset_classifier(4, "")
    assert small("icnn_convnet5", num_classes=0, global_pool="")(torch.zeros(2, 1, 8, 8)).ndim == 4


def test_convex_after_training(name):
    model = small(name)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=0.05, weight_decay=0.01)
    project_after_step(optimizer, model)
    train(model, SIZES[name], 10, optimizer=optimizer)
    assert_convex(model, SIZES[name])
    assert certify(model.eval(), torch.zeros(1, *SIZES[name])).verdict == "convex"


@pytest.mark.parametrize("name", ["icnn_convnet5", "icnn_resnet8"])
@pytest.mark.parametrize("positivity", ["projection", "exp"])
def test_scales_that_turn_negative_are_projected(name, positivity):
    model = small(name, positivity=positivity)
    scales = {path: module for path, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    free = scales.pop("stem.norm")  # sees the input: either sign
    with torch.no_grad():
        for norm in (free, *scales.values()):
            norm.weight.fill_(-1.0)
    project_(model)
    assert len(scales) >= 2
    for path, norm in scales.items():
        assert (norm.weight == 0.0).all(), path
    assert (free.weight == -1.0).all()


def test_without_the_projection_training_ends_convexity(name):
    model = small(name)
    train(model, SIZES[name], 10, steps=10, optimizer=torch.optim.Adam(model.parameters(), 0.05))
    assert rise_above_chords(model, SIZES[name])[0] > 1e-3
    assert certify(model.eval(), torch.zeros(1, *SIZES[name])).verdict != "convex"


@pytest.mark.parametrize("opt", ["sgd", "lamb", "lion", "madgrad", "adafactor", "nadamw", "muon", "lookahead_radam"])
def test_timms_optimizers_keep_weights_non_negative(opt):
    model = small("icnn_convnet5")
    optimizer = create_optimizer_v2(model, opt=opt, lr=0.1, weight_decay=0.01, momentum=0.9)
    free = copy.deepcopy(model)
    train(free, SIZES["icnn_convnet5"], 10, steps=8, optimizer=create_optimizer_v2(free, opt=opt, lr=0.1))
    assert any((parameter < 0).any() for parameter in projected_parameters(free).values())
    project_after_step(optimizer, model)
    train(model, SIZES["icnn_convnet5"], 10, steps=8, optimizer=optimizer)
    assert all((parameter >= 0).all() for parameter in projected_parameters(model).values())


def test_the_average_of_timms_ema_is_convex():
    model = small("icnn_resnet8")
    average = ModelEmaV3(model, decay=0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    for _ in range(3):
        train(model, SIZES["icnn_resnet8"], 10, steps=1, optimizer=optimizer)
        average.update(model)
    assert_convex(average.module, SIZES["icnn_resnet8"])


def test_saved_loaded_copied_and_pickled(name, tmp_path):
    model = small(name)
    x = torch.randn(4, *SIZES[name])
    model.train()(x)
    model.eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = small(name)
    again.init_weights(torch.Generator().manual_seed(9))
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    for other in (again.eval(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(x), model(x))
        assert projected_parameters(other).keys() == projected_parameters(model).keys()


def test_one_seed_reproduces_and_spares_the_global_generator(name):
    model = small(name)
    before = torch.get_rng_state()
    drawn = []
    for seed in (3, 3, 4):
        named_apply(partial(ct.init_weights, generator=torch.Generator().manual_seed(seed)), model)
        drawn.append([parameter.clone() for parameter in model.parameters()])
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, drawn[0], drawn[1]))
    assert not all(map(torch.equal, drawn[0], drawn[2]))


def test_exp_weights(name):
    model = small(name, positivity="exp")
    train(model, SIZES[name], 10)
    assert ct.convexity_report(model, torch.zeros(2, *SIZES[name])).convexifiable
    if name == "icnn_mlp_3x784":
        assert_convex(model, SIZES[name])
        assert not projected_parameters(model)


def test_bad_arguments():
    with pytest.raises(ValueError, match="GELU"):
        small("icnn_convnet5", act_layer=nn.GELU)
    with pytest.raises(ValueError, match="positivity"):
        small("icnn_resnet8", positivity="cube")
    with pytest.raises(ValueError, match="forward_features"):
        timm.create_model("icnn_convnet5", features_only=True)
    with pytest.raises(ValueError, match="enable"):
        small("icnn_mlp_3x784").set_grad_checkpointing()
    with pytest.raises(ValueError, match="global_pool"):
        small("icnn_mlp_3x784").reset_classifier(3, "avg")
    with pytest.raises(ValueError, match=r"'stem.*correlation"):
        named_apply(partial(ct.init_weights, correlation=1.5), small("icnn_mlp_3x784"))


def test_an_activation_by_timms_name(name):
    model = small(name, act_layer="leaky_relu")
    assert any(isinstance(module, nn.LeakyReLU) for module in model.modules())
    assert str(model.head.feeding_activation) == "leaky_relu(0.01)"
    assert_convex(model, SIZES[name])
    with pytest.raises(ValueError, match="GELU"):
        small(name, act_layer="gelu")
    with pytest.raises(ValueError, match=r"act_layer 'no_such' is unknown.*leaky_relu"):
        small(name, act_layer="no_such")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scriptable_models_can_be_scripted_unless_a_map_stands_in_the_way(name):
    model = small(name, scriptable=True).eval()
    scripted, x = torch.jit.script(model), torch.randn(3, *SIZES[name])
    torch.testing.assert_close(scripted(x), model(x))
    with pytest.raises(ValueError, match=r"scriptable=True needs positivity 'projection', got 'exp'.*torch.export"):
        small(name, scriptable=True, positivity="exp")


def test_the_meta_device_is_left_alone():
    with torch.device("meta"):
        model = timm.create_model("icnn_resnet8")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert ct.convexity_report(model).convexifiable


def test_our_reports_read_the_mlp():
    model = small("icnn_mlp_3x784")
    assert [layer.role for layer in plan(model).layers] == ["free", "positive", "positive", "positive"]
    assert len(signal_report(model, torch.randn(8, 1, 8, 6)).layers) == 4


def test_apply_keeps_the_settings_that_a_network_was_drawn_with():
    model = timm.create_model("icnn_mlp_3x784", num_classes=2, in_chans=1, img_size=28)
    model.init_weights(variance=2.0)
    assert plan(model, torch.randn(2, 1, 28, 28)).settings.variance == 2.0
    with pytest.raises(ValueError, match=r"made with variance=2\.0, and variance=1\.0 was given"):
        apply_(model, torch.randn(2, 1, 28, 28), variance=1.0)
