"""Write the golden files anew, and say what has changed in them: ``python -m tests.golden.update torch keras timm``.

For the frameworks that are named; read the diff before it is committed. The weights of Keras are those of the backend
in ``KERAS_BACKEND``, and each backend has a file of them.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from tests.golden import files
from tests.golden.comparison import differences
from tests.torchvision_operators import define_missing_operators

FRAMEWORKS = ("torch", "keras", "timm")


def update(framework: str) -> None:
    cases = import_module(f"tests.{framework}.golden.cases")
    circumstances = import_module(f"tests.{framework}.golden.recording").circumstances
    for file, named in cases.FILES.items():
        before = files.read(file)
        found = {name: cases.found(file, name) for name in named}
        for line in differences(before["cases"], found):
            print(line)
        path = files.write(file, circumstances(file), found)
        print(f"{path.name}: {len(found)} cases")


def main(frameworks: list[str]) -> None:
    if not frameworks or not set(frameworks) <= set(FRAMEWORKS):
        raise SystemExit(f"name some of {', '.join(FRAMEWORKS)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the tests have it
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # as tox has it
    define_missing_operators()
    for framework in frameworks:
        update(framework)


if __name__ == "__main__":
    main(sys.argv[1:])
