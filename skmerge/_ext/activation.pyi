from typing import overload

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

@overload
def saturating(u: F4, C: F4, out: F4) -> None: ...
@overload
def saturating(u: F8, C: F8, out: F8) -> None: ...
@overload
def saturating_derivatives(u: F4, C: F4, dg_du: F4, dg_dC: F4) -> None: ...
@overload
def saturating_derivatives(u: F8, C: F8, dg_du: F8, dg_dC: F8) -> None: ...
