from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_U1: TypeAlias = NDArray[np.uint8]
_T = TypeVar("_T")
PART: int

def in_parts(function: Callable[[int, int], _T], n: int, n_threads: int) -> list[_T]: ...
def predict(X: _F8, x_scale: _F8, x_mean: _F8, product: _U1, theta: _F8, sign: _U1, n_threads: int = 1) -> _F8: ...
def jacobian(
    X: _F8, y: _F8, weight: _F8, x_scale: _F8, x_mean: _F8, product: _U1, theta: _F8, sign: _U1, n_threads: int = 1
) -> tuple[_F8, _F8]: ...
def loss_gradient(
    X: _F8, y: _F8, weight: _F8, x_scale: _F8, x_mean: _F8, product: _U1, theta: _F8, sign: _U1, n_threads: int = 1
) -> tuple[float, _F8]: ...
def input_gradient(
    X: _F8, x_scale: _F8, x_mean: _F8, product: _U1, theta: _F8, sign: _U1, n_threads: int = 1
) -> _F8: ...
