"""Plans and reports: as dicts, as tables of a notebook and of a terminal, and as pictures."""

from __future__ import annotations

import json
import math

import pytest

from tests.contract.description import described
from tests.contract.frameworks import adapter
from tests.contract.small_models import network


def chain(depth: int, width: int):
    def layers(x):
        for number in range(depth - 1):
            x = x.dense(f"layer{number:02}", width).act("relu")
        return x.dense("the_last_layer_of_all", 1)

    return described(layers, (5,), method="log_normal", calibrate=False)


def is_plain(value) -> bool:
    """Whether something is made of what JSON has."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)


@pytest.mark.filterwarnings("ignore:.*positive layers in a row:UserWarning")
def test_a_plan_and_a_report_tell_their_layers(framework, monkeypatch):
    found = adapter(framework, network())
    found.apply()
    positive = {"first", "second", "last"}
    for told, due in ((found.plan(), {"free", "skip", *positive}), (found.report(), {"free", *positive})):
        as_dict = told.to_dict()
        assert is_plain(as_dict)
        assert json.loads(json.dumps(as_dict))
        paths = [found.layer_of(row["path"]) for row in as_dict["layers"]]
        assert set(paths) == due  # a sum has one signal
        html = told._repr_html_()
        assert html.startswith("<table>")
        assert all(row["path"] in html for row in as_dict["layers"])
        whole = str(told)
        monkeypatch.setenv("COLUMNS", "60")
        assert max(map(len, whole.splitlines())) > 60 >= max(map(len, str(told).splitlines()))
        monkeypatch.delenv("COLUMNS")


@pytest.mark.filterwarnings("ignore:.*positive layers:UserWarning")
@pytest.mark.parametrize(("depth", "width"), [(11, 8), (3, 1)])
def test_a_report_can_be_drawn(framework, depth, width, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'convex-init[plot]'")
    found = adapter(framework, chain(depth, width))
    found.apply()
    path = tmp_path / "folder" / "that is missing" / "signal.png"
    report = found.report()
    figure = report.plot(path)
    assert path.stat().st_size > 5_000
    shown = [axis for axis in figure.axes if axis.get_title() or axis.texts]
    assert len(shown) == 2 * depth  # a histogram and a matrix for each layer
    assert sum(axis.texts[0].get_text() == "one unit" for axis in shown if axis.texts) == (depth if width == 1 else 1)
    with_theory = [layer for layer in report.layers if layer.predicted.variance > 0.0 and math.isfinite(layer.mean)]
    assert sum(len(axis.lines) for axis in shown) == len(with_theory) > 0
    sizes = figure.get_size_inches()
    assert sizes[0] < 20.0
    assert sizes[1] / math.ceil(depth / 8) > 4.0  # rows are added, not squeezed
