"""Certified torch models are convex by cvxpy's rules as well, and their expressions compute what they compute."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import convex_init.torch as ci  # noqa: E402
from convex_init_core.convexity.inputs.parts import convex_inputs_of  # noqa: E402
from tests.cvxpy.agreement import NEAR, worst  # noqa: E402
from tests.torch.certified_models import CONVEX  # noqa: E402
from tests.torch.random_graphs.graph import RandomGraph  # noqa: E402
from tests.torch.zoo import ZOO  # noqa: E402
from tests.torch.zoo.cases import initialised  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # of cvxpy, where the value is infinite
]


@pytest.fixture(autouse=True)
def _in_double():
    """Models and inputs in float64, what they hold in lists and make on the way included."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def first(tree):
    """The first example of a batch."""
    if isinstance(tree, torch.Tensor):
        return tree[:1]
    if isinstance(tree, dict):
        return {key: first(item) for key, item in tree.items()}
    return type(tree)(first(item) for item in tree) if isinstance(tree, (list, tuple)) else tree


def runner(model, call, inputs, place, output, mask=None):
    """From one example of the convex input to what the model returns, the other inputs as they are."""

    def run(numbers):
        one = first(inputs)
        leaf, key = (one, None) if isinstance(one, torch.Tensor) else (one[place], place)
        new = leaf.clone()
        if mask is None:
            new[:] = torch.as_tensor(numbers).to(leaf).reshape(leaf.shape)
        else:
            new[torch.as_tensor(mask)] = torch.as_tensor(numbers).to(leaf)
        with torch.no_grad():
            if key is None:
                found = call(new)
            elif isinstance(one, dict):
                found = call(**{**one, key: new}) if place in one else call(new)
            else:
                found = call(*(new if i == key else item for i, item in enumerate(one)))
        for step in (output or "output").split(".")[1:]:
            found = found[int(step)] if step.isdigit() else found[step]
        return found.numpy()

    return run


@pytest.mark.parametrize("name", CONVEX)
def test_a_certified_model(name):
    torch.manual_seed(0)
    model, example, convex = CONVEX[name]()
    model, call, output = model.eval(), model, None
    if name == "dict of inputs":
        output, call = "output.energy", lambda x: model({"x": x})
    leaf = example if isinstance(example, torch.Tensor) else example[0]
    leaf, inputs, place = (leaf["x"],) * 2 + (None,) if isinstance(leaf, dict) else (leaf, example, convex)
    run = runner(model, call, inputs, place, output)
    assert worst(model, tuple(leaf.shape[1:]), run, example, convex_inputs=convex, outputs=output) < NEAR


# "smoothed relu" is proved by its second derivative, for which cvxpy has no rule; "plain attributes" takes its tensors
# in a dict by position, and "two inputs" is convex in both.
APART = {name for name, entry in ZOO.items() if entry.certified} | {
    *("smoothed relu", "two inputs", "plain attributes"),
}


@pytest.mark.parametrize("name", [name for name in ZOO if name not in APART])
def test_a_model_of_the_zoo(name):
    entry = ZOO[name]
    model, shown, _ = initialised(name, entry.depths[0], count=16)
    if entry.tighten:
        getattr(model, entry.tighten)()
        ci.project_(model)
    getattr(model, entry.entry)(*shown) if isinstance(shown, tuple) else getattr(model, entry.entry)(shown)
    model = model.eval()
    convex, mask = entry.convex_inputs, None
    leaf = shown if isinstance(shown, torch.Tensor) else shown[convex]
    shape = tuple(leaf.shape[1:])
    if isinstance(convex, dict):
        ((of, part),) = convex_inputs_of(convex).items()
        mask = part.mask(of, tuple(leaf[:1].shape))
        shape = (int(mask.sum()),)
    run = runner(model, getattr(model, entry.entry), shown, convex, entry.outputs, mask)
    options = {"convex_inputs": convex, "entry": entry.entry, "outputs": entry.outputs}
    assert worst(model, shape, run, shown, **options) < NEAR


def test_two_convex_inputs():
    import cvxpy as cp

    import convex_init.cvxpy as cc

    model, shown, _ = initialised("two inputs", 3, count=16)
    first_of, second = shown
    x, y = cp.Variable(first_of.shape[1]), cp.Variable(second.shape[1])
    made = cc.expression(model, [x, y], (first_of, second))
    assert made.is_convex()
    x.value, y.value = first_of[3].numpy(), second[3].numpy()
    wanted = model(first_of, second)[3].detach().numpy().reshape(-1)
    np.testing.assert_allclose(np.asarray(made.value).reshape(-1), wanted, atol=NEAR)


GRAPHS = 100
"""Of the fuzz; results/cvxpy_fuzz.json has 2,000."""


def random_case(seed):
    """A random graph, its inputs, and how it is run at another x."""
    model = RandomGraph(random.Random(seed), seed % 4 != 0)
    model.exact = True  # without casts to narrow types, up to which a certificate holds
    numbers = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(1, size, generator=numbers, dtype=torch.float64) for size in (4, 2))
    inputs = x, model.context(y)

    def run(at):
        with torch.no_grad():
            return model(torch.as_tensor(at)[None], model.context(y)).numpy()

    return model, inputs, run


def test_random_graphs():
    certified, refused = 0, {}
    for seed in range(GRAPHS):
        model, inputs, run = random_case(seed)
        if not ci.certify(model, inputs, 0, search=False):
            continue
        certified += 1
        try:
            gap = worst(model, (4,), run, inputs, convex_inputs=0)
        except ValueError as error:
            refused[seed] = str(error)
        else:
            assert gap < NEAR, (seed, model.names)
    assert certified > GRAPHS // 2
    assert len(refused) <= certified // 20
    assert all("The model is certified, but cvxpy has no form of it" in why for why in refused.values())
