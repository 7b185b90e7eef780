"""One weight at every step: input-convex recurrent networks and layers that are called again and again."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convex_init.torch as ci

WIDTH, SEEN = 64, 4


class Control(nn.Module):
    """Recurrent, as in optimal control: ``[u, −u]``, all weights non-negative, the last input seen once more."""

    def __init__(self, bias=False, doubled=True, before=True, direct=True, layers=1, phi=F.relu, outputs="all"):
        super().__init__()
        seen = 2 * SEEN if doubled else SEEN

        def weight(a, b):
            return nn.Parameter(torch.rand(a, b))

        self.U, self.V, self.read = weight(seen, WIDTH), weight(WIDTH, WIDTH), weight(WIDTH, 2)
        self.D = weight(seen, WIDTH) if before else None
        self.direct = weight(seen, 2) if direct else None
        self.direct_before = weight(seen, 2) if direct and before else None
        self.deeper = nn.ParameterList([weight(WIDTH, WIDTH) for _ in range(layers - 1)])
        self.b, self.c = (nn.Parameter(torch.zeros(n)) if bias else 0.0 for n in (WIDTH, 2))
        self.doubled, self.phi, self.outputs = doubled, phi, outputs

    def forward(self, sequence):
        if self.doubled:
            sequence = torch.cat([sequence, -sequence], -1)
        z, last, outputs, self.states = sequence.new_zeros(len(sequence), WIDTH), None, [], []
        for u in sequence.unbind(1):
            s = u @ self.U.abs() + z @ self.V.abs() + self.b
            if self.D is not None and last is not None:
                s = s + last @ self.D.abs()
            self.states.append(s)
            h = z = self.phi(s)
            for weight in self.deeper:
                h = self.phi(h @ weight.abs())
            y = h @ self.read.abs() + self.c
            if self.direct is not None:
                y = y + u @ self.direct.abs()
            if self.direct_before is not None and last is not None:
                y = y + last @ self.direct_before.abs()
            outputs.append(y)
            last = u
        return torch.stack(outputs, 1) if self.outputs == "all" else outputs[-1]


class Free(nn.Module):
    """Recurrent with free layers of the input, also beside the readout."""

    def __init__(self, bias=False, before=False, direct=False, phi=F.relu):
        super().__init__()
        self.U, self.V = nn.Linear(SEEN, WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=False)
        self.D = nn.Linear(SEEN, WIDTH, bias=False) if before else None
        self.direct = nn.Linear(SEEN, 2, bias=False) if direct else None
        self.read, self.phi = nn.Linear(WIDTH, 2, bias=bias), phi

    def forward(self, sequence):
        z, last, outputs, self.states = sequence.new_zeros(len(sequence), WIDTH), None, [], []
        for u in sequence.unbind(1):
            s = self.U(u) + F.linear(z, F.softplus(self.V.weight))
            if self.D is not None and last is not None:
                s = s + self.D(last)
            self.states.append(s)
            z, last = self.phi(s), u
            y = F.linear(z, F.softplus(self.read.weight), self.read.bias)
            outputs.append(y if self.direct is None else y + self.direct(u))
        return torch.stack(outputs, 1)


class Again(nn.Module):
    """One convex layer, called as often as the sequence is long; its first element is the input."""

    def __init__(self, bias=False, skip=False, residual=False, phi=F.relu):
        super().__init__()
        self.first, self.again = nn.Linear(SEEN, WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=bias)
        self.skip = nn.Linear(SEEN, WIDTH, bias=False) if skip else None
        self.read = nn.Linear(WIDTH, 1, bias=bias)
        self.residual, self.phi = residual, phi

    def forward(self, sequence):
        x = sequence[:, 0]
        z, self.states = self.phi(self.first(x)), []
        for _ in range(sequence.shape[1]):
            s = F.linear(z, self.again.weight.exp(), self.again.bias)
            s = s if self.skip is None else s + self.skip(x)
            z = z + self.phi(s) if self.residual else self.phi(s)
            self.states.append(s)
        return F.linear(z, self.read.weight.exp(), self.read.bias)


MODELS = {
    "control": Control,
    "control, no last input": lambda **with_: Control(before=False, direct=False, **with_),
    "control, plain readout": lambda **with_: Control(direct=False, **with_),
    "control, one sign": lambda **with_: Control(doubled=False, **with_),
    "control, softplus": lambda **with_: Control(phi=F.softplus, **with_),
    "control, last output": lambda **with_: Control(outputs="last", **with_),
    "control, deeper": lambda **with_: Control(layers=3, **with_),
    "free": Free,
    "free, softplus": lambda **with_: Free(phi=F.softplus, **with_),
    "free, last input": lambda **with_: Free(before=True, **with_),
    "free, beside the readout": lambda **with_: Free(direct=True, **with_),
    "again with a skip": lambda **with_: Again(skip=True, **with_),
    "again, residual": lambda **with_: Again(residual=True, skip=True, **with_),
}


def start(make, steps, bias):
    torch.manual_seed(0)
    model, shown, fresh = make(bias=bias), torch.randn(512, steps, SEEN), torch.randn(512, steps, SEEN)
    ci.apply_(model, shown, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = model(fresh)
    return model, outputs


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("steps", [3, 20])
@pytest.mark.parametrize("name", MODELS)
def test_states_and_outputs_keep_their_size_over_the_steps(name, steps, bias):
    model, outputs = start(MODELS[name], steps, bias)

    assert 0.25 <= outputs.var() <= 4.0
    assert 0.25 <= model.states[-1].var() <= 4.0
    assert model.states[-1].var() <= 2.0 * model.states[1].var(), "grows from step to step"


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("steps", [3, 20])
def test_one_layer_again_and_again_neither_explodes_nor_goes_out(steps, residual, bias):
    """Nothing but the layer itself brings the signal, which may become small on the way."""
    model, outputs = start(lambda bias: Again(bias, residual=residual), steps, bias)

    assert 0.25 <= outputs.var() <= 4.0
    assert model.states[-1].square().mean() <= 4.0
