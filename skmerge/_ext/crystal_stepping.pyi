from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_F8: TypeAlias = NDArray[np.float64]
OVERLOAD: float
OUTSIDE: int
REVERSED: int
LONG: int
ELSEWHERE: int
LOST: int

def root_limits(least: float, most: float) -> tuple[float, float]: ...
def knee(before: _F8, S: _F8, H: _F8, n: float) -> tuple[_F8, _F8]: ...

@disjoint_base
class Flow:
    address: int
    function: int
    def __init__(
        self,
        table: _F8,
        reached: NDArray[np.uint8],
        grid: _F8,
        part: NDArray[np.int32],
        exponent: float,
        axis: _F8,
        longest: float,
        heun: bool,
        memory: bool = False,
    ) -> None: ...
    def rates(self, state: _F8, rising: NDArray[np.int32], out: _F8) -> None: ...
    def step(self, state: _F8, d_eps: _F8, out: _F8, tangent: _F8) -> None: ...
    def propagate(
        self,
        state: _F8,
        angles: _F8,
        strain: _F8,
        out: _F8,
        flags: NDArray[np.uint8],
        cancelled: NDArray[np.int32],
    ) -> None: ...
