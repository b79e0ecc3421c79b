from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

__all__ = ["activation", "activation_derivatives"]

# Any: an array of the dtype of u, or a scalar where u is one
def activation(
    u: ArrayLike,
    C: ArrayLike = 1.0,
    *,
    kind: Literal["saturating", "outside", "tanh"] = "saturating",
    out: NDArray[Any] | None = None,
) -> Any: ...
def activation_derivatives(
    u: ArrayLike, C: ArrayLike = 1.0, *, kind: Literal["saturating", "outside", "tanh"] = "saturating"
) -> tuple[Any, Any]: ...
