"""Parameter groups: what an optimizer is given, and what its steps do then."""

import copy

import pytest
import torch
from torch import nn

from convex_init.torch import ICNN, apply_, parameter_groups, plan, project_after_step

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))


def deep() -> ICNN:
    return ICNN(4, [16, 16, 16], 1, skip=True)


def positive(model: ICNN) -> set[nn.Parameter]:
    return {layer.weight for layer in list(model.layers)[1:]}


def test_the_positive_weights_are_a_group_of_their_own() -> None:
    model = deep()
    others, slow = parameter_groups(model, plan(model, X), lr=1e-2, weight_decay=0.1)
    assert set(slow["params"]) == positive(model)
    assert set(others["params"]) | set(slow["params"]) == set(model.parameters())
    assert not set(others["params"]) & set(slow["params"])
    assert (others["lr"], slow["lr"]) == (1e-2, pytest.approx(3e-3))
    assert others["weight_decay"] == slow["weight_decay"] == 0.1


def test_a_step_of_adam_is_that_much_shorter() -> None:
    model = apply_(deep(), X, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(parameter_groups(model, plan(model, X), lr=1e-4))
    project_after_step(optimizer, model)
    before = copy.deepcopy(model.state_dict())
    model(X).square().mean().backward()
    optimizer.step()
    moved = {name: (tensor - before[name]).abs().max().item() for name, tensor in model.state_dict().items()}
    slow = {name for name, parameter in model.named_parameters() if parameter in positive(model)}
    assert len(slow) == 3
    for name, far in moved.items():
        assert far == pytest.approx(3e-5 if name in slow else 1e-4, rel=2e-3), name


def test_schedules_that_multiply_keep_the_shares() -> None:
    model = deep()
    optimizer = torch.optim.Adam(parameter_groups(model, plan(model, X), lr=1e-2))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert first < 1e-2
    assert second == pytest.approx(0.3 * first)


def test_a_model_that_is_best_at_one_rate_is_one_group() -> None:
    model = ICNN(4, [16, 16, 16], 1)
    (group,) = parameter_groups(model, plan(model, X), lr=1e-2)
    assert group["params"] == list(model.parameters())


def test_what_does_not_train_is_left_out() -> None:
    model = deep()
    made = plan(model, X)
    model.layers[1].weight.requires_grad_(False)
    others, slow = parameter_groups(model, made, lr=1e-2)
    assert len(slow["params"]) == 2
    assert not any(parameter is model.layers[1].weight for parameter in others["params"])
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="ICNN has no parameter that requires gradients"):
        parameter_groups(model, made, lr=1e-2)


def test_shared_and_hidden_parameters_come_once() -> None:
    class Hidden(nn.Module):
        """With layers in a plain list, of which torch keeps no account, and one weight twice."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 8)
            again = nn.Linear(8, 8)
            self.positive = [again, nn.Linear(8, 8)]
            self.positive[1].weight = again.weight
            self.last = nn.Linear(8, 1)
            self.skips = nn.ModuleList(nn.Linear(4, n, bias=False) for n in (8, 8, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.first(x)
            for layer, skip in zip([*self.positive, self.last], self.skips, strict=True):
                z = layer(z.relu()) + skip(x)
            return z

    model = Hidden()
    others, slow = parameter_groups(model, plan(model, X), lr=1e-2)
    together = others["params"] + slow["params"]
    assert len(together) == len(set(together)) == 2 + 1 + 2 + 2 + 3
    assert {id(each) for each in slow["params"]} == {id(model.positive[0].weight), id(model.last.weight)}


def test_behind_a_map_a_step_is_another_one_so_all_have_one_rate() -> None:
    model = ICNN(4, [16, 16, 16], 1, skip=True, positivity="softplus")
    assert plan(model, X).rates == {}
    assert len(parameter_groups(model, plan(model, X), lr=1e-2)) == 1


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("normed", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_a_free_weight_of_several_parameters_is_among_the_others(normed) -> None:
    model = ICNN(4, [16, 16, 16], 1, skip=True)
    normed(model.layers[0])
    others, slow = parameter_groups(model, plan(model, X), lr=1e-2)
    assert set(others["params"]) | set(slow["params"]) == set(model.parameters())
    assert set(slow["params"]) == positive(model)


def test_a_compiled_model_has_the_groups_of_the_model() -> None:
    model = deep()
    found = parameter_groups(torch.compile(model), plan(model, X), lr=1e-2)  # type: ignore[arg-type]
    assert set(found[1]["params"]) == positive(model)


def test_what_cannot_be_is_refused() -> None:
    model = deep()
    made = plan(model, X)
    with pytest.raises(ValueError, match=r"the plan names layers.1.weight, .*pass plan\(model, …\) of it"):
        parameter_groups(nn.Linear(4, 1), made, lr=1e-2)
    with pytest.raises(ValueError, match="and the model in place of its wrapper"):
        parameter_groups(nn.DataParallel(model), made, lr=1e-2)
    with pytest.raises(ValueError, match="lr must be greater than 0, got 0"):
        parameter_groups(model, made, lr=0.0)
    with pytest.raises(TypeError, match="plan must be what"):
        parameter_groups(model, X, lr=1e-2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got list"):
        parameter_groups(list(model.parameters()), made, lr=1e-2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="leave params= out"):
        parameter_groups(model, made, lr=1e-2, params=[])
