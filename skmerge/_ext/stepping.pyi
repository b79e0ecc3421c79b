import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

class Flow:
    address: int
    function: int
    def __init__(
        self,
        table: F8,
        reached: NDArray[np.uint8],
        grid: F8,
        part: NDArray[np.int32],
        exponent: float,
        axis: F8,
        longest: float,
        heun: bool,
        tol: float,
        memory: bool = False,
    ) -> None: ...
    def rates(self, state: F8, rising: NDArray[np.int32], out: F8) -> None: ...
    def step(self, state: F8, d_eps: F8, out: F8, tangent: F8) -> None: ...
    def propagate(
        self,
        state: F8,
        angles: F8,
        strain: F8,
        out: F8,
        flags: NDArray[np.uint8],
        cancelled: NDArray[np.int32],
    ) -> None: ...
