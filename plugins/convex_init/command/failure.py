"""What a command cannot go on with, told on stderr."""

from __future__ import annotations


class CommandError(Exception):
    """A wrong argument, a model that cannot be made or read; its text is for the user."""
