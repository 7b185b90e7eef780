"""No two of our modules import each other, directly or through others."""

from __future__ import annotations

from tests.architecture.import_graph import circles, import_graph, modules


def test_there_are_no_circles():
    assert circles(import_graph(modules())) == []


SOURCES = {
    "p/__init__.py": "from p.a import one\nimport typing\nif typing.TYPE_CHECKING:\n    from p.b import two\n",
    "p/a.py": "from p import b\none = 1\n",
    "p/b.py": "def two():\n    import p.c\n",
    "p/c.py": "from p import one\n",
    "p/d.py": "import typing\nif typing.TYPE_CHECKING:\n    from p import e\nelse:\n    import p.a\n",
    "p/e.py": "from p.d import x\nfrom p import two, missing\nfrom . import d\nfrom .d import x\n",
}


def test_the_reader_of_imports_sees_every_form(tmp_path):
    paths = {}
    for name, source in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        paths["p" if name == "p/__init__.py" else f"p.{path.stem}"] = path
    graph = import_graph(paths)
    assert graph == {
        "p.a": {"p.b"},
        "p.b": {"p.c"},  # within a function
        "p.c": {"p.a"},  # `one` is passed on by the package
        "p.d": {"p.a"},  # not what is for type checkers
        "p.e": {"p.d", "p.b"},
    }
    assert circles(graph) == [("p.a", "p.b", "p.c")]


def test_all_of_our_modules_are_read():
    names = modules().keys()
    assert {
        "convex_init_core.theory.moments",
        "convex_init.torch.api",
        "convex_init.keras",
        "convex_init.timm.survey",
    } <= names
