"""Train every network from every seed, and tell what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convex_init.demo.failure import DemoError, needed
from convex_init.demo.functions import SHOWN, sample
from convex_init.demo.results.record import Results, Trained, collect, write
from convex_init.demo.results.table import as_text, caption
from convex_init.demo.settings import DemoSettings

if TYPE_CHECKING:
    from convex_init.demo.training import Problem

SAMPLE_SEED = 0
"""Of the points that the functions are fitted at."""


def run_demo(tasks: Sequence[DemoSettings]) -> None:
    """Train for every task, print its table, and write results and pictures if there is a folder for them.

    Raises:
        DemoError: if a package, a file or the device is not there; in all cases before the first step.
    """
    torch = needed("torch")
    needed("tqdm")
    if any(settings.out is not None for settings in tasks):
        needed("matplotlib")
    devices = {settings.device: _device(torch, settings.device) for settings in tasks}
    problems = [_problem(settings) for settings in tasks]
    for settings, (problem, examples) in zip(tasks, problems, strict=True):
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        results = _train_all(settings, problem, examples, _named(torch, devices[settings.device]))
        print(f"{caption(results)}\n\n{as_text(results)}\n")
        for said in results["notes"]:
            print(said)
        if settings.out is not None:
            from convex_init.demo.results.pictures import draw

            stem = settings.out / f"demo_{settings.task}"
            write(results, stem.with_suffix(".json"))
            draw(results, stem.with_suffix(".png"))
            print(f"written: {stem.with_suffix('.json')}, {stem.with_suffix('.png')}\n", flush=True)


def _problem(settings: DemoSettings) -> tuple[Problem, dict[str, Any]]:
    if settings.task in SHOWN:
        points = sample(SHOWN[settings.task], SAMPLE_SEED)
        from convex_init.demo.training import Problem

        examples = {
            "formula": SHOWN[settings.task].formula,
            "train": len(points.train),
            "test": len(points.test),
            "seed": SAMPLE_SEED,
            "target": [float(f"{value:.4g}") for value in points.grid_values[:, 0]],
        }
        return Problem.of_points(points, settings.device), examples
    from convex_init.demo.data import load

    images = load(settings.task, settings.data, settings.limit)
    from convex_init.demo.training import Problem

    examples = {"train": len(images.train), "test": len(images.test), "pixels": images.train.shape[1]}
    return Problem.of_images(images, settings.device), {**examples, "classes": images.classes}


def _train_all(settings: DemoSettings, problem: Problem, examples: dict[str, Any], device: str) -> Results:
    from convex_init.demo.networks import VARIANTS
    from convex_init.demo.training import Run, train

    cases = [(variant, depth) for variant in VARIANTS for depth in settings.depths]
    runs: dict[Any, list[Run]] = {case: [] for case in cases}
    notes: dict[str, None] = {}
    # disable=None: no bar in a log file. Networks take turns, so that all feel alike what else the machine does.
    total = len(cases) * settings.seeds * settings.epochs
    with needed("tqdm").tqdm(total=total, unit="epoch", disable=None, leave=False) as bar:
        for seed in range(settings.seeds):
            for variant, depth in cases:
                bar.set_description(f"{settings.task}, seed {seed}, {variant.label}")
                run = train(variant, problem, depth, settings, seed, bar.update, notes.setdefault)
                runs[variant, depth].append(run)
    networks = [
        Trained(v.name, v.describe(settings), v.start, depth, settings.rate(v.label, depth), runs[v, depth])
        for v, depth in cases
    ]
    return collect(settings, examples, device, list(notes), networks)


def _device(torch: Any, name: str) -> Any:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DemoError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


def _named(torch: Any, device: Any) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, threads: {torch.get_num_threads()}" if device.type == "cpu" else str(device)
