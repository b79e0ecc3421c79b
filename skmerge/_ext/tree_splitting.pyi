from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_U2: TypeAlias = NDArray[np.uint16]

def best_split(
    X: _F8,
    codes: _U2,
    weight: _F8,
    rest: _F8,
    factor: _F8,
    centre: _F8,
    linear: bool = False,
    ridge: float = 0.0,
    min_leaf: int = 1,
) -> tuple[float, int, int, int, bool, int] | None: ...
