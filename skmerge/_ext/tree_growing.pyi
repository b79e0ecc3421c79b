from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_I4: TypeAlias = NDArray[np.int32]
_U2: TypeAlias = NDArray[np.uint16]
NODE: np.dtype[np.void]

def grow(
    X: _F8,
    codes: _U2,
    lower: _F8,
    upper: _F8,
    place: NDArray[np.intp],
    weight: _F8,
    y: _F8,
    rest: _F8,
    direction: _F8 | None,
    axis: _I4,
    active: _I4,
    shift: _F8,
    unit: _F8,
    n_square: int,
    linear: bool,
    ridge: float,
    min_gain: float,
    min_leaf: int,
    max_depth: int,
    max_leaves: int,
    best_first: bool,
    max_features: int,
    seed: int,
    cancelled: _I4,
    split_on_slopes: bool = True,
) -> tuple[NDArray[np.void], _F8]: ...
