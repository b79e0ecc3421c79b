from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_F8: TypeAlias = NDArray[np.float64]

class Paths(NamedTuple):
    stress: _F8
    forest_squares: _F8
    slip: _F8
    orientation: _F8
    failed: _F8

@disjoint_base
class SlipLaw:
    def __init__(
        self,
        schmid: _F8,
        spin: _F8,
        interaction: _F8,
        stiffness: _F8,
        flow: _F8,
        axis: _F8,
        taylor: bool,
    ) -> None: ...
    def stage(
        self, quaternion: _F8, forest: _F8, r: _F8, h: float, sign: float, u: _F8
    ) -> tuple[list[float], list[list[float]]]: ...
    def integrate(
        self,
        quaternion: _F8,
        forest: _F8,
        strain: _F8,
        tol: float,
        max_substeps: int,
        cancelled: NDArray[np.int32],
    ) -> Paths: ...
    def integrate_any(
        self,
        quaternion: _F8,
        forest: _F8,
        time: _F8,
        gradient: _F8,
        tol: float,
        max_substeps: int,
        cancelled: NDArray[np.int32],
    ) -> Paths: ...
