from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]
T = TypeVar("T")
PART: int

def in_parts(function: Callable[[int, int], T], n: int, n_threads: int) -> list[T]: ...
def predict(X: F8, x_scale: F8, x_mean: F8, product: U1, theta: F8, sign: U1, n_threads: int = 1) -> F8: ...
def jacobian(
    X: F8, y: F8, weight: F8, x_scale: F8, x_mean: F8, product: U1, theta: F8, sign: U1, n_threads: int = 1
) -> tuple[F8, F8]: ...
def loss_gradient(
    X: F8, y: F8, weight: F8, x_scale: F8, x_mean: F8, product: U1, theta: F8, sign: U1, n_threads: int = 1
) -> tuple[float, F8]: ...
def input_gradient(X: F8, x_scale: F8, x_mean: F8, product: U1, theta: F8, sign: U1, n_threads: int = 1) -> F8: ...
