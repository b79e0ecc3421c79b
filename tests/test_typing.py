"""The stubs hold every public name; what they say of signatures and types is for mypy and stubtest to check."""

import ast
import inspect
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

import skmerge

ROOT = Path(skmerge.__file__).parent
CONSUMER = Path(__file__).parent / "typing" / "consumer.py"
PUBLIC = sorted(path.stem for path in ROOT.glob("[!_]*.py"))


def names_of(tree):
    """The names that a module or class defines."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets}
        elif isinstance(node, ast.AnnAssign):
            found.add(node.target.id)
    return found


def stub(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def documented_attributes(cls):
    """Names in the section Attributes of a docstring."""
    text = inspect.getdoc(cls)
    if "\nAttributes\n----------\n" not in text:
        return set()
    section = re.split(r"\n\n[A-Z][A-Za-z ]+\n---+\n", text.split("\nAttributes\n----------\n")[1])[0]
    return {name for line in re.findall(r"^(\w.*)$", section, re.MULTILINE) for name in line.split(" :")[0].split(", ")}


@pytest.mark.parametrize("name", PUBLIC)
def test_stubs_of_public_modules_hold_every_public_name(name):
    module, found = import_module(f"skmerge.{name}"), stub(ROOT / f"{name}.pyi")
    assert {text for text in names_of(found) if not text.startswith("_")} == set(module.__all__)
    for node in found.body:
        if isinstance(node, ast.ClassDef):
            assert names_of(node) >= documented_attributes(getattr(module, node.name))
            for method, value in vars(getattr(module, node.name)).items():
                if inspect.isfunction(value) and not method.startswith("_") and not method.endswith("_request"):
                    assert method in names_of(node), f"{node.name}.{method} is not in skmerge/{name}.pyi"


@pytest.mark.parametrize("path", sorted((ROOT / "_ext").glob("[!_]*.pyi")), ids=lambda path: path.stem)
def test_stubs_of_compiled_modules_hold_every_function(path):
    module = import_module(f"skmerge._ext.{path.stem}")
    names = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    for node in stub(path).body:
        if isinstance(node, ast.FunctionDef):  # the names of arguments; overloads of fused functions have the same
            function = getattr(module, node.name)
            # A fused function itself is what chooses among those of each type; Cython 3.1 tells the arguments of that.
            for version in getattr(function, "__signatures__", {"": function}).values():
                assert [a.arg for a in node.args.args] == [*inspect.signature(version).parameters]
    assert {name for name in names if not name.startswith("_")} <= names_of(stub(path))


def test_every_compiled_module_has_a_stub():
    compiled = {path.name.split(".")[0] for path in (ROOT / "_ext").iterdir() if path.suffix in (".so", ".pyd")}
    assert compiled and compiled == {path.stem for path in (ROOT / "_ext").glob("*.pyi")}


def test_the_consumer_uses_every_public_name_and_runs():
    tree = ast.parse(CONSUMER.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    wanted = {name for module in PUBLIC for name in import_module(f"skmerge.{module}").__all__}
    assert wanted <= used
    runpy.run_path(str(CONSUMER), run_name="__main__")
