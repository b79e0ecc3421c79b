from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

__all__ = ["DIRECTIONS", "NORMALS", "Crystal", "mean_stress", "schmid_factors", "simulate"]

_F8: TypeAlias = NDArray[np.float64]
NORMALS: _F8
DIRECTIONS: _F8

@dataclass(frozen=True)
class Crystal:
    C11: float = 168.9
    C12: float = 121.8
    C44: float = 75.8
    slip_rate: float = 1e-3
    rate_exponent: float = 20.0
    tau0: float = 8.0
    forest_coefficient: float = 0.3
    shear_modulus: float = 48.0
    burgers: float = 0.256
    k1: float = 1.30208e8
    k2: float = 4.11755
    self_hardening: float = 1.0
    latent_hardening: float = 1.0
    def __post_init__(self) -> None: ...
    def resistance(self, rho: ArrayLike) -> Any: ...
    def young_modulus(self, direction: ArrayLike) -> float: ...

def schmid_factors(orientation: ArrayLike | Rotation, *, axis: ArrayLike = "z") -> _F8: ...
def simulate(
    orientation: ArrayLike | Rotation,
    strain: ArrayLike,
    *,
    crystal: Crystal | None = None,
    loading: Literal["uniaxial", "taylor"] = "uniaxial",
    axis: ArrayLike = "z",
    strain_rate: float = 1e-3,
    rho0: ArrayLike = 1e12,
    tol: float = 3e-5,
    max_substeps: int = 10_000,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> _F8: ...
def mean_stress(state: ArrayLike, *, volume: ArrayLike | None = None) -> _F8: ...
