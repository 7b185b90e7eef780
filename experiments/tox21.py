"""Networks on Tox21: dropout around an ICNN, a loss that masks unknown labels, and areas under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convex_init.torch import ICNN
from experiments.experiment import Context, Run, run_key
from experiments.networks import build
from experiments.training import Schedule, fit, outputs_of

METHODS = ("ICNN + init", "ICNN", "ICNN + skip", "non-convex")
EXTRA = ("ICNN + isometric",)  # not in the paper

# What stands in for CDDD; chosen by the experiment tox21_descriptors.
DESCRIPTORS = "both"

# 5.2: two hidden layers of 128, dropout of 0.7 on the input and 0.5 behind each hidden layer, Adam 1e-3, batch 256.
SETTINGS = {"hidden": [128, 128], "input_dropout": 0.7, "dropout": 0.5, "lr": 1e-3, "batch_size": 256}


class Dropout(nn.Module):
    """Dropout with masks from NumPy: on a CPU torch's own take longer than all the rest of a step here."""

    def __init__(self, rate: float, generator: np.random.Generator) -> None:
        """Drop the share ``rate``, to 16 bits."""
        super().__init__()
        self.threshold, self.scale, self.generator = round(rate * 2**16), 1.0 / (1.0 - rate), generator

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with a share of its values set to 0 and the others scaled up; in evaluation ``x`` itself."""
        if not self.training:
            return x
        kept = self.generator.integers(0, 2**16, tuple(x.shape), dtype=np.uint16) >= self.threshold
        return x * torch.from_numpy(kept).to(x.device) * self.scale


class WithDropout(nn.Module):
    """An :class:`ICNN` with dropout on the input and behind each hidden layer; in evaluation it is the ICNN itself."""

    def __init__(self, network: ICNN, input_dropout: float, dropout: float, seed: int) -> None:
        """Wrap ``network``; see the class."""
        super().__init__()
        self.network = network
        generator = np.random.Generator(np.random.SFC64(seed))
        self.input_dropout, self.dropout = Dropout(input_dropout, generator), Dropout(dropout, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for inputs ``[samples, features]``."""
        x = self.input_dropout(x)
        s: Tensor = self.network.layers[0](x)
        for k, phi in enumerate(self.network.activations):
            s = self.network.layers[k + 1](self.dropout(phi(s)))
            if self.network.skips is not None:
                s = s + self.network.skips[k](x)
        return s


def network_of(run: Run, inputs: int, outputs: int) -> WithDropout:
    """Return the network of a run, drawn from its seed."""
    network = build(run["method"], inputs, run["hidden"], outputs, torch.Generator().manual_seed(run["seed"]))
    return WithDropout(network, run["input_dropout"], run["dropout"], run["seed"])


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the labels that are known, i.e. not NaN."""
    known = ~labels.isnan()
    losses = nn.functional.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none")
    # No label at all (of a very small batch) is no error: the loss is then 0.
    return (losses * known).sum() / known.sum().clamp(min=1)


def train(
    run: Run, inputs: NDArray[np.float32], labels: NDArray[np.float32], context: Context
) -> tuple[WithDropout, list[float | None]]:
    """Return the trained network of a run, on the context's device, and the course of its loss."""
    network = network_of(run, inputs.shape[1], labels.shape[1]).to(context.device)
    losses = fit(
        network,
        torch.from_numpy(inputs).to(context.device),
        torch.from_numpy(labels).to(context.device),
        Schedule(run["epochs"], run["batch_size"], run["lr"]),
        run["seed"],
        loss=masked_loss,
        tensorboard=None if context.tensorboard is None else context.tensorboard / "tox21" / run_key(run),
    )
    return network, losses


def areas(network: nn.Module, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> list[float | None]:
    """Return the area under the ROC curve of each assay, over its known labels; ``None`` if they are of one class."""
    from sklearn.metrics import roc_auc_score

    device = next(network.parameters()).device
    scores = outputs_of(network, torch.from_numpy(inputs).to(device)).cpu().numpy()
    found: list[float | None] = []
    for column in range(labels.shape[1]):
        known = ~np.isnan(labels[:, column])
        classes = labels[known, column]
        mixed = len(np.unique(classes)) == 2
        found.append(float(roc_auc_score(classes, scores[known, column])) if mixed else None)
    return found


def mean_area(found: Sequence[float | None]) -> float:
    """Return the mean over the assays that have an area."""
    return float(np.mean([area for area in found if area is not None]))
