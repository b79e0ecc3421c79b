from collections.abc import Sequence
from os import PathLike
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["read_damask"]

def read_damask(
    path: str | PathLike[str],
    *,
    axis: ArrayLike = "z",
    density: Sequence[str] = ("rho_mob", "rho_dip"),
    grains: Literal["phase", "cell"] = "phase",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
