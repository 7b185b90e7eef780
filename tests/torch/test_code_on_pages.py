"""The code of the pages, run block by block as it stands there, with what a reader would have at hand."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import convex_init
from convex_init.torch import ICNN
from tests.architecture.checkout import CHECKOUT

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
pytestmark = pytest.mark.filterwarnings("ignore:method 'bounded_gain' is known to carry:UserWarning")


class Network(nn.Module):
    """Layers with a positive and a free map each, and ten outputs."""

    class Layer(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.wz, self.wx = nn.Linear(32, width), nn.Linear(5, width, bias=False)

        def forward(self, z, x):
            return self.wz(z) + self.wx(x)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 32)
        self.layers = nn.ModuleList([self.Layer(32), self.Layer(10)])

    def forward(self, x):
        z = self.first(x)
        for layer in self.layers:
            z = layer(torch.relu(z), x)
        return z


def at_hand():
    """What the pages take for granted."""
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    return {
        "torch": torch,
        "nn": nn,
        "convex_init": convex_init,
        "model": convex_init.torch.apply_(Network(), x),
        "example_inputs": x,
        "batch": x,
        "weight": torch.empty(100, 784),
        "bias": torch.empty(100),
        "start": x[:2],
        "target": x[2:4],
    }


def blocks(page):
    return _BLOCK.findall((CHECKOUT / page).read_text(encoding="utf-8"))


# Of each page, the blocks that need torch alone, by a word that they hold.
PAGES = {
    "README.md": ("project_after_step", "level_set_path"),
    "docs/reading.md": ("print(plan(model))",),
    "docs/published_code.md": ("leaky_relu(0.2)", "stability(784"),
    "docs/certificate.md": ("goes down to",),
    "docs/depth.md": ("carrier=True",),
    "docs/level_sets.md": ("level_set_path",),
}


@pytest.mark.parametrize(("page", "word"), [(page, word) for page, words in PAGES.items() for word in words])
def test_it_runs(page, word):
    found = [block for block in blocks(page) if word in block]
    assert found, f"no block of {page} holds {word!r}"
    known = at_hand()
    for block in found:
        exec(compile(block, page, "exec"), known)


def test_what_the_first_block_of_the_readme_promises():
    known = {}
    exec(blocks("README.md")[0], known)
    model, optimizer = known["model"], known["optimizer"]
    model(torch.randn(8, 784)).square().sum().backward()
    optimizer.step()
    assert [model[i].weight.min().item() for i in (2, 4)] == [0.0, 0.0]
    assert model[0].weight.min().item() < 0.0


def test_the_answers_of_the_page_on_certificates(capsys):
    block = next(block for block in blocks("docs/certificate.md") if "goes down to" in block)
    convex, reason = re.findall(r"# (\w.*)$", block, re.MULTILINE)
    exec(block, at_hand())
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == convex
    assert reason.partition(": ")[2] in shown


def test_the_threshold_is_for_what_the_page_on_depth_says():
    model = ICNN(20, [32] * 6, 2, positivity="relu", method="isometric")
    convex_init.torch.apply_(model, method="isometric", threshold=1.0)
    assert convex_init.torch.certify(model, torch.randn(4, 20))
