"""Arguments of ``convex-init plan`` and ``convex-init certify``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from convex_init.command.inputs import inputs_from
from convex_init_core.convexity.monotonicity import DIRECTIONS

_MODEL = """\
MODULE:FACTORY names a function without arguments that returns a model, or a model: "package.module:make" or
"folder/file.py:make". What it returns decides which plug-in answers: a torch.nn.Module, a keras.Model, a module of
equinox or flax, or a pair (fn, params) of a function of JAX and its parameters.

--inputs gives the shapes of what the model takes, with the batch: 32x784, or 32x784,32x10 for two inputs, or
x=32x784,context=32x10 by name. Numbers are drawn from N(0, 1); 32x10:int64 is of another type, and 0."""
PLAN = f"""{_MODEL}

Exit code: 0 if there is a plan, 2 if there is none, with the reasons on stderr."""
CERTIFY = f"""{_MODEL}

Exit code: 0 if the model is convex (and monotone, where that was asked), 1 if there is a counterexample, 2 if it cannot
tell; also 2, with the reason on stderr, if the model cannot be made or run."""


def add_plan_options(parser: ArgumentParser) -> None:
    """Give ``parser`` the arguments of ``plan``."""
    _add_model(parser)
    parser.add_argument("--method", help="auto (default), bounded_gain, log_normal or isometric")
    parser.add_argument("--positivity", metavar="MAP", help="for positive layers without a map (default: projection)")
    parser.add_argument("--fed-by", metavar="ACTIVATION", help="what feeds the positive layers, if it cannot be read")
    for role, what in {
        "positive": "are non-negative, against what was read",
        "free": "keep either sign, against what was read",
        "exclude": "are left alone",
    }.items():
        parser.add_argument(
            f"--{role}", action="append", metavar="PATTERN", help=f"weights that {what}; again for more"
        )


def add_certify_options(parser: ArgumentParser) -> None:
    """Give ``parser`` the arguments of ``certify``."""
    _add_model(parser)
    parser.add_argument("--outputs", type=_names, metavar="NAME[,NAME]", help="which outputs (default: all)")
    parser.add_argument(
        "--monotone",
        type=_directions,
        metavar="NAME=DIRECTION",
        help=f"ask whether outputs are {' or '.join(DIRECTIONS)} in an input, too",
    )
    parser.add_argument("--no-search", dest="search", action="store_false", help="look for no counterexample")


def call_options(options: Namespace) -> dict[str, Any]:
    """Return what was given of the arguments that ``plan`` or ``certify`` have under the same name."""
    shared = ("convex_inputs", "entry", "method", "positivity", "fed_by", "positive", "free", "exclude")
    given = {name: getattr(options, name, None) for name in (*shared, "outputs", "monotone")}
    given["search"] = False if getattr(options, "search", None) is False else None
    return {name: value for name, value in given.items() if value is not None}


def _add_model(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODULE:FACTORY", help="what makes the model")
    parser.add_argument("--inputs", type=inputs_from, metavar="SHAPE[,SHAPE]", help="what the model takes: 32x784")
    parser.add_argument("--seed", type=int, default=0, help="of the numbers in the inputs (default: 0)")
    parser.add_argument("--convex-inputs", type=_names, metavar="NAME[,NAME]", help="inputs to be convex in (all)")
    parser.add_argument("--entry", metavar="METHOD", help="method that is called in place of the model itself")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _directions(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    for name, _, direction in pairs:
        if not name or direction not in DIRECTIONS:
            raise ArgumentTypeError(f"{text!r} is not of the form NAME={'|'.join(DIRECTIONS)}")
    return {name: direction for name, _, direction in pairs}
