"""Molecules as sequences of SELFIES tokens, of which every one can be turned back into a valid molecule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 48
"""Tokens of the longest molecule that is kept; nine of ten Tox21 compounds are not longer."""
LEAST = 5
"""Training compounds that must have a token for it to be one of the alphabet's."""
END, BEGIN, FIRST = 0, 1, 2
"""Codes: of the end and of what is behind it, of the beginning, and of the alphabet's first token."""

Codes = NDArray[np.int64]


def parent(smiles: str) -> str:
    """Return the canonical SMILES of a compound's largest fragment, neutral where it can be, without stereochemistry.

    So a salt is known by its larger ion. What is left out here is what short strings can do without; the labels of
    the assays stay those of the compound.
    """
    from rdkit import Chem
    from rdkit.Chem.MolStandardize import rdMolStandardize
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        fragments = Chem.GetMolFrags(Chem.MolFromSmiles(smiles), asMols=True)
        largest = max(fragments, key=lambda fragment: fragment.GetNumHeavyAtoms())
        Chem.RemoveStereochemistry(largest)
        return str(Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(largest)))


def tokens_of(smiles: str) -> tuple[str, ...] | None:
    """Return the SELFIES tokens of a molecule; ``None`` if SELFIES has none for it."""
    import selfies

    try:
        return tuple(selfies.split_selfies(selfies.encoder(smiles)))
    except selfies.EncoderError:
        return None


def spellings(smiles: str, count: int, seed: int) -> list[tuple[str, ...]]:
    """Return up to ``count`` other spellings of a molecule that begin at other atoms; the same ones for one seed."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    drawn = Chem.MolToRandomSmilesVect(molecule, count, randomSeed=seed + 1) if count else []
    found = (tokens_of(spelling) for spelling in dict.fromkeys(drawn))
    return [tokens for tokens in found if tokens is not None]


@dataclass(frozen=True)
class Alphabet:
    """The tokens that are known, in the order of their codes from ``FIRST``."""

    tokens: tuple[str, ...]

    @classmethod
    def of(cls, strings: Iterable[Sequence[str] | None]) -> Alphabet:
        """Return the tokens that at least ``LEAST`` of the strings have."""
        counts = Counter(token for string in strings if string is not None for token in set(string))
        return cls(tuple(sorted(token for token, count in counts.items() if count >= LEAST)))

    @property
    def size(self) -> int:
        """Number of codes, those of end and beginning among them."""
        return len(self.tokens) + FIRST

    def spells(self, string: Sequence[str] | None) -> bool:
        """Whether a string is there, is not too long, and has known tokens only."""
        return string is not None and 0 < len(string) <= LONGEST and set(string) <= set(self.tokens)

    def codes(self, strings: Sequence[Sequence[str]]) -> Codes:
        """Return codes ``[strings, LONGEST + 1]``, so that each string has an end."""
        known = {token: code for code, token in enumerate(self.tokens, FIRST)}
        found = np.full((len(strings), LONGEST + 1), END, np.int64)
        for row, string in zip(found, strings, strict=True):
            row[: len(string)] = [known[token] for token in string]
        return found

    def smiles(self, codes: Codes) -> list[str]:
        """Return the canonical SMILES that each row of codes stands for; empty if it stands for no atom."""
        import selfies
        from rdkit import Chem

        decode: Any = selfies.decoder
        found = []
        for row in codes:
            end = np.flatnonzero(row == END)
            string = row[: end[0]] if len(end) else row
            molecule = Chem.MolFromSmiles(decode("".join(self.tokens[code - FIRST] for code in string)))
            found.append("" if molecule is None else str(Chem.MolToSmiles(molecule)))
        return found
