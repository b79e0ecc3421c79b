"""Scores that skip the unmeasured, the confidence curve and the coverage of intervals."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV

from skmerge import MergedNetRegressor, metrics

RNG = np.random.default_rng(0)
TRUTH, GUESS = RNG.normal(size=(2, 60, 3))
GAPPY = np.where(RNG.random(TRUTH.shape) < 0.4, np.nan, TRUTH)
WEIGHT = RNG.uniform(size=60)
PAIRS = [
    (metrics.observed_r2_score, r2_score),
    (metrics.observed_rmse, root_mean_squared_error),
    (metrics.observed_mae, mean_absolute_error),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_scores_are_those_of_the_measured(ours, theirs, weight):
    each = []
    for k in range(3):
        seen = ~np.isnan(GAPPY[:, k])
        each.append(theirs(GAPPY[seen, k], GUESS[seen, k], sample_weight=None if weight is None else weight[seen]))
    np.testing.assert_allclose(ours(GAPPY, GUESS, sample_weight=weight, average=None), each)
    assert ours(GAPPY, GUESS, sample_weight=weight) == pytest.approx(np.mean(each))
    seen = ~np.isnan(GAPPY)
    wide = None if weight is None else np.broadcast_to(weight[:, None], seen.shape)[seen]
    pooled = theirs(GAPPY[seen], GUESS[seen], sample_weight=wide)
    assert ours(GAPPY, GUESS, sample_weight=weight, average="pooled") == pytest.approx(pooled)


def test_too_few_measured():
    with pytest.raises(ValueError, match="two measured rows"):
        metrics.observed_r2_score([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="one measured row"):
        metrics.observed_rmse([np.nan, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="0 measured entries"):
        metrics.interval_coverage([np.nan], [1.0], [1.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.interval_coverage([1.0], [1.0], [1.0], levels=[2.0])


def test_coverage_of_normal_errors_is_the_level():
    std = RNG.uniform(0.1, 3, 20_000)
    truth = std * RNG.normal(size=20_000)
    levels = (0.5, 0.68, 0.9, 0.95)
    np.testing.assert_allclose(metrics.interval_coverage(truth, 0 * truth, std, levels=levels), levels, atol=0.012)


def test_the_confidence_curve_rises_where_std_tells_the_error():
    std = RNG.uniform(0.1, 3, 5000)
    truth = RNG.normal(size=5000)
    share, r2, rmse = metrics.confidence_curve(truth, truth + std * RNG.normal(size=5000), std, n_points=10)
    assert (np.diff(rmse) > 0).all() and (np.diff(r2) < 0).all()
    np.testing.assert_allclose(share, np.arange(1, 11) / 10)


@pytest.mark.parametrize("scorer", [metrics.observed_r2_scorer, metrics.observed_rmse_scorer,
                                    metrics.observed_mae_scorer])  # fmt: skip
def test_scorers_in_a_grid_search(scorer):
    X = RNG.uniform(1, 2, (40, 2))
    y = X[:, 0] * X[:, 1]
    y[::4] = np.nan
    search = GridSearchCV(MergedNetRegressor(1, random_state=0), {"blend": [0.0, 1.0]}, scoring=scorer, cv=3)
    assert search.fit(X, y).best_params_ == {"blend": 0.0}
    whole = LinearRegression().fit(X, X[:, 0])
    assert scorer(whole, X, X[:, 0]) == pytest.approx(1.0 if scorer is metrics.observed_r2_scorer else 0.0)


@pytest.mark.parametrize("score", [ours for ours, _ in PAIRS])
def test_scores_say_what_is_wrong(score):
    truth, nan = [1.0, 2.0, 4.0], float("nan")
    for guess, options, words in (
        ([1.0, nan, 2.0], {}, "y_pred is nan"),
        ([1.0, np.inf, 2.0], {}, "y_pred is inf"),
        (truth, {"sample_weight": [1.0, 2.0]}, "sample_weight must be 3 finite"),
        (truth, {"sample_weight": [1.0, 2.0, -1.0]}, "none negative"),
        (truth, {"sample_weight": [0.0, 0.0, 0.0]}, "y_true has no output"),
        (truth, {"sample_weight": [0.0, 0.0, 0.0], "average": "pooled"}, "y_true has no output"),
    ):
        with pytest.raises(ValueError, match=words):
            score(truth, guess, **options)
    with pytest.raises(ValueError, match="y_true is inf"):
        score([1.0, np.inf, 2.0], truth)
    with pytest.raises(ValueError, match="empty"):
        score([], [])
    assert score([1.0, nan, 3.0, 4.0], [1.0, nan, 3.5, 4.5]) == score([1.0, 3.0, 4.0], [1.0, 3.5, 4.5])


@pytest.mark.parametrize("measure", [metrics.confidence_curve, metrics.interval_coverage])
def test_standard_deviations_are_numbers_and_not_negative(measure):
    truth = [1.0, 2.0, 4.0]
    for guess, std, words in (
        (truth, [1.0, np.nan, 1.0], "std is nan"),
        (truth, [1.0, -2.0, 1.0], "std is -2"),
        ([1.0, np.nan, 2.0], truth, "y_pred is nan"),
    ):
        with pytest.raises(ValueError, match=words):
            measure(truth, guess, std)
    with pytest.raises(ValueError, match="integer of"):
        metrics.confidence_curve(truth, truth, truth, n_points=2.5)


@pytest.mark.parametrize("size", [1e300, 1e308, 1e-200, 1e-300])
def test_scores_do_not_depend_on_the_unit(size):
    """Squares of 1e300 overflow; before, the message blamed measured rows, or R2 was 1 of squares that vanish."""
    rng = np.random.default_rng(0)
    y, p, std = rng.normal(size=(3, 30)) / 4
    assert metrics.observed_r2_score(size * y, size * p) == pytest.approx(metrics.observed_r2_score(y, p))
    for score in (metrics.observed_rmse, metrics.observed_mae):
        assert score(size * y, size * p) == pytest.approx(size * score(y, p))
    one, other = (metrics.confidence_curve(unit * y, unit * p, np.abs(std)) for unit in (1.0, size))
    np.testing.assert_allclose(other[1], one[1])
    np.testing.assert_allclose(other[2], size * one[2])
