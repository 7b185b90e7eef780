"""Figure 4: molecules along level sets of a toxicity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convex_init.torch import level_set_path
from experiments.data.tox21 import ASSAYS, read_tox21
from experiments.descriptors import features
from experiments.experiment import Context, Experiment, Record, Results, Run, run_key
from experiments.molecules import drug_likeness, picture
from experiments.page import Page
from experiments.paper import FIGURE_4
from experiments.tox21 import DESCRIPTORS, SETTINGS, WithDropout, network_of, train
from experiments.training import outputs_of

TOLERANCE = 1e-4  # of the logit; the probability then moves by a quarter of it at most
_DRAWN = 5  # compounds of a path, beside the target
_TARGETS_QED = "QED of the target"
_SCALES = {  # compounds, epochs, assays, pairs, steps
    "smoke": (300, 1, ("NR-AR",), 2, 5),
    "cpu": (None, 300, ("NR-AR", "NR-ER-LBD"), 20, 100),
    "paper": (None, 300, ("NR-AR", "NR-ER-LBD"), 50, 100),
}


def runs(preset: str, options: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: the paper's two assays, and some pairs of molecules for each."""
    limit, epochs, assays, pairs, steps = _SCALES[preset]
    descriptors = "cddd" if "cddd" in options else "morgan" if preset == "smoke" else DESCRIPTORS
    for assay in assays:
        yield {
            "assay": assay,
            "pairs": pairs,
            "steps": steps,
            "network": {
                "method": "ICNN + init",
                "descriptors": descriptors,
                **SETTINGS,
                "epochs": epochs,
                "limit": limit,
                "seed": 0,
            },
            "seed": 0,
        }


def execute(run: Run, context: Context) -> Results:
    """Walk from compounds of low toxicity towards others, and see which real compounds are near."""
    data = read_tox21(context.folder("tox21"))
    part = data.train.first(run["network"]["limit"])
    inputs, tested = features(run["network"]["descriptors"], context, part, data.test)
    network = _trained(run["network"], inputs, part.labels, context).eval()
    column = ASSAYS.index(run["assay"])
    generator = np.random.default_rng([run["seed"], column])
    logits_of_all = outputs_of(network, torch.from_numpy(tested).to(context.device))[:, column].cpu().numpy()
    on_floor = logits_of_all <= logits_of_all.min() + TOLERANCE
    harmless = np.flatnonzero((data.test.labels[:, column] == 0) & ~on_floor)
    # The less toxic half of those that the network does not put on its floor, where nothing has a direction.
    half = np.median(logits_of_all[harmless])
    starts = generator.choice(harmless[logits_of_all[harmless] <= half], run["pairs"], replace=False)
    targets = generator.choice(np.setdiff1d(np.arange(len(tested)), starts), run["pairs"], replace=False)
    path = level_set_path(
        network,
        torch.from_numpy(tested[starts]).to(context.device),
        torch.from_numpy(tested[targets]).to(context.device),
        output=column,
        steps=run["steps"],
        tolerance=TOLERANCE,
    )
    real = np.concatenate([inputs, tested])
    smiles = (*part.smiles, *data.test.smiles)
    found = []
    for pair, (start, target) in enumerate(zip(starts, targets, strict=True)):
        nearest, distances = _nearest(path.points[:, pair].cpu().numpy(), real)
        logits = path.values[:, pair].double().cpu()
        found.append(
            {
                "start": data.test.smiles[start],
                "target": data.test.smiles[target],
                "toxicity": float(torch.sigmoid(logits[0])),
                "toxicity of the target": _toxicity(network, tested[target], column),
                _TARGETS_QED: drug_likeness(data.test.smiles[target]),
                "toxicities": torch.sigmoid(logits).tolist(),
                "deviation": float((logits - logits[0]).abs().max()),
                "toxicity range": float(torch.sigmoid(logits).max() - torch.sigmoid(logits).min()),
                "nearest": [smiles[index] for index in nearest],
                "distances": distances.tolist(),
                "to the target": np.linalg.norm(path.points[:, pair].cpu().numpy() - tested[target], axis=1).tolist(),
                "qed": [drug_likeness(smiles[index]) for index in nearest],
            }
        )
    return {"deviation": path.deviation, "on_floor": float(on_floor.mean()), "paths": found}


def _trained(settings: Run, inputs: NDArray[Any], labels: NDArray[Any], context: Context) -> WithDropout:
    """The network of these settings: of all assays one, so it is kept."""
    kept = context.cache / f"tox21_network_{run_key(settings)}.pt"
    if kept.is_file():
        network = network_of(settings, inputs.shape[1], labels.shape[1])
        network.load_state_dict(torch.load(kept, weights_only=True))
        return network.to(context.device)
    network, _ = train(settings, inputs, labels, context)
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), kept)
    return network


@torch.no_grad()
def _toxicity(network: WithDropout, inputs: NDArray[Any], column: int) -> float:
    device = next(network.parameters()).device
    return float(torch.sigmoid(network(torch.from_numpy(inputs[None]).to(device))[0, column]))


def _nearest(points: NDArray[Any], real: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=1).fit(real).kneighbors(points)
    return indices[:, 0], distances[:, 0]


def report(records: Sequence[Record], page: Page) -> None:
    """Draw the first path of each assay that passes most compounds, and tabulate all."""
    page.text(FIGURE_4)
    rows = []
    for record in records:
        assay = record["settings"]["assay"]
        for number, path in enumerate(record["results"]["paths"], 1):
            qed = path["qed"]
            rows.append(
                [
                    f"{assay}, {number}",
                    f"{path['toxicity']:.4f}",
                    f"{path['toxicity of the target']:.4f}",
                    f"{path['deviation']:.1e}",
                    f"{path['toxicity range']:.1e}",
                    len(set(path["nearest"])),
                    f"{min(qed):.2f}–{max(qed):.2f}",
                    f"{path['to the target'][0]:.1f} → {path['to the target'][-1]:.1f}",
                ]
            )
    page.figure(
        "figure4",
        _drawn(records),
        "From a compound of low toxicity (left) towards another one (right) on the level set of the predicted "
        "toxicity. Drawn are real compounds: at each step the nearest one by the descriptors, since these have no "
        "decoder as CDDD has.",
    )
    page.text(
        "Behind ReLUs, a last layer of non-negative weights has a floor, its bias; of the test set there lie: "
        + ", ".join(f"{record['settings']['assay']} {100 * record['results']['on_floor']:.0f} %" for record in records)
        + ". There the level set is a whole region, and a path goes straight. The starts are compounds without the "
        "toxic effect, at random from the lower half of those above the floor; the targets are any compounds."
    )
    page.table(
        (
            "assay, pair",
            "toxicity at the start",
            "of the target",
            "largest change of the logit",
            "range of the toxicity",
            "compounds passed",
            "their QED",
            "distance to the target",
        ),
        rows,
    )


def _drawn(records: Sequence[Record]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.6 * len(records)), layout="constrained")
    for part, record in zip(figure.subfigures(len(records), 1, squeeze=False)[:, 0], records, strict=True):
        path = max(record["results"]["paths"], key=lambda path: len(set(path["nearest"])))
        part.suptitle(f"{record['settings']['assay']}: toxicity {path['toxicity']:.3f} throughout", fontsize=10)
        grid = part.add_gridspec(2, _DRAWN + 1, height_ratios=(1.0, 1.1))
        axes = part.add_subplot(grid[0, :])
        steps = range(len(path["qed"]))
        axes.step(steps, path["qed"], where="mid", color="#0072B2", label="QED of the nearest compound")
        axes.plot(steps, path["toxicities"], color="#D55E00", label="predicted toxicity")
        axes.plot(len(steps) - 1, path["toxicity of the target"], "x", color="#D55E00", label="of the target itself")
        axes.set_ylim(0.0, 1.0)
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.set_xlabel("step", fontsize=9)
        axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=3)
        axes.spines[["top", "right"]].set_visible(False)
        compounds = [
            (path["nearest"][step], f"step {step}: QED {path['qed'][step]:.2f}") for step in _evenly(path["nearest"])
        ]
        compounds.append((path["target"], f"target: QED {path[_TARGETS_QED]:.2f}"))
        for place, (smiles, title) in enumerate(compounds):
            below = part.add_subplot(grid[1, place if place < len(compounds) - 1 else _DRAWN])
            below.imshow(picture(smiles), interpolation="lanczos")
            below.set_axis_off()
            below.set_title(title, fontsize=8)
    return figure


def _evenly(nearest: Sequence[str]) -> list[int]:
    """Steps where another compound becomes the nearest one: the first, the last, and some evenly between."""
    changes = [step for step, smiles in enumerate(nearest) if step == 0 or smiles != nearest[step - 1]]
    if len(changes) <= _DRAWN:
        return changes
    return [changes[round(place)] for place in np.linspace(0, len(changes) - 1, _DRAWN)]


EXPERIMENT = Experiment(
    "figure4",
    "Figure 4: level sets of a toxicity, and the drug-likeness of compounds along them",
    runs,
    execute,
    report,
)
