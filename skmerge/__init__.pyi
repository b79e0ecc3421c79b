from skmerge import crystal as crystal
from skmerge import datasets as datasets
from skmerge import design as design
from skmerge import forest as forest
from skmerge import metrics as metrics
from skmerge import net as net
from skmerge import plasticity as plasticity
from skmerge import plot as plot
from skmerge import table as table
from skmerge import trajectories as trajectories
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
__version__: str
