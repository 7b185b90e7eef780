"""Networks that are trained in one stack, at several rates, become what they become alone."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from benchmarks.gpu.depth import METHODS, network
from benchmarks.gpu.images import Images
from benchmarks.gpu.parts import OutOfTimeError, Place
from benchmarks.gpu.sizes import FULL, REHEARSAL
from benchmarks.gpu.stacks import BATCH, Stack, train
from convex_init.torch import ICNN, project_after_step

INPUTS, WIDTH, DEPTH, EPOCHS = 12, 16, 3, 2
PAIRS = [(rate, seed) for rate in (3e-3, 1e-2) for seed in (0, 1)]


@pytest.fixture(scope="module")
def images():
    inputs = torch.randn(150, INPUTS, generator=torch.Generator().manual_seed(7))
    labels = inputs[:, :4].argmax(1)
    return Images(inputs, labels, inputs[:60], labels[:60])


def place(seconds=1000.0):
    return Place(torch.device("cpu"), None, REHEARSAL, time.perf_counter() + seconds)


def share(seed):
    return torch.randperm(150, generator=torch.Generator().manual_seed(50 + seed))[:140]


def trained_alone(method, rate, seed, images):
    model = network(DEPTH, WIDTH, method, seed, INPUTS)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    if METHODS[method].get("positivity", "projection") == "projection":
        project_after_step(optimizer, model)
    generator, losses = torch.Generator().manual_seed(seed), []
    for _ in range(EPOCHS):
        order = share(seed)[torch.randperm(140, generator=generator)]
        for batch in torch.split(order, BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images.train[batch]), images.train_labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return model, losses


def test_the_carrier_is_the_one_that_the_pages_recommend_and_the_grid_reaches_the_best_rates():
    made = network(DEPTH, WIDTH, "carrier, c = 0.03, bends apart", 0, INPUTS)
    assert (made.carrier_bound, made.init_settings["threshold"]) == (0.03, 1.0)
    assert min(FULL.rates) <= 1e-5  # below He's best at 20 layers and more


@pytest.mark.parametrize("method", METHODS)
def test_a_stack_of_rates_and_seeds_equals_the_single_runs(method, images):
    stack = Stack([network(DEPTH, WIDTH, method, seed, INPUTS) for _, seed in PAIRS], [rate for rate, _ in PAIRS])
    seeds = [seed for _, seed in PAIRS]
    found = train(stack, images, [share(seed) for seed in seeds], seeds, EPOCHS, place(), points=1)
    for number, (rate, seed) in enumerate(PAIRS):
        alone, losses = trained_alone(method, rate, seed, images)
        steps = len(losses) // EPOCHS
        means = [sum(losses[epoch * steps :][:steps]) / steps for epoch in range(EPOCHS)]
        # Sums of float32 in another order, which Adam's first steps amplify where a gradient is close to 0.
        assert found.losses[number] == pytest.approx(means, rel=1e-3)
        for name, parameter in alone.named_parameters():
            torch.testing.assert_close(stack.parameters[name][number], parameter, rtol=1e-2, atol=1e-3)
        right = (alone(images.test).argmax(1) == images.test_labels).double().mean()
        assert found.accuracies[number] == pytest.approx(float(right), abs=1.5 / 60)


@pytest.mark.parametrize(("carrier", "low"), [(False, 0.0), (0.03, -0.03)])
def test_weights_of_all_networks_stay_in_their_intervals(carrier, low, images):
    networks = [ICNN(INPUTS, [WIDTH] * 3, 10, carrier=carrier) for _ in range(2)]
    stack = Stack(networks, [0.1, 0.3])  # rates that would take weights far below
    train(stack, images, [share(0)] * 2, [0, 1], EPOCHS, place())
    for layer in (1, 2):
        assert float(stack.parameters[f"layers.{layer}.weight"].detach().min()) == pytest.approx(low)


def test_a_training_that_would_not_end_in_time_is_given_up_after_its_first_steps(images):
    stack = Stack([network(DEPTH, WIDTH, "paper", 0, INPUTS)], [1e-3])
    taken = []
    step = stack.step
    stack.step = lambda *batch: taken.append(1) or step(*batch)
    with pytest.raises(OutOfTimeError, match="training of 1 networks needs"):
        train(stack, images, [share(0)], [0], 10**7, place(5.0))
    assert len(taken) < 100
