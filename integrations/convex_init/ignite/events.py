"""Which handlers an engine holds, and in which order it calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ignite.engine import Engine, Events
from ignite.engine.events import CallableEventWithFilter, EventsList

Event = Events | CallableEventWithFilter | EventsList


def check_engine(engine: object) -> None:
    """Refuse what is no engine.

    Raises:
        TypeError: if ``engine`` is something else.
    """
    if not isinstance(engine, Engine):
        raise TypeError(f"engine must be an ignite.engine.Engine, such as the trainer, got {type(engine).__name__}")


def attached(engine: Engine) -> Iterator[Any]:
    """Yield every handler of ``engine``, as it was given: behind an event filter stands ignite's wrapper of it."""
    for handlers in engine._event_handlers.values():
        for handler, *_ in handlers:
            yield handler._parent() if hasattr(handler, "_parent") else handler


def move_to_front(engine: Engine, event: Event) -> None:
    """Let the handler that was added last to ``event`` run before all others.

    Ignite calls handlers in the order of their lists and has no public way to say which comes first.
    """
    for one in event if isinstance(event, EventsList) else [event]:
        handlers = engine._event_handlers[one]
        handlers.insert(0, handlers.pop())
