"""skmerge: learn from sparse data; merge simulations, physical laws and experiments."""

from skmerge.activation import activation, activation_derivatives
from skmerge.forest import GradientForestRegressor
from skmerge.net import MergedNetRegressor
from skmerge.plasticity import PlasticityPropagator

__all__ = [
    "GradientForestRegressor",
    "MergedNetRegressor",
    "PlasticityPropagator",
    "activation",
    "activation_derivatives",
]
__version__ = "0.1.0"
