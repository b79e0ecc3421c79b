from collections.abc import Sequence
from os import PathLike
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["read_damask"]

def read_damask(
    path: str | PathLike[str],
    *,
    axis: ArrayLike = "auto",
    density: str | Sequence[str] = "auto",
    grains: Literal["orientation", "phase", "cell"] = "orientation",
    phases: str | Sequence[str] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
