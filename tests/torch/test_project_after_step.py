"""The projection as a hook of the optimizer: every kind of loop, attaching, detaching, and what copies lose."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from convex_init.torch import ConvexLinear, apply_, mark_projected, project_, project_after_step, projected_parameters
from tests.torch.networks import generator


def mlp() -> nn.Sequential:
    return apply_(
        nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)), generator=generator()
    )


X = torch.randn(16, 4, generator=generator())


def loss_of(model: nn.Module) -> Tensor:
    """Falls as outputs fall, so that steps drive weights below 0."""
    return model(X).sum()


def lowest(model: nn.Module) -> float:
    return min(float(model[i].weight.detach().min()) for i in (2, 4))


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, 0.5),
    "SGD foreach": lambda p: torch.optim.SGD(p, 0.5, momentum=0.9, foreach=True),
    "SGD fused": lambda p: torch.optim.SGD(p, 0.5, fused=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.1, foreach=False),
    "Adam foreach": lambda p: torch.optim.Adam(p, 0.1, foreach=True),
    "Adam fused": lambda p: torch.optim.Adam(p, 0.1, fused=True),
    "AdamW amsgrad": lambda p: torch.optim.AdamW(p, 0.1, amsgrad=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    handle = project_after_step(optimizer, model)
    free = model[0].weight.detach().clone()
    for _ in range(4):
        step(model, optimizer)
        assert lowest(model) == 0.0
    assert not torch.equal(model[0].weight, free)
    assert (model[0].weight < 0.0).any()
    assert (model[2].bias < 0.0).any()
    handle.remove()
    step(model, optimizer)
    assert lowest(model) < 0.0


def test_lbfgs():
    model = mlp()
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=5)
    project_after_step(optimizer, model)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(X) + 3.0).square().mean()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
        assert lowest(model) == 0.0


def test_gradient_accumulation():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    kept = model[2].weight.detach().clone()
    for part in X.split(4):
        model(part).sum().backward()
        assert torch.equal(model[2].weight, kept)  # nothing happens before the step
    optimizer.step()
    assert lowest(model) == 0.0


def test_a_gradient_scaler_with_a_skipped_step():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    kept = model[2].weight.detach().clone()
    scaler.scale(loss_of(model) * torch.inf).backward()
    scaler.step(optimizer)  # skipped: the gradients are infinite
    scaler.update()
    assert torch.equal(model[2].weight, kept)
    assert scaler.get_scale() < 2.0
    optimizer.zero_grad()
    scaler.scale(loss_of(model)).backward()
    scaler.step(optimizer)
    assert lowest(model) == 0.0


def test_autocast_in_bfloat16():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(model)
    loss.backward()
    optimizer.step()
    assert lowest(model) == 0.0


def test_two_parameter_groups():
    model = mlp()
    optimizer = torch.optim.SGD(
        [{"params": model[:3].parameters()}, {"params": model[3:].parameters(), "lr": 2.0}], 0.5
    )
    project_after_step(optimizer, model)
    step(model, optimizer)
    assert model[2].weight.min() == model[4].weight.min() == 0.0


def test_two_dtypes():
    model = mlp()
    model[2].weight.data = model[2].weight.data.double()
    model[2].weight.data[0, 0] = model[4].weight.data[0, 0] = -1.0
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    project_after_step(optimizer, model)
    assert lowest(model) == 0.0


def test_attaching_projects_at_once():
    model = mlp()
    model[2].weight.data.neg_()
    project_after_step(torch.optim.SGD(model.parameters(), 0.1), model)
    assert lowest(model) == 0.0


def test_a_frozen_positive_layer_need_not_be_in_the_optimizer():
    model = mlp()
    model[4].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.5)
    project_after_step(optimizer, model)
    step(model, optimizer)
    assert model[2].weight.min() == 0.0


def test_attaching_twice_is_an_error():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    handle = project_after_step(optimizer, model)
    with pytest.raises(ValueError, match=r"already attached.*remove its handle"):
        project_after_step(optimizer, model)
    with pytest.raises(ValueError, match="already attached"):
        project_after_step(optimizer, model[2])  # a part of it
    handle.remove()
    project_after_step(optimizer, model)


def test_two_models_may_share_an_optimizer():
    models = mlp(), mlp()
    optimizer = torch.optim.SGD([p for model in models for p in model.parameters()], 0.5)
    for model in models:
        project_after_step(optimizer, model)
    optimizer.zero_grad()
    (loss_of(models[0]) + loss_of(models[1])).backward()
    optimizer.step()
    assert [lowest(model) for model in models] == [0.0, 0.0]


def test_an_optimizer_without_the_weights_is_an_error():
    model = mlp()
    optimizer = torch.optim.SGD([*model[0].parameters(), *model[4].parameters()], 0.1)
    with pytest.raises(ValueError, match=r"optimizer does not hold.*2\.weight.*current parameters"):
        project_after_step(optimizer, model)
    with pytest.raises(ValueError, match="does not hold"):
        project_after_step(torch.optim.SGD(copy.deepcopy(model).parameters(), 0.1), model)


def test_a_model_without_marks_is_an_error():
    plain = nn.Linear(3, 3)
    for call in (project_, lambda m: project_after_step(torch.optim.SGD(m.parameters(), 0.1), m)):
        with pytest.raises(ValueError, match=r"Linear has no weight.*constrain_\(model\).*mark_projected\(layer\)"):
            call(plain)
    with pytest.raises(TypeError, match="model must be"):
        project_after_step(torch.optim.SGD(plain.parameters(), 0.1), list(plain.parameters()))


@pytest.mark.parametrize("through", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_a_copied_optimizer_has_lost_the_hook(through):
    """Torch drops the hooks; the documentation says to attach again."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    pair = through([model, optimizer])
    step(*pair)
    assert lowest(pair[0]) < 0.0
    project_after_step(pair[1], pair[0])
    assert lowest(pair[0]) == 0.0
    step(model, optimizer)
    assert lowest(model) == 0.0


def test_loading_state_keeps_the_hook():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5, momentum=0.9)
    project_after_step(optimizer, model)
    step(model, optimizer)
    states = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    step(model, optimizer)
    model.load_state_dict(states[0])
    optimizer.load_state_dict(states[1])
    step(model, optimizer)
    assert lowest(model) == 0.0


def test_moving_the_model_to_another_dtype_keeps_the_hook():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    project_after_step(optimizer, model)
    model.double()
    optimizer.zero_grad()
    model(X.double()).sum().backward()
    optimizer.step()
    assert lowest(model) == 0.0


def test_one_fused_call_for_each_dtype(monkeypatch):
    model = nn.Sequential(*(ConvexLinear(4, 4) for _ in range(20)), *(ConvexLinear(4, 4).double() for _ in range(20)))
    sizes = []
    original = torch._foreach_clamp_min_
    monkeypatch.setattr(
        torch, "_foreach_clamp_min_", lambda group, low: sizes.append(len(group)) or original(group, low)
    )
    project_(model)
    assert sizes == [20, 20]


# project_ and the marks.


def test_tensors_instead_of_a_model():
    a, b = torch.tensor([-1.0, 2.0]), torch.tensor([[-3.0]], dtype=torch.float64)
    assert project_(a) is a
    assert a.tolist() == [0.0, 2.0]
    scalar = torch.tensor(-1.0)
    assert project_(scalar) is scalar
    assert scalar == 0.0
    found = project_(tensor for tensor in (a.neg_(), b))
    assert found[0] is a
    assert found[1] is b
    assert (a.tolist(), b.tolist()) == ([0.0, 0.0], [[0.0]])
    assert project_([]) == []


def test_parameters_that_are_not_contiguous():
    storage = torch.full((6, 6), -1.0)
    project_(storage[::2, 1::2])
    assert storage.sum() == -27.0


def test_marks_name_parameters_of_the_module():
    class Maxout(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.other = nn.Parameter(-torch.ones(3)), nn.Parameter(-torch.ones(3))

    model = nn.Sequential(Maxout())
    mark_projected(model[0], "kernel")
    mark_projected(model[0], "kernel")
    assert list(projected_parameters(model)) == ["0.kernel"]
    project_(model)
    assert not model[0].kernel.any()
    assert (model[0].other == -1.0).all()
    with pytest.raises(ValueError, match="has no parameter 'weight'; it has"):
        mark_projected(model[0])
    with pytest.raises(ValueError, match="parametrized"):
        mark_projected(ConvexLinear(3, 3, positivity="exp"))


def test_tied_weights_are_listed_once():
    model = nn.Sequential(ConvexLinear(3, 3), ConvexLinear(3, 3))
    model[1].weight = model[0].weight
    assert list(projected_parameters(model)) == ["0.weight"]
