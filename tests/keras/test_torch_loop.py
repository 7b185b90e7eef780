"""A Keras model on the torch backend, trained by a torch optimizer; on other backends torch's projection names ours."""

from __future__ import annotations

import keras
import pytest

from convex_init.keras import ICNN, ConvexDense, project_
from tests.keras.arrays import array, network, normal

torch = pytest.importorskip("torch")

from convex_init.torch import project_ as project_in_torch  # noqa: E402
from convex_init.torch import project_after_step, projected_parameters  # noqa: E402

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the weights are torch's on its backend only")


def lowest(model):
    return min(array(layer.kernel).min() for layer in model.layers[1:])


@on_torch
@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "within a torch module"])
def test_a_torch_optimizer(wrapped):
    model = network()
    whole = torch.nn.Sequential(model, torch.nn.Identity()) if wrapped else model
    optimizer = torch.optim.SGD(whole.parameters(), 0.05)
    handle = project_after_step(optimizer, whole)
    x = torch.from_numpy(normal(16, 6))
    for _ in range(3):
        optimizer.zero_grad()
        whole(x).sum().backward()
        optimizer.step()
        assert lowest(model) == 0.0
    assert array(model.layers[0].kernel).min() < 0.0
    assert set(projected_parameters(whole)) == {layer.kernel.path for layer in model.layers[1:]}
    handle.remove()
    whole(x).sum().backward()
    optimizer.step()
    assert lowest(model) < 0.0
    project_in_torch(whole)
    assert lowest(model) == 0.0


@on_torch
def test_kerass_own_constraint_and_our_layers():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, kernel_constraint=keras.constraints.NonNeg()),
            ConvexDense(3),
            ConvexDense(2, positivity="exp"),
        ]
    )
    assert len(projected_parameters(model)) == 2


@on_torch
def test_a_keras_model_without_constraints_is_told_so():
    model = ICNN(4, [5], 1, positivity="exp")
    with pytest.raises(ValueError, match="of a Keras model, those with a NonNeg constraint"):
        project_after_step(torch.optim.SGD(model.parameters(), 0.1), model)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="there it is a torch module")
def test_on_another_backend_the_right_function_is_named():
    said = r"is a Keras model on the \w+ backend.*convex_init\.keras\.project_"
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    for call in (project_in_torch, lambda model: project_after_step(optimizer, model)):
        with pytest.raises(TypeError, match=said):
            call(network())
    project_(network())
