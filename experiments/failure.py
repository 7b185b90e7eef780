"""What an experiment cannot go on with."""

from __future__ import annotations


class ExperimentError(Exception):
    """A wrong option, a missing file or package; its text is for the user and says what to do."""
