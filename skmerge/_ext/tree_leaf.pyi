from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]

def polynomial(coef: _F8, Z: _F8, n_square: int) -> tuple[_F8, _F8]: ...
def recentred(coef: _F8, shift: _F8, n_square: int) -> _F8: ...
