"""skmerge: learn from sparse data; merge simulations, physical laws and experiments."""

from skmerge.activation import activation, activation_derivatives
from skmerge.design import Designer
from skmerge.forest import GradientForestRegressor
from skmerge.net import MergedNetRegressor
from skmerge.plasticity import PlasticityPropagator
from skmerge.table import MergedNetImputer

__all__ = [
    "Designer",
    "GradientForestRegressor",
    "MergedNetImputer",
    "MergedNetRegressor",
    "PlasticityPropagator",
    "activation",
    "activation_derivatives",
]
__version__ = "0.1.0"
