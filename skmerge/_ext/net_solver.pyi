from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_F8: TypeAlias = NDArray[np.float64]
_U1: TypeAlias = NDArray[np.uint8]

@disjoint_base
class Rows:
    def __init__(self, X: _F8, y: _F8, weight: _F8, x_scale: _F8, x_mean: _F8, product: _U1) -> None: ...

def equations_of(
    rows: Rows, theta: _F8, sign: _U1, slot: NDArray[np.int32], m: int
) -> Callable[[int, int], tuple[float, _F8, _F8]]: ...
def is_slow(n: int, m: int) -> bool: ...
def minimize(
    rows: Rows,
    sign: _U1,
    theta0: _F8,
    lower: _F8,
    upper: _F8,
    penalty: _F8,
    max_iter: int = 200,
    tol: float = 1e-9,
    watch: Callable[[int, float], bool] | None = None,
    n_threads: int = 1,
) -> tuple[_F8, float, int, _F8]: ...
