"""Run a command in this process, as from a shell in this folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from convex_init.__main__ import main

HERE = Path(__file__).resolve().parent


class Shell:
    """Runs commands and keeps what they print."""

    def __init__(self, capsys):
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def answer(self):
        return json.loads(self.out)


@pytest.fixture
def shell(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(HERE)
    return Shell(capsys)
