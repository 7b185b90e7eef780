"""A small autoencoder of molecules: SELFIES tokens to a latent vector and back.

Strings are short and few, so the places of tokens are given instead of learned: the encoder sees all places at once,
and the decoder, a GRU that writes token by token, is told at each place what the latent vector says about this place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.selfies_strings import BEGIN, END, FIRST, LONGEST

_PLACES = LONGEST + 1
_WARM_UP = 50  # steps


@dataclass(frozen=True)
class Sizes:
    """Of an autoencoder.

    Attributes:
        codes: of the alphabet.
        properties: that are predicted from the latent vector, as those of CDDD are; its loss keeps similar
            molecules together.
        latent: numbers that stand for a molecule.
        hidden: units of the encoder's layers and, a quarter as many, of the GRU.
        place: numbers that the decoder is told about each place.
    """

    codes: int
    properties: int
    latent: int = 128
    hidden: int = 512
    place: int = 64


class Autoencoder(nn.Module):
    """Encoder, decoder, and a linear map to properties."""

    def __init__(self, sizes: Sizes) -> None:
        """Draw the weights from torch's global generator; see the class."""
        super().__init__()
        self.sizes = sizes
        flat, units = 32 * _PLACES, sizes.hidden // 4
        self.letters = nn.Embedding(sizes.codes, 32)
        self.bent = nn.Sequential(
            nn.Linear(flat, sizes.hidden), nn.GELU(), nn.Linear(sizes.hidden, sizes.hidden), nn.GELU(),
            nn.Linear(sizes.hidden, sizes.latent),
        )  # fmt: skip
        self.straight = nn.Linear(flat, sizes.latent)
        # Variance 1 for each latent number: the noise of training then has a size, and cannot be outgrown.
        self.scaled = nn.BatchNorm1d(sizes.latent, affine=False)
        self.properties = nn.Linear(sizes.latent, sizes.properties)
        self.places = nn.Linear(sizes.latent, _PLACES * sizes.place)
        self.start = nn.Linear(sizes.latent, units)
        self.written = nn.Embedding(sizes.codes, 64)
        self.memory = nn.GRU(64 + sizes.place, units, batch_first=True)
        self.next = nn.Linear(units + sizes.place, sizes.codes)

    def encode(self, codes: Tensor) -> Tensor:
        """Return latent vectors ``[molecules, latent]`` of codes ``[molecules, LONGEST + 1]``."""
        flat = self.letters(codes).flatten(1)
        latent: Tensor = self.scaled(self.bent(flat) + self.straight(flat))
        return latent

    def logits(self, latent: Tensor, before: Tensor) -> Tensor:
        """Return the logits of each code ``[molecules, places, codes]``, given the code before each."""
        told = self._told(latent)[:, : before.shape[1]]
        memory, _ = self.memory(torch.cat([self.written(before), told], 2), self._first_memory(latent))
        found: Tensor = self.next(torch.cat([memory, told], 2))
        return found

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Return codes ``[molecules, LONGEST + 1]``: at each place the most probable one, given those before."""
        told, memory = self._told(latent), self._first_memory(latent)
        code = torch.full((len(latent),), BEGIN, device=latent.device)
        ended = torch.zeros_like(code, dtype=torch.bool)
        found = []
        for place in range(_PLACES):
            here = told[:, place]
            out, memory = self.memory(torch.cat([self.written(code), here], 1)[:, None], memory)
            scores = self.next(torch.cat([out[:, 0], here], 1))
            scores[:, BEGIN] = -math.inf
            code = scores.argmax(1).masked_fill(ended, END)
            ended = ended | (code == END)
            found.append(code)
        return torch.stack(found, 1)

    def _told(self, latent: Tensor) -> Tensor:
        told: Tensor = self.places(latent).view(len(latent), _PLACES, self.sizes.place)
        return told

    def _first_memory(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.start(latent))[None]


@dataclass(frozen=True)
class Training:
    """How it is trained.

    Attributes:
        epochs: passes over the molecules.
        noise: standard deviation of what is added to a latent vector, whose numbers have variance 1.
        forgotten: share of the decoder's inputs that are replaced by others, so that it listens to the latent vector.
        respelled: share of molecules in another spelling than the canonical one.
        weight: of the mean squared error of the properties.
        lr: of Adam at its highest: it rises over some steps and falls by a cosine.
        batch_size: molecules of a step.
    """

    epochs: int
    noise: float = 0.3
    forgotten: float = 0.2
    respelled: float = 0.5
    weight: float = 0.1
    lr: float = 2e-3
    batch_size: int = 64


def train_autoencoder(
    network: Autoencoder, codes: list[NDArray[np.int64]], properties: NDArray[np.float32], training: Training, seed: int
) -> list[float]:
    """Train in place and return the mean loss of the tokens by epoch.

    Args:
        network: on the CPU.
        codes: for each molecule its spellings ``[spellings, LONGEST + 1]``, the canonical one first.
        properties: ``[molecules, properties]``, of variance 1.
        training: how.
        seed: of the order, spellings and noise.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.lr, fused=True)
    targets = torch.from_numpy(properties)
    steps = training.epochs * max(1, len(codes) // training.batch_size)
    step, losses, begin = 0, [], time.process_time()
    network.train()
    for epoch in range(training.epochs):
        found = []
        for members, batch in _batches(codes, training, np.random.default_rng([seed, epoch])):
            rate = min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.49 * (1.0 + math.cos(math.pi * step / steps)))
            optimizer.param_groups[0]["lr"] = training.lr * rate
            latent = network.encode(batch)
            latent = latent + training.noise * torch.randn(latent.shape, generator=generator)
            wrong = nn.functional.mse_loss(network.properties(latent), targets[members])
            loss = _token_loss(network, latent, batch, training.forgotten, generator)
            optimizer.zero_grad()
            (loss + training.weight * wrong).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            found.append(loss.item())
            step += 1
        losses.append(float(np.mean(found)))
        seconds = time.process_time() - begin
        print(
            f"autoencoder: epoch {epoch + 1} of {training.epochs}, loss {losses[-1]:.3f}, {seconds:.0f} s", flush=True
        )
    network.eval()
    return losses


def _batches(
    codes: list[NDArray[np.int64]], training: Training, generator: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the members and their codes, of nearly equal lengths: steps behind the longest are not computed."""
    respelled = generator.random(len(codes)) < training.respelled
    picks = [generator.integers(len(of_one)) if other else 0 for of_one, other in zip(codes, respelled, strict=True)]
    chosen = np.stack([of_one[pick] for of_one, pick in zip(codes, picks, strict=True)])
    order = np.argsort((chosen != END).sum(1) + 4.0 * generator.random(len(chosen)))
    parts = np.array_split(order, max(1, len(order) // training.batch_size))
    for index in generator.permutation(len(parts)):
        yield torch.from_numpy(parts[index]), torch.from_numpy(chosen[parts[index]])


def _token_loss(
    network: Autoencoder, latent: Tensor, codes: Tensor, forgotten: float, generator: torch.Generator
) -> Tensor:
    """Mean cross-entropy of the tokens and the end of each string."""
    lengths = (codes != END).sum(1)
    targets = codes[:, : int(lengths.max()) + 1]
    before = nn.functional.pad(targets[:, :-1], (1, 0), value=BEGIN)
    replaced = torch.rand(before.shape, generator=generator) < forgotten
    replaced[:, 0] = False
    others = torch.randint(FIRST, network.sizes.codes, before.shape, generator=generator)
    logits = network.logits(latent, torch.where(replaced, others, before))
    counted = torch.arange(targets.shape[1]) <= lengths[:, None]
    return nn.functional.cross_entropy(logits[counted], targets[counted])
