import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
U2 = NDArray[np.uint16]
NODE: np.dtype[np.void]

def grow(
    X: F8,
    codes: U2,
    lower: F8,
    upper: F8,
    place: NDArray[np.intp],
    weight: F8,
    y: F8,
    rest: F8,
    direction: F8 | None,
    axis: I4,
    active: I4,
    shift: F8,
    unit: F8,
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
    cancelled: I4,
    split_on_slopes: bool = True,
) -> tuple[NDArray[np.void], F8]: ...
