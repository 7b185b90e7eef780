"""What the package's metadata say of addresses: links of the project, and of the README for a package index.

The address of the repository is no part of the source, since a fork has another. A release passes it as
``CONVEX_INIT_REPOSITORY`` (see ``.github/workflows/release.yml``); a build without it has no such links, and the README
as it is. An index shows the README by itself, so its relative links become links into the tagged repository, images raw
ones.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add both to the metadata.

        Args:
            metadata: the table ``project`` of pyproject.toml.
        """
        repository = os.environ.get("CONVEX_INIT_REPOSITORY", "").rstrip("/")
        urls, places = dict(self.config["urls"]), dict(self.config["urls-in-repository"])
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if repository:
            tag = f"v{metadata['version']}"
            urls |= {name: f"{repository}{place.format(tag=tag)}" for name, place in places.items()}
            text = with_absolute_links(text, repository, tag)
        metadata["urls"] = urls
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def with_absolute_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown whose relative links and images lead into a repository at a tag."""

    def absolute(found: re.Match[str]) -> str:
        target = found["target"]
        if not re.match(r"[a-z]+:|#", target):
            target = f"{repository}/{'raw' if found['image'] else 'blob'}/{tag}/{target}"
        return f"{found['image']}{found['text']}({target})"

    return _LINK.sub(absolute, text)
