"""Arrows between the modules point down only (doc: layout)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "skmerge"

# A module imports from lower levels only, so there are no cycles. A new module gets its level here.
# The modules of a private package serve the public module of that name, and are named "package.module".
LEVELS = [
    {"_ext"},
    {"_text"},
    {"_progress", "_parallel", "_validation", "activation", "datasets", "_gaussian.conditional"},
    {"_digest", "_gaussian.joint", "metrics"},
    {"_parameters", "_reading.cells"},
    {"_reading.columns"},
    {"_reading.source"},
    {"_reading.table"},
    {"reading"},
    {"_orientation", "_gaussian.columns"},
    {"_lattice"},
    {"_net.floats", "_net.dimensions"},
    {"_net.correlation", "_net.functions", "_net.links", "_net.relative"},
    {"_net.objective", "_net.notation", "_net.limits", "_net.incomplete", "_net.given_units"},
    {"_net.offset"},
    {"_net.comparison", "_net.candidates", "_net.committee", "_net.uncertainty"},
    {"_net.stored", "_net.levels"},
    {"_net.simplification", "_net.printed"},
    {"_net.selection", "_net.formula"},
    {"_net.products"},
    {"_net.law", "_net.function_table", "_net.suspects", "_net.zeros"},
    {"_net.function_ranking", "_net.gross_errors", "_net.logarithms", "_net.refinement"},
    {"_net.function_search"},
    {"_net.linked", "_net.group_search"},
    {"_net.groups", "_net.homogeneous"},
    {"_net.training"},
    {"_net.rounds", "_net.options"},
    {"net"},
    {"_forest.levels", "_forest.tree"},
    {"_forest.grower"},
    {"_forest.mixture", "_forest.unknown"},
    {"_forest.stored", "_forest.widths"},
    {"forest"},
    {"_table.cells", "_table.laws", "_table.ranges"},
    {"_table.sources", "_table.units", "_table.stack", "_table.roles", "_table.faults"},
    {"_table.model"},
    {"_table.entries"},
    {"table"},
    {"_crystal.constants", "_crystal.mixed"},
    {"_crystal.arguments", "_crystal.calibration", "_crystal.steps"},
    {"_crystal.polycrystal"},
    {"crystal", "trajectories"},
    {"_plasticity.flow", "_plasticity.records", "_plasticity.flags"},
    {"_plasticity.forms", "_plasticity.kind", "_plasticity.slip_law"},
    {"_plasticity.refinement", "_plasticity.grain_file", "_plasticity.options"},
    {"_plasticity.axial", "_plasticity.free", "_plasticity.plain", "_plasticity.loaded"},
    {"_plasticity.held_out"},
    {"_plasticity.simulated"},
    {"plasticity"},
    {"_design.criterion", "_design.feasible", "_design.models"},
    {"_design.requests", "_design.search"},
    {"design"},
    {"_plot.base"},
    {
        "_plot.confidence",
        "_plot.law",
        "_plot.laws",
        "_plot.missingness",
        "_plot.parity",
        "_plot.partition",
        "_plot.trajectory",
    },
    {"plot"},
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
            known = [".".join(parts[1:n]) for n in (2, 3) if ".".join(parts[1:n]) in LEVEL]
            found.add(known[0] if known else ".".join(parts))
    return found


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {name_of(path): path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent == ROOT}


def test_sources_are_found():
    names = {path.name for path in SOURCES}
    assert {"net.py", "forest.py", "objective.py", "net_kernel.pyx", "net_kernel.pxd", "net_kernel.pyi"} <= names


def test_every_module_has_a_level():
    assert {*MODULES, "_ext"} == set(LEVEL), "tests/test_arrows.py: LEVELS and the files of skmerge differ"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_arrows_point_down(name):
    for other in inside(MODULES[name]):
        assert other in LEVEL, f"{name} imports {other}, which no level holds"
        assert LEVEL[other] < LEVEL[name], f"{name} must not import {other}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_private_package_is_used_by_its_public_module_only(name):
    for other in inside(MODULES[name]):
        owner = other.split(".")[0]
        if "." in other and owner[1:] in LEVEL:  # one without a public module serves several
            assert name == owner[1:] or name.startswith(f"{owner}."), f"{name} must not import {other}"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name == "_ext"], ids=lambda path: path.name)
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
