import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

def stage(
    schmid: F8,
    spin: F8,
    interaction: F8,
    stiffness: F8,
    flow: F8,
    axis: F8,
    taylor: bool,
    quaternion: F8,
    forest: F8,
    r: F8,
    h: float,
    sign: float,
    u: F8,
) -> tuple[list[float], list[list[float]]]: ...
def integrate(
    schmid: F8,
    spin: F8,
    interaction: F8,
    stiffness: F8,
    flow: F8,
    axis: F8,
    taylor: bool,
    quaternion: F8,
    forest: F8,
    strain: F8,
    tol: float,
    max_substeps: int,
    cancelled: NDArray[np.int32],
    stress: F8,
    forest_squares: F8,
    orientation: F8,
    failed: F8,
    substeps: NDArray[np.int64],
) -> None: ...
