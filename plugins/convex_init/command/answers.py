"""``convex-init plan`` and ``convex-init certify``: make the model, ask its plug-in, and print the answer."""

from __future__ import annotations

import json
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib import import_module
from typing import Any

from convex_init.command.factory import model_of, said
from convex_init.command.failure import CommandError
from convex_init.command.inputs import example_inputs
from convex_init.command.options import call_options
from convex_init.command.plugin import in_framework, plugin_of

CONVEX, NOT_CONVEX, CANNOT_TELL = 0, 1, 2
"""Exit codes of ``certify``."""


def show_plan(options: Namespace) -> int:
    """Print what ``apply_`` would do to the model; 0.

    Raises:
        CommandError: if there is no plan.
    """
    _print(_asked("plan", options), options.json)
    return 0


def show_certificate(options: Namespace) -> int:
    """Print whether the model is convex, and return the exit code that says the same.

    Raises:
        CommandError: if the model cannot be made or run.
    """
    certificate = _asked("certify", options)
    _print(certificate, options.json)
    if certificate:
        return CONVEX
    found = [certificate.verdict == "not convex", *(answer.verdict == "not" for answer in certificate.monotone)]
    return NOT_CONVEX if any(found) else CANNOT_TELL


def _print(answer: Any, as_json: bool) -> None:
    print(json.dumps(answer.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) if as_json else answer)


def _asked(function: str, options: Namespace) -> Any:
    with _stdout_is_ours():
        model = model_of(options.model)
        plugin = plugin_of(model)
        if not plugin:
            raise CommandError(
                f"{options.model} is a {type(model).__name__}; there are plug-ins for a torch.nn.Module, a "
                "keras.Model, a module of equinox or flax, and a pair (fn, params) of a function of JAX and "
                "its parameters"
            )
        given = call_options(options)
        if options.inputs is not None:
            convert = partial(_converted, plugin, model)
            given["example_inputs"] = example_inputs(options.inputs, convert, options.seed)
        elif plugin == "jax" or (plugin, function) == ("torch", "certify"):
            raise CommandError(f"--inputs are needed to {function} this model, such as --inputs 32x784")
        try:
            return getattr(import_module(f"convex_init.{plugin}"), function)(model, **given)
        except (ValueError, TypeError) as error:
            raise CommandError(str(error)) from error
        except Exception as error:  # whatever the model raises for these inputs
            raise CommandError(f"the model failed: {said(error)}") from error


def _converted(plugin: str, model: Any, array: Any, is_typed: bool) -> Any:
    return in_framework(plugin, model, array, is_typed=is_typed)


@contextmanager
def _stdout_is_ours() -> Iterator[None]:
    """Send what the user's code prints to stderr, and warnings in one line each."""

    def shown(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        print(f"{category.__name__}: {message}", file=sys.stderr)

    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.showwarning = shown
        yield
