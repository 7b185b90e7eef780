"""``method="auto"``: one rule in every framework, and nothing but the method that it names."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from tests.contract.frameworks import adapter
from tests.contract.models import MODELS

CHOSEN = {
    "chain": ("isometric", 1.0, "spread"),
    "deep_chain": ("isometric", 1.0, "spread"),
    "elu_chain": ("bounded_gain", 0.0, "spread"),
    "skips": ("bounded_gain", 0.0, "spread"),
    "exponential_weights": ("bounded_gain", 0.0, "spread"),
    "residual": ("bounded_gain", 0.0, "spread"),
    "two_inputs": ("bounded_gain", 0.0, "spread"),
    "convolutions": ("bounded_gain", 0.0, "spread"),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_every_framework_has_the_same_choice(framework, name):
    found = adapter(framework, MODELS[name])
    made = found.plan(method="auto")
    assert (made.settings.method, made.settings.threshold, made.settings.kinks) == CHOSEN[name]
    again = found.plan(**asdict(made.settings))
    assert [layer.recipe for layer in made.layers] == [layer.recipe for layer in again.layers]
    assert made.biases == again.biases


@pytest.mark.parametrize("name", ["chain", "skips"])
def test_it_is_the_default(framework, name):
    found = adapter(framework, MODELS[name])
    found.options = {key: value for key, value in found.options.items() if key != "method"}
    assert found.plan().chose == found.plan(method="auto").chose != ""


@pytest.mark.parametrize("name", ["chain", "skips", "exponential_weights"])
def test_the_output_starts_where_the_targets_are(framework, name):
    found = adapter(framework, MODELS[name])
    targets = (5.0 + 3.0 * np.random.default_rng(0).standard_normal((400, 1))).astype(np.float32)
    found.apply(method="auto", targets=targets)
    out = found.run(*found.model.inputs())
    assert out.mean() == pytest.approx(targets.mean(), rel=0.05)
    assert out.std() == pytest.approx(targets.std(), rel=0.25)
