"""Designer: the inputs that most probably meet all targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import differential_evolution

from skmerge._design.criterion import FINE, SPAN, WORSE, Criterion
from skmerge._design.models import Models, Seen, knows_inputs
from skmerge._design.requests import narrow, read_correlation, read_space, read_targets, with_width
from skmerge._parameters import check_n_jobs, check_number, check_verbose, seed_of
from skmerge._progress import Reporter

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["Designer", "Designs"]

POOL = 500  # feasible inputs looked at before each scouting search
SOME = 50  # feasible inputs that say how a property with a narrow target spreads
# Short searches from crowds of their own, whose best then breed: of single ones on an alloy of 15 elements two of five
# ended in a lesser optimum, of three full ones one in five.
SCOUTS, SCOUT_ITER = 6, 25
SHORTLIST = 400  # of the inputs seen, those that a new search weighs
MIN_CROWD, MAX_CROWD = 40, 150  # inputs in a generation
PATIENCE, STALLED = (15, 8), 1e-3  # a search, a last search ends if so many generations lower its loss by less
POLISH = 0.03  # of the width of the bounds: where the last search of a proposal looks
LIKELY = 0.5  # probability from which on the best proposal is worth making
HOPELESS = 0.05  # probability below which the targets are taken apart
BLAME_ITER = 20  # generations to take them apart
DUST = 1e-3  # of the width of its bounds: less of an input that may be 0 is left out, as it cannot be weighed
OBJECTION = 1e-3  # loss, so a thousandth of the probability, for which dust is kept
NEVER = 1e-10  # probability below which digits say nothing
BROKEN, TAKEN = 1e15, 1e12  # added to the loss for a broken constraint, and near a proposal already made


@dataclass(frozen=True)
class Designs:
    """What a Designer proposes, best first; printed as a table, inputs that are zero in every proposal left out.

    Attributes
    ----------
    inputs, properties : list of str
    X : ndarray of shape (n, n_inputs)
    mean, std : ndarray of shape (n, n_properties)
    probability : ndarray of shape (n,)
        That all targets hold.
    target_probability : ndarray of shape (n, n_properties)
        That each of them holds; NaN where a property has no target.
    action : {"exploit", "explore"}
    next_x : ndarray of shape (n_inputs,)
        The next experiment: the first proposal, or an input of which more must be known.
    advice : str
    blame : dict
        Where the targets are hardly reached: of each target the greatest probability alone, and of the others without
        it; otherwise empty.
    words : dict
        ``{input: [words]}`` of inputs that are categories; X holds the place of a word in its list.
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
        rows = [("proposal", range(1, len(self) + 1)), ("probability", [chance(p, 3) for p in self.probability])]
        rows += [
            (name, self._cells(name, column) if name in self.words else [f"{x:.4g}" if x else "-" for x in column])
            for name, column in zip(self.inputs, self.X.T, strict=True)
            if column.any() or name in self.words
        ]
        for j, name in enumerate(self.properties):
            pairs = zip(self.mean[:, j], self.std[:, j], strict=True)
            rows.append((name, [f"{mean:.4g}" + (f" +- {std:.2g}" if std > 0 else "") for mean, std in pairs]))
            if not np.isnan(self.target_probability[:, j]).any():
                rows.append(("  target holds", [chance(p, 3) for p in self.target_probability[:, j]]))
        left = max(len(str(name)) for name, _ in rows)
        wide = max(len(str(cell)) for _, cells in rows for cell in cells)
        lines = [f"{name!s:{left}}" + "".join(f"  {cell!s:>{wide}}" for cell in cells) for name, cells in rows]
        return "\n".join([*lines, f"Next: {self.advice}"])


class Designer:
    """Proposes the inputs with the greatest probability that all targets hold.

    Each property is normal about its prediction, and the errors of different properties are correlated; the
    probability is that of the box of targets under their joint distribution. No gradient of the models is used.

    Parameters
    ----------
    model : regressor, imputer, callable, dict or list of these
        Fitted regressors with ``predict(X, return_std=True)``, of one or several properties, pipelines and searches
        that end in one, or a random forest, whose std is that of its trees; functions of X (n, n_inputs), columns as
        in ``inputs``, that return exact values or a pair (value, std); a fitted `MergedNetImputer` of the whole
        table. Keys of a dict name the properties (a tuple of names where a model predicts several). Without a dict
        they are called as the columns of y were where the model knows, otherwise 0, 1, ..., and the property of the
        only target as that target.
    targets : dict
        ``{property: (low, high)}``, None leaving a side open: (700, None) is at least 700. Or "maximise" or
        "minimise": as far as all targets together are still reached with probability ``confidence``.
    inputs : list of str, default=None
        Names of the inputs; None: the names that models were fitted with, otherwise x0, x1, ...
    bounds : dict or sequence of (low, high), default=None
        By input; inputs without any, or None, keep to the range that the models were trained on, where these know it.
        Categories have none.
    components : list of inputs, default=None
        Those that ``total`` and ``max_nonzero`` speak of; None: all.
    total : float, default=None
        What the components add up to, such as 1 or 100.
    max_nonzero : int, default=None
        How many components at most differ from zero.
    fixed : dict, default=None
        ``{input: value}``; a level, by its word or code, of an input that is a category. The source of an imputer must
        be fixed.
    integer : list of inputs, default=()
        Those that are whole numbers.
    constraints : list, default=()
        Of ``({input: coefficient}, (low, high))`` or ``scipy.optimize.LinearConstraint`` over all inputs.
    correlation : array-like of shape (n_properties, n_properties) or dict {(property, property): float}, default=None
        Of the errors of the properties, in the order of ``properties``. None: estimated if y is given, an imputer's
        own, otherwise 0.
    X, y : array-like of shape (n_samples, n_inputs) and (n_samples, n_properties) or data frames, default=None
        What the models were fitted to, NaN where unmeasured, to estimate how their errors are correlated from rows
        left out: those with an ``oob_prediction_`` need y only, other regressors are fitted again in five folds. In
        the order of ``inputs`` and ``properties``, or columns of their names.
    confidence : float in (0, 1), default=0.5
        See ``targets``.
    distance : float in (0, 1], default=0.1
        Proposals differ by at least this share of its range in at least one input.
    max_iter : int, default=100
        Generations of each search, at most: it ends once fifteen of them raise the probability by less than 0.1 %.
    n_jobs : int or None, default=None
        Threads over models; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints each search, 2 also every tenth generation.

    Attributes
    ----------
    properties : list
        What the models predict, in their order.
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
            inputs = None if knows_inputs(model) else list(bounds)
        elif np.iterable(bounds) and not isinstance(bounds, dict) and not knows_inputs(model):
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

    # --- using it

    def probability(self, X: ArrayLike) -> _F8:
        """Probability that all targets hold at given inputs, whether or not these satisfy the constraints.

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
            How many; fewer are returned where there are no more that differ enough.

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
            x = self._search(criterion.loss, seen, taken, rng, f"proposal {i + 1} of {n}")
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
        for line in (self._blame_text(blame, probability[0]), f"fewer than the {n} proposals asked for differ enough"):
            if line and (len(X) < n or not line.startswith("fewer")):
                advice += f"; {line}"
        words = {self.inputs[j]: words for j, words in self._models.words.items()}
        X, next_x = self._models.codes(X), self._models.codes(next_x[None])[0]
        return Designs(
            self.inputs, self.properties, X, mean, std, probability, each, action, next_x, advice + ".", blame, words
        )

    def _scout(self, rng):
        """Searches that know nothing of each other: the criterion in units of the first pool, and what they saw."""
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
            title = f"search {i + 1} of {SCOUTS}"
            nothing, max_iter = np.empty((0, X.shape[1])), min(SCOUT_ITER, self.max_iter)
            x = self._search(criterion.loss, own, nothing, rng, title, max_iter, polish=False)
            seen.join(own)
            if len(X) < MIN_CROWD or (
                not criterion.goal.any() and criterion.loss(*self._models.predict(x[None]))[0] < STALLED
            ):
                break  # hardly any input, or a target reached for sure: nothing is left to look for
        return criterion, seen

    def _search(self, loss, seen, taken, rng, title, max_iter=None, polish=True):
        """The best input away from those taken: differential evolution among all, then near the best; None if none."""
        max_iter = self.max_iter if max_iter is None else max_iter
        best = None
        for stage in range(1 + polish):
            space = self._space if stage == 0 else self._space.around(best, POLISH)
            free = np.flatnonzero(space.width > 0)
            start, value = self._start(space, free, best, loss, seen, taken, rng)
            if start is None:
                return None
            self._say(f"{title}: begins at {self._said(value.min())}")
            if len(free) and len(start) >= 5:
                best = self._evolve(space, free, start, loss, seen, taken, rng, title, max_iter, PATIENCE[stage])
            else:
                best = start[value.argmin()]
        return self._weighable(best, loss, seen, taken) if polish else best

    def _weighable(self, x, loss, seen, taken):
        """The input without amounts too small to be weighed, unless constraints or loss object."""
        space = self._space
        small = np.flatnonzero((space.low == 0) & (x > 0) & (x < DUST * space.high) & ~space.integer)
        most = self._value(x[None], np.zeros(1), loss, seen, taken)[0] + OBJECTION
        high = space.high.copy()
        for j in small[np.argsort(x[small] / space.high[small], kind="stable")]:
            without = np.where(np.arange(len(x)) == j, 0.0, high)
            # Zeros stay zeros: the rest makes up for what is left out.
            X, broken = replace(space, high=np.where(x == 0, np.minimum(0.0, without), without)).repair(x[None])
            if broken[0] == 0 and self._value(X, broken, loss, seen, taken)[0] <= most:
                x, high = X[0], without
        return x

    def _value(self, X, broken, loss, seen, taken):
        """Loss of inputs, constraints and what is taken included."""
        value = np.full(len(X), BROKEN) * (1 + broken)
        fine = broken == 0
        if fine.any():
            value[fine] = loss(*seen.predict(X[fine]))
        if len(taken):
            near = self._nearness(X, taken)
            value += np.where(near > 0, TAKEN * (1 + near), 0.0)
        return value

    def _nearness(self, X, taken):
        """By how much rows are nearer than ``distance`` to one that is taken; 0 beyond it."""
        width = np.where(self._space.width > 0, self._space.width, np.inf)
        apart = (np.abs(X[:, None] - taken) / width).max(axis=2).min(axis=1)
        return np.maximum(self.distance * (1 - 1e-9) - apart, 0.0)

    def _start(self, space, free, best, loss, seen, taken, rng):
        """First generation: the best inputs seen and as many at random; (inputs, losses) or (None, None)."""
        crowd = int(np.clip(10 * len(free), MIN_CROWD, MAX_CROWD))
        if best is None:
            X, mean, std = seen.rows()
            away = np.flatnonzero(self._nearness(X, taken) == 0) if len(taken) else np.arange(len(X))
            if not len(away):
                return None, None
            # Independent errors are quick to judge; what looks best then is judged in full.
            rough = loss(mean[away], std[away], rough=True)
            away = np.r_[away[np.argsort(rough, kind="stable")[:SHORTLIST]], rng.choice(away, min(crowd, len(away)))]
            away = np.unique(away)
            value = loss(mean[away], std[away])
            order = np.argsort(value, kind="stable")
            keep = np.r_[order[: crowd // 2], rng.permutation(order[crowd // 2 :])[: crowd - crowd // 2]]
            return X[away[keep]], value[keep]
        X = space.low + rng.random((crowd, len(space.low))) * space.width
        X, broken = space.repair(np.vstack([best, X]))
        X[0], broken[0] = best, 0.0
        return X, self._value(X, broken, loss, seen, taken)

    def _evolve(self, space, free, start, loss, seen, taken, rng, title, max_iter, patience):
        failure, low, width = [], space.low[free], space.width[free]

        def inputs(U):
            X = np.tile(space.low, (len(U), 1))
            X[:, free] = low + U * width
            return space.repair(X)

        def value(U):
            try:
                X, broken = inputs(U.T)
                return self._value(X, broken, loss, seen, taken)
            except (ValueError, TypeError) as error:  # which SciPy would call a fault of its own arguments
                failure.append(error)
                raise

        best = [np.inf]

        def tell(intermediate_result):
            best.append(intermediate_result.fun)
            if len(best) % 10 == 1:
                self._say(f"{title}: generation {len(best) - 1}, {self._said(best[-1])}", 2)
            sure = best[-1] < STALLED and not self._criterion.goal.any()
            return sure or (len(best) > patience and best[-1] > best[-patience] - STALLED)

        try:
            found = differential_evolution(
                value,
                [(0.0, 1.0)] * len(free),
                init=np.clip((start[:, free] - low) / width, 0.0, 1.0),
                maxiter=max_iter,
                tol=1e-6,
                atol=1e-7,
                mutation=(0.4, 0.9),
                recombination=0.9,
                polish=False,
                vectorized=True,
                updating="deferred",
                callback=tell,
                seed=rng,
            )
        except RuntimeError:
            if failure:
                raise failure[0] from None
            raise
        self._say(f"{title}: {self._said(found.fun)} after {found.nit} generations")
        X, broken = inputs(found.x[None])
        # The first generation is coded and decoded: its best may have lost its last digits.
        X, broken = np.vstack([X, start]), np.r_[broken, np.zeros(len(start))]
        return X[self._value(X, broken, loss, seen, taken).argmin()]

    def _said(self, loss):
        if loss >= TAKEN:
            return "nothing yet that satisfies the constraints"
        if loss >= WORSE:
            return "a target of an exactly known property is missed"
        if self._criterion.goal.any():
            return f"loss {loss:.4g}"
        return f"probability {chance(np.exp(-loss), 3)}"

    def _say(self, text, level=1):
        Reporter("Designer", self.verbose).say(text, level)

    # --- what to do with it

    def _next(self, criterion, seen, rng, best, probability, uncertain):
        """("exploit" or "explore", input, why)."""
        if probability >= LIKELY or (not uncertain and probability > 0):
            advice = f"exploit: make proposal 1, which meets all targets with probability {chance(probability, 3)}"
            return "exploit", best, advice

        def hopeful(mean, std, rough=False):
            return criterion.loss(mean, std, rough, optimism=1.0)

        nearest = self._missed(criterion, best)
        if not uncertain:
            return "explore", best, f"loosen a target: {nearest}, and nothing is left to learn of exact functions"
        x = self._search(hopeful, seen, np.empty((0, len(best))), rng, "next experiment")
        mean, std = self._models.predict(x[None])
        if criterion.limits(mean, std, criterion.low, criterion.high)[2].any():
            return "explore", x, f"loosen a target: {nearest}, and no experiment changes exact functions"
        hope = np.exp(-min(hopeful(mean, std)[0] - (SPAN if criterion.goal.any() else 0.0), 700.0))
        share = np.where(np.isin(np.arange(len(std[0])), criterion.bounded), std[0] / criterion.spread, -1.0)
        doubt = self.properties[int(share.argmax())]
        category = np.isin(np.arange(len(x)), list(self._models.levels))
        free = np.flatnonzero(((x != 0) | category) & (self._space.width > 0))
        shown = self._models.codes(x[None])[0]
        place = ", ".join(f"{self.inputs[j]} {self._models.said(j, shown[j])}" for j in free) or "the only input"
        advice = (
            f"explore: measure at {place}; no input is likely to meet all targets (proposal 1: "
            f"{chance(probability)}), here least is known of {doubt!r}, and if all predictions err by one std to the "
            f"good side the probability is {chance(min(hope, 1.0))}"
        )
        return "explore", x, advice

    def _missed(self, criterion, x):
        """By how much the best proposal misses the targets of exact functions, in words."""
        (mean,), (std,) = self._models.predict(x[None])
        missed = criterion.limits(mean, std, criterion.low, criterion.high)[2]
        said = []
        for j in np.flatnonzero(missed):
            low = mean[j] < criterion.low[j]
            end = f"at least {criterion.low[j]:.6g}" if low else f"at most {criterion.high[j]:.6g}"
            said.append(f"{self.properties[j]!r} is {mean[j]:.6g} and not {end}")
        return f"no input was found that meets all; of proposal 1, which comes nearest, {', '.join(said)}"

    def _blame(self, criterion, seen, rng):
        """{target: (greatest probability alone, greatest probability of the others without it)}."""
        goals = tuple(np.flatnonzero(criterion.goal))
        nothing = np.empty((0, len(self.inputs)))

        def reached(title, **options):
            def loss(mean, std, rough=False):
                return criterion.loss(mean, std, rough, **options)

            if title:
                x = self._search(loss, seen, nothing, rng, title, BLAME_ITER, polish=False)
                value = loss(*self._models.predict(x[None]))[0]
            else:  # by the inputs seen
                value = self._start(self._space, [], None, loss, seen, nothing, rng)[1].min()
            return 0.0 if value >= WORSE else float(np.exp(-value))

        blame = {}
        for j in (j for j in criterion.bounded if j not in goals):
            alone = reached(f"{self.properties[j]!r} alone", only=j, without=goals)
            blame[self.properties[j]] = alone, reached(None, without=(*goals, j))
        worst = max(blame, key=lambda name: blame[name][1])
        others = (*goals, self.properties.index(worst))
        blame[worst] = blame[worst][0], max(reached(f"all but {worst!r}", without=others), blame[worst][1])
        return blame

    def _blame_text(self, blame, probability):
        if not blame:
            return ""
        worst = max(blame, key=lambda name: blame[name][1])
        alone, without = blame[worst]
        if len(blame) == 1:
            return f"no input was found that reaches the target of {worst!r} with more than {chance(probability)}"
        return (
            f"no input was found that reaches all targets with more than probability {chance(probability)}: to blame "
            f"is most of all the target of {worst!r}, reached alone with probability {chance(alone)}; without it the "
            f"others are reached with {chance(without)}"
        )


def chance(probability, digits=2):
    """A probability in print; of the order of the least only that it is small."""
    return f"< {NEVER:.0e}" if 0 < probability < NEVER else f"{probability:.{digits}g}"
