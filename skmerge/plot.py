"""Displays of data, predictions and models, by scikit-learn's plotting convention; matplotlib is imported to draw."""

from skmerge._plot.confidence import ConfidenceCurveDisplay
from skmerge._plot.law import LawDisplay
from skmerge._plot.laws import LawsDisplay
from skmerge._plot.missingness import MissingnessDisplay
from skmerge._plot.parity import ParityDisplay
from skmerge._plot.partition import PartitionDisplay
from skmerge._plot.trajectory import TrajectoryDisplay

__all__ = [
    "ConfidenceCurveDisplay",
    "LawDisplay",
    "LawsDisplay",
    "MissingnessDisplay",
    "ParityDisplay",
    "PartitionDisplay",
    "TrajectoryDisplay",
]
