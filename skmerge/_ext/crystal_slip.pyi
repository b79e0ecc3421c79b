from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_F8: TypeAlias = NDArray[np.float64]

def stage(
    schmid: _F8,
    spin: _F8,
    interaction: _F8,
    stiffness: _F8,
    flow: _F8,
    axis: _F8,
    taylor: bool,
    quaternion: _F8,
    forest: _F8,
    r: _F8,
    h: float,
    sign: float,
    u: _F8,
) -> tuple[list[float], list[list[float]]]: ...
def integrate(
    schmid: _F8,
    spin: _F8,
    interaction: _F8,
    stiffness: _F8,
    flow: _F8,
    axis: _F8,
    taylor: bool,
    quaternion: _F8,
    forest: _F8,
    strain: _F8,
    tol: float,
    max_substeps: int,
    cancelled: NDArray[np.int32],
    stress: _F8,
    forest_squares: _F8,
    orientation: _F8,
    failed: _F8,
    substeps: NDArray[np.int64],
) -> None: ...
