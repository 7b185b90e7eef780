"""Every committed page and picture is what ``report`` makes of the committed result files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.command import RESULTS, main
from experiments.experiment import PRESETS

pytest.importorskip("matplotlib")
COMMITTED = Path(__file__).resolve().parents[2] / RESULTS
PAGES = [path for preset in PRESETS for path in sorted((COMMITTED / preset).glob("*.md"))]
_RASTER = re.compile(r"data:image/png;base64,[^\"]*")  # of one library's compression
_NAME = re.compile(r"\b[pm][0-9a-f]{10}\b")  # hashes of places in memory or of last digits
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_report_on_the_committed_file_makes_the_committed_page(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    if "figure4" in page.stem:
        pytest.importorskip("rdkit")
    assert main(["report", page.stem, "--out", str(COMMITTED), "--pages", str(tmp_path)]) == 0
    made = tmp_path / page.parent.name
    assert (made / page.name).read_text(encoding="utf-8") == text
    for name in re.findall(r"\]\(([^)]*)\.png\)", text):
        assert (page.parent / f"{name}.png").is_file()
        (drawn, at), (kept, there) = (_picture(folder / f"{name}.svg") for folder in (made, page.parent))
        assert drawn == kept
        assert at == pytest.approx(there, abs=0.01)  # points: last digits may differ between machines


def _picture(path: Path) -> tuple[str, list[float]]:
    """What is drawn, and where."""
    text = _NAME.sub("name", _RASTER.sub("", path.read_text(encoding="utf-8")))
    return _NUMBER.sub("#", text), [float(number) for number in _NUMBER.findall(text)]


def test_there_are_committed_pages():
    assert PAGES
