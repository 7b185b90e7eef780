"""An extension of griffe: our docstrings as the site's renderer understands them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|meth|data|attr|mod|exc):`~?([^`]+)`")


class DocstringSections(griffe.Extension):
    """``Example:`` is the section that griffe calls ``Examples:``; a role of Sphinx becomes the name alone."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _ROLE.sub(r"`\1`", text)
