"""Train the paper's MNIST network with ignite, and keep it convex.

    pip install 'convex-init[ignite]' tqdm tensorboard
    python examples/ignite_mnist.py --data FOLDER

FOLDER holds the four original ``*-ubyte.gz`` files. Progress bar, metrics, checkpoints, an average of the weights,
mixed precision on a GPU, and TensorBoard curves of the signal. Stop it at any time and go on with ``--resume``, from
the newest checkpoint in ``--output``: on the same device the result is that of an uninterrupted run, bit for bit.
"""

from __future__ import annotations

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.contrib.handlers import ProgressBar
from ignite.engine import Engine, Events
from ignite.engine.deterministic import DeterministicEngine
from ignite.handlers import Checkpoint, DiskSaver, EMAHandler
from ignite.handlers.tensorboard_logger import TensorboardLogger
from ignite.metrics import Accuracy, Loss, RunningAverage
from ignite.utils import manual_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from convex_init.ignite import ConvexityGuard, NonNegProjection, SignalMonitor
from convex_init.torch import ICNN, apply_, plan


def read_idx(path: Path) -> Tensor:
    """Read one of MNIST's files: a header with the number of dimensions and their sizes, then bytes."""
    content = gzip.decompress(path.read_bytes())
    sizes = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(sizes).copy())


def read_mnist(folder: Path) -> tuple[TensorDataset, TensorDataset]:
    """Return training and test set: flat images, normalised by mean and deviation of the training pixels."""
    sets = []
    for part in ("train", "t10k"):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz").flatten(1).float()
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz").long()
        if part == "train":
            mean, deviation = images.mean(), images.std()
        sets.append(TensorDataset((images - mean) / deviation, labels))
    return sets[0], sets[1]


@dataclass
class Run:
    """What a run consists of: ``saved`` is all that a checkpoint must hold."""

    trainer: Engine
    evaluator: Engine
    loader: DataLoader[Any]
    saved: dict[str, Any]


def prepare(options: argparse.Namespace) -> Run:
    """Build everything, attach every handler, and load the checkpoint if there is one to resume from."""
    manual_seed(options.seed)
    device = torch.device(options.device)
    training, test = read_mnist(options.data)
    # The order depends on seed and epoch alone, so that a run can be resumed in the middle of an epoch.
    sampler = DistributedSampler(training, num_replicas=1, rank=0, seed=options.seed)
    loader = DataLoader(training, options.batch, sampler=sampler, drop_last=True)
    test_loader = DataLoader(test, 1000)

    features = training.tensors[0].shape[1]
    model = ICNN(features, [options.width or features] * options.hidden, 10, device=device)
    apply_(model, bias_noise=options.bias_noise)
    print(plan(model, bias_noise=options.bias_noise))
    optimizer = torch.optim.Adam(model.parameters(), options.lr)
    amp = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=amp)
    criterion = nn.CrossEntropyLoss()

    def train_step(engine: Engine, batch: Any) -> float:
        x, y = (part.to(device, non_blocking=True) for part in batch)
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=amp):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)  # skipped after an overflow: the projection does not mind
        scaler.update()
        return loss.item()

    trainer = DeterministicEngine(train_step)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: sampler.set_epoch(engine.state.epoch))
    average = EMAHandler(model, momentum=options.momentum)

    @torch.no_grad()
    def test_step(engine: Engine, batch: Any) -> tuple[Tensor, Tensor]:
        x, y = (part.to(device) for part in batch)
        return average.ema_model(x), y

    evaluator = Engine(test_step)
    Accuracy().attach(evaluator, "accuracy")
    Loss(criterion).attach(evaluator, "loss")
    RunningAverage(output_transform=lambda loss: loss).attach(trainer, "loss")
    bar = ProgressBar(disable=options.quiet)
    bar.attach(trainer, ["loss"])

    average.attach(trainer)
    NonNegProjection(model).attach(trainer)  # runs before the average, which is thus convex too
    ConvexityGuard(model).attach(trainer)

    logger = TensorboardLogger(log_dir=str(options.output / "tensorboard"))
    SignalMonitor(model, test.tensors[0][:256].to(device)).attach(trainer, logger, Events.EPOCH_COMPLETED)
    logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED(every=100), "training", ["loss"])
    trainer.add_event_handler(Events.COMPLETED, logger.close)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine: Engine) -> None:
        metrics = evaluator.run(test_loader).metrics
        loss, accuracy = metrics["loss"], metrics["accuracy"]
        bar.log_message(f"epoch {engine.state.epoch}: test loss {loss:.4f}, accuracy {accuracy:.4f}")

    saved = {"model": model, "average": average.ema_model, "optimizer": optimizer, "scaler": scaler, "trainer": trainer}
    saver = DiskSaver(str(options.output), create_dir=True, require_empty=False)
    checkpoint = Checkpoint(saved, saver, n_saved=2, global_step_transform=lambda engine, _: engine.state.iteration)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=options.save_every), checkpoint)
    trainer.add_event_handler(Events.COMPLETED, checkpoint)

    if options.resume:
        found = sorted(options.output.glob("checkpoint_*.pt"), key=lambda path: int(path.stem.rpartition("_")[2]))
        if not found:
            raise SystemExit(f"--resume: no checkpoint in {options.output}")
        print(f"resuming from {found[-1].name}")
        Checkpoint.load_objects(saved, torch.load(found[-1], map_location=device, weights_only=False))
    return Run(trainer, evaluator, loader, saved)


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the paper's MNIST network with ignite.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the four *-ubyte.gz files")
    parser.add_argument("--output", type=Path, default=Path("ignite_mnist"), help="for checkpoints and TensorBoard")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --output")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=5, help="number of hidden layers")
    parser.add_argument("--width", type=int, default=0, help="of the hidden layers; that of the input by default")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--bias-noise", type=float, default=0.0, help="share of the variance that biases carry")
    parser.add_argument("--momentum", type=float, default=0.002, help="of the average of the weights")
    parser.add_argument("--save-every", type=int, default=500, help="iterations between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Train, and return the metrics on the test images."""
    options = read_options(arguments)
    run = prepare(options)
    manual_seed(options.seed)  # from this the engine derives a seed for each epoch, also when it resumes
    run.trainer.run(run.loader, max_epochs=options.epochs)
    return dict(run.evaluator.state.metrics)


if __name__ == "__main__":
    main()
