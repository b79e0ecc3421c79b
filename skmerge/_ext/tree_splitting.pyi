from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]
_U2: TypeAlias = NDArray[np.uint16]

class BestSplit(NamedTuple):
    gain: float
    feature: int
    code: int
    next_code: int
    missing_left: bool
    n_left: int

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
) -> BestSplit | None: ...
