"""Figure 4 with a decoder: molecules along level sets of a toxicity in the latent space of an autoencoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from convex_init.torch import level_set_path
from experiments.data.tox21 import ASSAYS
from experiments.descriptors import features
from experiments.experiment import Context, Experiment, Results, Run, run_key
from experiments.latent import Molecules, decoded, encoded, read_molecules, trained
from experiments.latent_pages import report
from experiments.molecules import drug_likeness, tanimoto
from experiments.tox21 import DESCRIPTORS, SETTINGS, WithDropout, areas, mean_area, network_of, train
from experiments.training import outputs_of

TOLERANCE = 1e-4  # of the logit, as in Figure 4
_SCALES: dict[str, dict[str, Any]] = {
    "smoke": {"limit": 300, "training": 1, "epochs": 1, "seeds": 1, "pairs": 2, "steps": 5, "assays": ("NR-AR",)},
    "cpu": {"limit": None, "training": 24, "epochs": 300, "seeds": 3, "pairs": 20, "steps": 100},
    "paper": {"limit": None, "training": 300, "epochs": 300, "seeds": 10, "pairs": 50, "steps": 100},
}


def runs(preset: str, _: Mapping[str, str]) -> Iterator[Run]:
    """Declare the runs: what the autoencoder keeps, the paths, and areas beside those on descriptors."""
    scale = _SCALES[preset]
    kind = "morgan" if preset == "smoke" else DESCRIPTORS
    autoencoder = {"limit": scale["limit"], "epochs": scale["training"], "latent": 128, "noise": 0.5}
    autoencoder |= {"properties": kind, "weight": 0.1, "seed": 0}
    network = {"method": "ICNN + init", **SETTINGS, "epochs": scale["epochs"], "seed": 0}
    yield {"what": "reconstruction", "autoencoder": autoencoder, "seed": 0}
    for assay in scale.get("assays", ("NR-AR", "NR-ER-LBD")):
        sizes = {"pairs": scale["pairs"], "steps": scale["steps"]}
        yield {"what": "paths", "assay": assay, **sizes, "network": network, "autoencoder": autoencoder, "seed": 0}
    for seed in range(scale["seeds"]):
        for inputs in ("latent", kind):
            settings = {**network, "seed": seed}
            yield {"what": "areas", "inputs": inputs, "network": settings, "autoencoder": autoencoder, "seed": seed}


def execute(run: Run, context: Context) -> Results:
    """Do one of the three."""
    molecules = read_molecules(context.folder("tox21"), run["autoencoder"]["limit"])
    do = {"reconstruction": _reconstruction, "paths": _paths, "areas": _areas}[run["what"]]
    return do(run, molecules, context)


def _reconstruction(run: Run, molecules: Molecules, context: Context) -> Results:
    """What of molecules is kept: of those that the autoencoder was trained with, and of those it never saw."""
    autoencoder = trained(run["autoencoder"], context)
    found: Results = {"notes": dict(molecules.notes), "losses": autoencoder.losses, "seconds": autoencoder.seconds}
    seen = list(dict.fromkeys(molecules.train[1]))
    parts = {"held out": molecules.held_out(), "trained with": seen[:: max(1, len(seen) // 500)]}
    for name, smiles in parts.items():
        codes = molecules.codes(smiles)
        latent = encoded(autoencoder.network, codes)
        written = autoencoder.network.decode(torch.from_numpy(latent)).numpy()
        back = molecules.alphabet.smiles(written)
        places = np.arange(codes.shape[1]) <= (codes > 0).sum(axis=1, keepdims=True)  # the tokens and the end
        similarities = [tanimoto(one, other) if other else 0.0 for one, other in zip(smiles, back, strict=True)]
        found[name] = {
            "molecules": len(smiles),
            "exact": float(np.mean([one == other for one, other in zip(smiles, back, strict=True)])),
            "tokens": float((written == codes)[places].mean()),
            "similarity": float(np.mean(similarities)),
            "similarity, median": float(np.median(similarities)),
            "without atoms": sum(not other for other in back),
        }
    return found


def _areas(run: Run, molecules: Molecules, context: Context) -> Results:
    """Table 1's network on latent vectors or on descriptors, with the same compounds."""
    if run["inputs"] == "latent":
        network = trained(run["autoencoder"], context).network
        inputs, tested = (encoded(network, molecules.codes(part[1])) for part in (molecules.train, molecules.test))
    else:
        inputs, tested = features(run["inputs"], context, molecules.train[0], molecules.test[0])
    classifier = _classifier(run["network"], run["autoencoder"], run["inputs"], inputs, molecules, context)
    found = areas(classifier, tested, molecules.test[0].labels)
    return {"mean": mean_area(found), "areas": dict(zip(ASSAYS, found, strict=True)), "inputs": inputs.shape[1]}


def _classifier(
    settings: Run, autoencoder: Run, inputs: str, vectors: Any, molecules: Molecules, context: Context
) -> WithDropout:
    """The network of these settings: of all assays one, so it is kept."""
    everything = {"inputs": inputs, "network": settings, "autoencoder": autoencoder}
    kept = context.cache / f"figure4_latent_{run_key(everything)}.pt"
    if not kept.is_file():
        network, _ = train(settings, vectors, molecules.train[0].labels, context)
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), kept)
    network = network_of(settings, vectors.shape[1], len(ASSAYS))
    network.load_state_dict(torch.load(kept, weights_only=True))
    return network.to(context.device).eval()


def _paths(run: Run, molecules: Molecules, context: Context) -> Results:
    """Walk from compounds of low toxicity towards others, and decode every step."""
    autoencoder = trained(run["autoencoder"], context).network
    latent, tested = (encoded(autoencoder, molecules.codes(part[1])) for part in (molecules.train, molecules.test))
    classifier = _classifier(run["network"], run["autoencoder"], "latent", latent, molecules, context)
    column = ASSAYS.index(run["assay"])
    logits = outputs_of(classifier, torch.from_numpy(tested).to(context.device))[:, column].cpu().numpy()
    on_floor = logits <= logits.min() + TOLERANCE
    back = decoded(autoencoder, molecules.alphabet, tested)
    kept = np.array([one == other for one, other in zip(molecules.test[1], back, strict=True)])
    harmless = (molecules.test[0].labels[:, column] == 0) & ~on_floor
    low = harmless & (logits <= np.median(logits[harmless]))
    generator = np.random.default_rng([run["seed"], column])
    starts = _drawn(low, kept, run["pairs"], generator)
    targets = _drawn(~np.isin(np.arange(len(tested)), starts), kept, run["pairs"], generator)
    path = level_set_path(
        classifier,
        torch.from_numpy(tested[starts]).to(context.device),
        torch.from_numpy(tested[targets]).to(context.device),
        output=column,
        steps=run["steps"],
        tolerance=TOLERANCE,
    )
    known = {*molecules.train[1], *molecules.test[1]}
    found = []
    for pair, (start, target) in enumerate(zip(starts, targets, strict=True)):
        points, values = path.points[:, pair].cpu().numpy(), path.values[:, pair].double().cpu()
        written = decoded(autoencoder, molecules.alphabet, points)
        codable = [smiles for smiles in dict.fromkeys(written) if molecules.spelled(smiles)]
        again = torch.sigmoid(
            outputs_of(classifier, torch.from_numpy(encoded(autoencoder, molecules.codes(codable))).to(context.device))
        )[:, column].tolist()
        toxicities = torch.sigmoid(values)
        found.append(
            {
                "start": molecules.test[1][start],
                "target": molecules.test[1][target],
                "toxicity": float(toxicities[0]),
                "toxicity of the target": float(1.0 / (1.0 + np.exp(-float(logits[target])))),
                "QED of the target": drug_likeness(molecules.test[1][target]),
                "toxicities": toxicities.tolist(),
                "deviation": float((values - values[0]).abs().max()),
                "to the target": np.linalg.norm(points - tested[target], axis=1).tolist(),
                "molecules": written,
                "qed": {smiles: drug_likeness(smiles) for smiles in dict.fromkeys(written) if smiles},
                "encoded again": dict(zip(codable, again, strict=True)),
                "in the data": [smiles for smiles in dict.fromkeys(written) if smiles in known],
            }
        )
    shares = {"on floor": float(on_floor.mean()), "reconstructed": float(kept.mean())}
    return {"deviation": path.deviation, **shares, "paths": found}


def _drawn(allowed: Any, preferred: Any, count: int, generator: np.random.Generator) -> Any:
    """Draw compounds that the autoencoder gives back as they were; any that are allowed if these are too few."""
    of_both = np.flatnonzero(allowed & preferred)
    return generator.choice(of_both if len(of_both) >= count else np.flatnonzero(allowed), count, replace=False)


EXPERIMENT = Experiment(
    "figure4_latent",
    "Figure 4 with a decoder: level sets of a toxicity in the latent space of an autoencoder",
    runs,
    execute,
    report,
)
