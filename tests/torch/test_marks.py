"""What becomes of a mark when the model changes: followed where that is right, else refused by name."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from convex_init.torch import (
    Positive,
    apply_,
    mark_projected,
    project_,
    project_after_step,
    projected_parameters,
)
from convex_init.torch.write.marks import remember_places
from tests.torch.networks import generator

X = torch.randn(16, 4, generator=generator())


def mlp() -> nn.Sequential:
    return apply_(
        nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)), generator=generator()
    )


def steps(model, optimizer, count=3):
    for _ in range(count):
        optimizer.zero_grad()
        model(X).sum().backward()
        optimizer.step()


def attached(model, lr=0.5):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    return optimizer, project_after_step(optimizer, model)


def custom_mask(layer):
    prune.custom_from_mask(layer, "weight", (torch.arange(layer.weight.numel()) % 3 > 0).reshape(layer.weight.shape))


def loaded_elsewhere(layer):
    layer.load_state_dict({name: value.clone() for name, value in layer.state_dict().items()}, assign=True)


PRUNINGS = {
    "l1": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
    "structured": lambda layer: prune.ln_structured(layer, "weight", 0.3, 2, 0),
    "custom": custom_mask,
    "twice": lambda layer: (PRUNINGS["l1"](layer), prune.random_unstructured(layer, "weight", 0.2)),
}
COMPUTED = {
    "weight_norm": (parametrizations.weight_norm, "_WeightNorm.*remove_parametrizations"),
    "spectral_norm": (parametrizations.spectral_norm, "_SpectralNorm.*remove_parametrizations"),
    "orthogonal": (parametrizations.orthogonal, "_Orthogonal.*remove_parametrizations"),
    "old spectral_norm": (spectral_norm, "spectral_norm.*remove_spectral_norm"),
    "old weight_norm": (weight_norm, "weight_norm.*remove_weight_norm"),
    "a plain tensor": (lambda layer: _plain(layer), "no parameter of its Linear"),
}


def _plain(layer):
    weight = layer.weight.detach().clone()
    del layer.weight
    layer.weight = weight


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", PRUNINGS)
def test_a_pruned_weight_is_projected_behind_its_mask(name, late):
    model = mlp()
    if not late:
        PRUNINGS[name](model[2])
    optimizer, _ = attached(model)
    if late:
        PRUNINGS[name](model[2])
    steps(model, optimizer)
    assert list(projected_parameters(model)) == ["2.weight_orig", "4.weight"]
    model(X)  # writes the effective weight anew
    assert model[2].weight.min() == 0.0
    assert model[2].weight_orig.min() == 0.0
    prune.remove(model[2], "weight")
    steps(model, optimizer, 1)  # the parameter is a new one, which the optimizer still holds
    assert model[2].weight.min() >= 0.0


def test_a_mask_that_turns_signs_is_refused():
    model = mlp()
    prune.custom_from_mask(model[2], "weight", -torch.ones(8, 12))
    with pytest.raises(ValueError, match=r"2\.weight is marked"):
        project_(model)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", COMPUTED)
def test_a_weight_that_is_computed_from_others_is_refused_by_name(name, late):
    change, said = COMPUTED[name]
    model = mlp()
    if late:
        optimizer, _ = attached(model)
    change(model[2])
    said = rf"2\.weight is marked as non-negative by projection, but .*{said}.*Positive"
    for call in (project_, projected_parameters, lambda m: project_after_step(torch.optim.SGD(m.parameters(), 0.1), m)):
        with pytest.raises(ValueError, match=said):
            call(model)
    if late:
        with pytest.raises(ValueError, match=said):
            steps(model, optimizer)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("chain", [["softplus"], ["norm", "exp"]], ids=str)
def test_a_map_that_has_the_last_word_needs_no_projection(chain, late):
    model = mlp()
    if late:
        optimizer, _ = attached(model)
    for part in chain:
        if part == "norm":
            parametrizations.spectral_norm(model[2])
        else:
            parametrize.register_parametrization(model[2], "weight", Positive(part))
    if not late:
        optimizer, _ = attached(model)
    raw = model[2].parametrizations.weight.original
    assert list(projected_parameters(model)) == ["4.weight"]
    steps(model, optimizer)
    assert raw.min() < 0.0 < model[2].weight.min()


def batch_normed():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    mark_projected(model[1])
    mark_projected(model[3])
    return model


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_layer_that_is_converted_around_the_same_parameter_is_followed(late):
    model = batch_normed()
    if late:
        optimizer, _ = attached(model)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert isinstance(model[1], nn.SyncBatchNorm)
    assert set(projected_parameters(model)) == {"1.weight", "3.weight"}
    if not late:
        optimizer, _ = attached(model)
    with torch.no_grad():
        model[1].weight.fill_(-1.0)
    optimizer.step()
    assert model[1].weight.max() == 0.0


REPLACED = {
    "a layer": lambda model: model.__setitem__(2, nn.Linear(12, 8)),
    "a layer by several": lambda model: model.__setitem__(2, nn.Sequential(nn.Linear(12, 8))),
    "a parameter by assignment": lambda model: setattr(model[2], "weight", nn.Parameter(torch.ones(8, 12))),
    "parameters by loading": lambda model: loaded_elsewhere(model[2]),
    "a layer that is taken out": lambda model: model.__setitem__(2, nn.Linear(12, 8).requires_grad_(False)),
}


@pytest.mark.parametrize("name", REPLACED)
def test_what_is_replaced_after_attaching_is_noticed_at_the_next_step(name):
    model = mlp()
    kept = model[2]  # noqa: F841  (that the old layer lives on elsewhere must not matter)
    optimizer, handle = attached(model)
    REPLACED[name](model)
    with pytest.raises((RuntimeError, ValueError), match=r"2\.weight"):
        steps(model, optimizer)
    handle.remove()
    steps(model, optimizer)


def test_within_a_part_that_is_replaced():
    model = nn.Sequential(mlp(), nn.Identity())
    optimizer, _ = attached(model)
    model[0] = mlp()
    with pytest.raises(ValueError, match=r"not hold the projected weights 0\.2\.weight"):
        steps(model, optimizer)


def test_a_new_marked_parameter_that_the_optimizer_holds_is_followed():
    model = mlp()
    optimizer, _ = attached(model)
    model[2] = nn.Linear(12, 8)
    mark_projected(model[2])
    optimizer.add_param_group({"params": list(model[2].parameters())})
    steps(model, optimizer)
    assert model[2].weight.min() == 0.0


# Places that the model remembers, for who attaches later.


def test_a_layer_replaced_since_is_refused_when_the_model_remembers():
    for whole in (mlp(), copy.deepcopy(mlp())):
        remember_places(whole)
        for model in (whole, nn.Sequential(whole)):
            project_(model)
        whole[2] = nn.Linear(12, 8)
        for model in (whole, nn.Sequential(whole)):
            with pytest.raises(
                ValueError, match=r"2\.weight was marked.*replaced.*mark_projected\(layer\).*apply_\(model\)"
            ):
                attached(model)
        mark_projected(whole[2])
        attached(whole)


@pytest.mark.parametrize(
    "part", [nn.Identity(), nn.ReLU(), mlp()[2], nn.Sequential(mlp()[2])], ids=["none", "ReLU", "marked", "within"]
)
def test_what_needs_no_mark_or_has_one_may_take_the_place(part):
    model = mlp()
    remember_places(model)
    model[2] = part
    project_(model)
    assert "4.weight" in projected_parameters(model)


def test_remembering_anew_forgets_the_old():
    model = mlp()
    remember_places(model)
    model[2] = nn.Linear(12, 8)
    mark_projected(model[2])
    remember_places(model)
    project_(model)


# Several optimizers.


def halves(model):
    return [torch.optim.SGD(model[:4].parameters(), 0.5), torch.optim.Adam(model[4:].parameters(), 0.1)]


@pytest.mark.parametrize(
    "split",
    [halves, lambda model: [torch.optim.SGD([p], 0.5) for p in model.parameters()]],
    ids=["two", "one for each parameter"],
)
def test_several_optimizers(split):
    model = mlp()
    optimizers = split(model)
    handle = project_after_step(iter(optimizers), model)
    for _ in range(3):
        model.zero_grad()
        model(X).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
        assert model[2].weight.min() == model[4].weight.min() == 0.0
    with pytest.raises(ValueError, match="already attached"):
        project_after_step(optimizers, model[2:])
    handle.remove()
    handle.remove()
    model.zero_grad()
    model(X).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    assert min(model[2].weight.min(), model[4].weight.min()) < 0.0


def test_muon_and_adam():
    model = mlp()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimizers = [torch.optim.Muon(matrices, 0.5), torch.optim.AdamW(rest, 0.1)]
    project_after_step(optimizers, model)
    model(X).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    assert model[2].weight.min() == 0.0


def test_weights_that_no_optimizer_of_several_holds_are_named():
    model = mlp()
    with pytest.raises(ValueError, match=r"4\.weight.*\[first, second\]"):
        project_after_step(halves(model)[0], model)
    with pytest.raises(ValueError, match=r"the optimizers do not hold.*4\.weight"):
        project_after_step([halves(model)[0], torch.optim.SGD([model[4].bias], 0.1)], model)
    model[4].requires_grad_(False)
    with torch.no_grad():
        model[4].weight.neg_()
    project_after_step(halves(model)[0], model)
    assert model[4].weight.min() == 0.0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda m, o: project_after_step(torch.optim.lr_scheduler.StepLR(o, 3), m),
            TypeError,
            "StepLR.*its .optimizer",
        ),
        (lambda m, o: project_after_step(None, m), TypeError, "optimizer must be.*NoneType"),
        (lambda m, o: project_after_step([], m), ValueError, "empty list"),
        (lambda m, o: project_after_step({"a": o}, m), TypeError, r"mapping; pass its values\(\)"),
        (lambda m, o: project_after_step([o, m], m), TypeError, "got Sequential"),
        (lambda m, o: project_after_step(m, o), TypeError, "got Linear|got Sequential"),
        (lambda m, o: project_after_step(o, None), TypeError, "model must be a torch.nn.Module, got NoneType"),
        (lambda m, o: project_after_step(o, nn.Linear(2, 2)), ValueError, "no weight that is marked"),
        (lambda m, o: project_(None), TypeError, "target must be a model.*NoneType"),
        (lambda m, o: project_(["2.weight"]), TypeError, "got str"),
        (lambda m, o: project_(m.state_dict()), TypeError, "got OrderedDict"),
        (lambda m, o: mark_projected(m[2], "kernel"), ValueError, "no parameter 'kernel'"),
    ],
)
def test_messages(call, error, said):
    model = mlp()
    with pytest.raises(error, match=said):
        call(model, torch.optim.SGD(model.parameters(), 0.1))


def test_the_map_behind_a_new_style_weight_norm_is_no_attribute_error():
    layer = parametrizations.weight_norm(nn.Linear(3, 3))
    from convex_init.torch.write.positivity import read_positivity

    with pytest.raises(ValueError, match=r"_WeightNorm keeps 'weight' in several tensors.*exclude="):
        read_positivity(layer)
