"""Parts one after another, each with its share of the minutes; a part that fails does not stop the next."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.sizes import Sizes
from benchmarks.measure import environment


class SkippedError(Exception):
    """What a part needs is not there; the message says what."""


class OutOfTimeError(Exception):
    """The next piece would not end in time; the message says what it needs."""


@dataclass(frozen=True)
class Place:
    """Where a part runs, and until when.

    Attributes:
        device: of all tensors.
        data: folder with ``mnist/``; ``None`` if there is none.
        sizes: of everything.
        end: on the clock of ``time.perf_counter``.
    """

    device: torch.device
    data: Path | None
    sizes: Sizes
    end: float

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.end - time.perf_counter()

    def need(self, seconds: float, what: str) -> None:
        """Refuse to begin what would not end in time.

        Raises:
            OutOfTimeError: if fewer seconds are left.
        """
        if seconds > self.left():
            raise OutOfTimeError(f"{what} needs about {seconds:.1f} s, and {max(0.0, self.left()):.1f} s were left")

    def synchronise(self) -> None:
        """Wait until the device has done what it was asked."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class Part:
    """One thing to be measured.

    Attributes:
        name: of its file.
        share: of the time; what earlier parts leave is divided among the later ones.
        estimate: seconds below which it is not begun, on an accelerator and in a rehearsal.
        run: does it: measures what the journal does not have.
        settings: what of the sizes decides its rows.
    """

    name: str
    share: float
    estimate: tuple[float, float]
    run: Callable[[Place, Journal], None]
    settings: Callable[[Sizes], dict[str, Any]] = field(default=lambda _: {})


def run_parts(parts: Sequence[Part], place: Place, out: Path) -> dict[str, str]:
    """Run all parts until ``place.end`` and return how each ended; each writes ``out/NAME.json``."""
    ended = {}
    for number, part in enumerate(parts):
        share = part.share / sum(each.share for each in parts[number:])
        now = time.perf_counter()
        own = Place(place.device, place.data, place.sizes, now + share * max(0.0, place.end - now))
        settings = {"device": device_name(place.device), "sizes": place.sizes.name, **part.settings(place.sizes)}
        journal = Journal(out / f"{part.name}.json", settings, versions(place.device))
        status, more = _attempt(part, own, journal)
        seconds = time.perf_counter() - now
        journal.end(status, seconds=round(seconds, 2), **more)
        ended[part.name] = status
        reason = more.get("reason") or (more["traceback"].splitlines()[-1] if "traceback" in more else "")
        print(f"{part.name}: {status}, {len(journal.rows)} rows, {seconds:.1f} s {reason}".rstrip(), flush=True)
    return ended


def _attempt(part: Part, place: Place, journal: Journal) -> tuple[str, dict[str, Any]]:
    try:
        place.need(part.estimate[place.device.type == "cpu"], part.name)
        part.run(place, journal)
    except SkippedError as error:
        return "skipped", {"reason": str(error)}
    except OutOfTimeError as error:
        return "stopped", {"reason": str(error)}
    except Exception:
        return "failed", {"traceback": traceback.format_exc()}
    return "done", {}


def device_name(device: torch.device) -> str:
    """Return what the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions(device: torch.device) -> dict[str, Any]:
    """Return what a reader needs to judge a figure, the accelerator's own numbers included."""
    found = {**environment("torch"), "threads": torch.get_num_threads(), "cuda": torch.version.cuda}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        found |= {
            "capability": f"{about.major}.{about.minor}",
            "device_memory": about.total_memory,
            "cudnn": torch.backends.cudnn.version(),
            "matmul_precision": torch.get_float32_matmul_precision(),
        }
    return found
