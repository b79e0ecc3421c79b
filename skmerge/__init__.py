"""skmerge: learn from sparse data; merge simulations, physical laws and experiments."""

from importlib import import_module
from os import path as _path
from typing import TYPE_CHECKING

from skmerge.activation import activation, activation_derivatives

if TYPE_CHECKING:  # also for editors
    from skmerge import crystal as crystal
    from skmerge import datasets as datasets
    from skmerge import design as design
    from skmerge import forest as forest
    from skmerge import metrics as metrics
    from skmerge import net as net
    from skmerge import plasticity as plasticity
    from skmerge import plot as plot
    from skmerge import reading as reading
    from skmerge import table as table
    from skmerge import trajectories as trajectories
    from skmerge.design import Designer
    from skmerge.forest import GradientForestRegressor
    from skmerge.net import MergedNetRegressor
    from skmerge.plasticity import PlasticityPropagator
    from skmerge.reading import read_table
    from skmerge.table import MergedNetImputer

__all__ = [
    "Designer",
    "GradientForestRegressor",
    "MergedNetImputer",
    "MergedNetRegressor",
    "PlasticityPropagator",
    "activation",
    "activation_derivatives",
    "get_include",
    "read_table",
]
__version__ = "0.1.0"

# Imported when first asked for (PEP 562): `import skmerge` takes 0.03 s beyond NumPy, all of these 0.4 s beyond
# scikit-learn.
_MODULE_OF = {
    "Designer": "design",
    "GradientForestRegressor": "forest",
    "MergedNetImputer": "table",
    "MergedNetRegressor": "net",
    "PlasticityPropagator": "plasticity",
    "read_table": "reading",
}
_SUBMODULES = {*_MODULE_OF.values(), "crystal", "datasets", "metrics", "plot", "trajectories"}


def get_include() -> str:
    """Directory of the headers and sources for C and Fortran programs, which compile them beside their own.

    Examples
    --------
    >>> import os
    >>> import skmerge
    >>> os.path.isfile(os.path.join(skmerge.get_include(), "grain_model.h"))
    True
    """
    return _path.join(_path.dirname(_path.abspath(__file__)), "_ext")


if not TYPE_CHECKING:  # to a type checker, any name would be one of the package

    def __getattr__(name):
        if name in _MODULE_OF:
            value = globals()[name] = getattr(import_module(f"skmerge.{_MODULE_OF[name]}"), name)
            return value
        if name in _SUBMODULES:
            return import_module(f"skmerge.{name}")
        raise AttributeError(f"module 'skmerge' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__, *_SUBMODULES})
