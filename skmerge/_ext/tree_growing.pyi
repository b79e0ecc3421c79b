from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_I4: TypeAlias = NDArray[np.int32]
NODE: np.dtype[np.void]

class Features(NamedTuple):
    X: _F8
    codes: NDArray[np.uint16]
    lower: _F8
    upper: _F8
    place: NDArray[np.intp]

class Coordinates(NamedTuple):
    active: _I4
    shift: _F8
    unit: _F8
    n_square: int

class Rules(NamedTuple):
    linear: bool
    split_on_slopes: bool
    ridge: float
    min_gain: float
    min_leaf: int
    max_depth: int
    max_leaves: int
    best_first: bool
    max_features: int

def grow(
    features: Features,
    weight: _F8,
    y: _F8,
    rest: _F8,
    direction: _F8 | None,
    axis: _I4,
    coordinates: Coordinates,
    rules: Rules,
    seed: int,
    cancelled: _I4,
) -> tuple[NDArray[np.void], _F8]: ...
