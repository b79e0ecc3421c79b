"""Designer: probabilities against Monte Carlo, optima against dense searches, constraints always satisfied, errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import LinearConstraint
from scipy.stats import multivariate_normal, norm, spearmanr
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmerge import Designer, GradientForestRegressor, MergedNetImputer, MergedNetRegressor
from skmerge._design.criterion import log_box, log_interval
from skmerge._design.feasible import Feasible
from skmerge._design.requests import error_correlation

UNIT = {"inputs": ["a", "b"], "bounds": [(0, 1), (0, 1)], "random_state": 0}


def hill(X):
    """Highest, 1, at (0.3, 0.7), for two or more inputs."""
    return 1 - ((X[:, :2] - [0.3, 0.7]) ** 2).sum(axis=1), np.full(len(X), 0.1)


def plane(X):
    return X[:, 0] - X[:, 1], 0.1 + 0.1 * X[:, 1]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (60, 2))
    return X, np.column_stack([np.sin(6 * X[:, 0]) + X[:, 1], X[:, 0] * X[:, 1]]) + 0.03 * rng.normal(size=(60, 2))


# --- probability


@settings(max_examples=50, deadline=None)
@given(st.floats(-40, 40), st.floats(1e-3, 10) | st.just(np.inf))
def test_log_interval_is_exact_in_both_tails(lower, width):
    upper = lower + width
    peak = np.clip(0.0, lower, upper)  # the density is integrated in units of its greatest value
    ends = max(lower, peak - 12), min(upper, peak + 12)
    area = quad(lambda t: np.exp((peak - t) * (peak + t) / 2), *ends, points=[peak], limit=200, epsabs=0)[0]
    expected = np.log(area) - peak**2 / 2 - np.log(2 * np.pi) / 2
    assert log_interval(np.array([lower]), np.array([upper]))[0] == pytest.approx(expected, rel=1e-8, abs=1e-9)


@settings(max_examples=25)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_probability_of_a_box_against_scipy(m, seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, 2 * m))
    R = np.corrcoef(A)
    lower = rng.normal(-1, 1, m)
    upper = np.where(rng.random(m) < 0.5, np.inf, lower + rng.uniform(0.5, 3, m))
    ours = np.exp(log_box(lower[None], upper[None], np.linalg.cholesky(R), 4096))[0]
    theirs = multivariate_normal.cdf(upper, np.zeros(m), R, maxpts=10**6, lower_limit=lower)
    assert ours == pytest.approx(theirs, rel=0.02, abs=1e-4)


def test_probability_against_monte_carlo():
    rng = np.random.default_rng(0)
    R = np.array([[1, 0.8, -0.3], [0.8, 1, 0.1], [-0.3, 0.1, 1]])
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    model = {("p", "q", "r"): lambda X: (np.tile(mean, (len(X), 1)), np.tile(std, (len(X), 1)))}
    targets = {"p": (0.9, None), "q": (None, 2.2), "r": (1, 4)}
    designer = Designer(model, targets, correlation=R, **UNIT)
    draws = rng.multivariate_normal(mean, R * np.outer(std, std), 400_000)
    hold = (draws[:, 0] > 0.9) & (draws[:, 1] < 2.2) & (draws[:, 2] > 1) & (draws[:, 2] < 4)
    assert designer.probability([[0.5, 0.5]])[0] == pytest.approx(hold.mean(), abs=4 * hold.std() / 400_000**0.5)
    independent = Designer(model, targets, **UNIT)
    product = np.prod([norm.sf(-0.2), norm.cdf(0.2), norm.cdf(0.5) - norm.cdf(-1)])
    assert independent.probability([[0.5, 0.5]])[0] == pytest.approx(product, rel=1e-9)
    assert abs(product - hold.mean()) > 0.05  # what the correlation is for


def test_correlation_of_errors_is_estimated(data):
    rng = np.random.default_rng(1)
    R = np.array([[1, 0.7, 0], [0.7, 1, -0.5], [0, -0.5, 1]])
    residual = rng.multivariate_normal(np.zeros(3), R, 3000)
    residual[rng.random(residual.shape) < 0.3] = np.nan
    residual[0] = [1e6, -1e6, 0]  # a gross error decides nothing
    np.testing.assert_allclose(error_correlation(residual), R, atol=0.06)
    assert np.array_equal(error_correlation(np.full((50, 2), np.nan)), np.eye(2))
    X, _ = data
    shared = rng.normal(size=len(X))
    y = np.column_stack([X[:, 0] + 0.5 * shared, X[:, 1] + 0.5 * shared])
    models = {name: GradientForestRegressor(20, order=0, random_state=0).fit(X, y[:, k]) for k, name in enumerate("pq")}
    R = Designer(models, {"p": (1, None)}, y=y, random_state=0).correlation_
    assert 0.7 < R[0, 1] < 1
    assert np.array_equal(Designer(models, {"p": (1, None)}).correlation_, np.eye(2))


def test_correlation_of_models_without_rows_left_out(data):
    """Fitted again in folds: that of the residuals of scikit-learn's own cross-validation."""
    X, y = data
    y = y + 0.3 * np.random.default_rng(2).normal(size=(len(X), 1))
    models = {name: make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1, optimizer=None)).fit(X, y[:, k])
              for k, name in enumerate("pq")}  # fmt: skip
    folds = KFold(5, shuffle=True, random_state=0)
    residual = [y[:, k] - cross_val_predict(model, X, y[:, k], cv=folds) for k, model in enumerate(models.values())]
    expected = 2 * np.sin(np.pi / 6 * spearmanr(*residual).statistic)
    assert 0.5 < expected < 1
    found = Designer(models, {"p": (1, None)}, X=X, y=y, bounds=[(0, 1)] * 2)
    assert found.correlation_[0, 1] == pytest.approx(expected, rel=1e-9)
    missing = y.copy()
    missing[30:, 0] = np.nan  # 30 rows in common are left
    some = Designer(models, {"p": (1, None)}, X=X, y=missing, bounds=[(0, 1)] * 2)
    assert 0.2 < some.correlation_[0, 1] < 1
    assert some.correlation_[0, 1] != found.correlation_[0, 1]


def test_an_imputer_knows_columns_ranges_and_correlation():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (200, 2))
    noise = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 200)
    y = np.column_stack([X[:, 0] + X[:, 1], X[:, 0] - X[:, 1]]) + 0.2 * noise
    y[::3, 0], y[1::3, 1] = np.nan, np.nan
    imputer = MergedNetImputer(n_estimators=0, random_state=0).fit(np.hstack([X, y]))
    designer = Designer(imputer, {"x2": (1.2, None), "x3": (0.2, None)}, max_iter=5, random_state=0)
    assert designer.inputs == ["x0", "x1"]
    assert designer.properties == ["x2", "x3"]
    assert designer.correlation_[0, 1] == pytest.approx(0.8, abs=0.2)
    designs = designer.suggest(1)
    assert (X.min(axis=0) <= designs.X[0]).all()
    assert (designs.X[0] <= X.max(axis=0)).all()
    filled = imputer.transform(np.hstack([designs.X, np.full((1, 2), np.nan)]))
    np.testing.assert_allclose(designs.mean[0], filled[0, 2:])
    swapped = Designer({("x3", "x2"): imputer}, {"x2": (1, None)})
    np.testing.assert_allclose(swapped.correlation_, designer.correlation_)


def test_a_random_forest_varies_as_its_trees(data):
    X, y = data
    scaled = make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0)).fit(X, y)
    search = GridSearchCV(scaled, {"randomforestregressor__max_depth": [3]}, cv=2).fit(X, y)
    for model in (scaled, search):
        designs = Designer(model, {0: (1, None)}, max_iter=2, bounds=[(0, 1)] * 2, random_state=0).suggest(1)
        np.testing.assert_allclose(designs.mean, model.predict(designs.X))
        last = getattr(model, "best_estimator_", model)
        trees = [tree.predict(last[0].transform(designs.X)) for tree in last[-1].estimators_]
        np.testing.assert_allclose(designs.std, np.std(trees, axis=0))


# --- optima


def dense(step):
    axis = np.arange(0, 1 + step / 2, step)
    return np.array(np.meshgrid(axis, axis)).reshape(2, -1).T


@pytest.mark.parametrize("kind", ["kriging", "forest", "net", "functions"])
def test_as_good_as_a_dense_search(data, kind):
    X, y = data
    if kind == "kriging":
        model = GaussianProcessRegressor(RBF(0.3), alpha=0.01, normalize_y=True).fit(X, y)
    elif kind == "forest":
        model = GradientForestRegressor(30, order=0, random_state=0).fit(X, y)
    elif kind == "net":
        model = MergedNetRegressor(2, n_estimators=1, random_state=0).fit(X, y)
    else:
        model = [hill, plane]
    targets = {0: (0.9, None), 1: (0.0, 0.2)}
    constraints = [({"a": 1, "b": 2}, (None, 1.5))]
    designer = Designer(model, targets, constraints=constraints, correlation=[[1, 0.6], [0.6, 1]], **UNIT)
    grid = dense(0.02)
    grid = grid[grid @ [1, 2] <= 1.5 + 1e-12]
    found = designer.suggest(1)
    assert found.X[0] @ [1, 2] <= 1.5 + 1e-8
    assert found.probability[0] >= 0.99 * designer.probability(grid).max()
    np.testing.assert_allclose(found.probability, designer.probability(found.X), rtol=1e-12)


def test_known_optimum_of_a_mixture():
    """Least expensive mixture with a property of exactly 3: by hand, 1/4 of a and 3/4 of b."""
    designer = Designer(
        {"p": lambda X: X @ [6.0, 2.0, 0.0], "cost": lambda X: X @ [5.0, 1.0, 4.0]},
        {"p": (3.0, None), "cost": "minimise"}, inputs=list("abc"), bounds=[(0, 1)] * 3, total=1, random_state=0,
    )  # fmt: skip
    found = designer.suggest(1)
    np.testing.assert_allclose(found.X[0], [0.25, 0.75, 0], atol=1e-3)
    assert found.mean[0, 0] >= 3.0
    assert found.probability[0] == 1.0
    assert found.action == "exploit"


def test_goals_keep_the_confidence():
    """Maximise hill where plane is at least 0 with probability 0.9: plane's mean must be 1.28 std above 0."""
    designer = Designer({"h": hill, "g": plane}, {"h": "maximise", "g": (0, None)}, confidence=0.9, **UNIT)
    grid = dense(0.02)
    mean, std = plane(grid)
    allowed = grid[norm.cdf(mean / std) >= 0.9]
    found = designer.suggest(1)
    assert found.target_probability[0, 1] >= 0.9 - 0.01
    assert hill(found.X)[0][0] >= hill(allowed)[0].max() - 0.05
    assert np.isnan(found.target_probability[0, 0])


def test_whole_numbers():
    def wave(X):
        return np.sin(X[:, 0]) + np.cos(1.3 * X[:, 1]), np.full(len(X), 0.3)

    designer = Designer(
        wave, {"y": (1.7, None)}, inputs=["n", "m"], bounds=[(0, 20), (0.5, 20.5)], integer=["n", "m"],
        constraints=LinearConstraint([[1, 2]], 10, 20), random_state=0,
    )  # fmt: skip
    grid = np.array(np.meshgrid(np.arange(21), np.arange(1, 21))).reshape(2, -1).T
    total = grid @ [1, 2]
    best = grid[(total >= 10) & (total <= 20)]
    found = designer.suggest(1)
    assert found.probability[0] == pytest.approx(designer.probability(best).max(), rel=1e-9)
    assert (np.round(found.X) == found.X).all()


# --- constraints


@st.composite
def spaces(draw):
    """Bounds, total, number of components and whole numbers that a drawn input satisfies."""
    d = draw(st.integers(2, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scale = draw(st.sampled_from([1.0, 100.0]))
    x = rng.dirichlet(np.ones(d))
    k = draw(st.integers(1, d))
    x[rng.permutation(d)[k:]] = 0.0
    x *= scale / x.sum()
    high = np.minimum(x + rng.uniform(0.05, 1, d) * scale, scale)
    low = np.where((x > 0) & (rng.random(d) < 0.3), x * rng.random(d), 0.0)
    integer = []
    if draw(st.booleans()):
        j = int(x.argmax())
        other = int(np.argsort(x)[-2])
        shift = x[j] - np.floor(x[j])
        if scale == 100.0 and k > 1 and x[other] + shift <= high[other]:
            x[j], x[other] = x[j] - shift, x[other] + shift
            low[j] = min(low[j], x[j])
            integer = [j]
    coefficient = rng.normal(size=d)
    extra = [(dict(enumerate(coefficient)), (coefficient @ x - 0.1 * scale, coefficient @ x + 0.1 * scale))]
    return {
        "bounds": list(zip(low, high, strict=True)),
        "total": scale,
        "max_nonzero": k,
        "integer": integer,
        "constraints": extra if draw(st.booleans()) else [],
    }


@settings(max_examples=15, deadline=None)
@given(spaces(), st.integers(0, 100))
def test_constraints_are_always_satisfied(space, seed):
    inputs = [f"x{j}" for j in range(len(space["bounds"]))]

    def value(X):
        return X[:, 0] - X[:, 1], np.full(len(X), 0.1)

    designer = Designer(value, {"y": (0.1, None)}, inputs=inputs, max_iter=3, random_state=seed, **space)
    X = designer.suggest(2).X
    low, high = np.transpose(space["bounds"])
    assert len(X)
    assert (low <= X).all()
    assert (high >= X).all()
    assert (np.count_nonzero(X, axis=1) <= space["max_nonzero"]).all()
    np.testing.assert_allclose(X.sum(axis=1), space["total"], rtol=1e-9)
    assert (X[:, space["integer"]] == np.round(X[:, space["integer"]])).all()
    for terms, (least, most) in space["constraints"]:
        row = np.array(list(terms.values()))
        slack = 2e-9 * np.abs(row) @ high
        assert ((X @ row >= least - slack) & (X @ row <= most + slack)).all()


def test_fixed_inputs_and_distance():
    designer = Designer(hill, {"y": (0.9, None)}, fixed={"b": 0.6}, distance=0.2, **UNIT)
    X = designer.suggest(4).X
    assert (X[:, 1] == 0.6).all()
    apart = np.abs(X[:, None] - X).max(axis=2)
    assert apart[np.triu_indices(len(X), 1)].min() >= 0.2 - 1e-6


def test_fewer_proposals_where_there_are_no_more():
    designs = Designer(hill, {"y": (0.9, None)}, inputs=["a", "b"], bounds=[(0, 2), (0, 1)], integer=["a", "b"],
                       random_state=0).suggest(20)  # fmt: skip
    assert len(designs) == 6
    assert len(np.unique(designs.X, axis=0)) == 6
    assert "fewer than the 20 proposals" in designs.advice
    only = Designer(hill, {"y": (0.9, None)}, fixed={"a": 0.3, "b": 0.7}, **UNIT).suggest(3)
    np.testing.assert_array_equal(only.X, [[0.3, 0.7]])


def test_repair_reaches_narrow_sets():
    d = 6
    space = Feasible(np.zeros(d), np.full(d, 0.2), np.zeros(d, bool), np.ones(d, bool), 5, np.ones((1, d)),
                     np.ones(1), np.ones(1), ("total=1",))  # fmt: skip
    X = space.sample(100, np.random.default_rng(0))  # five components at their bounds: six inputs in all
    assert len(X)
    np.testing.assert_allclose(np.sort(X, axis=1), np.tile([0, 0.2, 0.2, 0.2, 0.2, 0.2], (len(X), 1)), atol=1e-8)


# --- what is said


def test_result_is_readable_and_a_frame():
    designs = Designer({"h": hill, "g": plane}, {"h": (0.95, None), "g": (None, 0)}, **UNIT).suggest(2)
    text = str(designs)
    assert [line.split()[0] for line in text.splitlines()[:-1]] == [
        "proposal", "probability", "a", "b", "h", "target", "g", "target",
    ]  # fmt: skip
    assert text.splitlines()[2].split()[1:] == [f"{value:.4g}" for value in designs.X[:, 0]]
    assert "Next: exploit" in text
    pandas = pytest.importorskip("pandas")
    frame = designs.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame) == ["a", "b", "h", "h_std", "g", "g_std", "probability"]
    np.testing.assert_array_equal(frame[["a", "b"]], designs.X)
    with pytest.raises(AttributeError):
        designs.X = None


def test_unreachable_targets_are_blamed():
    designs = Designer({"h": hill, "g": plane}, {"h": (0.9, None), "g": (5, None)}, **UNIT).suggest(1)
    assert designs.probability[0] < 1e-6
    assert "the target of 'g' is most to blame" in designs.advice
    alone, without = designs.blame["g"]
    assert alone < 1e-6
    assert without == pytest.approx(norm.sf(-1), abs=1e-3)
    assert designs.blame["h"][0] == pytest.approx(norm.sf(-1), abs=1e-3)


def test_small_probabilities_as_text():
    designs = Designer({"h": plane}, {"h": (2, None)}, **UNIT).suggest(1)
    assert 0 < designs.probability[0] < 1e-10
    assert "the target of 'h' with more than < 1e-10" in designs.advice
    assert "< 1e-10" in str(designs) and "e-1" not in (str(designs) + designs.advice).replace("< 1e-10", "")


@pytest.mark.parametrize("target", [(2.9, None), "maximise"])
def test_traces_are_left_out(target):
    """Of eight components the best mixture holds one; traces of others would change nothing."""
    d = 8
    designer = Designer(
        {"p": lambda X: (X[:, 0] * 0.03 + X[:, 1:].sum(axis=1) * 0.02999, np.full(len(X), 0.5))}, {"p": target},
        inputs=list("abcdefgh"), bounds=[(0, 100)] * d, total=100, random_state=0, max_iter=15,
    )  # fmt: skip
    for x in designer.suggest(3).X:
        assert ((x == 0) | (x >= 0.1)).all()
        assert x.sum() == pytest.approx(100, abs=1e-6)
    # A trace that the target needs stays.
    needed = Designer(
        {"p": lambda X: np.where(X[:, 1] > 0, 1.0, 0.0) + 0 * X[:, 0]}, {"p": (1, None)}, inputs=["a", "b"],
        bounds=[(0, 100), (0, 100)], constraints=[({"b": 1}, (None, 0.05))], total=100, random_state=0,
    ).suggest(1)  # fmt: skip
    assert 0 < needed.X[0, 1] <= 0.05


def test_targets_that_exclude_each_other_are_blamed():
    """Either alone is certain; together they are out of reach."""
    designs = Designer(
        {"p": lambda X: (X[:, 0], np.full(len(X), 0.01)), "q": lambda X: (-X[:, 0], np.full(len(X), 0.01))},
        {"p": (0.8, None), "q": (-0.2, None)}, **UNIT,
    ).suggest(1)  # fmt: skip
    assert designs.probability[0] < 0.05
    for alone, without in designs.blame.values():
        assert alone > 0.99
        assert without > 0.99


def test_explores_where_too_little_is_known():
    def doubtful(X):
        return X[:, 0], 0.05 + X[:, 1]

    designs = Designer(doubtful, {"y": (1.5, None)}, **UNIT).suggest(1)
    assert designs.action == "explore"
    assert designs.next_x[1] > 0.9
    assert "explore: measure at" in designs.advice
    exact = Designer(lambda X: X[:, 0], {"y": (1.5, None)}, **UNIT).suggest(1)  # nothing to learn
    assert exact.action == "explore" and "loosen a target" in exact.advice
    assert exact.probability[0] == 0
    assert exact.X[0, 0] == pytest.approx(1.0)  # the nearest there is


def test_same_seed_same_proposals(data):
    X, y = data
    models = {name: GradientForestRegressor(10, order=0, random_state=0).fit(X, y[:, k]) for k, name in enumerate("pq")}
    targets = {"p": (1, None), "q": (None, 0.3)}
    first, again, threads = (
        Designer(models, targets, max_iter=10, random_state=3, n_jobs=n_jobs).suggest(2) for n_jobs in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.X, threads.X)
    other = Designer(models, targets, max_iter=10, random_state=4).suggest(2)
    assert not np.array_equal(first.X, other.X)


def test_models_with_names_take_their_own_columns(data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    frame = pandas.DataFrame(X, columns=["a", "b"])
    rng = np.random.default_rng(0)
    other = pandas.DataFrame({"b": rng.random(40), "c": rng.random(40)})
    models = {
        "p": make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1)).fit(frame, y[:, 0]),
        "q": GaussianProcessRegressor(alpha=0.1).fit(other, other["b"] + other["c"]),
    }
    designer = Designer(models, {"p": (0.5, None), "q": (1.2, None)}, bounds=dict.fromkeys("abc", (0, 1)), max_iter=10)
    assert designer.inputs == ["a", "b", "c"]
    designs = designer.suggest(1)
    expected = models["q"].predict(pandas.DataFrame(designs.X[:, 1:], columns=["b", "c"]))
    np.testing.assert_allclose(designs.mean[:, 1], expected)
    np.testing.assert_allclose(designer.probability(designs.to_frame()), designs.probability)
    both = MergedNetRegressor(1, random_state=0).fit(frame, pandas.DataFrame(y, columns=["u", "v"]))
    assert Designer(both, {"v": (0.1, None)}).properties == ["u", "v"]


@pytest.mark.parametrize("regressor", [GaussianProcessRegressor(alpha=1e-3), RandomForestRegressor(30, random_state=0)])
def test_a_search_in_a_pipeline_in_a_search(data, regressor):
    X, y = data
    inner = GridSearchCV(regressor, {"random_state": [0]}, cv=2)
    model = GridSearchCV(make_pipeline(StandardScaler(), inner), {"standardscaler__with_mean": [False]}, cv=2)
    model.fit(X, y[:, 0])
    designer = Designer(model, {"y": (None, 100.0)}, bounds=[(0, 1)] * X.shape[1], max_iter=2, random_state=0)
    designs = designer.suggest(1)
    np.testing.assert_allclose(designs.mean[:, 0], model.predict(designs.X))
    assert designs.std[0, 0] > 0


def test_progress_is_printed(capsys):
    Designer(hill, {"y": (0.9, None)}, max_iter=20, verbose=2, **UNIT).suggest(1)
    out = capsys.readouterr().out
    assert "[Designer] proposal 1 of 1: begins at probability" in out
    assert "[Designer] 9 of 20 generations of search 1 of" in out
    assert "[Designer] 10 of 20 generations of search 1 of" in out
    Designer(hill, {"y": (0.9, None)}, max_iter=20, verbose=1, **UNIT).suggest(1)
    tenths = capsys.readouterr().out
    assert "[Designer] 10 of 20 generations of search 1 of" in tenths and "9 of 20" not in tenths


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("of the model itself")])
def test_interrupts_and_errors_of_models_come_through(error):
    calls = []

    def model(X):
        calls.append(len(X))
        if len(calls) == 5:
            raise error
        return hill(X)

    designer = Designer(model, {"y": (0.9, None)}, **UNIT)
    with pytest.raises(error if isinstance(error, type) else type(error)) as caught:
        designer.suggest(1)
    if not isinstance(error, type):
        assert "of the model itself" in str(caught.value)
    assert len(designer.suggest(1)) == 1  # as good as new


# --- bad input

GOOD = {"y": (0.9, None)}
THREE = {"inputs": list("abc"), "bounds": [(0, 1)] * 3}


@pytest.mark.parametrize(
    ("model", "targets", "options", "expected"),
    [
        pytest.param(hill, {}, {}, "targets is", id="no targets"),
        pytest.param(hill, None, {}, "targets is", id="None"),
        pytest.param({"h": hill}, GOOD, {}, "targets names 'y', which no model predicts", id="unknown property"),
        pytest.param(hill, {"y": (2, 1)}, {}, "rising order", id="crossed target"),
        pytest.param(hill, {"y": (np.nan, 1)}, {}, "rising order", id="NaN target"),
        pytest.param(hill, {"y": (None, None)}, {}, "excludes nothing", id="open target"),
        pytest.param(hill, {"y": "large"}, {}, "give (low, high)", id="word"),
        pytest.param(hill, GOOD, {"bounds": [(0, 1)]}, "there are 2 inputs", id="too few bounds"),
        pytest.param(hill, GOOD, {"bounds": [(0, 1), (0, np.inf)]}, "two finite numbers", id="open bound"),
        pytest.param(hill, GOOD, {"bounds": [(0, 1), (np.nan, 1)]}, "bounds[1]", id="NaN bound"),
        pytest.param(hill, GOOD, {"bounds": {"a": (0, 1), "z": (0, 1)}}, "which is no input", id="unknown bound"),
        pytest.param(hill, GOOD, {"bounds": {"a": (0, 1)}}, "bounds of ['b'] are missing", id="missing bound"),
        pytest.param(hill, GOOD, {"fixed": {"z": 1}}, "fixed names 'z', which is no input", id="unknown fixed"),
        pytest.param(hill, GOOD, {"fixed": {"a": np.nan}}, "give a finite number", id="NaN fixed"),
        pytest.param(hill, GOOD, {"fixed": {"a": 2}}, "fixed['a']=2 contradicts bounds", id="fixed outside"),
        pytest.param(hill, GOOD, {"total": np.nan}, "total=nan", id="NaN total"),
        pytest.param(hill, GOOD, {"total": 3}, "the sum of components is between 0 and 2", id="total out of reach"),
        pytest.param(hill, GOOD, THREE | {"total": 2.5, "max_nonzero": 2}, "max_nonzero=2", id="total and max_nonzero"),
        pytest.param(
            hill,
            GOOD,
            {"fixed": {"a": 0.5, "b": 0.5}, "max_nonzero": 1},
            "['a', 'b'] differ",
            id="fixed and max_nonzero",
        ),
        pytest.param(
            hill, GOOD, {"fixed": {"a": 0.5}, "integer": ["b"], "total": 1}, "without integer", id="total and integer"
        ),
        pytest.param(hill, GOOD, {"max_nonzero": 0}, "max_nonzero=0", id="no component"),
        pytest.param(hill, GOOD, {"components": ["z"]}, "components names 'z', which is no", id="unknown component"),
        pytest.param(hill, GOOD, {"integer": ["z"]}, "integer names 'z', which is no input", id="unknown integer"),
        pytest.param(
            hill,
            GOOD,
            {"constraints": [({"a": 1}, (0.8, None)), ({"a": 1}, (None, 0.2))]},
            "without constraints[0] or without constraints[1] some inputs do",
            id="contradictory constraints",
        ),
        pytest.param(hill, GOOD, {"constraints": [({"z": 1}, (0, 1))]}, "constraints[0] names", id="constraint's name"),
        pytest.param(hill, GOOD, {"constraints": ["a < b"]}, "constraints[0] is", id="constraint as text"),
        pytest.param(hill, GOOD, {"constraints": [({"a": np.nan}, (0, 1))]}, "finite coefficients", id="constraint"),
        pytest.param([hill, plane], {0: (1, None)}, {"correlation": [[1, 2], [2, 1]]}, "positive definite", id="R"),
        pytest.param([hill, plane], {0: (1, None)}, {"correlation": np.eye(3)}, "2 x 2 finite", id="shape of R"),
        pytest.param([hill, plane], {0: (1, None)}, {"correlation": {(0, 7): 0.1}}, "the key (0, 7)", id="pair of R"),
        pytest.param(hill, GOOD, {"confidence": 1.5}, "confidence=1.5", id="confidence"),
        pytest.param(hill, GOOD, {"distance": 0}, "distance=0", id="distance"),
        pytest.param(hill, GOOD, {"max_iter": 0}, "max_iter=0", id="max_iter"),
        pytest.param(hill, GOOD, {"n_jobs": 0}, "n_jobs=0", id="n_jobs"),
        pytest.param(hill, GOOD, {"inputs": ["a", "a"]}, "distinct names", id="repeated inputs"),
        pytest.param(hill, GOOD, {"inputs": "ab"}, "inputs='ab'", id="inputs as text"),
        pytest.param(hill, GOOD, {"bounds": 5}, "bounds=5", id="bounds as a number"),
        pytest.param(hill, GOOD, {"bounds": [(0, 1e300)] * 2}, "in other units", id="huge bounds"),
        pytest.param(hill, GOOD, {"fixed": "a"}, "give {input: value}", id="fixed as text"),
        pytest.param(hill, GOOD, {"integer": "a"}, "integer='a'", id="integer as text"),
        pytest.param(hill, GOOD, {"integer": ["a"], "bounds": [(0.2, 0.8), (0, 1)]}, "no whole number", id="integer"),
        pytest.param(hill, GOOD, {"components": []}, "components is empty", id="no components"),
        pytest.param(hill, GOOD, {"max_nonzero": True}, "max_nonzero=True", id="True"),
        pytest.param(hill, GOOD, {"constraints": 5}, "constraints=5", id="constraints as a number"),
        pytest.param(hill, GOOD, {"y": "abc"}, "y: could not convert", id="y as text"),
        pytest.param(hill, GOOD, {"y": np.ones((5, 2))}, "y has 2 columns", id="columns of y"),
        pytest.param(hill, GOOD, {"y": np.ones(5), "X": np.ones((4, 2))}, "X has shape (4, 2)", id="rows of X"),
        pytest.param([hill, plane], GOOD, {}, "numbered because the model has no names", id="numbered properties"),
        pytest.param({}, GOOD, {}, "model is empty", id="no model"),
        pytest.param(7, GOOD, {}, "give a fitted regressor or a function", id="number"),
        pytest.param(MergedNetRegressor, GOOD, {}, "give a fitted regressor", id="class"),
        pytest.param({"y": MergedNetRegressor()}, GOOD, {}, "the model of 'y' is not fitted", id="unfitted"),
    ],
)
def test_bad_input_is_explained(model, targets, options, expected):
    with pytest.raises((ValueError, TypeError)) as caught:
        Designer(model, targets, **(UNIT | options))
    assert expected in str(caught.value)


def test_unfitted_models_raise_the_error_of_scikit_learn():
    with pytest.raises(NotFittedError):
        Designer(GaussianProcessRegressor(), GOOD, **UNIT)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda X: np.full(len(X), np.nan), "must be finite"),
        (lambda X: (X[:, 0], -np.ones(len(X))), "std not negative"),
        (lambda X: X[:3, 0], "returned shapes"),
        (lambda X: X["a"], "only integers"),
    ],
)
def test_bad_predictions_are_explained(model, expected):
    with pytest.raises((ValueError, TypeError, IndexError), match=expected):
        Designer(model, GOOD, **UNIT).suggest(1)


def test_models_without_std_are_refused(data):
    X, y = data
    with pytest.raises(TypeError, match="return_std"):
        Designer(LinearRegression().fit(X, y), {0: (1, None)}, bounds=[(0, 1)] * 2)
    scaled = TransformedTargetRegressor(GaussianProcessRegressor(optimizer=None), transformer=StandardScaler()).fit(
        X, y[:, 0]
    )
    with pytest.raises(TypeError, match="function of X that returns"):
        Designer(scaled, {"y": (1, None)}, bounds=[(0, 1)] * 2)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "two", None])
def test_number_of_proposals(n):
    with pytest.raises(ValueError, match="n="):
        Designer(hill, GOOD, **UNIT).suggest(n)


def test_rows_of_probability_are_checked():
    designer = Designer(hill, GOOD, **UNIT)
    for X in ([[1, 2, 3]], [1, 2], [[np.nan, 0]]):
        with pytest.raises(ValueError, match=r"X has shape .*give finite rows of the inputs \[.*\]\.$"):
            designer.probability(X)
    with pytest.raises(ValueError, match=r"X has no column \['.*give finite rows"):
        designer.probability(pd.DataFrame({"other": [1.0]}))


# --- categories


def routes(n=80):
    """Properties of three treatments and two laboratories, half of them unmeasured."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.uniform(0, 1, n), "b": rng.uniform(0, 1, n)})
    table["route"] = rng.choice(["cast", "forged", "rolled"], n)
    table["lab"] = rng.choice(["experiment", "simulation"], n)
    table["q"] = 2 * table.a - table.b + table.route.map({"cast": 0.0, "forged": 1.0, "rolled": 0.3})
    table.loc[rng.random(n) < 0.4, "q"] = np.nan
    return table


def words_imputer(**parameters):
    return MergedNetImputer(["q"], n_estimators=0, random_state=0, **parameters).fit(routes())


def test_words_of_an_imputer_are_levels_by_name():
    designer = Designer(words_imputer(), {"q": (2.3, None)}, max_iter=10, fixed={"lab": "experiment"}, random_state=0)
    designs = designer.suggest(2)
    assert designs.words["route"] == ["cast", "forged", "rolled"]
    frame = designs.to_frame()
    assert set(frame.route) == {"forged"} and set(frame.lab) == {"experiment"}
    assert "forged" in str(designs) and designs.probability[0] > 0.9
    np.testing.assert_allclose(designer.probability(frame), designs.probability)
    np.testing.assert_allclose(designer.probability(designs.X), designs.probability)
    cast = Designer(words_imputer(), {"q": (2.3, None)}, max_iter=10, fixed={"lab": "experiment", "route": "cast"})
    assert set(cast.suggest(1).to_frame().route) == {"cast"} and "route cast" not in cast.suggest(1).advice
    advice = Designer(words_imputer(), {"q": (9, None)}, max_iter=5, random_state=0).suggest(1).advice
    assert "route forged" in advice


def test_codes_of_an_imputer_are_levels():
    """Before: route 1.558."""
    table = routes()
    table["route"] = table.route.map({"cast": 1.0, "forged": 7.0, "rolled": 2.0})
    imputer = MergedNetImputer([3], categorical=[2], n_estimators=0, random_state=0)
    imputer.fit(table[["a", "b", "route", "q"]].to_numpy())
    designer = Designer(imputer, {"x3": (1.9, None)}, max_iter=10, distance=0.3, random_state=0)
    designs = designer.suggest(4)
    assert set(designs.X[:, 2]) <= {1.0, 2.0, 7.0} and designs.X[0, 2] == 7.0 and designs.next_x[2] == 7.0
    np.testing.assert_allclose(designer.probability(designs.X), designs.probability)
    filled = imputer.transform(np.column_stack([designs.X, np.full(len(designs), np.nan)]))
    np.testing.assert_allclose(designs.mean[:, 0], filled[:, 3])
    with pytest.raises(ValueError, match=r"1.5 is no level of 'x2'.*1.0, 2.0, 7.0"):
        designer.probability([[0.5, 0.5, 1.5]])


def test_the_source_of_an_imputer_must_be_fixed():
    with pytest.raises(ValueError, match=r"'lab' is the imputer's source.*fixed=.*'experiment', 'simulation'"):
        Designer(words_imputer(source="lab"), {"q": (2, None)})
    designer = Designer(words_imputer(source="lab"), {"q": (2, None)}, fixed={"lab": "experiment"}, max_iter=3)
    assert set(designer.suggest(1).to_frame().lab) == {"experiment"}


@pytest.mark.parametrize(("options", "expected"), [
    (dict(bounds={"route": (0, 1)}), r"bounds\['route'\].*category"),
    (dict(fixed={"route": "welded"}), r"fixed\['route'\]='welded'.*'cast', 'forged', 'rolled'"),
    (dict(constraints=[({"route": 1, "a": 1}, (0, 1))]), r"constraints\[0\].*'route'.*categories"),
    (dict(components=["route"]), "components.*'route'"),
    (dict(integer=["route"]), "integer.*'route'"),
    (dict(targets={"route": (0, 1)}), "route"),
    (dict(model={"route": words_imputer()}, targets={"route": (0, 1)}), "'route'.*categories, but properties"),
])  # fmt: skip
def test_a_category_is_no_amount(options, expected):
    options = {"model": words_imputer(), "targets": {"q": (2, None)}, **options}
    with pytest.raises(ValueError, match=expected):
        Designer(options.pop("model"), options.pop("targets"), **options)


@pytest.mark.parametrize("source", [None, "sim"])
@pytest.mark.parametrize("given", [True, False, np.True_, 1])
def test_a_truth_value_is_a_level_of_a_category_of_truth_values(source, given):
    """Before: "True is not a level; its levels are [False, True]"."""
    table = routes().rename(columns={"lab": "sim"})
    table["sim"] = table.sim == "simulation"
    imputer = MergedNetImputer(["q"], n_estimators=0, random_state=0, source=source).fit(table)
    designs = Designer(imputer, {"q": (1, None)}, fixed={"sim": given}, max_iter=2, random_state=0).suggest(1)
    assert designs.to_frame().sim.tolist() == [bool(given)]


@pytest.mark.parametrize("given", [True, np.True_, "1", 3])
def test_a_truth_value_is_no_code(given):
    table = routes()
    table["route"] = table.route.map({"cast": 1.0, "forged": 7.0, "rolled": 2.0})
    imputer = MergedNetImputer(["q"], categorical=["route"], n_estimators=0, random_state=0).fit(table)
    with pytest.raises(ValueError, match=r"fixed\['route'\].*is not a level.*1.0, 2.0, 7.0"):
        Designer(imputer, {"q": (1, None)}, fixed={"route": given})


def test_none_in_a_list_of_bounds_stands_for_an_input_without():
    """Before, a list of bounds and a category excluded each other."""
    designer = Designer(words_imputer(), {"q": (1, None)}, bounds=[(0.2, 0.3), None, None, None],
                        fixed={"lab": "experiment", "b": 0.7}, max_iter=3, random_state=0)  # fmt: skip
    frame = designer.suggest(2).to_frame()
    assert frame.a.between(0.2, 0.3).all() and set(frame.route) <= {"cast", "forged", "rolled"}
    with pytest.raises(ValueError, match=r"bounds\[2\].*'route' is a category.*None instead"):
        Designer(words_imputer(), {"q": (1, None)}, bounds=[(0.2, 0.3), (0, 1), (0, 2), None])
    with pytest.raises(ValueError, match="names 'c', which is no input"):
        Designer(words_imputer(), {"q": (1, None)}, bounds={"c": None})


# --- targets without a width, equalities


def test_an_exact_function_meets_a_number_to_the_precision_of_a_search():
    """Before: probability 0, and the advice to make it."""
    options = dict(inputs=["A", "B"], bounds=[(0, 100)] * 2, total=100, random_state=0)
    designer = Designer({"a": lambda X: X[:, 0]}, {"a": (20, 20)}, **options)
    designs = designer.suggest(1)
    assert designs.probability[0] == 1 and abs(designs.X[0, 0] - 20) < 1e-3 and designs.action == "exploit"
    np.testing.assert_array_equal(designer.probability([[20, 80], [20.1, 79.9]]), [1, 0])
    both = {"a": lambda X: X[:, 0], "q": lambda X: (X[:, 1], 0 * X[:, 1] + 5.0)}
    assert Designer(both, {"a": (20, 20), "q": (70, None)}, **options).suggest(1).probability[0] > 0.9


@pytest.mark.parametrize("unsure", [False, True])
def test_advice_never_is_to_make_what_misses_its_targets_for_sure(unsure):
    options = dict(inputs=["A", "B"], bounds=[(0, 100)] * 2, total=100, random_state=0, max_iter=20)
    model = {"a": lambda X: X[:, 0], "q": lambda X: (X[:, 1], 0 * X[:, 1] + 5.0 * unsure)}
    designs = Designer(model, {"a": (200, None), "q": (None, 50)}, **options).suggest(1)
    assert designs.probability[0] == 0 and designs.action == "explore"
    assert "loosen a target" in designs.advice and "'a' is 100 and not at least 200" in designs.advice
    assert "make proposal" not in designs.advice and "measure at" not in designs.advice


@pytest.mark.parametrize(("target", "words"), [
    ((600, 600.0000000001), r"narrow compared with standard deviations of 5.*\(570, 630\)"), ((600, 600), "no width"),
    ((599.999, 600.001), "narrow compared with"),
])  # fmt: skip
def test_a_target_without_a_width_to_speak_of_is_refused(target, words):
    model = {"q": lambda X: (X[:, 0], 0 * X[:, 0] + 5.0)}
    with pytest.raises(ValueError, match=words) as caught:
        Designer(model, {"q": target}, inputs=["a"], bounds=[(0, 1000)])
    assert "constraint" in str(caught.value)
    Designer(model, {"q": (599.9, 600.1)}, inputs=["a"], bounds=[(0, 1000)])


def test_a_target_of_one_number_is_refused_unless_it_is_known_exactly():
    unsure, sure = lambda X: (X[:, 0], 0.1 + 0 * X[:, 0]), lambda X: np.round(4 * X[:, 0])
    space = dict(inputs=["a"], bounds=[(0, 3)], random_state=0, max_iter=5)
    with pytest.raises(ValueError, match=r"targets\['q'\]=\(2, 2\) has no width.*1\.9, 2\.1"):
        Designer({"q": unsure}, {"q": (2, 2)}, **space)
    assert Designer({"n": sure}, {"n": (2, 2)}, **space).suggest(1).probability[0] == 1.0


def test_inputs_that_equalities_determine_cost_no_rounds(monkeypatch):
    """Three equalities beside the total leave two inputs a width of rounding: each repair took 100 rounds."""
    calls, pinv = [], np.linalg.pinv
    monkeypatch.setattr(np.linalg, "pinv", lambda *args, **options: calls.append(1) or pinv(*args, **options))
    names = [f"c{i}" for i in range(6)]
    pairs = [({"c0": 1, "c4": 1}, (0.3, 0.3)), ({"c1": 1, "c5": 1}, (0.25, 0.25)), ({"c2": 1}, (0.2, 0.2))]
    model = {"q": lambda X: (2 * X[:, 0] + X[:, 1], 0.1 + 0 * X[:, 0])}
    designer = Designer(model, {"q": (1.2, None)}, inputs=names, bounds=[(0, 1)] * 6, total=1, constraints=pairs,
                        max_iter=10, random_state=0)  # fmt: skip
    X = designer.suggest(2).X
    np.testing.assert_allclose(X[:, [0, 1]].sum(axis=1) + X[:, [4, 5]].sum(axis=1), 0.55, atol=1e-8)
    np.testing.assert_allclose(X[:, 2:4], [[0.2, 0.25]] * len(X), atol=1e-8)
    assert len(calls) < 6000  # before 22,000
