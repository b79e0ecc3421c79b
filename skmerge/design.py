"""Designer: the inputs that most probably meet all targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmerge._design.criterion import FINE, SPAN, WORSE, Criterion, as_text
from skmerge._design.models import Models, Seen, stores_inputs
from skmerge._design.requests import narrow, read_correlation, read_space, read_targets, with_width
from skmerge._design.search import MIN_POPULATION, STALLED, Search
from skmerge._parameters import check_n_jobs, check_number, check_verbose, seed_of
from skmerge._progress import Reporter

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["Designer", "Designs"]

POOL = 500  # feasible inputs predicted before each scouting search
SOME = 50  # feasible inputs that give the spread of a property with a narrow target
# Independent short searches, whose results a proposal starts from: on an alloy of 15 elements a single full search
# ended in a local optimum in two of five cases, three full ones in one of five.
SCOUTS, SCOUT_ITER = 6, 25
LIKELY = 0.5  # probability above which the best proposal is worth making
HOPELESS = 0.05  # probability below which the targets are examined one by one
BLAME_ITER = 20  # generations for that


@dataclass(frozen=True)
class Designs:
    """Proposals of a Designer, the best first; printed as a table without inputs that are zero in every proposal.

    Attributes
    ----------
    inputs, properties : list of str
    X : ndarray of shape (n, n_inputs)
    mean, std : ndarray of shape (n, n_properties)
    probability : ndarray of shape (n,)
        Probability that all targets hold.
    target_probability : ndarray of shape (n, n_properties)
        Probability that each target holds; NaN for a property without target.
    action : {"exploit", "explore"}
    next_x : ndarray of shape (n_inputs,)
        The next experiment: the first proposal, or an input about which more must be known.
    advice : str
    blame : dict
        If the targets are hardly reached, for each target its greatest probability alone, and that of the others
        without it; otherwise empty.
    words : dict
        ``{input: [words]}`` of inputs that are categories; X contains positions in these lists.
    """

    inputs: list
    properties: list
    X: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    probability: np.ndarray
    target_probability: np.ndarray
    action: str
    next_x: np.ndarray
    advice: str
    blame: dict = field(default_factory=dict)
    words: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.X)

    def to_frame(self) -> Any:
        """A pandas data frame: inputs, each property and its standard deviation (name_std), probability."""
        import pandas

        columns = {name: self._cells(name, column) for name, column in zip(self.inputs, self.X.T, strict=True)}
        for name, mean, std in zip(self.properties, self.mean.T, self.std.T, strict=True):
            columns |= {name: mean, f"{name}_std": std}
        return pandas.DataFrame(columns | {"probability": self.probability})

    def _cells(self, name, column):
        words = self.words.get(name)
        return column if words is None else [words[int(code)] for code in column]

    def __str__(self):
        rows = [("proposal", range(1, len(self) + 1)), ("probability", [as_text(p, 3) for p in self.probability])]
        rows += [
            (name, self._cells(name, column) if name in self.words else [f"{x:.4g}" if x else "-" for x in column])
            for name, column in zip(self.inputs, self.X.T, strict=True)
            if column.any() or name in self.words
        ]
        for j, name in enumerate(self.properties):
            pairs = zip(self.mean[:, j], self.std[:, j], strict=True)
            rows.append((name, [f"{mean:.4g}" + (f" +- {std:.2g}" if std > 0 else "") for mean, std in pairs]))
            if not np.isnan(self.target_probability[:, j]).any():
                rows.append(("  target holds", [as_text(p, 3) for p in self.target_probability[:, j]]))
        left = max(len(str(name)) for name, _ in rows)
        wide = max(len(str(cell)) for _, cells in rows for cell in cells)
        lines = [f"{name!s:{left}}" + "".join(f"  {cell!s:>{wide}}" for cell in cells) for name, cells in rows]
        return "\n".join([*lines, f"Next: {self.advice}"])


class Designer:
    """Proposes the inputs with the greatest probability that all targets hold.

    Each property is normally distributed about its prediction, and the errors of different properties are correlated;
    the probability is that of the box of targets under their joint distribution. No gradients of models are needed.

    Parameters
    ----------
    model : regressor, imputer, callable, dict or list of these
        Fitted regressors with ``predict(X, return_std=True)``, of one or several properties, pipelines and searches
        that end in one, or a random forest, whose std is that of its trees; functions of X (n, n_inputs), columns as
        in ``inputs``, that return exact values or a pair (value, std); a fitted `MergedNetImputer` of the whole
        table. Keys of a dict name the properties (a tuple of names if a model predicts several). Without a dict,
        names are those of the columns of y if the model has them, otherwise 0, 1, ...; a single property has the
        name of the only target.
    targets : dict
        ``{property: (low, high)}``, None for an open side: (700, None) is at least 700. Or "maximise" or "minimise":
        as far as all targets together are still reached with probability ``confidence``.
    inputs : list of str, default=None
        Names of the inputs; None: the names that models were fitted with, otherwise x0, x1, ...
    bounds : dict or sequence of (low, high), default=None
        By input; other inputs, and those with None, stay in the range that the models were trained on, if these store
        it. Categories have no bounds.
    components : list of inputs, default=None
        Inputs to which ``total`` and ``max_nonzero`` apply; None: all.
    total : float, default=None
        Sum of the components, such as 1 or 100.
    max_nonzero : int, default=None
        Largest number of components that differ from zero.
    fixed : dict, default=None
        ``{input: value}``; for a category a level, by its word or code. The source of an imputer must be fixed.
    integer : list of inputs, default=()
        Inputs that are whole numbers.
    constraints : list, default=()
        Of ``({input: coefficient}, (low, high))`` or ``scipy.optimize.LinearConstraint`` over all inputs.
    correlation : array-like of shape (n_properties, n_properties) or dict {(property, property): float}, default=None
        Of the errors of the properties, in the order of ``properties``. None: estimated if y is given, an imputer's
        own, otherwise 0.
    X, y : array-like of shape (n_samples, n_inputs) and (n_samples, n_properties) or data frames, default=None
        Training data of the models, NaN where unmeasured, to estimate the correlation of errors from rows left out:
        models with an ``oob_prediction_`` need y only, other regressors are fitted again in five folds. In the order
        of ``inputs`` and ``properties``, or columns of their names.
    confidence : float in (0, 1), default=0.5
        See ``targets``.
    distance : float in (0, 1], default=0.1
        Two proposals differ in at least one input by at least this share of its range.
    max_iter : int, default=100
        Largest number of generations of a search, which ends when fifteen raise the probability by less than 0.1 %.
    n_jobs : int or None, default=None
        Threads over models; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints each search and every tenth of its generations, 2 all generations.

    Attributes
    ----------
    properties : list
        Names of what the models predict, in their order.
    correlation_ : ndarray of shape (n_properties, n_properties)

    Raises
    ------
    ValueError
        If the constraints contradict each other, a name is unknown, or a model is not fitted or predicts NaN.

    Examples
    --------
    >>> from skmerge import Designer
    >>> designer = Designer(
    ...     {"strength": lambda X: (10 * X[:, 0], 0.1 + 0 * X[:, 0]), "cost": lambda X: X[:, 0] + 3 * X[:, 1]},
    ...     {"strength": (4.0, None), "cost": "minimise"}, inputs=["a", "b"], bounds=[(0, 1), (0, 1)], random_state=0,
    ... )
    >>> designer.suggest(1).X.round(2)
    array([[0.4, 0. ]])
    """

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
    ) -> None:
        check_number("confidence", confidence, Real, 1e-6, 1 - 1e-6, give="give a number between 0 and 1")
        check_number("distance", distance, Real, 1e-9, 1)
        check_number("max_iter", max_iter, Integral, 1)
        check_verbose(verbose)
        check_n_jobs(n_jobs)
        if not isinstance(targets, dict) or not targets:
            raise TypeError(f"targets is {targets!r}; give a dict {{property: (low, high)}} of at least one.")
        if inputs is not None:
            if isinstance(inputs, str) or not np.iterable(inputs):
                raise TypeError(f"inputs={inputs!r} is not possible: give a list of names.")
            inputs = [str(name) for name in inputs]
            if len(set(inputs)) < len(inputs) or not inputs:
                raise ValueError(f"inputs={inputs} must be distinct names, at least one.")
        elif isinstance(bounds, dict) and all(isinstance(name, str) for name in bounds):
            inputs = None if stores_inputs(model) else list(bounds)
        elif np.iterable(bounds) and not isinstance(bounds, dict) and not stores_inputs(model):
            inputs = [f"x{j}" for j in range(len(bounds))]
        self._models = Models(model, inputs, list(targets), n_jobs)
        self.inputs, self.properties = self._models.inputs, self._models.names
        self.confidence, self.distance = float(confidence), float(distance)
        self.max_iter, self.random_state, self.verbose = max_iter, random_state, verbose
        low, high, goal = read_targets(targets, self.properties)
        self._space = read_space(self._models, bounds, components, total, max_nonzero, fixed, integer, constraints)
        if narrow(low, high).any():
            some = self._space.sample(SOME, np.random.default_rng(0))
            low, high = with_width(low, high, *self._models.predict(some), self.properties)
        self.correlation_ = read_correlation(self._models, correlation, X, y)
        m, R = len(low), self.correlation_
        criterion = Criterion(low, high, goal, None, self.confidence, np.zeros(m), np.ones(m))
        if not np.array_equal(R, np.eye(m)):
            at = criterion.bounded
            criterion = replace(criterion, factor=np.linalg.cholesky(R[np.ix_(at, at)]))
        self._criterion = criterion

    # --- search

    def probability(self, X: ArrayLike) -> _F8:
        """Probability that all targets hold at given inputs, even if these violate the constraints.

        Parameters
        ----------
        X : array-like of shape (n, n_inputs) or data frame with the inputs as columns

        Returns
        -------
        probability : ndarray of shape (n,)
        """
        rows = self._models.coded(X)
        if not np.isfinite(rows).all():
            raise ValueError(f"X has shape {rows.shape}; give finite rows of the inputs {self.inputs}.")
        return self._criterion.probabilities(*self._models.predict(self._models.places(rows)))[0]

    def suggest(self, n: int = 5) -> Designs:
        """Search for proposals.

        Parameters
        ----------
        n : int, default=5
            Number of proposals; the result has fewer if no more differ enough.

        Returns
        -------
        designs : Designs
        """
        check_number("n", n, Integral, 1)
        rng = np.random.default_rng(seed_of(self.random_state))
        criterion, seen = self._scout(rng)
        found = []
        for i in range(n):
            taken = np.array(found).reshape(i, len(self.inputs))
            x = self._search(f"proposal {i + 1} of {n}", criterion.loss, seen, rng, taken).run()
            if x is None:
                break
            found.append(x)
        X = np.array(found)
        mean, std = self._models.predict(X)
        order = np.argsort(criterion.loss(mean, std, n_points=FINE), kind="stable")
        X, mean, std = X[order], mean[order], std[order]
        probability, each = criterion.probabilities(mean, std)
        blame = self._blame(criterion, seen, rng) if probability[0] < HOPELESS else {}
        action, next_x, advice = self._next(criterion, seen, rng, X[0], probability[0], (std > 0).any())
        if blame:
            advice += f"; {blame_in_words(blame, probability[0])}"
        if len(X) < n:
            advice += f"; fewer than the {n} proposals asked for differ enough"
        words = {self.inputs[j]: words for j, words in self._models.words.items()}
        X, next_x = self._models.codes(X), self._models.codes(next_x[None])[0]
        return Designs(
            self.inputs, self.properties, X, mean, std, probability, each, action, next_x, advice + ".", blame, words
        )

    def _search(self, title, loss, seen, rng, taken=None, max_iter=None):
        taken = np.empty((0, len(self.inputs))) if taken is None else taken
        max_iter = self.max_iter if max_iter is None else max_iter
        has_goals, reporter = self._criterion.goal.any(), Reporter("Designer", self.verbose)
        return Search(self._space, loss, seen, taken, self.distance, rng, max_iter, has_goals, title, reporter)

    def _scout(self, rng):
        """Independent short searches: the criterion in units of the first pool, and all inputs seen."""
        criterion, seen = None, Seen(self._models)
        for i in range(SCOUTS):
            own = Seen(self._models)
            X = self._space.sample(POOL, rng)
            if not len(X):
                raise ValueError(
                    "no input was found that satisfies bounds and constraints to 1e-9; loosen them a little."
                )
            mean, _ = own.predict(X)
            if criterion is None:
                spread = mean.std(axis=0)
                spread = np.where(spread > 0, spread, np.maximum(np.abs(mean).max(axis=0), 1.0))
                criterion = replace(self._criterion, middle=mean.mean(axis=0), spread=spread)
            title, max_iter = f"search {i + 1} of {SCOUTS}", min(SCOUT_ITER, self.max_iter)
            x = self._search(title, criterion.loss, own, rng, max_iter=max_iter).run(polish=False)
            seen.join(own)
            sure = not criterion.goal.any() and criterion.loss(*self._models.predict(x[None]))[0] < STALLED
            if len(X) < MIN_POPULATION or sure:
                break  # more searches would find nothing better
        return criterion, seen

    # --- advice

    def _next(self, criterion, seen, rng, best, probability, uncertain):
        """("exploit" or "explore", the next input, advice)."""
        if probability >= LIKELY or (not uncertain and probability > 0):
            advice = f"exploit: make proposal 1, which meets all targets with probability {as_text(probability, 3)}"
            return "exploit", best, advice

        def hopeful(mean, std, rough=False):
            return criterion.loss(mean, std, rough, optimism=1.0)

        nearest = self._missed(criterion, best)
        if not uncertain:
            return "explore", best, f"{nearest}; all models are exact, and no experiment would change their predictions"
        x = self._search("next experiment", hopeful, seen, rng).run()
        mean, std = self._models.predict(x[None])
        _, _, missed = criterion.limits(mean, std, criterion.low, criterion.high)
        if missed.any():
            return "explore", x, f"{nearest}; these models are exact, and no experiment would change their predictions"
        hope = np.exp(-min(hopeful(mean, std)[0] - (SPAN if criterion.goal.any() else 0.0), 700.0))
        share = np.where(np.isin(np.arange(len(std[0])), criterion.bounded), std[0] / criterion.spread, -1.0)
        least_known = self.properties[int(share.argmax())]
        category = np.isin(np.arange(len(x)), list(self._models.levels))
        free = np.flatnonzero(((x != 0) | category) & (self._space.width > 0))
        shown = self._models.codes(x[None])[0]
        place = ", ".join(f"{self.inputs[j]} {self._models.as_text(j, shown[j])}" for j in free) or "the only input"
        advice = (
            f"explore: measure at {place}; no input is likely to meet all targets (proposal 1 does with probability "
            f"{as_text(probability)}), and at this one the prediction of {least_known!r} is the least certain. If all "
            "predictions are wrong by one standard deviation, each in the direction that helps, the probability is "
            f"{as_text(min(hope, 1.0))}"
        )
        return "explore", x, advice

    def _missed(self, criterion, x):
        """By how much the best proposal misses the targets of exact models, in words, and what to do."""
        (mean,), (std,) = self._models.predict(x[None])
        _, _, missed = criterion.limits(mean, std, criterion.low, criterion.high)
        texts = []
        for j in np.flatnonzero(missed):
            low = mean[j] < criterion.low[j]
            end = f"at least {criterion.low[j]:.6g}" if low else f"at most {criterion.high[j]:.6g}"
            texts.append(f"{self.properties[j]!r} is {mean[j]:.6g} and not {end}")
        return (
            "explore: loosen a target, because no input was found that meets all of them; in proposal 1, the nearest, "
            f"{', '.join(texts)}"
        )

    def _blame(self, criterion, seen, rng):
        """{target: (greatest probability alone, greatest probability of the others without it)}."""
        goals = tuple(np.flatnonzero(criterion.goal))

        def reached(title, **options):
            def loss(mean, std, rough=False):
                return criterion.loss(mean, std, rough, **options)

            search = self._search(title, loss, seen, rng, max_iter=BLAME_ITER)
            if title:
                value = loss(*self._models.predict(search.run(polish=False)[None]))[0]
            else:  # without a search
                value = search.best_seen()[1].min()
            return 0.0 if value >= WORSE else float(np.exp(-value))

        blame = {}
        for j in (j for j in criterion.bounded if j not in goals):
            alone = reached(f"{self.properties[j]!r} alone", only=j, without=goals)
            blame[self.properties[j]] = alone, reached(None, without=(*goals, j))
        worst = most_to_blame(blame)
        others = (*goals, self.properties.index(worst))
        blame[worst] = blame[worst][0], max(reached(f"all but {worst!r}", without=others), blame[worst][1])
        return blame


def most_to_blame(blame):
    return max(blame, key=lambda name: blame[name][1])


def blame_in_words(blame, probability):
    worst = most_to_blame(blame)
    alone, without = map(as_text, blame[worst])
    if len(blame) == 1:
        return f"no input was found that reaches the target of {worst!r} with more than {as_text(probability)}"
    return (
        f"no input was found that reaches all targets with more than probability {as_text(probability)}: the target "
        f"of {worst!r} is most to blame, reached alone with probability {alone}; without it the others are reached "
        f"with {without}"
    )
