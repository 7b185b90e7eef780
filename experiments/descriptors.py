"""Numbers that describe molecules: RDKit's, or the paper's CDDD where a user has them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data.tox21 import Compounds, read_tox21
from experiments.experiment import Context
from experiments.failure import ExperimentError

KINDS = ("physical", "morgan", "both", "cddd")
SIZE = 512  # as many as CDDD has
_BITS = 2048
# Too slow (Ipc by far), without values for many salts (BCUT2D, partial charges), or what Figure 4 is to show (qed).
_LEFT_OUT = ("AvgIpc", "Ipc", "BertzCT", "SPS", "qed", "BCUT2D", "PartialCharge")

Matrix = NDArray[np.float32]


def features(kind: str, context: Context, train: Compounds, test: Compounds) -> tuple[Matrix, Matrix]:
    """Return the descriptors of training and test compounds, ``[compounds, descriptors]``.

    Every choice and scale is made on ``train``: each column has mean 0 and variance 1 there, values beyond ±5 are
    clipped. Counts and sizes go through sign(x) log(1 + |x|) first.

    Args:
        kind: ``"physical"``: RDKit's 2-D descriptors; ``"morgan"``: the 512 bits of a Morgan fingerprint (radius 2,
            2,048 bits, counts) that most training compounds have; ``"both"``: the first, filled up to 512 with the
            second; ``"cddd"``: the array that ``--cddd`` names, with a row for each row of the csv.
        context: for data, cache and options.
        train: compounds to choose and scale with.
        test: others.

    Raises:
        ExperimentError: if the CDDD file is missing or has another shape.
    """
    if kind == "cddd":
        table = _cddd(context)
        return _scaled(table[train.rows], table[test.rows])
    rows = np.concatenate([train.rows, test.rows])
    smiles = (*train.smiles, *test.smiles)
    columns = []
    size = SIZE
    if kind in ("physical", "both"):
        columns.append(_varied(_computed("physical", rows, smiles, context), len(train.rows)))
        size -= columns[0].shape[1]
    if kind in ("morgan", "both"):
        counts = _computed("morgan", rows, smiles, context)
        frequent = np.argsort(-(counts[: len(train.rows)] > 0).sum(axis=0), kind="stable")[:size]
        columns.append(_varied(counts[:, np.sort(frequent)], len(train.rows)))
    table = np.concatenate(columns, axis=1)
    table = np.sign(table) * np.log1p(np.abs(table))
    return _scaled(table[: len(train.rows)], table[len(train.rows) :])


def _cddd(context: Context) -> NDArray[Any]:
    if "cddd" not in context.options:
        raise ExperimentError("these runs use CDDD descriptors: pass --cddd FILE.npy")
    path = Path(context.options["cddd"])
    if not path.is_file():
        raise ExperimentError(f"--cddd {path} is no file")
    table: NDArray[Any] = np.load(path)
    rows = read_tox21(context.folder("tox21")).notes["rows"]
    if table.ndim != 2 or len(table) != rows:
        raise ExperimentError(
            f"--cddd {path} has shape {table.shape}; [{rows}, 512] was expected, a row for each of the csv"
        )
    return table


def _varied(table: Matrix, training: int) -> Matrix:
    return table[:, table[:training].std(axis=0) > 0]


def _scaled(train: NDArray[Any], test: NDArray[Any]) -> tuple[Matrix, Matrix]:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    scaled = (np.clip(scaler.transform(part), -5.0, 5.0).astype(np.float32) for part in (train, test))
    return next(scaled), next(scaled)


def _computed(kind: str, rows: NDArray[np.int64], smiles: Sequence[str], context: Context) -> Matrix:
    """Raw descriptors by row of the csv; what was computed before is in the cache."""
    path = context.cache / f"tox21_{kind}.npz"
    known = dict(_cached(path, path.stat().st_mtime_ns)) if path.is_file() else {}
    missing = [place for place, row in enumerate(rows) if int(row) not in known]
    if missing:
        compute = _physical if kind == "physical" else _morgan
        for place in missing:
            known[int(rows[place])] = compute(smiles[place])
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{id(known)}.npz")
        np.savez_compressed(unfinished, rows=np.array(list(known)), values=np.stack(list(known.values())))
        unfinished.replace(path)
    return np.stack([known[int(row)] for row in rows])


@lru_cache(maxsize=2)
def _cached(path: Path, _: int) -> dict[int, Matrix]:
    with np.load(path) as content:
        return dict(zip(content["rows"].tolist(), content["values"], strict=True))


def _physical(smiles: str) -> Matrix:
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    molecule = Chem.MolFromSmiles(smiles)
    values = [
        function(molecule) for name, function in Descriptors.descList if not any(part in name for part in _LEFT_OUT)
    ]
    return np.nan_to_num(np.array(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _morgan(smiles: str) -> Matrix:
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=_BITS)
    return np.asarray(generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(smiles)), np.float32)
