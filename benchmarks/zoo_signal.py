"""The zoo's models with their own init and after ``apply_``, side by side: ``python -m benchmarks.zoo_signal``."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import torch

import convex_init.torch as ci
from benchmarks.measure import environment, write
from tests.torch.zoo import IMAGES, ZOO
from tests.torch.zoo.pre_activations import living_share, pre_activations, variance

LOW, HIGH = 0.5, 2.0


def judged(model: torch.nn.Module, inputs: Any, others: Any, entry: str) -> dict[str, Any]:
    """Variances of all pre-activations in order, the smallest share of living units, and the verdict."""
    found = pre_activations(model, inputs, others, entry)
    variances = [variance(s) for s in found if s[0].numel() > 1]
    alive = min(living_share(s) for s in found)
    finite = all(0.0 < value < float("inf") for value in variances)
    verdict = "explodes" if not finite or max(variances) > HIGH else "fades" if min(variances) < LOW else "holds"
    return {
        "verdict": verdict if alive > 0.5 else "dies",
        "variances": [float(f"{value:.3g}") for value in variances],
        "living_share": round(alive, 3),
    }


def measured(name: str, depth: int, seed: int) -> dict[str, Any]:
    """Both inits of one model. Weights that are clamped from outside are clamped after its own init, too."""
    torch.manual_seed(seed)
    entry = ZOO[name]
    count = 128 if name in IMAGES else 1024
    model, shown, fresh = entry.make(depth), entry.inputs(count), entry.inputs(count)
    if isinstance(entry.convex_inputs, int):
        fresh = tuple(fresh[i] if i == entry.convex_inputs else shown[i] for i in range(len(shown)))
    if entry.tighten:
        getattr(model, entry.tighten)()
    found = {"own_init": judged(model, fresh, shown, entry.entry)}
    generator = torch.Generator().manual_seed(seed)
    ci.apply_(model, shown, convex_inputs=entry.convex_inputs, entry=entry.entry, generator=generator)
    found["apply_"] = judged(model, shown, fresh, entry.entry)
    found["apply_, fresh batch"] = judged(model, fresh, shown, entry.entry)
    return {"model": name, "depth": depth, "seed": seed, **found}


def main() -> None:
    """Measure every model, print the counts, write results/zoo_signal.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="method 'log_normal' is known")
    rows = [measured(n, depth, seed) for n, entry in ZOO.items() for depth in entry.depths for seed in range(seeds)]
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for init in ("own_init", "apply_", "apply_, fresh batch"):
            key = f"{init}, depth {row['depth']}"
            verdicts = counts.setdefault(key, {})
            verdicts[row[init]["verdict"]] = verdicts.get(row[init]["verdict"], 0) + 1
    for key, verdicts in sorted(counts.items()):
        print(f"{key:30} " + ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items())))
    result = {
        "what": "variance over 1024 samples (128 images), units and positions of all that enters a non-linearity, at "
        f"widths 64 (dense) and 12 (channels); holds: all within [{LOW}, {HIGH}], more than half of the units alive",
        "inputs": "as in tests/torch/zoo; apply_ is measured on the batch that it was shown, and on a fresh one",
        "seeds": seeds,
        "environment": environment("torch"),
        "counts": counts,
        "models": rows,
    }
    write("zoo_signal", result)


if __name__ == "__main__":
    main()
