"""The demo's options on the command line, checked before anything is loaded."""

from __future__ import annotations

import math
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from convex_init.demo.failure import DemoError
from convex_init.demo.settings import DEFAULTS, DemoSettings
from convex_init_core.request import METHOD, request
from convex_init_core.settings import METHODS

TASKS = ("digits", "curve", "surface")


def add_options(parser: ArgumentParser) -> None:
    """Give ``parser`` the demo's options."""
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all", help="what to train on (default: all)")
    parser.add_argument("--method", choices=METHODS, help=f"of our initialisation (default: {METHOD})")
    parser.add_argument(
        "--threshold", type=_threshold, metavar="T", help="τ of ours, without skips (default: the method's)"
    )
    parser.add_argument("--dataset", choices=["digits", "mnist"], default="digits", help="images (default: digits)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with MNIST's four idx .gz files")
    parser.add_argument("--limit", type=_whole, metavar="N", help=f"at most N training images {_default('limit')}")
    parser.add_argument("--depth", type=_whole, metavar="N", help=f"hidden layers {_default('depths')}")
    parser.add_argument("--width", type=_whole, metavar="N", help=f"units in a hidden layer {_default('width')}")
    parser.add_argument("--epochs", type=_whole, metavar="N", help=f"passes over the examples {_default('epochs')}")
    parser.add_argument("--seeds", type=_whole, metavar="N", help=f"repetitions {_default('seeds')}")
    parser.add_argument("--lr", type=_positive, metavar="RATE", help="of Adam (default: each network's own)")
    parser.add_argument("--batch-size", type=_whole, metavar="N", help=f"examples in a step {_default('batch_size')}")
    parser.add_argument("--threads", type=_whole, metavar="N", help=f"CPU threads {_default('threads')}")
    parser.add_argument("--device", help=f"where to train {_default('device')}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write pictures (PNG) and results (JSON) here")


def settings_from(options: Namespace) -> list[DemoSettings]:
    """Return the settings that the options ask for, one for each task.

    Raises:
        DemoError: if options do not go together, or a value is out of range.
    """
    images = "mnist" if options.dataset == "mnist" else "digits"
    tasks = [images if task == "digits" else task for task in (TASKS if options.task == "all" else (options.task,))]
    for name, needs in (("data", "mnist"), ("limit", images)):
        if getattr(options, name) is not None and needs not in tasks:
            raise DemoError(
                "--data goes with --dataset mnist; the digits come with scikit-learn"
                if name == "data" and "digits" in tasks
                else f"--{name} is for images; --task {options.task} has none"
            )
    if options.dataset == "mnist" and "mnist" not in tasks:
        raise DemoError(f"--dataset is for images; --task {options.task} has none")
    given = {field.name: getattr(options, field.name, None) for field in fields(DemoSettings)}
    given["depths"] = None if options.depth is None else (options.depth,)
    del given["task"]
    known = {name: value for name, value in given.items() if value is not None}
    try:
        request(**{name: known[name] for name in ("method", "threshold") if name in known})
    except ValueError as error:
        raise DemoError(str(error)) from error
    if options.out is not None:
        _make_writable(options.out)
    return [replace(DEFAULTS[task], **known) for task in tasks]


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"--out {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise DemoError(f"--out {folder} may not be written to")


def _default(name: str) -> str:
    values = {task: _shown(getattr(settings, name)) for task, settings in DEFAULTS.items()}
    if len(set(values.values())) == 1:
        return f"(default: {values['digits']})"
    return f"(default: {'; '.join(f'{value} for {task}' for task, value in values.items())})"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "all" if value is None else str(value)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _positive(text: str) -> float:
    value = _number(text)
    if not 0.0 < value < math.inf:
        raise ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def _threshold(text: str) -> float:
    value = _number(text)
    if not 0.0 <= value <= 5.0:
        raise ArgumentTypeError(f"must be a number from 0 to 5, got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
