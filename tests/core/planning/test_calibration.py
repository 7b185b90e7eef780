"""Sums that are measured and corrected while the model runs once."""

import dataclasses

import numpy as np
import pytest

from convex_init_core.planning.build import execute
from convex_init_core.planning.measurement.calibrate import calibrate, correct, scale_for
from convex_init_core.planning.measurement.few import chance
from convex_init_core.planning.measurement.to_measure import LEFT_ALONE, Measured, Normalised
from tests.core.planning.models import (
    FEATURES,
    WIDTH,
    applied,
    chain,
    dense,
    planned,
    recurrent,
    residual,
    sample,
    skips,
)
from tests.core.planning.numpy_framework import NumpyFramework


def passed_on_twice(**known) -> NumpyFramework:
    """One value that two later sums add as it is."""

    def forward(b):
        z = b.relu(b.linear(b.input(), "0"))
        first = b.map("add", b.linear(b.relu(b.linear(z, "1")), "2"), z)
        second = b.map("add", b.linear(b.relu(first), "3"), z)
        return b.linear(b.relu(b.map("add", second, z)), "4")

    shapes = dense(("0", FEATURES, WIDTH), *((str(i), WIDTH, WIDTH) for i in range(1, 5)))
    return NumpyFramework(forward, shapes, 3.0 * sample(), **known)


MODELS = {
    "chain": chain,
    "skips": skips,
    "residual": residual,
    "recurrent": recurrent,
    "passed on twice": passed_on_twice,
}


def sums(framework: NumpyFramework, measured: tuple) -> list[np.ndarray]:
    """The values of the measured sums in a run of the model as it is."""
    found = {}

    def visit(node, values):
        found[node] = values.copy()

    framework.run([each.root for each in measured], visit)
    return [found[each.root] for each in measured]


@pytest.mark.parametrize("build", [chain, skips], ids=["chain", "skips"])
@pytest.mark.parametrize("variance", [1.0, 2.5])
def test_every_sum_has_mean_0_and_the_variance_after_one_run(build, variance: float) -> None:
    framework = build(5)
    made = applied(framework, calibrate=True, variance=variance, output_variance=variance)
    assert framework.runs == 1
    assert len(made.measured) >= 5
    for found, values in zip(made.measured, sums(framework, made.measured), strict=True):
        if found.bias is not None:
            assert abs(values.mean()) <= 2e-3 * np.sqrt(variance)  # what is this close is left alone
        assert values.var() == pytest.approx(variance, rel=5e-3, abs=0.0)


def test_the_mean_of_a_residual_is_kept() -> None:
    framework = residual()
    made = applied(framework, calibrate=True)
    before, *behind = sums(framework, made.measured)
    identity_is_convex = behind[1:]
    assert abs(before.mean()) < 2e-3
    for earlier, later in zip(behind[:-1], identity_is_convex, strict=True):
        assert later.mean() == pytest.approx(earlier.mean(), abs=3e-3)


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_one_run_does_what_a_run_for_each_sum_does(build) -> None:
    once, each = build(), build()
    made = planned(once, calibrate=True)
    apart = [
        dataclasses.replace(found, is_last=True) if isinstance(found, Measured) else found for found in made.measured
    ]
    for framework, measured in ((once, made.measured), (each, apart)):
        framework.write(made.fills(), 3)
        calibrate(framework, measured)
    assert each.runs == len(apart)
    for name, values in once.arrays.items():
        np.testing.assert_allclose(values, each.arrays[name], rtol=1e-9, atol=1e-12)


def test_the_model_runs_anew_behind_a_weight_that_is_used_again() -> None:
    assert [found.is_last for found in planned(chain(), calibrate=True).measured] == [False] * 4
    framework = recurrent(4)
    made = planned(framework, calibrate=True)
    assert all(found.is_last for found in made.measured)
    execute(made, framework)
    assert framework.runs == len(made.measured) < 4


def test_a_second_calibration_changes_nothing() -> None:
    framework = skips()
    made = applied(framework, calibrate=True)
    before = {name: values.copy() for name, values in framework.arrays.items()}
    calibrate(framework, made.measured)
    for name, values in before.items():
        np.testing.assert_array_equal(values, framework.arrays[name])


def test_a_sum_that_is_right_but_for_a_sample_is_left_as_the_theory_has_it() -> None:
    def deviant(factor: float) -> tuple[NumpyFramework, np.ndarray]:
        framework = chain(2, inputs=factor * sample())
        execute(planned(framework), framework, 0)
        return framework, framework.arrays["0.weight"]

    _, plain = deviant(1.0)
    _, near = deviant(1.1)  # a variance of 1.21
    framework, far = deviant(1.5)  # of 2.25, above 1.5
    np.testing.assert_array_equal(plain, near)
    assert not np.array_equal(plain, far)
    assert sums(framework, planned(framework).measured)[0].var() == pytest.approx(1.0, rel=1e-6, abs=0.0)


def test_what_is_measured_by_default() -> None:
    few = sample(31, FEATURES)
    assert len(planned(chain()).measured) == 4
    assert planned(chain(), method="log_normal").measured == ()
    assert [str(found) for found in planned(chain(), method="isometric").measured] == ["0"]
    assert planned(skips(), method="isometric").measured == ()
    assert planned(chain(), calibrate=False).measured == ()
    assert [found.few for found in planned(chain(inputs=few)).measured] == [31] * 4
    assert len(planned(chain(inputs=few), calibrate=True).measured) == 4
    assert planned(chain(has_inputs=False)).measured == ()


@pytest.mark.parametrize("count", [3, 8, 31])
def test_a_few_samples_overrule_the_theory_only_where_chance_does_not_explain_them(count):
    near, far = (chain(inputs=scale * sample(count, FEATURES)) for scale in (1.0, 30.0))
    for framework in (near, far):
        made = applied(framework)
        variances = [values.var() for values in sums(framework, made.measured)]
        assert variances[0] < LEFT_ALONE * chance(count)
    weights = near.arrays["0.weight"]
    unmeasured = chain(inputs=sample(count, FEATURES))
    applied(unmeasured, calibrate=False)
    np.testing.assert_array_equal(weights, unmeasured.arrays["0.weight"])
    assert np.abs(far.arrays["0.weight"]).max() < 0.2 * np.abs(weights).max()


def image_net(images: np.ndarray) -> NumpyFramework:
    def forward(b):
        return b.convolution(b.relu(b.convolution(b.input(), "0")), "1")

    shapes = {"0.weight": (16, 3, 3), "0.bias": (16,), "1.weight": (16, 16, 3), "1.bias": (16,)}
    return NumpyFramework(forward, shapes, images)


def test_positions_of_a_convolution_are_samples() -> None:
    # two signals of 40 positions: 76 samples of the first layer, of the variance 9
    framework = image_net(3.0 * sample(2, 40, 3))
    made = applied(framework)
    assert len(made.measured) == 2
    assert sums(framework, made.measured)[0].var() == pytest.approx(1.0, rel=5e-3, abs=0.0)
    assert [found.few for found in planned(image_net(sample(2, 12, 3))).measured] == [20, 16]


def test_copies_of_a_weight_for_each_sample_do_not_make_the_samples_fewer() -> None:
    def forward(b):
        x = b.input()
        weight = b.parameter("w")
        copies = b.make("broadcast", (weight,), (x.shape[0], WIDTH, FEATURES))
        product = b.make("contract", (copies, x), (x.shape[0], WIDTH), axes=((2,), (1,)), batch=((0,), (0,)))
        return b.linear(b.relu(product), "1")

    framework = NumpyFramework(forward, {"w": (WIDTH, FEATURES)} | dense(("1", WIDTH, 1)), 2.0 * sample())
    made = applied(framework)
    assert [str(found) for found in made.measured] == ["w", "1"]
    assert sums(framework, made.measured)[0].var() == pytest.approx(1.0, rel=5e-3, abs=0.0)


def pooled(**known) -> NumpyFramework:
    """The largest of the features of three neighbours feeds the second layer."""

    def forward(b):
        h = b.relu(b.linear(b.input(), "0"))
        groups = b.make("reshape", (h,), (h.shape[0], WIDTH, 3))
        largest = b.make("max", (groups,), (h.shape[0], WIDTH), axes=(2,), keepdims=False)
        return b.linear(largest, "1")

    shapes = dense(("0", FEATURES, 3 * WIDTH), ("1", WIDTH, WIDTH))
    return NumpyFramework(forward, shapes, known.pop("inputs", sample()), **known)


@pytest.mark.parametrize("method", ["bounded_gain", "log_normal"])
def test_a_sum_without_theory_is_measured(method: str) -> None:
    framework = pooled()
    made = applied(framework, method=method)
    assert made.measured[-1].tolerance == 1.0
    assert "measured on example_inputs: no theory for max" in made.layers[1].note
    values = sums(framework, made.measured)[-1]
    assert values.var() == pytest.approx(1.0, rel=5e-3, abs=0.0)
    assert abs(values.mean()) < 2e-3


def test_a_sum_without_theory_needs_a_measurement_or_a_word() -> None:
    with pytest.raises(ValueError, match=r"'1': there is no theory for max; leave calibrate out .* fed_by="):
        planned(pooled(), calibrate=False)
    assert planned(pooled(), calibrate=False, fed_by="relu").measured == ()
    assert "not measured: no theory for max" in planned(pooled(has_inputs=False)).layers[1].note


def test_nothing_is_measured_on_inputs_that_were_made_up() -> None:
    with pytest.raises(ValueError, match="calibrate=True measures the signal: pass example_inputs"):
        planned(chain(has_inputs=False), calibrate=True)


def test_an_added_bias_takes_part() -> None:
    framework = chain(bias=False)
    applied(framework, register_missing_bias=True, calibrate=True)
    assert "3.bias" in framework.arrays
    for values in sums(framework, planned(framework, calibrate=True).measured):
        assert abs(values.mean()) < 2e-3
        assert values.var() == pytest.approx(1.0, rel=5e-3, abs=0.0)


def test_weights_behind_a_map_are_scaled_through_it() -> None:
    def forward(b):
        h = b.relu(b.linear(b.input(), "0"))
        return b.linear(h, "1", through=lambda weight: b.map("exp", weight))

    framework = NumpyFramework(forward, dense(("0", FEATURES, WIDTH), ("1", WIDTH, WIDTH)), 4.0 * sample())
    made = applied(framework, calibrate=True)
    assert made.project == ()
    assert sums(framework, made.measured)[1].var() == pytest.approx(1.0, rel=5e-3, abs=0.0)


def normalised(shape: tuple[int, ...] = (WIDTH,)) -> NumpyFramework:
    """The buffers may have another shape than they are used in."""

    def forward(b):
        h = b.linear(b.relu(b.linear(b.input(), "0")), "1")
        buffers = (b.buffer(name) for name in ("mean", "variance"))
        buffers = (each if shape == (WIDTH,) else b.make("reshape", (each,), (WIDTH,)) for each in buffers)
        parts = (b.parameter("n.weight"), b.parameter("n.bias"), *buffers)
        h = b.make("batch_norm", (h, *parts), h.shape, "n", epsilon=0.0, axis=1)
        return b.linear(b.relu(h), "2")

    shapes = dense(("0", FEATURES, WIDTH), ("1", WIDTH, WIDTH), ("2", WIDTH, WIDTH))
    shapes |= {"n.weight": (WIDTH,), "n.bias": (WIDTH,)}
    buffers = {"mean": np.zeros(shape), "variance": np.ones(shape)}
    framework = NumpyFramework(forward, shapes, sample(), buffers=buffers, kept_by={"n.weight": "clamp()"})
    framework.arrays["n.weight"][...] = 1.0
    framework.arrays["n.bias"][...] = 0.0
    return framework


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH)])
def test_running_statistics_become_those_of_the_signal(shape: tuple[int, ...], monkeypatch) -> None:
    def set_statistics(self, name, values):
        self.buffers[name][...] = values.reshape(self.buffers[name].shape)

    monkeypatch.setattr(NumpyFramework, "set_statistics", set_statistics)
    framework = normalised(shape)
    made = applied(framework)
    assert [type(found) for found in made.measured] == [Measured, Normalised, Measured]
    values = sums(framework, made.measured)[1]
    np.testing.assert_allclose(framework.buffers["mean"].ravel(), values.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(framework.buffers["variance"].ravel(), values.var(0, ddof=1), rtol=1e-9)


def test_the_scale_gives_the_sum_the_variance_beside_what_stays() -> None:
    rng = np.random.default_rng(0)
    branch, fixed = rng.standard_normal(1000), 0.5 * rng.standard_normal(1000)
    scale = scale_for(branch, fixed + 0.3 * branch, 2.0)
    assert (scale * branch + fixed + 0.3 * branch).var() == pytest.approx(2.0, rel=1e-9, abs=0.0)
    assert scale_for(branch, 3.0 * fixed, 1.0) == 1.0  # too much is there already
    assert scale_for(branch[:31], fixed[:31], 1.0) == 1.0  # too few
    assert scale_for(np.ones(100), fixed[:100], 1.0) == 1.0  # nothing varies
    made = correct(branch + 5.0, np.zeros(1000), 2.0, 0.25, 2.0)
    assert made.values.mean() == pytest.approx(0.25, rel=1e-9, abs=0.0)


def test_a_sum_that_is_not_finite_undoes_everything() -> None:
    framework = chain()
    made = planned(framework)
    framework.inputs["x"][0, 0] = np.inf
    before = {name: values.copy() for name, values in framework.arrays.items()}
    with pytest.raises(ValueError, match="'0': the sum is not finite on example_inputs; nothing was written"):
        execute(made, framework, 0)
    for name, values in before.items():
        np.testing.assert_array_equal(values, framework.arrays[name])
    assert framework.marked == set()


@pytest.mark.parametrize("operations", [["add"] * 2, ["subtract"] * 3])
def test_a_bias_that_is_added_several_times_is_shifted_by_its_part_of_what_the_sum_lacks(operations: list) -> None:
    def forward(b):
        z = b.linear(b.relu(b.linear(b.input(), "in")), "a")
        for operation in operations:
            z = b.map(operation, z, b.parameter("c"))
        return z

    shapes = dense(("in", FEATURES, WIDTH)) | dense(("a", WIDTH, WIDTH), bias=False) | {"c": (WIDTH,)}
    framework = NumpyFramework(forward, shapes, 3.0 * sample() + 1.0)
    made = applied(framework, calibrate=True)
    assert not np.isclose(framework.arrays["c"].mean(), made.biases["c"].mean, rtol=1e-2)
    assert sums(framework, made.measured)[-1].mean() == pytest.approx(0.0, abs=2e-3)  # left alone within 1e-3
