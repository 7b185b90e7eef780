"""Tox21 compounds in the latent space of an autoencoder that is trained on them, without their labels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.autoencoder import Autoencoder, Sizes, Training, train_autoencoder
from experiments.data.tox21 import Compounds, read_tox21
from experiments.descriptors import features
from experiments.experiment import Context, Run, run_key
from experiments.selfies_strings import LONGEST, Alphabet, parent, spellings, tokens_of

_SPELLINGS = 4  # of a molecule, beside the canonical one

Matrix = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Molecules:
    """Those compounds that the alphabet spells.

    Attributes:
        alphabet: of the training compounds.
        train: of the challenge's training and validation compounds, and their parents' SMILES.
        test: of the test set, and their parents' SMILES.
        notes: how many were left out.
    """

    alphabet: Alphabet
    train: tuple[Compounds, tuple[str, ...]]
    test: tuple[Compounds, tuple[str, ...]]
    notes: Mapping[str, int]

    def codes(self, smiles: Sequence[str]) -> NDArray[np.int64]:
        """Return the codes of molecules that are spelled."""
        return self.alphabet.codes([tokens_of(each) or () for each in smiles])

    def spelled(self, smiles: str) -> bool:
        """Whether a molecule can be encoded."""
        return self.alphabet.spells(tokens_of(smiles) if smiles else None)

    def held_out(self) -> list[str]:
        """Return the molecules of the test set that are no training compound's, each once."""
        known = set(self.train[1])
        return [smiles for smiles in dict.fromkeys(self.test[1]) if smiles not in known]


@lru_cache(maxsize=1)
def read_molecules(folder: Path, limit: int | None) -> Molecules:
    """Read Tox21 and keep what can be spelled; of training the first ``limit`` compounds."""
    data = read_tox21(folder)
    parts = (data.train.first(limit), data.test)
    parents = [tuple(parent(smiles) for smiles in part.smiles) for part in parts]
    strings = [[tokens_of(smiles) for smiles in of_part] for of_part in parents]
    alphabet = Alphabet.of(strings[0])
    kept = [np.array([alphabet.spells(string) for string in of_part]) for of_part in strings]
    picked = [
        (part.picked(which), tuple(smiles for smiles, keep in zip(names, which, strict=True) if keep))
        for part, names, which in zip(parts, parents, kept, strict=True)
    ]
    notes: dict[str, int] = {"tokens": len(alphabet.tokens), "compounds with salts or solvents": 0}
    for name, part, of_part, which in zip(("training compounds", "test rows"), parts, strings, kept, strict=True):
        notes["compounds with salts or solvents"] += sum("." in smiles for smiles in part.smiles)
        notes[name] = len(which)
        notes[f"{name}, kept"] = int(which.sum())
        notes[f"{name}, longer than {LONGEST} tokens"] = sum(len(string or ()) > LONGEST for string in of_part)
    notes["molecules to train with"] = len(set(picked[0][1]))
    found = Molecules(alphabet, picked[0], picked[1], notes)
    notes["molecules of the test set alone"] = len(found.held_out())
    return found


@dataclass(frozen=True, eq=False)
class Trained:
    """An autoencoder with what came of its training."""

    network: Autoencoder
    losses: list[float]
    seconds: float


def trained(settings: Run, context: Context) -> Trained:
    """Return the autoencoder of these settings; what was trained before is in the cache."""
    molecules = read_molecules(context.folder("tox21"), settings["limit"])
    smiles = list(dict.fromkeys(molecules.train[1]))
    first = [molecules.train[1].index(each) for each in smiles]
    of_each = molecules.train[0].picked(np.array(first))
    properties, _ = features(settings["properties"], context, of_each, molecules.test[0])
    torch.manual_seed(settings["seed"])
    network = Autoencoder(Sizes(molecules.alphabet.size, properties.shape[1], settings["latent"]))
    kept = context.cache / f"autoencoder_{run_key(settings)}.pt"
    if not kept.is_file():
        begin = time.perf_counter()
        codes = [_spelled(molecules.alphabet, each, number) for number, each in enumerate(smiles)]
        training = Training(settings["epochs"], settings["noise"], weight=settings["weight"])
        losses = train_autoencoder(network, codes, properties, training, settings["seed"])
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{id(network)}.pt")
        seconds = time.perf_counter() - begin
        torch.save({"network": network.state_dict(), "losses": losses, "seconds": seconds}, unfinished)
        unfinished.replace(kept)
    content: Any = torch.load(kept, weights_only=True)
    network.load_state_dict(content["network"])
    return Trained(network.eval(), content["losses"], content["seconds"])


def _spelled(alphabet: Alphabet, smiles: str, seed: int) -> NDArray[np.int64]:
    strings = [tokens_of(smiles) or (), *spellings(smiles, _SPELLINGS, seed)]
    return alphabet.codes([string for string in strings if alphabet.spells(string)])


@torch.no_grad()
def encoded(network: Autoencoder, codes: NDArray[np.int64]) -> Matrix:
    """Return the latent vectors of codes."""
    found: Matrix = network.encode(torch.from_numpy(codes)).numpy()
    return found


def decoded(network: Autoencoder, alphabet: Alphabet, latent: Matrix) -> list[str]:
    """Return the SMILES that latent vectors stand for; empty if one stands for no atom."""
    return alphabet.smiles(network.decode(torch.from_numpy(latent)).numpy())
