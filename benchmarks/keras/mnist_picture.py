"""Draw the learning curves of ``mnist.py``: ``python benchmarks/keras/mnist_picture.py results/keras_mnist_*.json``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure


def main() -> None:
    """Read the result files and write one picture with a panel for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("docs/img/keras_mnist.png"))
    options = parser.parse_args()
    figure = Figure(figsize=(3.4 * len(options.results), 3.2), layout="constrained")
    for axes, path in zip(figure.subplots(1, len(options.results), squeeze=False)[0], options.results, strict=True):
        result = json.loads(path.read_text())
        for kind, run in result["runs"].items():
            axes.plot(range(1, len(run["loss"]) + 1), run["loss"], marker=".", label=kind)
        axes.set(title=result["backend"], xlabel="epoch", yscale="log", ylim=(0.03, 100.0))
    figure.axes[0].set_ylabel("training loss")
    figure.axes[0].legend(fontsize=7)
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
