"""Parts share the time, fail alone, and leave a file that is complete after every row."""

from __future__ import annotations

import json
import math
import time

import pytest
import torch

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.parts import OutOfTimeError, Part, Place, SkippedError, run_parts
from benchmarks.gpu.sizes import REHEARSAL


def place(seconds):
    return Place(torch.device("cpu"), None, REHEARSAL, time.perf_counter() + seconds)


def part(name, run, *, share=1.0, estimate=0.0):
    return Part(name, share, (estimate, estimate), run)


def fails(_, journal):
    journal.add("before", value=1.0)
    raise RuntimeError("no such kernel")


def lacks(*_):
    raise SkippedError("no data")


def is_slow(of, _):
    of.need(1e6, "the whole grid")


def works(_, journal):
    journal.add("row", value=2.0)


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def test_a_part_that_fails_is_recorded_and_the_next_goes_on(tmp_path):
    parts = [part("a", fails), part("b", lacks), part("c", is_slow), part("d", works)]
    assert run_parts(parts, place(100.0), tmp_path) == {"a": "failed", "b": "skipped", "c": "stopped", "d": "done"}
    assert "no such kernel" in read(tmp_path, "a")["traceback"]
    assert [row["value"] for row in read(tmp_path, "a")["rows"]] == [1.0]
    assert read(tmp_path, "b")["reason"] == "no data"
    assert read(tmp_path, "c")["reason"].startswith("the whole grid needs about 1000000.0 s")
    assert read(tmp_path, "d")["rows"] == [{"key": "row", "run": 0, "value": 2.0}]


def test_what_is_not_used_of_a_share_is_for_those_that_follow(tmp_path):
    given = []
    parts = [part(name, lambda of, _: given.append(of.left()), share=share) for name, share in (("a", 1.0), ("b", 3.0))]
    run_parts(parts, place(1000.0), tmp_path)
    assert 200.0 < given[0] <= 250.0
    assert 900.0 < given[1] <= 1000.0


@pytest.mark.parametrize(("seconds", "estimate"), [(0.0, 1.0), (-5.0, 1.0), (10.0, 11.0)])
def test_no_part_is_begun_that_would_not_end(seconds, estimate, tmp_path):
    begun = []
    ended = run_parts([part("a", lambda *_: begun.append(1), estimate=estimate)], place(seconds), tmp_path)
    assert ended == {"a": "stopped"}
    assert not begun
    assert "were left" in read(tmp_path, "a")["reason"]


def test_need_refuses_only_what_is_too_long():
    place(100.0).need(50.0, "a")
    with pytest.raises(OutOfTimeError, match="a needs about 200"):
        place(100.0).need(200.0, "a")


def test_rows_are_in_the_file_as_soon_as_they_are_added_and_are_kept_for_the_same_settings(tmp_path):
    path = tmp_path / "part.json"
    first = Journal(path, {"rates": (1e-3,)}, {"load": 0.5})
    first.add("a", loss=math.nan, losses=[1.0, math.inf])
    on_disk = json.loads(path.read_text())
    assert on_disk["status"] == "running"
    assert on_disk["rows"] == [{"key": "a", "run": 0, "loss": None, "losses": [1.0, None]}]
    second = Journal(path, {"rates": (1e-3,)}, {"load": 0.7})
    assert second.has("a")
    assert not second.has("b")
    second.add("b")
    assert [row["run"] for row in json.loads(path.read_text())["rows"]] == [0, 1]
    assert not Journal(path, {"rates": (1e-4,)}, {"load": 0.7}).has("a")
