"""The code of docs/lightning.md, run as it stands there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import convex_init.torch as ci

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "lightning.md"


def train(with_hook: bool, callbacks: list) -> ci.ICNN:
    """Fit a small network with a large learning rate, which drives weights below 0 unless something projects them."""
    import lightning

    hook, _ = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    scope = {"torch": torch, "project_after_step": ci.project_after_step}
    exec(hook.replace("lr=1e-3", "lr=0.1"), scope)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = ci.ICNN(3, [8, 8], 1)

        def training_step(self, batch, batch_idx):
            return nn.functional.mse_loss(self.network(batch[0]), -batch[0].square().sum(1, keepdim=True))

        def configure_optimizers(self):
            return scope["configure_optimizers"](self) if with_hook else torch.optim.Adam(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    module = Module()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(64, 3)), batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    trainer.fit(module, loader)
    return module.network


def lowest(network: ci.ICNN) -> float:
    return min(float(weight.min()) for weight in ci.projected_parameters(network).values())


@pytest.mark.filterwarnings("ignore")  # Lightning warns about workers and about the machine
def test_both_forms_keep_the_network_convex_and_neither_is_empty():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("lightning", reason="lightning is not installed")
    _, callback = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    scope: dict = {}
    exec(callback, scope)
    assert lowest(train(True, [])) >= 0.0
    assert lowest(train(False, [scope["NonNegProjection"]()])) >= 0.0
    assert lowest(train(False, [])) < 0.0
