"""Train every network from every seed, and tell what came of it."""

from __future__ import annotations

from typing import Any

from convex_init.demo.data import Images, load
from convex_init.demo.failure import DemoError, needed
from convex_init.demo.results.record import Results, collect, write
from convex_init.demo.results.table import as_text, caption
from convex_init.demo.settings import DemoSettings


def run_demo(settings: DemoSettings) -> None:
    """Train, print the table, and write results and picture if there is a folder for them.

    Raises:
        DemoError: if a package, a file or the device is not there; in all cases before the first step.
    """
    torch = needed("torch")
    needed("tqdm")
    if settings.out is not None:
        needed("matplotlib")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = _device_name(torch, settings.device)
    images = load(settings.dataset, settings.data, settings.limit)
    results = _train_all(settings, images, device)
    print(f"{caption(results)}\n\n{as_text(results)}")
    if settings.out is not None:
        from convex_init.demo.results.picture import draw

        stem = settings.out / f"demo_{settings.dataset}"
        write(results, stem.with_suffix(".json"))
        draw(results, stem.with_suffix(".png"))
        print(f"\nwritten: {stem.with_suffix('.json')}, {stem.with_suffix('.png')}")


def _train_all(settings: DemoSettings, images: Images, device: str) -> Results:
    from convex_init.demo.networks import VARIANTS, Variant
    from convex_init.demo.training import Batches, Run, train

    data = Batches.of(images, settings.device)
    steps = len(VARIANTS) * settings.seeds * settings.epochs
    runs: dict[Variant, list[Run]] = {variant: [] for variant in VARIANTS}
    # disable=None: no bar in a log file. Networks take turns, so that all feel alike what else the machine does.
    with needed("tqdm").tqdm(total=steps, unit="epoch", disable=None, leave=False) as bar:
        for seed in range(settings.seeds):
            for variant in VARIANTS:
                bar.set_description(f"seed {seed}, {variant.name}")
                runs[variant].append(train(variant, data, settings, seed, bar.update))
    return collect(settings, images, device, runs)


def _device_name(torch: Any, name: str) -> str:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DemoError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from error
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, threads: {torch.get_num_threads()}" if device.type == "cpu" else str(device)
