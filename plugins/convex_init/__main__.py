"""``convex-init`` and ``python -m convex_init``: plan and certify a model, see what works here, the demo.

Nothing but NumPy is imported before the options are known to be right.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from convex_init import __version__
from convex_init.command import options
from convex_init.command.doctor import report
from convex_init.command.failure import CommandError
from convex_init.demo.options import add_options, settings_from


class _Parser(ArgumentParser):
    """Says what is wrong in one line, without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 with a message on stderr if something is wrong with it."""
    parser = _Parser(prog="convex-init", description="Principled initialisation of input-convex neural networks.")
    parser.add_argument("--version", action="version", version=f"convex-init {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Namespace], int], about: str, description: str) -> ArgumentParser:
        looks: Any = {"formatter_class": RawDescriptionHelpFormatter} if "\n" in description else {}
        made = commands.add_parser(name, help=about, description=description, **looks)
        made.set_defaults(run=run)
        return made

    about = "show what would be done to each weight of a model, and why"
    options.add_plan_options(command("plan", _plan, about, f"{about.capitalize()}.\n\n{options.PLAN}"))
    about = "tell whether a model is convex in its inputs"
    options.add_certify_options(command("certify", _certify, about, f"{about.capitalize()}.\n\n{options.CERTIFY}"))
    about = "show versions, devices and which plug-ins work here"
    report.add_options(command("doctor", report.run, about, report.DESCRIPTION))
    about = "train input-convex networks with torch's and with our initialisation"
    add_options(
        command(
            "demo",
            _demo,
            about,
            "Train a non-convex network and input-convex ones (ICNN), initialised by torch's default, clamped at 0, "
            "and by ours: on images of digits, and on convex functions of one and of two inputs.",
        )
    )
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except CommandError as error:
        print(f"{parser.prog} {chosen.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _plan(chosen: Namespace) -> int:
    from convex_init.command.answers import show_plan

    return show_plan(chosen)


def _certify(chosen: Namespace) -> int:
    from convex_init.command.answers import show_certificate

    return show_certificate(chosen)


def _demo(chosen: Namespace) -> int:
    settings = settings_from(chosen)
    from convex_init.demo.run import run_demo

    run_demo(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
