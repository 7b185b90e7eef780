"""The page of Figure 4 with a decoder, from its records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.data.tox21 import ASSAYS
from experiments.experiment import Record
from experiments.molecules import picture
from experiments.page import Page
from experiments.paper import FIGURE_4
from experiments.styles import grouped, middle

_DRAWN = 6  # molecules of a path, beside the target


def report(records: Sequence[Record], page: Page) -> None:
    """Draw a path of each assay, and tabulate what the autoencoder keeps, the paths, and the areas."""
    of = {what: found for (what,), found in grouped(records, "what").items()}
    page.text(FIGURE_4)
    if "paths" in of:
        page.figure(
            "figure4_latent",
            _drawn(of["paths"]),
            "From a compound of low toxicity (left) towards another one (right) on the level set of the predicted "
            "toxicity. Drawn are the molecules that the decoder writes for points of the path; of the paths of an "
            "assay the one with most molecules among those whose QED moves.",
        )
    for record in of.get("reconstruction", ()):
        _reconstruction(record, page)
    if "areas" in of:
        _areas(of["areas"], page)
    for record in of.get("paths", ()):
        _paths(record, page)


def _reconstruction(record: Record, page: Page) -> None:
    results, settings = record["results"], record["settings"]["autoencoder"]
    page.text(
        f"## What the autoencoder keeps\n\n{settings['latent']} numbers for a molecule, {settings['epochs']} epochs "
        f"({results['seconds'] / 60:.0f} minutes), noise of {settings['noise']:g} on latent numbers of variance 1. "
        "A compound is its largest fragment, made neutral where it can be, without stereochemistry: "
        + "; ".join(f"{name}: {count}" for name, count in results["notes"].items())
        + "."
    )
    rows = []
    for name in ("held out", "trained with"):
        part = results[name]
        rows.append(
            [name, part["molecules"], f"{100 * part['exact']:.1f} %", f"{100 * part['tokens']:.1f} %",
             f"{part['similarity']:.3f}", f"{part['similarity, median']:.3f}", part["without atoms"]]
        )  # fmt: skip
    page.table(
        ("molecules", "number", "the same molecule", "tokens", "Tanimoto, mean", "median", "without atoms"),
        rows,
        "Encoded and decoded again, the most probable token at each place. Tokens: share of the places at which the "
        "string has the token that it should. Tanimoto: similarity of Morgan fingerprints, radius 2.",
    )


def _areas(records: Sequence[Record], page: Page) -> None:
    by_inputs = {inputs: found for (inputs,), found in grouped(records, "inputs").items()}
    heads = [f"{inputs} ({found[0]['results']['inputs']}), seeds: {len(found)}" for inputs, found in by_inputs.items()]
    rows = []
    for assay in ASSAYS:
        of_each = [[record["results"]["areas"][assay] for record in found] for found in by_inputs.values()]
        rows.append([assay, *(_spread([100 * area for area in areas if area is not None]) for areas in of_each)])
    rows.append(
        ["mean of the assays"]
        + [_spread([100 * record["results"]["mean"] for record in found]) for found in by_inputs.values()]
    )
    page.text("## What the network sees of the toxicity")
    page.table(
        ("assay", *heads),
        rows,
        "ICNN + init with Table 1's settings, on latent vectors and on descriptors of the same compounds: area under "
        "the ROC curve on the test rows that are kept (%), median and range over the seeds.",
    )


def _spread(values: Sequence[float]) -> str:
    return f"{middle(values):.1f} ({min(values):.1f}–{max(values):.1f})" if values else "–"


def _paths(record: Record, page: Page) -> None:
    results, settings = record["results"], record["settings"]
    rows = []
    for number, path in enumerate(results["paths"], 1):
        written, qed, again = _met(path), path["qed"], path["encoded again"]
        back = list(again.values())
        rows.append(
            [
                f"{number}",
                f"{path['toxicity']:.4f}",
                f"{path['toxicity of the target']:.4f}",
                f"{path['deviation']:.1e}",
                len(written),
                len(written) - len(path["in the data"]),
                f"{min(qed.values()):.2f}–{max(qed.values()):.2f}" if qed else "–",
                f"{min(back):.4f}–{max(back):.4f}" if back else "–",
                f"{path['to the target'][0]:.1f} → {path['to the target'][-1]:.1f}",
            ]
        )
    counts = [len(_met(path)) for path in results["paths"]]
    steps = [smiles for path in results["paths"] for smiles in path["molecules"]]
    page.text(
        f"## {settings['assay']}\n\nOn the floor of the output, where a level set is a whole region, lie "
        f"{100 * results['on floor']:.0f} % of the test rows. Starts are compounds without the toxic effect, at random "
        "from the lower half of those above the floor, targets any others; both from those that the autoencoder gives "
        f"back as they were ({100 * results['reconstructed']:.0f} % of the test rows). Molecules on a path: "
        f"{min(counts)} to {max(counts)}, median {middle(counts):g}. Of {len(steps)} steps {steps.count('')} were "
        "decoded to nothing."
    )
    page.table(
        (
            "pair",
            "toxicity at the start",
            "of the target",
            "largest change of the logit",
            "molecules",
            "not in the data",
            "their QED",
            "toxicity, encoded again",
            "distance to the target",
        ),
        rows,
        "Toxicity, encoded again: of the decoded molecules once more through the encoder, which need not come back to "
        "the point that they were decoded from.",
    )


def _met(path: Mapping[str, Any]) -> list[str]:
    """The distinct molecules of a path, in their order."""
    return [smiles for smiles in dict.fromkeys(path["molecules"]) if smiles]


def _chosen(paths: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The path with most molecules, of the half whose QED moves most."""
    moved = [max(path["qed"].values(), default=0.0) - min(path["qed"].values(), default=0.0) for path in paths]
    half = float(np.median(moved))
    return max((path for path, far in zip(paths, moved, strict=True) if far >= half), key=lambda path: len(_met(path)))


def _drawn(records: Sequence[Record]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.6 * len(records)), layout="constrained")
    for part, record in zip(figure.subfigures(len(records), 1, squeeze=False)[:, 0], records, strict=True):
        path = _chosen(record["results"]["paths"])
        part.suptitle(f"{record['settings']['assay']}: toxicity {path['toxicity']:.3f} throughout", fontsize=10)
        grid = part.add_gridspec(2, _DRAWN + 1, height_ratios=(1.0, 1.1))
        _courses(part.add_subplot(grid[0, :]), path)
        pictures = [(path["molecules"][step], f"step {step}") for step in _evenly(path["molecules"])]
        pictures = [(smiles, f"{title}: QED {path['qed'][smiles]:.2f}") for smiles, title in pictures]
        pictures.append((path["target"], f"target: QED {path['QED of the target']:.2f}"))
        for place, (smiles, title) in enumerate(pictures):
            below = part.add_subplot(grid[1, place if place < len(pictures) - 1 else _DRAWN])
            below.imshow(picture(smiles), interpolation="lanczos")
            below.set_axis_off()
            below.set_title(title, fontsize=8)
    return figure


def _courses(axes: Any, path: Mapping[str, Any]) -> None:
    written = path["molecules"]
    steps = range(len(written))
    axes.step(steps, [path["qed"].get(smiles, np.nan) for smiles in written], where="mid", color="#0072B2",
              label="QED of the decoded molecule")  # fmt: skip
    axes.plot(steps, path["toxicities"], color="#D55E00", label="predicted toxicity")
    axes.step(steps, [path["encoded again"].get(smiles, np.nan) for smiles in written], where="mid", color="#E69F00",
              linestyle=(0, (3, 1)), label="of the decoded molecule, encoded again")  # fmt: skip
    axes.plot(len(steps) - 1, path["toxicity of the target"], "x", color="#D55E00", label="of the target itself")
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.set_xlabel("step", fontsize=9)
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=4)
    axes.spines[["top", "right"]].set_visible(False)


def _evenly(written: Sequence[str]) -> list[int]:
    """Steps where another molecule is decoded: the first, the last, and some evenly between."""
    changes = [step for step, smiles in enumerate(written) if smiles and (step == 0 or smiles != written[step - 1])]
    if len(changes) <= _DRAWN:
        return changes
    return [changes[round(place)] for place in np.linspace(0, len(changes) - 1, _DRAWN)]
