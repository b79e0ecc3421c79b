from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch

__all__ = ["Formula", "Variable", "load_formulae", "load_orbits"]

_F8: TypeAlias = NDArray[np.float64]

@dataclass(frozen=True)
class Variable:
    name: str
    low: float
    high: float
    sampling: Literal["loguniform", "uniform", "int"] = "loguniform"
    def __post_init__(self) -> None: ...
    @property
    def top(self) -> float: ...
    def values(self, u: _F8, high: float) -> _F8: ...

@dataclass(frozen=True)
class Formula:
    name: str
    expression: str
    variables: tuple[Variable, ...]
    function: Callable[..., NDArray[np.float64]] = field(repr=False)
    description: str = ""
    @property
    def feature_names(self) -> list[str]: ...
    def __call__(self, X: ArrayLike) -> _F8: ...
    def sample(
        self,
        n: int,
        *,
        noise: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        extrapolate: bool = False,
    ) -> tuple[_F8, _F8]: ...

def load_orbits(*, as_frame: bool = False) -> Bunch: ...
def load_formulae() -> list[Formula]: ...
