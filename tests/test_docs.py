"""Documentation: its code runs and prints what it says, its links lead somewhere, every public name is in it."""

import ast
import contextlib
import doctest
import importlib
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import skmerge

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "doc"
PAGES = [ROOT / "README.md", *sorted(DOC.glob("*.md")), *sorted(DOC.glob("*.rst"))]
MODULES = sorted(path.stem for path in (ROOT / "skmerge").glob("[!_]*.py"))
GENERATED = {DOC / "images/imports.svg", DOC / "gallery/index"}  # when the pages are built
GUIDE = ("net", "forest", "table", "design", "plasticity", "crystal", "metrics")
CODE = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)")


@pytest.mark.parametrize("module", [*MODULES, "_crystal.constants", "_crystal.polycrystal"])
def test_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"skmerge.{module}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not result.failed


def same(printed, expected):
    """Equal words; numbers within 5 %, as the last digits differ between machines."""
    printed, expected = NUMBER.split(" ".join(printed.split())), NUMBER.split(" ".join(expected.split()))
    return printed[::2] == expected[::2] and np.allclose(
        np.array(printed[1::2], float), np.array(expected[1::2], float), rtol=0.05, atol=1e-12
    )


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=lambda page: page.stem)
def test_code_of_pages(page):
    for name in ("pandas", "rich", "dask"):
        if re.search(rf"\b{name}\b", page.read_text()):
            pytest.importorskip(name)
    space = {}
    blocks = CODE.findall(page.read_text())
    assert len(blocks) == page.read_text().count("```python"), "a block that is not closed"
    for code, expected in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, str(page), "exec"), space)
        if expected:
            assert same(out.getvalue(), expected), out.getvalue()


def test_what_is_printed_is_compared():
    assert same("R2 0.961\n", "R2  0.96") and same("[0.5 1. ]", "[0.5 1. ]")
    assert not same("R2 0.96", "R2 0.9") and not same("R2 0.96", "r2 0.96") and not same("1 2", "1")


def slug(heading):
    """The anchor of a heading, as on GitHub and in the built pages."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def anchors(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def broken_links(page):
    """What leads nowhere of the links, images and tables of contents of a page."""
    text = page.read_text()
    if page.suffix == ".md":
        linked = re.sub(r"^```(?!\{).*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        links = re.findall(r"\]\(([^)\s]+)\)", linked) + re.findall(r"^```\{figure\} (\S+)", text, re.MULTILINE)
        for names in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            links += [name for name in names.split("\n") if name and not name.startswith(":")]
    else:
        links = re.findall(r":(?:doc|download):`[^`<]*<([^>]+)>`", text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        path = (page.parent / name).resolve() if name else page
        names = (path.name, path.name + ".md", path.name + ".rst")
        files = [path.with_name(name) for name in names if path.with_name(name).is_file()]
        if not files:
            if path not in GENERATED:
                yield link
        elif anchor and anchor not in anchors(files[0]):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page):
    assert not list(broken_links(page))


def test_broken_links_are_found(tmp_path):
    (tmp_path / "b.md").write_text("# One, two\n")
    page = tmp_path / "a.md"
    page.write_text("[1](b.md) [2](b.md#one-two) [3](#here) [4](b.md#three)\n# Here\n```{toctree}\nb\nc\n```\n")
    assert list(broken_links(page)) == ["b.md#three", "c"]


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in PAGES:
        for names in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            listed |= set(names.split())
    assert {page.stem for page in PAGES if page.parent == DOC} <= listed


@pytest.mark.parametrize("name", GUIDE)
def test_every_guide_says_when_when_not_and_what_it_cannot_do(name):
    assert {"when-to-use-it", "when-not-to", "what-it-cannot-do", "mathematics"} <= anchors(DOC / f"{name}.md")


def public_names():
    """Names that __init__ offers, and classes and functions of public modules that document arguments or an example."""
    yield from skmerge.__all__
    for module in MODULES:
        for node in ast.parse((ROOT / "skmerge" / f"{module}.py").read_text()).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                text = ast.get_docstring(node) or ""
                if re.search(r"^(Parameters|Attributes|Examples)\n-", text, re.MULTILINE):
                    yield f"{module}.{node.name}"


def test_every_public_name_is_in_the_api():
    listed = re.findall(r"^   ([\w.]+)$", (DOC / "api.rst").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    short = {name.rpartition(".")[2] for name in listed}
    assert {name.rpartition(".")[2] for name in public_names()} <= short
    for name in listed:
        module, _, attribute = f"skmerge.{name}".rpartition(".")
        assert getattr(importlib.import_module(module), attribute).__doc__


def test_the_example_of_every_gallery_page_has_a_title():
    examples = sorted((ROOT / "examples").glob("plot_*.py"))
    assert examples
    for path in examples:
        title, line, *_ = ast.get_docstring(ast.parse(path.read_text())).splitlines()
        assert line == "=" * len(title), path.name


def test_first_steps(monkeypatch, capsys):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    path = ROOT / "examples" / "plot_first_steps.py"
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "first_steps"})
    assert capsys.readouterr().out.startswith("y = 0.50 k x^2.00\n")
    matplotlib.pyplot.close("all")


def test_the_import_graph_is_drawn_from_the_levels(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "path", [str(DOC), *sys.path])
    graph = importlib.import_module("import_graph")
    shown = graph.arrows()
    assert {"_ext", "net", "_net.objective", "__init__"} <= set(shown)
    assert "_ext" in shown["_net.objective"] and "_net.objective" not in shown["net"]  # through its training
    height = {name: y for name, (_, y) in graph.place(shown).items()}
    assert all(height[name] > height[other] for name in shown for other in shown[name])
    graph.draw_import_graph(tmp_path / "imports.svg")
    assert "</svg>" in (tmp_path / "imports.svg").read_text()
