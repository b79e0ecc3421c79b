"""What importing the package imports."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import skmerge

ROOT = Path(skmerge.__file__).parent
HEAVY = {"sklearn", "scipy", "matplotlib", "pandas", "joblib"}
NOT_FOR_A_NET = {"matplotlib", "pandas", "sklearn.ensemble", "sklearn.tree", "sklearn.linear_model"}


def printed(code, *arguments):
    """What a new process prints, in which this directory does not hide the installed package (-P)."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def modules_after(statement, before=""):
    """Modules that a statement imports in a new process, beside those that another one has imported."""
    return {*printed(f"{before}\nimport sys\nold = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - old))")}


def test_the_package_imports_nothing_heavy():
    found = modules_after("import skmerge")
    assert "skmerge" in found and not found & HEAVY


def test_a_net_imports_nothing_of_other_estimators():
    found = modules_after("from skmerge import MergedNetRegressor", "import sklearn.base")
    assert "skmerge.net" in found and not found & (NOT_FOR_A_NET | {"skmerge.forest", "skmerge.design"})


@pytest.mark.parametrize("name", skmerge.__all__)
def test_public_names_stay_what_they_are(name):
    import skmerge.activation  # the module of a function's name

    found = getattr(skmerge, name)
    assert callable(found) and found.__name__ == name and name in dir(skmerge)


def test_public_modules_are_attributes():
    modules = {path.stem for path in ROOT.glob("[!_]*.py")} - {"activation"}  # the function has that name
    code = "import sys, skmerge\nprint(*(getattr(skmerge, name).__name__ for name in sys.argv[1:]))"
    assert printed(code, *modules) == [f"skmerge.{name}" for name in modules]
    assert {name for name in dir(skmerge) if isinstance(getattr(skmerge, name), ModuleType)} >= modules
    with pytest.raises(AttributeError, match="has no attribute 'forrest'"):
        skmerge.forrest  # noqa: B018
