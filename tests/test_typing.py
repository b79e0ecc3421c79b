"""Everything public has types; what they say is for mypy to check, of stubs for stubtest."""

import ast
import inspect
import re
import runpy
from importlib import import_module
from pathlib import Path
from typing import get_overloads

import matplotlib.pyplot as plt
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


def functions_of(name, value):
    """The functions that a public name stands for, with their names: of a class, its own public methods."""
    if inspect.isclass(value):
        for method, function in vars(value).items():
            function = getattr(function, "__func__", getattr(function, "fget", function))
            public = not method.startswith("_") or method in ("__init__", "__call__")
            if inspect.isfunction(function) and public and not method.endswith("_request"):
                yield f"{name}.{method}", function
    elif inspect.isfunction(value):
        yield name, value


def lacking(function):
    """Arguments, and "return", of a function or of what overloads it, that have no annotation."""
    for version in get_overloads(inspect.unwrap(function)) or [inspect.unwrap(function)]:
        given = version.__annotations__
        arguments = [name for name in inspect.signature(version).parameters if name not in ("self", "cls")]
        yield from (name for name in [*arguments, "return"] if name not in given)


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_is_annotated(name):
    if name == "plot":
        modules = [import_module(f"skmerge._plot.{path.stem}") for path in (ROOT / "_plot").glob("[!_b]*.py")]
    else:
        modules = [import_module(f"skmerge.{name}")]
    public = {text for text in import_module(f"skmerge.{name}").__all__}
    found = {text: value for module in modules for text, value in vars(module).items() if text in public}
    assert set(found) == public
    for text, value in found.items():
        if inspect.isclass(value):
            typed = {name for cls in value.__mro__ for name in vars(cls).get("__annotations__", {})}
            typed |= {name for name, member in vars(value).items() if isinstance(member, property)}
            assert documented_attributes(value) <= typed
        for called, function in functions_of(text, value):
            assert not list(lacking(function)), f"{called} lacks annotations"


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
    plt.close("all")  # what other tests left open would add up to a warning
    runpy.run_path(str(CONSUMER), run_name="__main__")
