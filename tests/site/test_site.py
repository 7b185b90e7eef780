"""The documentation as a site: formulas are drawn, links lead somewhere, and nothing is fetched from elsewhere."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed: run `tox run -e site`")

CHECKOUT = Path(__file__).resolve().parents[2]
TOP_PAGES = ("index", "which_call", "theory", "architecture", "faq", "CHANGELOG", "api/torch", "api/jax", "api/keras")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    ended = subprocess.run(build, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def page(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TOP_PAGES)
def test_a_top_page_is_there_and_fetches_nothing(site, name):
    text = page(site, name)
    assert re.search(r"<h1[ >]", text)
    fetched = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]*)"', text)
    fetched += re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect|preload|icon)"[^>]*href="([^"]*)"', text)
    fetched += re.findall(r'<link[^>]*href="([^"]*)"[^>]*rel="(?:stylesheet|preconnect|preload|icon)"', text)
    assert fetched
    assert [target for target in fetched if "://" in target or target.startswith("//")] == []


def test_every_link_leads_somewhere(site):
    broken = []
    for path in site.rglob("*.html"):
        if path.name == "404.html":  # whose links are absolute
            continue
        for target in re.findall(r'(?:href|src)="([^"#]+)', path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (path.parent / unquote(target)).exists():
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []


def test_formulas_are_mathml(site):
    text = page(site, "theory")
    source = (CHECKOUT / "docs" / "theory.md").read_text(encoding="utf-8")
    blocks = source.count("$$") // 2
    assert blocks >= 6
    assert len(re.findall(r'<math[^>]*display="block"', text)) == blocks
    assert "arithmatex" not in text
    assert "\\frac" not in text


PUBLIC = [
    *(("plugins", framework, 11) for framework in ("torch", "jax", "keras")),
    *(("integrations", library, 3) for library in ("cvxpy", "ignite", "timm")),
]


@pytest.mark.parametrize(("folder", "framework", "least"), PUBLIC, ids=[name for _, name, _ in PUBLIC])
def test_the_api_has_every_public_name_with_its_examples(site, folder, framework, least):
    source = (CHECKOUT / folder / "convex_init" / framework / "__init__.py").read_text(encoding="utf-8")
    names = re.findall(r'"(\w+)"', source.split("__all__")[1].partition("]")[0])
    text = page(site, f"api/{framework}")
    assert len(names) >= least
    assert [name for name in names if f'id="convex_init.{framework}.{name}"' not in text] == []
    assert ":func:`" not in text
    assert "Examples:" in text


@pytest.mark.parametrize(
    ("where", "target", "place"),
    [
        ("jax.md", "../results/jax_init_cpu.json", "results/jax_init_cpu.json"),
        ("jax.md", "reading.md", "reading.md"),
        ("CHANGELOG.md", "docs/jax.md", "jax.md"),
        ("experiments/README.md", "../docs/depth.md", "depth.md"),
        ("results/experiments/cpu/figure1.md", "figure1.png", "results/experiments/cpu/figure1.png"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(where, target, place):
    hooks = runpy.run_path(str(CHECKOUT / "tools" / "site_pages.py"))
    assert hooks["site_place"](where, target) == place
