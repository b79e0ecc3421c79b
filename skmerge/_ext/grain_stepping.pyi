from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_F8: TypeAlias = NDArray[np.float64]
_I4: TypeAlias = NDArray[np.int32]

class Steps(NamedTuple):
    stress: _F8
    hardening: _F8
    slip: _F8
    orientation: _F8
    pieces: _I4
    failed: _I4

@disjoint_base
class GrainLaw:
    def __init__(
        self,
        schmid: _F8,
        spin: _F8,
        stiffness: _F8,
        flow: _F8,
        linear: _F8 | None,
        table: _F8 | None,
        interaction: _F8 | None = ...,
        tol: float = ...,
        newton_tol: float = ...,
        most_halvings: int = ...,
        lanes: int = ...,
        back: tuple[float, float] = ...,
    ) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def row(self) -> int: ...
    def step(self, L: _F8, dt: _F8, state: _F8, with_tangent: bool = ...) -> tuple[_F8, _I4, _F8 | None]: ...
    def stress(self, state: _F8) -> _F8: ...
    def integrate(self, state: _F8, time: _F8, gradient: _F8, cancelled: _I4) -> Steps: ...

def gradient_of(F: _F8, F_new: _F8, dt: _F8) -> _F8: ...
def most_lanes() -> int: ...
