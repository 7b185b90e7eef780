"""The Tox21 challenge: compounds, their splits, and the labels of twelve assays."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.failure import ExperimentError

FILE = "tox21_challenge_merged.csv.gz"
ASSAYS = (
    "NR-AhR", "NR-AR", "NR-AR-LBD", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma", "SR-ARE", "SR-ATAD5",
    "SR-HSE", "SR-MMP", "SR-p53",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compounds:
    """One row for each compound, after the repairs that ``notes`` tells of.

    Attributes:
        smiles: structures.
        rows: for each compound, its first row in the file (from 0).
        labels: float32 ``[compounds, 12]``, NaN where unknown.
        folds: the challenge's fold of cross-validation, 1 to 5; 0 where it has none.
    """

    smiles: tuple[str, ...]
    rows: NDArray[np.int64]
    labels: NDArray[np.float32]
    folds: NDArray[np.int64]

    def picked(self, which: NDArray[Any]) -> Compounds:
        """Return some of them, by index or mask."""
        indices = np.arange(len(self.smiles))[which]
        smiles = tuple(self.smiles[index] for index in indices)
        return Compounds(smiles, self.rows[indices], self.labels[indices], self.folds[indices])

    def first(self, count: int | None) -> Compounds:
        """Return the first compounds that have a fold, so many; all of them for ``None``."""
        return self if count is None else self.picked(np.flatnonzero(self.folds > 0)[:count])


@dataclass(frozen=True, eq=False)
class Tox21:
    """The challenge's training and validation compounds together, as in the paper's final runs, and its test set.

    Attributes:
        train: compounds to train with.
        test: compounds of the test set.
        notes: how many rows were merged and left out, and why.
    """

    train: Compounds
    test: Compounds
    notes: Mapping[str, int]


@lru_cache(maxsize=1)
def read_tox21(folder: Path) -> Tox21:
    """Read the challenge's table, and repair it.

    * Rows whose SMILES RDKit cannot parse are left out.
    * A compound (an InChIKey) that stands in the test set is left out of training.
    * The rows of one compound in training become one: for an assay the label of the majority, unknown if there is
      none. The test set keeps its rows as they are.

    Raises:
        ExperimentError: if the file is missing or has other columns.
    """
    rows = _rows(folder)
    parsed = [index for index, row in enumerate(rows) if _parses(row["smiles"])]
    in_test = [index for index in parsed if rows[index]["set"] == "test"]
    for_training = [index for index in parsed if rows[index]["set"] != "test"]
    tested = {rows[index]["inchikey"] for index in in_test}
    kept = [index for index in for_training if rows[index]["inchikey"] not in tested]
    compounds: dict[str, list[int]] = {}
    for index in kept:
        compounds.setdefault(rows[index]["inchikey"], []).append(index)
    labels, ties = _merged(rows, list(compounds.values()))
    first = [indices[0] for indices in compounds.values()]
    folds = [max(int(rows[index]["cvfold"] or 0) for index in indices) for indices in compounds.values()]
    shared = {rows[index]["inchikey"] for index in for_training} & tested
    return Tox21(
        Compounds(_smiles(rows, first), np.array(first), labels, np.array(folds)),
        Compounds(
            _smiles(rows, in_test),
            np.array(in_test),
            _merged(rows, [[index] for index in in_test])[0],
            np.zeros(len(in_test), np.int64),
        ),
        {
            "rows": len(rows),
            "rows that do not parse": len(rows) - len(parsed),
            "compounds in training and test, left out of training": len(shared),
            "their rows": len(for_training) - len(kept),
            "rows merged into others of their compound": len(kept) - len(compounds),
            "labels without a majority, taken as unknown": ties,
            "training compounds": len(compounds),
            "test rows": len(in_test),
        },
    )


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / FILE
    if not path.is_file():
        raise ExperimentError(
            f"{folder} has no {FILE}: a csv of the Tox21 challenge (NCATS, NIH) with the columns id, set "
            "(training/validation/test), cvfold, inchikey, smiles and the twelve assays, empty where unknown"
        )
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {"set", "cvfold", "inchikey", "smiles", *ASSAYS}
    if not rows or not wanted <= rows[0].keys():
        raise ExperimentError(f"{path} lacks the columns {sorted(wanted - (rows[0].keys() if rows else set()))}")
    return rows


def _parses(smiles: str) -> bool:
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():  # three lines of errors for each that does not
        return Chem.MolFromSmiles(smiles) is not None


def _smiles(rows: Sequence[dict[str, str]], indices: Sequence[int]) -> tuple[str, ...]:
    return tuple(rows[index]["smiles"] for index in indices)


def _merged(rows: Sequence[dict[str, str]], groups: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], int]:
    """Labels by majority of each group of rows, and how many had none although there were labels."""
    labels = np.full((len(groups), len(ASSAYS)), np.nan, np.float32)
    ties = 0
    for place, indices in enumerate(groups):
        for column, assay in enumerate(ASSAYS):
            known = [int(rows[index][assay]) for index in indices if rows[index][assay] != ""]
            if known and 2 * sum(known) == len(known):
                ties += 1
            elif known:
                labels[place, column] = 2 * sum(known) > len(known)
    return labels, ties
