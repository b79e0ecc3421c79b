from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Designer", "Designs"]

_F8: TypeAlias = NDArray[np.float64]

@dataclass(frozen=True)
class Designs:
    inputs: list[str]
    properties: list[Any]
    X: _F8
    mean: _F8
    std: _F8
    probability: _F8
    target_probability: _F8
    action: Literal["exploit", "explore"]
    next_x: _F8
    advice: str
    blame: dict[Any, Any] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    def __len__(self) -> int: ...
    def to_frame(self) -> Any: ...

class Designer:
    properties: list[Any]
    correlation_: _F8
    def __init__(
        self,
        model: object,
        targets: Mapping[Any, Sequence[float | None] | str],
        *,
        inputs: Sequence[str] | None = None,
        bounds: Mapping[Any, Sequence[float] | None] | Sequence[Sequence[float] | None] | None = None,
        components: Sequence[str | int] | None = None,
        total: float | None = None,
        max_nonzero: int | None = None,
        fixed: Mapping[Any, float | str] | None = None,
        integer: Sequence[str | int] = (),
        constraints: Sequence[Any] = (),
        correlation: ArrayLike | Mapping[tuple[Any, Any], float] | None = None,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        confidence: float = 0.5,
        distance: float = 0.1,
        max_iter: int = 100,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def probability(self, X: ArrayLike) -> _F8: ...
    def suggest(self, n: int = 5) -> Designs: ...
