import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.intp]
V = NDArray[np.void]

def apply(X: F8, nodes: V, start: I8, leaves: F8, m: int, active: I4, shift: F8, unit: F8, n_square: int) -> I8: ...
def moments(
    X: F8,
    nodes: V,
    start: I8,
    leaves: F8,
    m: int,
    active: I4,
    shift: F8,
    unit: F8,
    n_square: int,
    clip: bool,
    rate: F8,
    member_start: I8,
    member_weight: F8,
    squares: bool,
) -> tuple[F8, F8 | None]: ...
def gradient(
    X: F8,
    nodes: V,
    start: I8,
    leaves: F8,
    m: int,
    active: I4,
    shift: F8,
    unit: F8,
    n_square: int,
    clip: bool,
    rate: F8,
    member_start: I8,
    member_weight: F8,
    exact: bool,
) -> F8: ...
