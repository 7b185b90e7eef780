"""Small regression sets from the UCI repository: a csv whose last column is the target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.failure import ExperimentError

SETS = ("airfoil_centred", "concrete", "energy", "power-plant", "yacht")


def read_uci(folder: Path, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inputs ``[rows, columns]`` and targets ``[rows]``, as they stand in ``NAME.csv.gz`` or ``NAME.csv``.

    Raises:
        ExperimentError: if the file is missing, or no table of numbers.
    """
    for path in (folder / f"{name}.csv.gz", folder / f"{name}.csv"):
        if path.is_file():
            try:
                table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
            except ValueError as error:
                raise ExperimentError(f"{path} is no table of numbers: {error}") from error
            return table[:, :-1], table[:, -1]
    raise ExperimentError(
        f"{folder} has no {name}.csv.gz: a table of numbers with one line of names and the target in its last column, "
        "from the UCI Machine Learning Repository"
    )
