"""Which of timm's families can be made input-convex: ``python tools/timm_table.py [--seconds 600]``.

Takes from every family of timm's registry one small model (by the words in its name), builds it without pretrained
weights and follows the signal through it: as it is, and with all replacements that
``convexify`` suggests. Each success is checked numerically in float64 on random segments. Writes the findings to
``results/timm_families.json`` and the table into ``docs/timm_families.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import platform
import re
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # for the tests' helper

from tests.torchvision_operators import define_missing_operators  # noqa: E402

define_missing_operators()

import timm  # noqa: E402
import torch  # noqa: E402
from timm.models import list_models, list_modules  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import convex_init.timm as ct  # noqa: E402
from convex_init.timm.replacements import offence  # noqa: E402

RESULTS = CHECKOUT / "results" / "timm_families.json"
DOCUMENT = CHECKOUT / "docs" / "timm_families.md"
BEGIN, END = "<!-- table: begin (tools/timm_table.py) -->", "<!-- table: end -->"
SIDES = (64, 96, 128, 160, 192, 224, 256)
PARAMETERS = 90_000_000
SMALL_WORDS = "atto femto pico nano xxs xxt xx xxsmall micro 005 tiny xs 18 10 small s0 b0 m0 t0 s a0 t 050"
SMALL_FIRST = tuple(SMALL_WORDS.split())
SEGMENTS, SEED = 12, 0
OVER = "the run's time was over"


class TooLong(BaseException):
    """One model took more than its time; no handler of errors on the way may catch it."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise :class:`TooLong` in the main thread after so many seconds."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def families() -> dict[str, list[str]]:
    """Return the models of the registry by family: their module, and the letters that their names start with.

    The largest family of every module comes first, then the second of each, and so on.
    """
    found: dict[str, list[str]] = {}
    rank: dict[str, int] = {}
    for module in list_modules():
        parts: dict[str, list[str]] = {}
        for name in list_models(module=module):
            letters = re.match("[a-z]*", name)
            assert letters is not None
            if module != "icnn" and letters.group() != "test":
                parts.setdefault(f"{module}: {letters.group()}", []).append(name)
        largest_first = sorted(parts, key=lambda family: -len(parts[family]))
        rank |= {family: place for place, family in enumerate(largest_first)}
        found |= parts
    return {family: found[family] for family in sorted(found, key=lambda family: rank[family])}


def smallest(names: list[str]) -> str:
    """Return the model whose name promises the smallest size, which is a guess and spares building them all."""

    def rank(name: str) -> tuple[int, int, int, str]:
        words = re.split("[_.]", name)
        size = next((k for k, mark in enumerate(SMALL_FIRST) if any(mark == word for word in words)), len(SMALL_FIRST))
        numbers = [int(number) for number in re.findall(r"\d+", name)] or [0]
        return size, numbers[0], len(name), name

    return min(names, key=rank)


def example_for(model: nn.Module) -> Tensor:
    """Return zeros of the smallest side that the model takes."""
    channels, _, own = model.default_cfg["input_size"]  # type: ignore[index]
    fixed = bool(dict(model.default_cfg).get("fixed_input_size"))  # type: ignore[arg-type]
    for side in [own] if fixed else [*SIDES, own]:
        example = torch.zeros(2, channels, side, side, device=next(model.parameters()).device)
        with contextlib.suppress(Exception), torch.no_grad():
            model.eval()(example)
            return example
    raise ValueError("it takes no square image of up to 256 pixels")


def hopeless(model: nn.Module, example: Tensor) -> dict[str, int]:
    """Return the modules without a replacement, by class, that a forward pass calls: it spares tracing transformers."""
    called: Counter[str] = Counter()
    gates = [path for path, module in model.named_modules() if path and offence(type(module).__name__)]
    handles = [
        module.register_forward_hook(lambda m, *_: called.update([type(m).__name__]))
        for path, module in model.named_modules()
        if isinstance(module, (nn.LayerNorm, nn.GroupNorm)) and not any(path.startswith(f"{gate}.") for gate in gates)
    ]
    with torch.no_grad():
        model.eval()(example)
    for handle in handles:
        handle.remove()
    return dict(called.most_common(6))


def suggested(blockers: Sequence[ct.Blocker]) -> dict[str, str]:
    """Return all replacements that the blockers' remedies name."""
    found: dict[str, str] = {}
    for blocker in blockers:
        if blocker.remedy:
            name, instead = blocker.remedy.split("{")[1].split("}")[0].replace("'", "").split(": ")
            found[name] = instead
    return found


def rise(model: nn.Module, size: tuple[int, ...]) -> tuple[float, float]:
    """Largest rise above the chords and largest sag below them, relative to the spread of the outputs."""
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a plain average: without it, two batches count for a fifth
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for _ in range(2):  # running statistics, so that the check is not made on a signal that has exploded
            model.train()(torch.randn(8, *size, generator=generator, dtype=torch.float64))
        ends = [2.0 * torch.randn(SEGMENTS, *size, generator=generator, dtype=torch.float64) for _ in range(2)]
        t = torch.rand(SEGMENTS, 1, 1, 1, generator=generator, dtype=torch.float64)
        at_a, at_b, between = (model.eval()(x).flatten(1) for x in (*ends, t * ends[0] + (1.0 - t) * ends[1]))
    t = t.flatten(1)
    above = between - (t * at_a + (1.0 - t) * at_b)
    spread = torch.cat([at_a, at_b]).std(0).mean()
    return float(above.max() / spread), float(-above.min() / spread)


def examined(family: str, name: str) -> dict[str, Any]:
    """Return the finding for one family, by one of its models."""
    finding: dict[str, Any] = {"family": family, "model": name}
    with contextlib.suppress(NotImplementedError, RuntimeError):  # without memory or arithmetic, where that works
        with torch.device("meta"):
            empty = timm.create_model(name)
        count = sum(parameter.numel() for parameter in empty.parameters())
        if count > PARAMETERS:
            return finding | {"verdict": "not sampled", "reason": f"{count // 10**6} million parameters"}
        example = example_for(empty)
        finding["input"] = list(example.shape[1:])
        if called := hopeless(empty, example):
            return finding | {"verdict": "never", "in_the_way": called, "seen_by": "a forward pass"}
    torch.manual_seed(SEED)
    model = timm.create_model(name)
    try:
        example = example_for(model)
        finding["input"] = list(example.shape[1:])
        if called := hopeless(model, example):
            return finding | {"verdict": "never", "in_the_way": called, "seen_by": "a forward pass"}
        replace: dict[str, str] = {}
        report = ct.convexity_report(model, example)
        while report.blockers and (more := suggested(report.blockers)) and not more.keys() <= replace.keys():
            replace |= more
            report = ct.convexity_report(model, example, replace=replace)
        if report.blockers:
            kinds = Counter(blocker.kind for blocker in report.blockers if not blocker.remedy)
            reasons = dict.fromkeys(blocker.reason for blocker in report.blockers if not blocker.remedy)
            finding |= {"verdict": "never", "in_the_way": dict(kinds.most_common(6)), "reasons": list(reasons)[:6]}
            return finding
        finding["replace"] = replace
        ct.convexify(
            model, example, replace=replace, register_missing_bias=True, generator=torch.Generator().manual_seed(SEED)
        )
        above, below = rise(model, tuple(example.shape[1:]))
        finding |= {"verdict": "with replacements" if replace else "as it is", "rise": above, "sag": below}
        if not (above < 1e-6 < below):
            finding["verdict"] = "CHECK FAILED"
    except ValueError as error:
        finding |= {"verdict": "never", "reasons": [str(error).partition("\n")[0][:300]]}
    return finding


def table(findings: list[dict[str, Any]]) -> str:
    """Return the findings as Markdown."""
    lines = ["| family | sampled | convexifiable | replacements, or what is in the way |", "|---|---|---|---|"]
    order = ["as it is", "with replacements", "never"]
    for finding in sorted(
        findings, key=lambda f: (order.index(f["verdict"]) if f["verdict"] in order else 9, f["family"])
    ):
        if finding.get("replace"):
            last = ", ".join(f"{name} → {instead}" for name, instead in finding["replace"].items())
        elif finding["verdict"] == "as it is":
            last = ""
        elif finding.get("in_the_way"):
            last = ", ".join(finding["in_the_way"])
        else:
            last = finding.get("reason") or "; ".join(finding.get("reasons", []))[:120]
        cells = (finding["family"], finding.get("model", "–"), finding["verdict"], last.replace("|", "/"))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(record: dict[str, Any]) -> None:
    """Write the result file, and the table into the document."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    counts = Counter(finding["verdict"] for finding in record["findings"])
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    head = f"{versions}; one small model from each of {len(record['findings'])} families of the registry: "
    head += ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) + "."
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{head}\n\n{table(record['findings'])}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run over the registry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=780, help="for the whole run")
    parser.add_argument("--each", type=int, default=60, help="for one model")
    parser.add_argument("--resume", action="store_true", help="keep the findings of the result file, and go on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    begin = time.monotonic()
    known: dict[str, dict[str, Any]] = {}
    if options.resume:
        record = json.loads(RESULTS.read_text(encoding="utf-8"))
        known = {finding["family"]: finding for finding in record["findings"] if finding.get("reason") != OVER}
    findings = []
    for family, names in families().items():
        if family in known:
            findings.append(known[family])
            continue
        name = smallest(names)
        if time.monotonic() - begin > options.seconds:
            findings.append({"family": family, "model": name, "verdict": "not sampled", "reason": OVER})
            continue
        start = time.monotonic()
        try:
            with limited(options.each):
                finding = examined(family, name)
        except TooLong:
            finding = {"verdict": "not sampled", "reason": f"took more than {options.each} s"}
        except Exception as error:  # a model that fails by itself must not end the run
            finding = {"verdict": "not sampled", "reason": f"{type(error).__name__}: {error}"[:200]}
        findings.append({"family": family, "model": name, **finding})
        print(f"{time.monotonic() - start:5.1f} s  {family} ({name}): {finding['verdict']}", flush=True)
    versions = {"timm": timm.__version__, "torch": torch.__version__, "python": platform.python_version()}
    settings = {"segments": SEGMENTS, "seed": SEED, "sides": SIDES, "parameters": PARAMETERS, "each_s": options.each}
    write({"versions": versions, "device": "cpu", "settings": settings, "findings": findings})


if __name__ == "__main__":
    main()
