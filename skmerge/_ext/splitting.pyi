import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
U2 = NDArray[np.uint16]

def best_split(
    X: F8,
    codes: U2,
    weight: F8,
    rest: F8,
    factor: F8,
    centre: F8,
    linear: bool = False,
    ridge: float = 0.0,
    min_leaf: int = 1,
) -> tuple[float, int, int, int, bool, int] | None: ...
