"""Every public name of our packages has a docstring, and the gate that says so can fail."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from tests.architecture.checkout import CHECKOUT


def run_gate(*folders):
    command = [sys.executable, CHECKOUT / "tools" / "documented_names.py", *folders]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_our_packages_are_documented():
    finished = run_gate()
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize(
    ("source", "undocumented"),
    [
        ("x = 1", ["(module)"]),
        ('"""M."""\ndef f(): pass', ["f"]),
        ('"""M."""\nasync def f(): pass', ["f"]),
        ('"""M."""\ndef _f(): pass', []),
        ('"""M."""\nclass C:\n    def m(self): pass\n    def _m(self): pass', ["C", "C.m"]),
        ('"""M."""\nclass C:\n    """D."""\n    class D:\n        def __len__(self): pass', ["C.D"]),
        ('"""M."""\nclass C:\n    """D."""\n    @property\n    def p(self): pass', ["C.p"]),
        ('"""M."""\nclass _C:\n    def m(self): pass', []),
        ('"""M."""\ntry:\n    import a\nexcept ImportError:\n    def f(): pass', ["f"]),
        ('"""M."""\nif True:\n    pass\nelse:\n    def f(): pass', ["f"]),
        ('"""M."""\n__all__ = ["A", "B"]\nA = 1\nB: int = 2\n"""Two."""\nC = 3', ["A"]),
        ('"""M."""\nfrom typing import overload\n@overload\ndef f(): ...\ndef f():\n    """D."""', []),
        (
            '"""M."""\nclass C:\n    """D."""\n    @property\n    def p(self):\n        """D."""\n'
            "    @p.setter\n    def p(self, value): pass",
            [],
        ),
    ],
)
def test_the_gate_finds_exactly_the_undocumented_names(source, undocumented, tmp_path):
    (tmp_path / "_module.py").write_text(dedent(source))
    finished = run_gate(tmp_path)
    found = [line.split()[1] for line in finished.stdout.splitlines() if line.endswith("has no docstring")]
    assert found == undocumented
    assert finished.returncode == (1 if undocumented else 0)


def test_a_gate_that_reads_nothing_fails(tmp_path):
    assert run_gate(tmp_path).returncode == 1
