from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]

def is_slow(n: int, m: int) -> bool: ...
def minimize(
    X: F8,
    y: F8,
    weight: F8,
    x_scale: F8,
    x_mean: F8,
    product: U1,
    sign: U1,
    theta0: F8,
    lower: F8,
    upper: F8,
    penalty: F8,
    max_iter: int = 200,
    tol: float = 1e-9,
    watch: Callable[[int, float], bool] | None = None,
    n_threads: int = 1,
) -> tuple[F8, float, int, F8]: ...
