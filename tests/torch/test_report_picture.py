"""The picture of a report can be read: nothing is written over anything else, and a few numbers hide no others."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convex_init.torch import apply_, signal_report
from tests.torch.networks import generator

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'convex-init[plot]'")


def report(depth: int, width: int) -> Any:
    widths = [20, *[width] * (depth - 1), 1]
    parts = [part for n, m in itertools.pairwise(widths) for part in (nn.Linear(n, m), nn.ReLU())]
    model = nn.Sequential(*parts[:-1])
    apply_(model, method="log_normal", generator=generator())
    return signal_report(model, torch.randn(200, 20, generator=generator(1)))


@pytest.mark.filterwarnings("ignore:method 'log_normal' is known:UserWarning")
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (4, 1), (11, 32), (50, 16)])
def test_no_text_lies_over_another(depth: int, width: int, tmp_path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    told = report(depth, width)
    named = [replace(layer, path=f"a.path.as.of.many.modules.{place}") for place, layer in enumerate(told.layers)]
    told = replace(told, layers=tuple(named))
    path = tmp_path / "is" / "missing" / "signal.png"
    figure = told.plot(path)
    assert path.exists()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    titles = [axis.title for axis in figure.axes if axis.get_title()]
    names = [title.get_text().splitlines()[0] for title in titles if "\n" in title.get_text()]
    assert len(names) == depth
    assert all(layer.path.endswith(name.removeprefix("…")) for layer, name in zip(told.layers, names, strict=True))
    boxes = [title.get_window_extent(renderer) for title in titles]
    for axis in (axis for axis in figure.axes if axis.get_title()):
        low, high = axis.get_xlim()
        labels = axis.xaxis.get_ticklabels()
        shown = [label for label in labels if label.get_text() and low <= label.get_position()[0] <= high]
        assert len(shown) <= 6
        boxes += [label.get_window_extent(renderer) for label in shown]
    over = [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert not over, f"{len(over)} of {len(boxes)} texts lie over another"
    assert all(min(box.x0, box.y0) >= 0 for box in boxes)


def test_a_number_far_out_hides_no_others() -> None:
    told = report(2, 32)
    first = told.layers[0]
    sample = np.append(np.asarray(first.sample), 1e6)
    figure = replace(told, layers=(replace(first, sample=sample), *told.layers[1:])).plot()
    axis = figure.axes[0]
    low, high = axis.get_xlim()
    assert high - low < 12.0
    heights, edges, _ = axis.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(0.99, abs=0.01)  # a density of all numbers
    assert (heights > 0.1 * heights.max()).sum() > 20
    assert "99%" in axis.get_ylabel()
    (curve,) = axis.lines  # the theory's, beside it
    assert curve.get_ydata().max() == pytest.approx(heights.max(), rel=0.4)
