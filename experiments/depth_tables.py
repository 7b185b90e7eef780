"""The tables of the pages on depth, made from the result files: ``python -m experiments.depth_tables`` writes them.

A table stands on its page between ``<!-- depth table: NAME -->`` and ``<!-- /depth table -->``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import records
from experiments.depth import FOLDER, at_best_rate
from experiments.experiment import Record
from experiments.styles import middle, shown

PAGES = tuple(Path("docs") / name for name in ("depth.md", "depth_results.md", "depth_constraint.md"))

_Rows = Mapping[str, Mapping[str, Any]]

_HE: _Rows = {"non-convex, He": {"method": "non-convex, He"}}
_CARRIER: _Rows = {
    f"carrier, c = {c}{apart}": {"method": f"carrier, c = {c}{', bends apart' if apart else ''}"}
    for c, apart in (("0.03", ", τ = 1"), ("0.03", ""), ("0.1", ""), ("0.01", ""))
}
_RELU: _Rows = {"isometric, relu map, τ = 1": {"method": "isometric, relu map, bends apart"}}
_ISOMETRIC: _Rows = {"isometric": {"method": "isometric"}}
_BENDS: _Rows = {"isometric, τ = ½": {"method": "isometric, bends apart"}}
_ALONE: _Rows = {"isometric start, not projected: not convex": {"method": "isometric start, not projected"}}
_NOISE: _Rows = {"paper, bias noise ½": {"method": "paper, bias noise 1/2"}}


def _layers(*depths: int) -> _Rows:
    return {f"{depth} layers": {"depth": depth} for depth in depths}


@dataclass(frozen=True)
class Table:
    """Medians over seeds, each method at its best rate.

    Attributes:
        stores: result files; of two with the same settings the one with more seeds is shown.
        where: settings of all cells; ``None`` for one that is not set.
        rows: by label.
        columns: likewise.
        seeds: that a cell has where it does not say how many.
        accuracy: whether the test accuracy is shown.
        result: that is shown, by its name in the records.
    """

    stores: tuple[str, ...]
    rows: _Rows
    columns: _Rows
    where: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 5
    accuracy: bool = True
    result: str = "loss"

    def text(self) -> str:
        """Return it in Markdown."""
        seed = self.where.get("seed")
        found = [
            of
            for store in self.stores
            for of in at_best_rate(
                [each for each in records.read(FOLDER / "cpu" / f"{store}.jsonl") if seed in (None, each["seed"])]
            ).values()
        ]
        lines = [["", *self.columns], ["---", *["---:"] * len(self.columns)]]
        for label, row in self.rows.items():
            lines.append([label, *(self._cell(found, {**row, **column}) for column in self.columns.values())])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _cell(self, found: Sequence[list[Record]], conditions: Mapping[str, Any]) -> str:
        wanted = {"skip": None, "first_kernel": None, "head": None, "difference": None, **self.where, **conditions}
        fitting = [of for of in found if all(of[0]["settings"].get(name) == value for name, value in wanted.items())]
        if not fitting:
            return "–"
        of = max(fitting, key=len)
        text = shown(middle([record["results"][self.result] for record in of]))
        if self.accuracy:
            text += f" ({100.0 * middle([record['results']['accuracy'] for record in of]):.1f} %)"
        return text if len(of) == self.seeds else f"{text} *{len(of)}*"


_OF_CONVOLUTIONS: _Rows = {
    **_HE,
    **_ISOMETRIC,
    **_BENDS,
    **_NOISE,
    **_ALONE,
    "isometric, free skips": {"method": "isometric", "skip": True},
    "paper, free skips": {"method": "paper", "skip": True},
}
_CNN = {"channels": 24, "limit": 4000, "dataset": "mnist"}
TABLES = {
    "width 256": Table(
        ("depth_carrier",),
        {
            **_HE,
            **{name: row for name, row in _CARRIER.items() if "c = 0.03" in name},
            **_RELU,
            "the same, gradients centred": {"method": "isometric, relu map, bends apart, centred gradients"},
            "the same, last layer free": {"method": "isometric, relu map, bends apart, free last layer"},
        },
        _layers(3, 5, 7, 10, 20),
        {"width": 256},
    ),
    "width 784": Table(
        ("depth_mnist",),
        {**_HE, "carrier, c = 0.03, τ = 1": _CARRIER["carrier, c = 0.03, τ = 1"], **_RELU, **_ISOMETRIC},
        _layers(3, 5, 7, 10, 20, 50, 100),
        {"width": 784},
    ),
    "convolutions": Table(
        ("depth_carrier_cnn", "depth_cnn"),
        {
            **_HE,
            "carrier, c = 0.1, τ = ½": {"method": "carrier, c = 0.1, bends half apart"},
            "carrier, c = 0.1": {"method": "carrier, c = 0.1"},
            "carrier, c = 0.1, τ = 1": {"method": "carrier, c = 0.1, bends apart"},
            **_BENDS,
            **_ISOMETRIC,
        },
        _layers(5, 10, 20),
        _CNN,
    ),
    "cifar beside a carrier": Table(
        ("depth_cifar",),
        {**_HE, **{name: row for name, row in _CARRIER.items() if "c = 0.03" in name}, **_RELU},
        {
            f"{name}, {depth}": {"dataset": dataset, "depth": depth}
            for name, dataset in (("CIFAR-10", "cifar10"), ("CIFAR-100", "cifar100"))
            for depth in (5, 7, 20)
        },
        {"width": 1024},
    ),
    "picked": Table(
        ("depth_carrier",),
        {
            **_HE,
            "the same, outputs × 3": {"method": "non-convex, He, outputs times 3"},
            "carrier, c = 0.03, τ = 1": _CARRIER["carrier, c = 0.03, τ = 1"],
            "that, outputs × 3": {"method": "carrier, c = 0.03, bends apart, outputs times 3"},
            "carrier, c = 0.03, τ = ½": {"method": "carrier, c = 0.03, bends half apart"},
            "carrier, c = 0.03, τ = 0": _CARRIER["carrier, c = 0.03"],
            "carrier, c = 0.1, τ = 1": {"method": "carrier, c = 0.1, bends apart"},
            "relu map, τ = 0": {"method": "isometric, relu map"},
            "relu map, τ = ½": {"method": "isometric, relu map, bends half apart"},
            "relu map, τ = 1": _RELU["isometric, relu map, τ = 1"],
            "relu map, τ = 2": {"method": "isometric, relu map, bends twice apart"},
        },
        _layers(5, 10),
        {"width": 256, "seed": 0},
        seeds=1,
    ),
    "convolutions of mnist": Table(
        ("depth_cnn",),
        _OF_CONVOLUTIONS,
        _layers(5, 10, 20),
        _CNN,
    ),
    "convolutions of cifar": Table(
        ("depth_carrier_cnn", "depth_cnn"),
        {
            **_HE,
            "carrier, c = 0.1": {"method": "carrier, c = 0.1"},
            "carrier, c = 0.1, τ = ½": {"method": "carrier, c = 0.1, bends half apart"},
            **_OF_CONVOLUTIONS,
        },
        _layers(5, 10, 20),
        {**_CNN, "dataset": "cifar10"},
    ),
    "cifar": Table(
        ("depth_cifar",),
        {
            f"{name}, {depth} layers": {"dataset": dataset, "depth": depth}
            for name, dataset in (("CIFAR-10", "cifar10"), ("CIFAR-100", "cifar100"))
            for depth in (5, 7, 20)
        },
        {
            "He": {"method": "non-convex, He"},
            "carrier, τ = 1": _CARRIER["carrier, c = 0.03, τ = 1"],
            "isometric": {"method": "isometric"},
            "relu map": {"method": "isometric, relu map"},
            "relu map, τ = 1": {"method": "isometric, relu map, bends apart"},
            "paper": {"method": "paper"},
        },
        {"width": 1024},
    ),
    "constraint": Table(
        ("depth_mnist", "depth_cnn"),
        {**_HE, **_ISOMETRIC, **_ALONE, "hidden layers frozen": {"method": "isometric, hidden layers frozen"}},
        {
            "5 × 256": {"width": 256, "depth": 5},
            "convolutions, 5 layers": {"channels": 24, "depth": 5},
            "10 layers": {"channels": 24, "depth": 10},
        },
        {"dataset": "mnist"},
        accuracy=False,
    ),
    "activations": Table(
        ("depth_maps",),
        {
            "ReLU": {"activation": "relu"},
            "leaky ReLU(0.2)": {"activation": "leaky_relu(0.2)"},
            "ELU": {"activation": "elu"},
            "softplus": {"activation": "softplus"},
            "softplus, `variance=16`": {"activation": "softplus", "variance": 16.0},
        },
        {"isometric": {"method": "isometric"}, "non-convex, He": {"method": "non-convex, He"}},
        {"positivity": None},
        accuracy=False,
    ),
    "uci": Table(
        ("depth_uci",),
        {
            f"{name}, {depth} layers": {"dataset": dataset, "depth": depth}
            for name, dataset in (
                ("airfoil (centred)", "airfoil_centred"),
                ("concrete", "concrete"),
                ("energy", "energy"),
                ("power plant", "power-plant"),
                ("yacht", "yacht"),
            )
            for depth in (3, 10)
        },
        {
            "non-convex": {"method": "non-convex, He"},
            "ICNN, He's weights": {"method": "ICNN, He"},
            "paper": {"method": "paper"},
            "isometric": {"method": "isometric"},
            "relu map, τ = 1": {"method": "isometric, relu map, bends apart"},
        },
        accuracy=False,
        result="test_rmse",
    ),
}
"""Every table by its name."""


def digits() -> str:
    """Return what the common part of trained networks costs in digits, by depth."""
    rows = [["network", "R", "logits", "common part", "float32", "float64"], ["---", *["---:"] * 5]]
    dense = "carrier, c = 0.03, bends apart"
    dense_sets, convolutions = ("mnist", "cifar10", "cifar100"), "{dataset}, {depth} convolutions, c = 0.1"
    for store, kind, method, datasets in (
        ("depth_carrier", "{width} × {depth}", dense, dense_sets),
        ("depth_mnist", "{width} × {depth}", dense, dense_sets),
        ("depth_cifar", "{dataset}, {width} × {depth}", dense, dense_sets),
        ("depth_carrier_cnn", f"{convolutions}, τ = ½", "carrier, c = 0.1, bends half apart", ("mnist",)),
        ("depth_carrier_cnn", convolutions, "carrier, c = 0.1", ("cifar10",)),
    ):
        best = at_best_rate(records.read(FOLDER / "cpu" / f"{store}.jsonl")).values()
        settings = ((of[0]["settings"], of) for of in best)
        of_method = [of for own, of in settings if own["method"] == method and own["dataset"] in datasets]
        for of in sorted(of_method, key=lambda of: int(of[0]["settings"]["depth"])):
            names = ("carrier_row_sum", "logits", "common_part", "error_float32", "error_float64")
            numbers = [middle([record["results"][name] for record in of]) for name in names]
            rows.append([kind.format(**of[0]["settings"]), *(f"{number:.2g}" for number in numbers)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_BETWEEN = re.compile(r"(<!-- depth table: (.*?) -->\n).*?(<!-- /depth table -->)", re.DOTALL)


def written(page: str) -> str:
    """Return a page with its tables made anew."""

    def table(match: re.Match[str]) -> str:
        text = digits() if match[2] == "digits" else TABLES[match[2]].text()
        return f"{match[1]}{text}\n{match[3]}"

    return _BETWEEN.sub(table, page)


def names_on(page: str) -> list[str]:
    """Return the names of the tables on a page."""
    return [match[1] for match in _BETWEEN.findall(page)]


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
