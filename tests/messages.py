"""What a refusal is asked for: the type, the words that lead on, a model that stays as it was, a remedy that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Refusal:
    """One call that cannot be done.

    Attributes:
        call: gets the model, if there is one.
        words: that the message has.
        error: its type, and no other.
        model: makes the model that the call is given, and that it must leave as it is.
        remedy: what the message advises; it has to work.
    """

    call: Callable[..., Any]
    words: tuple[str, ...]
    error: type[Exception] = ValueError
    model: Callable[[], Any] | None = None
    remedy: Callable[..., Any] | None = None


def assert_refused(refusal: Refusal, state: Callable[[Any], Any]) -> None:
    """Try a call, and then what its message advises; ``state`` is compared before and after."""
    given = () if refusal.model is None else (refusal.model(),)
    before = [state(model) for model in given]
    with pytest.raises(refusal.error) as caught:
        refusal.call(*given)
    assert type(caught.value) is refusal.error
    missing = [word for word in refusal.words if word not in str(caught.value)]
    assert not missing, f"{missing} not in {caught.value}"
    assert [state(model) for model in given] == before
    if refusal.remedy is not None:
        refusal.remedy(*given)


def raw_error(call: Callable[[], Any], *, also: tuple[type[Exception], ...] = ()) -> str:
    """What comes out of a call beside a result or a refusal of what it was given."""
    try:
        call()
    except Exception as error:
        is_refusal = type(error) in (ValueError, TypeError, *also) and str(error) != ""
        return "" if is_refusal else f"{type(error).__name__}: {error}"
    return ""
