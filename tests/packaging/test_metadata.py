"""What a package index gets to see: a README whose links lead somewhere, and the project's addresses."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import convex_init

CHECKOUT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://forge.example/someone/convex-init"


def metadata(folder, repository):
    """Of a wheel that is built with this address of the repository."""
    environment = {**os.environ, "CONVEX_INIT_REPOSITORY": repository}
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-c", CHECKOUT / "constraints.txt", "-w", folder]
    subprocess.run([*build, CHECKOUT], env=environment, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return metadata(tmp_path_factory.mktemp("wheel"), REPOSITORY)


def readme(found):
    return found.get_payload(decode=True).decode("utf-8")


@pytest.mark.slow
def test_the_addresses_are_those_of_the_repository(released):
    tag = f"v{convex_init.__version__}"
    urls = dict(line.split(", ") for line in released.get_all("Project-URL"))
    assert urls["Paper"].startswith("https://arxiv.org/")
    places = {name: url.removeprefix(REPOSITORY) for name, url in urls.items() if name != "Paper"}
    assert places == {
        "Source": f"/tree/{tag}",
        "Documentation": f"/tree/{tag}/docs",
        "Changelog": f"/blob/{tag}/CHANGELOG.md",
        "Issues": "/issues",
    }


@pytest.mark.slow
def test_the_readme_renders_with_absolute_links_and_images(released):
    markdown = pytest.importorskip("readme_renderer.markdown")
    html = markdown.render(readme(released))
    assert html is not None
    assert "<table>" in html
    targets = re.findall(r'(?:href|src)="([^"]*)"', html)
    tag = f"v{convex_init.__version__}"
    targets = [target for target in targets if not target.startswith("#")]  # headings of the page itself
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith("https://")] == []
    images = re.findall(r'src="([^"]*)"', html)
    assert images
    for target in images:
        assert target.startswith(f"{REPOSITORY}/raw/{tag}/docs/img/")
    for target in targets:
        place = re.sub(rf"^{re.escape(REPOSITORY)}/(?:raw|blob)/{tag}/", "", target).split("#")[0]
        assert "://" in place or (CHECKOUT / place).exists(), target


@pytest.mark.slow
def test_without_an_address_the_readme_is_as_it_is(tmp_path):
    found = metadata(tmp_path, "")
    assert readme(found).strip() == (CHECKOUT / "README.md").read_text(encoding="utf-8").strip()
    assert [line.split(", ")[0] for line in found.get_all("Project-URL")] == ["Paper"]
