"""``convex-init`` and ``python -m convex_init``: the demo.

Nothing but NumPy is imported before the options are known to be right.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

from convex_init import __version__
from convex_init.demo.failure import DemoError
from convex_init.demo.options import add_options, settings_from


class _Parser(ArgumentParser):
    """Says what is wrong in one line, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 with one line on stderr if something is wrong with it."""
    parser = _Parser(prog="convex-init", description="Principled initialisation of input-convex neural networks.")
    parser.add_argument("--version", action="version", version=f"convex-init {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="train input-convex networks with the usual and with the principled initialisation",
        description="Train a non-convex network and input-convex ones (ICNN), initialised as usual (He) and by the "
        "principled initialisation, on images; compare their losses.",
    )
    add_options(demo)
    options = parser.parse_args(arguments)
    try:
        settings = settings_from(options)
        from convex_init.demo.run import run_demo

        run_demo(settings)
    except DemoError as error:
        print(f"{demo.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
