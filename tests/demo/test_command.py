"""The demo through the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from convex_init import __version__
from convex_init.__main__ import main
from tests.demo.idx_files import write_mnist

NEEDED = ("torch", "sklearn", "matplotlib", "tqdm")
TINY = ["--depth", "2", "--width", "8", "--epochs", "2", "--seeds", "2"]
IMAGES = ["--task", "digits", *TINY, "--limit", "64"]
NAMES = ["non-convex", "ICNN", "ICNN", "ICNN + skip", "ICNN + skip"]


def command(*arguments, prelude="", cwd=None):
    code = f"{prelude}\nimport sys\nfrom convex_init.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def refusal(capsys, *arguments):
    """The one line on stderr of a command that is refused."""
    try:
        code = main(["demo", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("convex-init")
    return shown.err


def require(*modules):
    for module in modules:
        pytest.importorskip(module)


def test_version(tmp_path):
    shown = subprocess.run(
        [sys.executable, "-m", "convex_init", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"convex-init {__version__}\n"


def table_in(shown, caption):
    """The rows of the table below a caption."""
    lines = shown.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(caption))
    return lines[start + 4 : start + 9]


def test_a_tiny_run_of_everything(tmp_path):
    require(*NEEDED)
    shown = command("demo", *TINY, "--limit", "64", "--out", str(tmp_path / "new" / "out"), cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""  # no warning
    assert "8×8 digits: 64 training and 64 test images; 2 hidden layers of 8" in shown.stdout
    for task, caption in (
        ("digits", "8×8"),
        ("curve", "A convex function of one"),
        ("surface", "A convex function of t"),
    ):
        assert [line.split("  ")[0] for line in table_in(shown, caption)] == NAMES
        path = tmp_path / "new" / "out" / f"demo_{task}.json"
        results = json.loads(path.read_text(encoding="utf-8"))
        assert [network["name"] for network in results["networks"]] == NAMES
        assert [run["seed"] for run in results["networks"][3]["runs"]] == [0, 1]
        assert all(len(run["losses"]) == 3 for network in results["networks"] for run in network["runs"])
        assert {"python", "torch", "numpy", "convex-init"} <= set(results["versions"])
        assert str(tmp_path) not in json.dumps(results)
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_tiny_run_on_idx_files(tmp_path):
    require("torch", "tqdm")
    folder = write_mnist(tmp_path)
    # Without --out matplotlib is not needed, and without the digits scikit-learn is not.
    prelude = "import sys\nsys.modules.update(sklearn=None, matplotlib=None)"
    options = ["--method", "isometric", "--threshold", "1", "--batch-size", "8", "--lr", "0.01"]
    shown = command("demo", "--dataset", "mnist", "--data", str(folder), *IMAGES, *options, prelude=prelude)
    assert shown.returncode == 0, shown.stderr
    assert "MNIST: 24 training and 12 test images" in shown.stdout
    rows = table_in(shown, "MNIST")
    assert "ours: isometric, threshold 1  " in rows[2]
    assert "ours: isometric  " in rows[4]  # a threshold is for chains


def test_a_method_that_is_not_made_for_the_depth_is_told_in_a_line():
    require("torch", "tqdm")
    shown = command("demo", *TINY, "--task", "curve", "--depth", "6", "--method", "log_normal")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert shown.stdout.count("ICNN of 6 layers: method 'log_normal' is known to carry") == 1


def test_a_seed_repeats():
    require("torch", "tqdm")
    first, second = (table_in(command("demo", *TINY, "--task", "curve"), "A convex") for _ in range(2))
    assert len(first) == 5
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--depth", "0"], "--depth: must be a whole number of at least 1, got '0'"),
        (["--width", "many"], "--width: must be a whole number of at least 1, got 'many'"),
        (["--lr", "-1"], "--lr: must be a number above 0, got '-1'"),
        (["--lr", "inf"], "--lr: must be a number above 0, got 'inf'"),
        (["--task", "faces"], "--task: invalid choice: 'faces'"),
        (["--method", "magic"], "--method: invalid choice: 'magic'"),
        (["--threshold", "6"], "--threshold: must be a number from 0 to 5, got '6'"),
        (["--threshold", "1", "--method", "log_normal"], "threshold=1.0 has no meaning for method 'log_normal'"),
        (["--task", "curve", "--limit", "3"], "--limit is for images; --task curve has none"),
        (["--task", "curve", "--data", "."], "--data is for images; --task curve has none"),
        (["--task", "curve", "--dataset", "mnist"], "--dataset is for images; --task curve has none"),
        (["--dataset", "faces"], "--dataset: invalid choice: 'faces'"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--data", "."], "--data goes with --dataset mnist"),
        (["--dataset", "mnist"], "needs --data DIR"),
        (["--dataset", "mnist", "--data", "no/such/folder"], "no/such/folder is not a folder"),
        (["--device", "toaster"], "--device toaster cannot be used here"),
    ],
)
def test_a_wrong_option_gets_one_line(capsys, arguments, fault):
    if {"--dataset", "--device"} & set(arguments):
        require("torch", "tqdm")
    assert fault in refusal(capsys, *arguments)


def test_a_wrong_folder_for_the_output_is_found_before_training(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"--out {tmp_path / 'file'} cannot be made" in refusal(capsys, "--out", tmp_path / "file")


def test_a_damaged_file_gets_one_line(capsys, tmp_path):
    require("torch", "tqdm")
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    assert "t10k-labels-idx1-ubyte.gz cannot be read" in refusal(capsys, "--dataset", "mnist", "--data", tmp_path)


@pytest.mark.parametrize(
    ("module", "package"),
    [("torch", "torch"), ("sklearn", "scikit-learn"), ("tqdm", "tqdm"), ("matplotlib", "matplotlib")],
)
def test_a_missing_package_is_named_with_the_remedy(module, package, tmp_path):
    if module != "torch":
        require("torch", "tqdm")
    prelude = f"import sys\nsys.modules[{module!r}] = None"
    shown = command("demo", "--out", str(tmp_path), prelude=prelude)
    assert shown.returncode == 2, shown.stderr
    assert shown.stderr.count("\n") == 1
    assert f"needs {package}, which is not installed: pip install 'convex-init[demo]'" in shown.stderr


def test_options_are_checked_without_a_framework(capsys):
    forbidden = ("torch", "sklearn", "matplotlib", "tqdm")
    prelude = f"import sys\nsys.modules.update(dict.fromkeys({forbidden}))"
    shown = command("demo", "--help", prelude=prelude)
    assert shown.returncode == 0, shown.stderr
    assert "--threshold" in shown.stdout
    assert command("demo", "--depth", "0", prelude=prelude).returncode == 2


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
