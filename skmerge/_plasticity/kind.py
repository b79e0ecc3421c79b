"""What the three kinds of propagator have in common, and the regressor that they learn with."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter


@dataclass(frozen=True)
class Kind:
    """A fitted propagator of one kind.

    A kind defines NAMES and FOREST, and four methods: ``learn(steps, learner, weight, memory)`` of the class, which
    returns the fitted attributes and warnings, ``rates``, ``propagate`` and ``inside``.
    """

    NAMES: ClassVar[tuple]  # attributes of PlasticityPropagator that it needs
    FOREST: ClassVar[dict]  # parameters of the forest that learns where no regressor is given

    fitted: dict  # of the attributes NAMES
    axis: np.ndarray | None  # (3,), in the sample
    integrator: str = "heun"

    @property
    def heun(self):
        """Whether a step has two stages."""
        return self.integrator != "euler"


@dataclass(frozen=True)
class Learner:
    """Fits copies of a regressor; ``is_default``: whether it is the forest that is used if none is given."""

    estimator: object
    is_default: bool
    seed: int

    def __call__(self, X, y, weight=None, **slopes):
        """A regressor fitted to X (n, d) and y (n,) or (n, m); our forest takes slopes too."""
        estimator, given = clone(self.estimator), {} if weight is None else {"sample_weight": weight}
        if estimator.get_params().get("random_state", 0) is None:
            estimator.set_params(random_state=self.seed)
        if given and not has_fit_parameter(estimator, "sample_weight"):
            raise TypeError(f"sample_weight: {type(estimator).__name__} takes none; leave it out or give another.")
        try:
            return estimator.fit(X, y, **given, **slopes)
        except ValueError:
            # Tags do not suffice: those of MLPRegressor and GridSearchCV say that they take one output, but both may
            # take several.
            if y.ndim == 1 or get_tags(estimator).target_tags.multi_output:
                raise
            return MultiOutputRegressor(estimator).fit(X, y, **given, **slopes)
