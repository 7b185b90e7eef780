"""``calibrate=``: sums are measured on the example inputs where there is no theory, everywhere, or nowhere."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci
from convex_init.torch.api import framework_of
from convex_init_core.planning.build import execute
from convex_init_core.planning.measurement.calibrate import calibrate
from tests.torch.zoo import ZOO


class Maxima(nn.Module):
    """A maximum over pairs feeds the second layer: the theory of element-wise activations does not know it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.seen = nn.Linear(5, 64), nn.Linear(32, 16), []

    def forward(self, x):
        z = self.a(x).unflatten(1, (32, 2)).amax(-1)
        s = F.linear(z, self.b.weight.exp(), self.b.bias)
        self.seen.append(s.detach())
        return s.relu().sum(1)


class Known(Maxima):
    """As above with a ReLU."""

    def forward(self, x):
        s = F.linear(self.a(x)[:, :32].relu(), self.b.weight.exp(), self.b.bias)
        self.seen.append(s.detach())
        return s.relu().sum(1)


def batch(count=128):
    return 3.0 * torch.randn(count, 5) + 1.0


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def state(model):
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("kind", "calibrate"), [(Maxima, None), (Maxima, True), (Known, True)])
def test_a_measured_sum_has_the_target_on_the_inputs(kind, calibrate):
    model, x = kind(), batch()
    ci.apply_(model, x, calibrate=calibrate, variance=2.0, generator=seeded())
    model.seen.clear()
    model(x)
    assert float(model.seen[0].mean()) == pytest.approx(0.0, abs=2e-2)
    assert float(model.seen[0].var()) == pytest.approx(2.0, rel=2e-2)


def test_the_table_says_what_is_measured():
    assert "measured on example_inputs: no theory for amax" in str(ci.plan(Maxima(), batch()))
    assert "measured on example_inputs" not in str(ci.plan(Known(), batch()))


def test_without_calibration_what_has_no_theory_is_refused():
    model, x = Maxima(), batch()
    before = state(model)
    with pytest.raises(ValueError, match=r"'b': there is no theory for amax.*fed_by="):
        ci.apply_(model, x, calibrate=False)
    assert same(before, model.state_dict())
    ci.apply_(model, x, calibrate=False, fed_by={"b": "relu"})


def test_without_calibration_the_inputs_do_not_matter():
    first, second = Known(), Known()
    second.load_state_dict(first.state_dict())
    ci.apply_(first, batch(), calibrate=False, generator=seeded())
    ci.apply_(second, batch(7), calibrate=False, generator=seeded())
    assert same(first.state_dict(), second.state_dict())


@pytest.mark.parametrize("name", ["quadratic terms", "lyapunov", "regulariser", "residual inside", "densely connected"])
def test_calibration_is_deterministic_and_a_second_one_changes_nothing(name):
    entry = ZOO[name]
    model, x = entry.make(3), entry.inputs(128)
    other = copy.deepcopy(model)
    ci.apply_(model, x, calibrate=True, generator=seeded())
    ci.apply_(other, x, calibrate=True, generator=seeded())
    assert same(model.state_dict(), other.state_dict())
    calibrate(framework_of(model, x, "forward"), ci.plan(model, x, calibrate=True).measured)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[key], rtol=1e-2, atol=1e-3)


def test_planning_measures_nothing():
    model = Maxima()
    before = state(model)
    ci.plan(model, batch(), calibrate=True)
    assert same(before, model.state_dict())


def test_few_samples_do_not_overrule_the_theory():
    first, second = Known(), Known()
    second.load_state_dict(first.state_dict())
    ci.apply_(first, batch(2), generator=seeded())
    ci.apply_(second, batch(2), calibrate=False, generator=seeded())
    assert same(first.state_dict(), second.state_dict())


def test_a_failure_leaves_no_half_calibrated_weights():
    class Fails(Maxima):
        fails = False

        def forward(self, x):
            if type(self).fails:  # behind the first sum
                self.a(x)
                raise RuntimeError("out of memory")
            return super().forward(x)

    model, x = Fails(), batch()
    decided = ci.plan(model, x, calibrate=True)
    before = state(model)
    Fails.fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        execute(decided, framework_of(model, x, "forward"), seeded())
    assert same(before, model.state_dict())


def test_inputs_that_overflow_are_refused_before_anything_is_scaled():
    model = Maxima()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=r": the sum is not finite"):
        ci.apply_(model, torch.full((64, 5), 3.4e38), calibrate=True)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_buffers_stay(training):
    model = nn.Sequential()
    model.append(Maxima())
    model.append(nn.Dropout(0.5))
    model.train(training)
    ci.apply_(model, batch(), calibrate=True)
    assert [module.training for module in model.modules()] == [training] * len(list(model.modules()))


def test_calibration_needs_inputs():
    with pytest.raises(ValueError, match="calibrate=True measures the signal: pass example_inputs"):
        ci.plan(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)), calibrate=True)


def test_a_chain_can_be_calibrated():
    model, x = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16)), batch(512)
    ci.apply_(model, x, calibrate=True, kinks="origin", generator=seeded())
    for depth in (1, 3, 5):
        s = model[:depth](x).detach()
        assert float(s.mean()) == pytest.approx(0.0, abs=1e-2)
        assert float(s.var()) == pytest.approx(1.0, rel=1e-2)


class Entered(nn.Module):
    """The convex function is a method; ``forward`` is something else."""

    def __init__(self):
        super().__init__()
        self.w, self.v, self.other = nn.Parameter(torch.randn(5, 16)), nn.Parameter(torch.randn(16, 2)), nn.Linear(5, 5)

    def energy(self, x):
        return F.relu(x @ self.w) @ self.v.square()

    def forward(self, x):
        return self.other(x).tanh()


def test_another_entry_point():
    model, x = Entered(), torch.randn(64, 5)
    other = state(model.other)
    ci.apply_(model, x, entry="energy")
    assert same(other, model.other.state_dict())
    assert ci.certify(model, x, entry="energy")
    with pytest.raises(ValueError, match="entry 'potential' is no method or module of Entered"):
        ci.plan(model, x, entry="potential")
    assert [layer.path for layer in ci.plan(model, entry="energy").layers] == [
        layer.path for layer in ci.plan(model, x, entry="energy").layers
    ]


def test_the_users_word_on_bare_parameters():
    model, x = Entered(), torch.randn(64, 5)
    roles = {layer.path: layer.role for layer in ci.plan(model, x, entry="energy").layers}
    assert roles == {"w": "free", "v": "positive"}
    freed = ci.plan(model, x, entry="energy", positive=["w", "v"]).layers
    assert {layer.path: layer.role for layer in freed} == {"w": "positive", "v": "positive"}
    left = ci.plan(model, x, entry="energy", exclude="w").layers
    assert [layer.path for layer in left] == ["v"]
    with pytest.raises(ValueError, match=r"free= pattern 'u' matches no layer or parameter"):
        ci.plan(model, x, entry="energy", free="u")


def test_a_weight_named_free_may_not_go_through_a_map():
    with pytest.raises(ValueError, match="'v': its weight is made non-negative"):
        ci.plan(Entered(), torch.randn(64, 5), entry="energy", free="v")
    chain = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    roles = [layer.role for layer in ci.plan(chain, torch.randn(64, 5), free="2").layers]
    assert roles == ["free", "free"]  # the user's word


SCALED = {"unit": (1.0, 0.0), "large": (100.0, 0.0), "small": (0.01, 0.0), "off centre": (1.0, 50.0)}


@pytest.mark.parametrize("case", SCALED)
@pytest.mark.parametrize(
    "options", [{}, {"kinks": "origin"}, {"method": "isometric"}, {"method": "bounded_gain"}], ids=str
)
def test_inputs_of_any_scale_give_the_same_signal(case, options):
    scale, shift = SCALED[case]
    widths = [5, 64, 64, 64]
    layers = [part for n, m in pairwise(widths) for part in (nn.Linear(n, m), nn.ReLU())]
    model, x = nn.Sequential(*layers, nn.Linear(64, 1)), scale * torch.randn(512, 5) + shift
    ci.apply_(model, x, **options, generator=seeded())
    found = [float(model[:depth](x).detach().var()) for depth in (1, 3, 5)]
    # Copies of a rectified signal have a third of its variance; the rest is the spread of so few units.
    assert all(0.15 < variance < 4.0 for variance in found), found
