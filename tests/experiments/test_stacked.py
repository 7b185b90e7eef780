"""Networks that are trained together become what they become alone."""

from __future__ import annotations

import pytest
import torch

from experiments.catalogue import catalogue
from experiments.command import main
from experiments.networks import METHODS, build
from experiments.records import read
from experiments.stacked import Stack, fit_stacked, shares_right
from experiments.training import Schedule, accuracy, fit

SEEDS = (0, 1, 2)
# 3 epochs of 5 steps, the last of them on fewer samples.
SCHEDULE = Schedule(epochs=3, batch_size=16, lr=1e-3, l2=1e-2, points=2)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(90, 12, generator=generator)
    return inputs, inputs[:, :4].argmax(1)


def network(method, seed):
    return build(method, 12, [16, 16], 4, torch.Generator().manual_seed(seed))


def share(seed):
    return torch.randperm(90, generator=torch.Generator().manual_seed(50 + seed))[:72]


@pytest.mark.parametrize("method", METHODS)
def test_a_stack_of_seeds_equals_the_single_runs(method, data):
    inputs, labels = data
    stack = Stack([network(method, seed) for seed in SEEDS])
    courses = fit_stacked(stack, inputs, labels, [share(seed) for seed in SEEDS], SCHEDULE, SEEDS)
    shares_right = stack.accuracies(inputs, labels)
    for place, seed in enumerate(SEEDS):
        alone = network(method, seed)
        course = fit(alone, inputs[share(seed)], labels[share(seed)], SCHEDULE, seed)
        # Sums of float32 in another order, which Adam's first steps amplify where a gradient is close to 0.
        assert courses[place] == pytest.approx(course, rel=1e-4)
        for name, parameter in alone.named_parameters():
            torch.testing.assert_close(stack.parameters[name][place], parameter, rtol=1e-3, atol=1e-4)
        assert shares_right[place] == pytest.approx(accuracy(alone, inputs, labels), abs=1.5 / len(inputs))


def test_the_projected_weights_of_all_networks_stay_non_negative(data):
    inputs, labels = data
    stack = Stack([network("ICNN", seed) for seed in SEEDS])
    fit_stacked(stack, inputs, labels, [share(seed) for seed in SEEDS], SCHEDULE, SEEDS)
    assert len(stack.projected) == 2
    for weight in stack.projected:
        assert weight.shape[0] == len(SEEDS)
        assert float(weight.detach().min()) == 0.0


def test_a_network_that_diverges_takes_no_other_with_it(data):
    inputs, labels = data
    networks = [network("non-convex", seed) for seed in SEEDS]
    with torch.no_grad():
        networks[1].layers[0].weight.fill_(float("nan"))
    courses = fit_stacked(Stack(networks), inputs, labels, [share(seed) for seed in SEEDS], SCHEDULE, SEEDS)
    assert courses[1] == [None] * 6
    alone = network("non-convex", 2)
    assert courses[2] == pytest.approx(fit(alone, inputs[share(2)], labels[share(2)], SCHEDULE, 2), rel=1e-4)


def test_unequal_samples_are_refused(data):
    inputs, labels = data
    stack = Stack([network("non-convex", 0), network("non-convex", 1)])
    with pytest.raises(ValueError, match="equally many"):
        fit_stacked(stack, inputs, labels, [torch.arange(5), torch.arange(6)], SCHEDULE, (0, 1))


def test_accuracies_on_samples_of_each_networks_own(data):
    inputs, labels = data
    networks = [network("ICNN + init", seed) for seed in SEEDS]
    stack = Stack(networks)
    parts = torch.stack([share(seed)[:40] for seed in SEEDS])
    found = shares_right(stack.outputs_of_parts(inputs, parts), labels[parts])
    for place, each in enumerate(networks):
        assert found[place] == pytest.approx(accuracy(each, inputs[parts[place]], labels[parts[place]]))


@pytest.mark.parametrize("name", ["figure5", "figure3"])
def test_the_command_gives_the_same_lines_either_way(name, shared_data, tmp_path):
    pytest.importorskip("sklearn")
    found = []
    for together in ("1", "2"):
        out = tmp_path / together
        arguments = ["--preset", "smoke", "--out", str(out), "--data", str(shared_data), "--workers", "1"]
        picked = ["--only", "dataset=mnist", "--only", "method=ICNN", "--only", "method=non-convex"]
        assert main(["run", name, *arguments, *picked, "--together", together]) == 0
        records = read(catalogue()[name].file(out, "smoke"))
        assert {record["together"] for record in records} == {int(together)}
        found.append({record["key"]: record["results"]["losses"] for record in records})
    assert len(found[0]) == 4  # two networks from two seeds
    assert found[0].keys() == found[1].keys()
    for key, losses in found[0].items():
        assert found[1][key] == pytest.approx(losses, rel=1e-3)
