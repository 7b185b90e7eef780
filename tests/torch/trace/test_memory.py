"""Tensors that share memory: writes through views, views that torch does not report, memory that is exchanged."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from convex_init.torch.trace import trace
from tests.torch.trace.evaluate import ops_of


class Function(nn.Module):
    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, tensor in parameters.items():
            self.register_parameter(name, nn.Parameter(tensor.clone()))

    def forward(self, x):
        return self.function(self, x)


def traced(function, **parameters):
    return trace(Function(function, **parameters), (torch.randn(3, 4),), {})


def made_of(node):
    """Names of all operations that a node was made by."""
    found, parts = set(), [node]
    while parts:
        part = parts.pop()
        found.add(part.name)
        parts += part.inputs
    return found


def output_of(function, **parameters):
    return traced(function, **parameters).outputs["output"]


def test_a_write_to_a_part_joins_what_was_there_and_what_is_new():
    def forward(self, x):
        y = x.exp()
        y[:, 1:3].neg_()
        return y

    node = output_of(forward)
    assert node.name == "join"
    assert [part.name for part in node.inputs] == ["exp", "negate"]


def test_a_write_to_all_of_it_replaces_what_was_there():
    def through_a_view(self, x):
        y = x.exp()
        y.view(-1).neg_()
        return y

    def under_a_view(self, x):
        y = x.exp()
        view = y[:, 1]
        y.neg_()
        return view

    assert [part.name for part in output_of(through_a_view).inputs] == ["negate"]
    node = output_of(under_a_view)
    assert (node.name, node.shape) == ("rearrange", (3,))
    assert [part.name for part in node.inputs] == ["negate"]


def test_views_that_torch_does_not_report():
    def written(self, x):
        y = x.exp()
        y.data.neg_()
        return y

    def read(self, x):
        return x.exp().data

    assert output_of(written).name == "negate"
    assert ops_of(traced(read)) == ["exp", "reshape"]


def test_memory_that_is_exchanged():
    def exchanged(self, x):
        y = x.exp()
        y.data = -y.data
        return y

    assert "negate" in made_of(output_of(exchanged))


def test_a_view_of_old_memory_does_not_change_a_tensor_with_new_memory():
    def forward(self, x):
        h = -x.square()
        k = h[:]
        h.data = x.sin()
        h + 0
        k.copy_(x.exp())
        return h

    found = made_of(output_of(forward))
    assert "sin" in found
    assert "exp" not in found


def test_the_same_memory_at_another_place_is_another_value():
    def forward(self, x):
        both = torch.cat([x.exp(), x.sin()], 1)
        y = both[:, :4]
        y.data = both.data[:, 4:]
        return y

    assert "slice" in made_of(output_of(forward))
    assert output_of(forward).inputs[0].params.get("starts") == (0, 4)


def test_a_weight_that_is_clamped_in_the_forward():
    def forward(self, x):
        self.w.data.clamp_(min=0.0)
        return x @ self.w

    weight = output_of(forward, w=torch.randn(4, 4)).inputs[1]
    assert (weight.name, weight.parameters) == ("maximum", ("w",))
    assert weight.bounds[0] == 0.0


@pytest.mark.parametrize(("size", "kept"), [(4, True), (300, True), (600, False)])
def test_a_constant_keeps_the_numbers_that_it_was_used_with_or_none(size, kept):
    def forward(self, x):
        used = self.w * 1.0
        made = x.new_ones(size) @ self.w + used.sum()
        self.w.data.zero_()
        return made

    matrix = torch.randn(size, size)
    graph = traced(forward, w=matrix)
    node = next(node for node in graph if node.name == "parameter")
    assert node.bounds == (float(matrix.min()), float(matrix.max()))
    assert torch.equal(node.constant.handle, matrix) if kept else node.constant.handle is None


def test_constants_that_are_exchanged_keep_their_numbers():
    def forward(self, x):
        made = x @ self.w
        self.w.data = torch.eye(4)
        return made + x @ self.w

    weights = [node.inputs[1] for node in traced(forward, w=-torch.eye(4)) if node.name == "contract"]
    assert [node.constant.handle.sum().item() for node in weights] == [-4.0, 4.0]


def test_uninitialised_memory_that_is_written_in_parts():
    def forward(self, x):
        y = torch.empty_like(x)
        y[:, :2], y[:, 2:] = x[:, :2].exp(), x[:, 2:].sin()
        return y

    assert "unset" not in made_of(output_of(forward))
    assert {"exp", "sin"} <= made_of(output_of(forward))


def by_another_thread(self, x):
    y = x.exp()
    thread = threading.Thread(target=lambda: y.neg_())
    thread.start()
    thread.join()
    return y


def by_numpy(self, x):
    w = self.w * 1.0
    w.detach().numpy()[:] = -1.0
    return x @ w


@pytest.mark.parametrize(
    ("function", "doubt"),
    [(by_another_thread, "were changed where nothing is recorded"), (by_numpy, "takes numbers out of torch")],
)
def test_writes_that_are_not_recorded_are_doubted(function, doubt):
    assert any(doubt in reason for reason in traced(function, w=torch.ones(4, 4)).doubts)


def test_writes_to_arguments_of_which_nothing_is_known():
    def forward(self, x):
        y = x.exp()
        torch._foreach_neg_([y])
        return y

    assert output_of(forward).params["why"] == "writes to its arguments"


def test_in_place_changes_of_the_shape_write_nothing():
    def forward(self, x):
        y = x.exp()
        part = y[:2]
        y.unsqueeze_(0)
        return part

    assert ops_of(traced(forward)) == ["exp", "slice", "reshape"]
    assert output_of(forward).name == "slice"


def test_running_statistics_that_a_schema_does_not_name():
    norm = nn.BatchNorm1d(4)
    graph = trace(norm, (torch.randn(3, 4) + 5.0,), {})
    mean = next(node for node in graph if node.name == "buffer" and node.params["name"] == "running_mean")
    assert mean.constant.handle.abs().max() == 0.0
    assert norm.running_mean.abs().min() > 0.0


def test_what_is_counted_as_a_write_but_is_none():
    def forward(self, x):
        y = x.exp()
        part = y[:2]
        y.transpose_(0, 1)
        return y + self.w[:, :3], part + self.w[0]

    assert traced(forward, w=torch.ones(4, 4)).doubts == []
