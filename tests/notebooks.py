"""The notebooks of ``examples/notebooks``: committed as executed in one go, and the same when they run here."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
_OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|usr|work|Users)/|site-packages|\.py:\d+|Warning", re.IGNORECASE)


def committed(name):
    """The notebook as it is in the repository."""
    return _library("nbformat").read(FOLDER / f"{name}.ipynb", as_version=4)


def executed(name, folder):
    """The notebook, run here in a kernel of its own."""
    notebook = committed(name)
    client = _library("nbclient").NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def _library(name):
    if "CONVEX_INIT_EXPECT" in os.environ:  # tox's environments have it
        return importlib.import_module(name)
    return pytest.importorskip(name)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """All text that a cell printed or returned."""
    return "".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)


def check_committed(name):
    cells = code_cells(committed(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for out in cell.outputs:
            assert out.output_type != "error"
            assert out.get("name") != "stderr", out
        assert not _OF_A_MACHINE.search(shown(cell)), shown(cell)
    check_story(cells)


def check_executed(name, folder):
    check_story(code_cells(executed(name, folder)))


def check_story(cells):
    """Read, plan, report, train, certify, use: what the text of the notebook says came out."""
    texts = [shown(cell) for cell in cells]
    whole = "\n".join(texts)
    assert re.search(r"\bpositive\b.*\bsoftplus\b", whole), "no plan"
    assert re.search(r"layer +mean +\(theory\) +variance", whole), "no report of the signal"
    losses = [float(number) for number in re.findall(r"(?:step|epoch) +\d+: ([\d.]+)", whole)]
    assert len(losses) == 5
    assert losses[-1] < 0.25 * losses[0]
    assert any(re.match(r"convex$", text, re.MULTILINE) for text in texts), "no certificate"
    found, lowest = map(float, re.search(r"network (-?[\d.]+), on the grid (-?[\d.]+)", texts[-1]).groups())
    assert found == pytest.approx(lowest, abs=5e-3)
    there, least = map(float, re.search(r"there (-?[\d.]+), lowest true cost (-?[\d.]+)", texts[-1]).groups())
    assert there < least + 0.1
