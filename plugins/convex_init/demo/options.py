"""The demo's options on the command line, checked before anything is loaded."""

from __future__ import annotations

import math
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import fields, replace
from pathlib import Path

from convex_init.demo.failure import DemoError
from convex_init.demo.settings import DEFAULTS, DemoSettings
from convex_init_core.settings import InitSettings


def add_options(parser: ArgumentParser) -> None:
    """Give ``parser`` the demo's options."""
    parser.add_argument("--dataset", choices=sorted(DEFAULTS), default="digits", help="images (default: digits)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with MNIST's four idx .gz files")
    parser.add_argument("--limit", type=_whole, metavar="N", help=f"at most N training images {_default('limit')}")
    parser.add_argument("--depth", type=_whole, metavar="N", help=f"hidden layers {_default('depth')}")
    parser.add_argument("--width", type=_whole, metavar="N", help=f"units in a hidden layer {_default('width')}")
    parser.add_argument("--epochs", type=_whole, metavar="N", help=f"passes over the images {_default('epochs')}")
    parser.add_argument("--seeds", type=_whole, metavar="N", help=f"repetitions {_default('seeds')}")
    parser.add_argument("--lr", type=_positive, metavar="RATE", help=f"learning rate of Adam {_default('lr')}")
    parser.add_argument("--batch-size", type=_whole, metavar="N", help=f"images in a step {_default('batch_size')}")
    parser.add_argument("--bias-noise", type=float, metavar="B", help=f"β of the init {_default('bias_noise')}")
    parser.add_argument("--distribution", metavar="LAW", help=f"of the init's weights {_default('distribution')}")
    parser.add_argument("--threads", type=_whole, metavar="N", help=f"CPU threads {_default('threads')}")
    parser.add_argument("--device", help=f"where to train {_default('device')}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write learning curves (PNG) and results (JSON) here")


def settings_from(options: Namespace) -> DemoSettings:
    """Return the settings that the options ask for.

    Raises:
        DemoError: if options do not go together, or a value is out of range.
    """
    given = {field.name: getattr(options, field.name) for field in fields(DemoSettings)}
    settings = replace(DEFAULTS[options.dataset], **{name: value for name, value in given.items() if value is not None})
    if settings.dataset == "digits" and settings.data is not None:
        raise DemoError("--data goes with --dataset mnist; the digits come with scikit-learn")
    try:
        InitSettings(bias_noise=settings.bias_noise, distribution=settings.distribution)
    except ValueError as error:
        raise DemoError(str(error)) from error
    if settings.out is not None:
        _make_writable(settings.out)
    return settings


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"--out {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise DemoError(f"--out {folder} may not be written to")


def _default(name: str) -> str:
    values = {dataset: getattr(settings, name) for dataset, settings in DEFAULTS.items()}
    if len(set(values.values())) == 1:
        return f"(default: {values['digits']})"
    shown = (f"{'all' if value is None else value} for {dataset}" for dataset, value in values.items())
    return f"(default: {', '.join(shown)})"


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value
