"""Plans, certificates and weights are what they were; see ``tests/golden``."""

from __future__ import annotations

import pytest

from tests.golden.checks import assert_same_cases, assert_same_draws, assert_unchanged, parameters
from tests.keras.golden.cases import FILES, WEIGHTS, found
from tests.keras.golden.recording import circumstances


@pytest.mark.parametrize("file", FILES)
def test_every_case_is_recorded(file):
    assert_same_cases(file, FILES[file])


@pytest.mark.parametrize(("file", "name"), parameters(FILES))
def test_plan_certificate_and_moments_are_what_they_were(file, name):
    assert_unchanged(file, name, found(file, name))


@pytest.mark.parametrize("name", FILES[WEIGHTS])
def test_one_seed_draws_what_it_drew(name):
    assert_same_draws(WEIGHTS, name, found(WEIGHTS, name), circumstances(WEIGHTS))
