"""From ``MODULE:FACTORY`` on the command line to a model."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from convex_init.command.failure import CommandError
from convex_init.command.plugin import plugin_of


def model_of(spec: str) -> Any:
    """Return the model that ``spec`` names.

    Args:
        spec: ``"package.module:factory"``, found as ``python -m`` finds it, or ``"folder/file.py:factory"``. The
            factory is called without arguments; what is a model already is taken as it is.

    Raises:
        CommandError: if there is no such module or name, or if it fails.
    """
    module, _, name = spec.rpartition(":")
    if not module or not name:
        raise CommandError(f"{spec!r} is not of the form MODULE:FACTORY, such as my_package.networks:make_model")
    found = _attribute(_module(module), module, name)
    if plugin_of(found):
        return found
    if not callable(found):
        raise CommandError(
            f"{spec}: its type is {type(found).__name__}, which is neither a model nor a function that makes one"
        )
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise CommandError(
            f"{spec} is called without arguments, and: {error}; name a function that needs none"
        ) from error
    except ValueError:  # a callable without a signature
        pass
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise CommandError(f"{spec} failed: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return type, text and place of an error that code of the user raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _module(name: str) -> Any:
    path, folder = Path(name), Path.cwd()
    if path.suffix == ".py":
        if not path.is_file():
            raise CommandError(f"there is no file {name}")
        folder, name = path.parent.resolve(), path.stem
    if os.fspath(folder) not in sys.path:
        sys.path.insert(0, os.fspath(folder))  # as `python -m` does
    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise CommandError(f"there is no module {error.name!r} in {folder}, nor is one installed") from error
        raise CommandError(f"importing {name} failed: {said(error)}") from error
    if path.suffix == ".py" and Path(module.__file__ or "").resolve() != path.resolve():
        raise CommandError(f"{path}: its name is that of the module {module.__file__}; rename it")
    return module


def _attribute(module: Any, shown: str, name: str) -> Any:
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError as error:
        near = get_close_matches(name, [known for known in vars(module) if known[0] != "_"], n=1)
        raise CommandError(f"{shown} has no {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")) from error
