from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

_F4: TypeAlias = NDArray[np.float32]
_F8: TypeAlias = NDArray[np.float64]

@overload
def saturating(u: _F4, C: _F4, out: _F4) -> None: ...
@overload
def saturating(u: _F8, C: _F8, out: _F8) -> None: ...
@overload
def saturating_derivatives(u: _F4, C: _F4, dg_du: _F4, dg_dC: _F4) -> None: ...
@overload
def saturating_derivatives(u: _F8, C: _F8, dg_du: _F8, dg_dC: _F8) -> None: ...
