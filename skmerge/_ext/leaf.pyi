import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

def polynomial(coef: F8, Z: F8, n_square: int) -> tuple[F8, F8]: ...
def recentred(coef: F8, shift: F8, n_square: int) -> F8: ...
