"""What the demo cannot go on with, told in one line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convex_init.command.failure import CommandError

# Where the name that is imported is not the name that is installed.
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


class DemoError(CommandError):
    """A wrong folder, file or option, or a missing package; its text is for the user."""


def needed(module: str) -> Any:
    """Import a module that the demo needs, when it needs it.

    Raises:
        DemoError: if its package is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        name = _DISTRIBUTIONS.get(package, package)
        raise DemoError(f"the demo needs {name}, which is not installed: pip install 'convex-init[demo]'") from error
