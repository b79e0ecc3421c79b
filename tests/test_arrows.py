"""Arrows between the modules point down only (doc: layout)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "skmerge"

# A module imports from lower levels only, so there are no cycles. A new module gets its level here.
LEVELS = [
    {"_ext"},
    {"_objective", "_progress", "_validation", "_notation", "metrics", "activation", "datasets", "_joint"},
    {"_comparison", "_committee", "_uncertainty", "_tree", "_orientation", "_columns", "_sources"}
    | {"_criterion", "_feasible", "_models"},
    {"_missing", "_laws", "_selection", "_formula", "_grower", "_requests"},
    {"_training"},
    {"net", "_mixture", "crystal", "_flow", "trajectories", "design", "_records", "_plain"},
    {"forest", "_learning", "_free"},
    {"_stack", "plasticity"},
    {"table"},
    {"__init__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}

SOURCES = sorted(path for path in ROOT.rglob("*") if path.suffix in (".py", ".pyx", ".pxd", ".pyi"))
IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(.*)|c?import\s+(.*))$", re.MULTILINE)


def package_of(path):
    return ["skmerge", *path.relative_to(ROOT).parent.parts]


def imports(path):
    """Full dotted names of what a file imports, `from a.b import c` being a.b.c."""
    text = path.read_text()
    if path.suffix in (".pyx", ".pxd"):
        return cython_imports(text, package_of(path))
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package_of(path)[: len(package_of(path)) + 1 - node.level] if node.level else []
            base = ".".join(above + ([node.module] if node.module else []))
            found += [f"{base}.{alias.name}" for alias in node.names]
    return found


def cython_imports(text, package):
    found = []
    text = re.sub(r"\\\n|\(\s*\n|,\s*\n", lambda match: match.group().replace("\n", " "), text)
    for source, names, modules in IMPORT.findall(text):
        names = [name.split(" as ")[0].strip(" ()") for name in (names or modules).split("#")[0].split(",")]
        dots = len(source) - len(source.lstrip("."))
        base = ".".join([*package[: len(package) + 1 - dots], source.lstrip(".")] if dots else [source])
        found += [f"{base}.{name}".strip(".").replace("..", ".") for name in names]
    return found


def inside(path):
    """The modules of skmerge that a file imports from, by the name they have in LEVELS."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "skmerge":
            found.add(parts[1] if len(parts) > 1 and parts[1] in LEVEL else ".".join(parts))
    return found


def test_sources_are_found():
    names = {path.name for path in SOURCES}
    assert {"net.py", "forest.py", "_objective.py", "kernel.pyx", "kernel.pxd", "kernel.pyi"} <= names


def test_every_module_has_a_level():
    modules = {path.stem for path in ROOT.glob("*.py")} | {"_ext"}
    assert modules == set(LEVEL), "tests/test_arrows.py: LEVELS and the files of skmerge differ"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda path: path.stem)
def test_arrows_point_down(path):
    for other in inside(path):
        assert other in LEVEL, f"{path.name} imports {other}, which no level holds"
        assert LEVEL[other] < LEVEL[path.stem], f"{path.name} must not import {other}"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent != ROOT], ids=lambda path: path.name)
def test_compiled_code_imports_nothing_of_skmerge_outside_itself(path):
    assert inside(path) <= {"_ext"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_public_names_of_other_packages(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "sklearn":
            private = [part for part in parts if part.startswith("_")]
            assert not private, f"{path.name} imports {name}, private to scikit-learn"
    if path.suffix in (".pyx", ".pxd"):  # NumPy's and scikit-learn's C interfaces change with their releases
        assert not re.search(
            r"\bcimport\s+(numpy|sklearn)\b|\bfrom\s+(numpy|sklearn)[\w.]*\s+cimport\b", path.read_text()
        )


def test_the_package_offers_public_modules_only():
    for name in inside(ROOT / "__init__.py"):
        assert not name.startswith("_")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import numpy as np", ["numpy"]),
        ("cimport numpy", ["numpy"]),
        (
            "from skmerge._ext.types cimport clones, skmerge_exp",
            ["skmerge._ext.types.clones", "skmerge._ext.types.skmerge_exp"],
        ),
        ("from skmerge.net cimport (\n    a,\n    b)", ["skmerge.net.a", "skmerge.net.b"]),
        ("from . cimport types", ["skmerge._ext.types"]),
        ("from .types cimport clones", ["skmerge._ext.types.clones"]),
        ("from .. import net", ["skmerge.net"]),
        ("    from sklearn.tree._tree cimport Tree", ["sklearn.tree._tree.Tree"]),
    ],
)
def test_imports_of_cython_are_read(line, expected):
    assert cython_imports(line + "\n", ["skmerge", "_ext"]) == expected
