from typing import NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from skmerge._ext.tree_growing import Coordinates

_F8: TypeAlias = NDArray[np.float64]
_I8: TypeAlias = NDArray[np.intp]
_V: TypeAlias = NDArray[np.void]

class Gaps(NamedTuple):
    at: _I8
    X: _F8
    low: _F8
    high: _F8
    near: _F8
    steep: _F8

def damaged() -> NoReturn: ...

@disjoint_base
class Forest:
    def __init__(
        self,
        n_features: int,
        nodes: _V,
        start: _I8,
        leaves: _F8,
        m: int,
        coordinates: Coordinates,
        rate: _F8,
        member_start: _I8,
    ) -> None: ...
    def apply(self, X: _F8) -> _I8: ...
    def moments(self, X: _F8, clip: bool, member_weight: _F8, squares: bool) -> tuple[_F8, _F8 | None]: ...
    def gradient(self, X: _F8, clip: bool, member_weight: _F8, exact: bool) -> _F8: ...
    def between(
        self, gaps: Gaps, clip: bool, member_weight: _F8, slopes: bool, exact: bool
    ) -> tuple[_F8, _F8, _F8 | None]: ...
    def beside(self, X: _F8, low: _F8, high: _F8, near: _F8, clip: bool, member_weight: _F8) -> tuple[_F8, _F8]: ...
