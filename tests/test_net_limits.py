"""MergedNetRegressor: committees near and beyond the data, a constant of zero, gaps among many columns."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skmerge import MergedNetRegressor
from skmerge._net import incomplete


def fit(X, y, **parameters):
    return MergedNetRegressor(**{"random_state": 0, **parameters}).fit(X, y)


# --- committees near and beyond the data


def wavy(X):
    return np.sin(8 * X[:, 0]) + np.exp(X[:, 1]) * np.cos(6 * X[:, 2])


@pytest.fixture(scope="module")
def committee():
    """Of three features that come close to zero, never to it."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.02, 1, (200, 3))
    net = fit(rows, wavy(rows) + 0.1 * rng.normal(size=200))
    assert len(net.A_) > 1
    return net, rows


def test_a_committee_does_not_explode_at_zero(committee):
    net, _ = committee
    for j in range(3):
        rows = np.random.default_rng(1).uniform(0.02, 1, (500, 3))
        rows[:, j] = 0.0
        assert np.sqrt(np.mean((net.predict(rows) - wavy(rows)) ** 2)) < 0.5  # 8 to 70 without limits
        distance = net.applicability(rows)
        assert (distance > 0.1).all() and (distance < 1).all()  # of the range of the logarithm: half the smallest size


def test_a_committee_stays_within_the_range_of_the_target_widened_by_its_width(committee):
    net, rows = committee
    y = wavy(rows)
    low, high = net.target_range_[:, 0]
    assert low < y.min() - 0.9 * np.ptp(y) and high > y.max() + 0.9 * np.ptp(y)
    far = np.random.default_rng(2).uniform(-1e6, 1e6, (500, 3))
    mean, std = net.predict(far, return_std=True)
    assert ((mean >= low) & (mean <= high)).all() and np.isfinite(std).all()
    assert_array_equal(mean, net.predict(far))
    assert (net.predict_gradient(far)[(mean == low) | (mean == high)] == 0).all()
    near = np.full((1, 3), 0.5)
    near[0, 1] = 1e-3  # counts as half the smallest trained size
    assert net.predict_gradient(near)[0, 1] == 0 and net.predict_gradient(near)[0, 0] != 0


def test_the_python_of_a_committee_holds_what_the_committee_holds(committee):
    net, _ = committee
    rows = np.concatenate([np.zeros((1, 3)), np.random.default_rng(3).uniform(-3, 3, (200, 3))])
    formula = net.formula()
    found = eval(formula.python, {"np": np, **{formula.python_names[f"x{j}"]: rows[:, j] for j in range(3)}})
    np.testing.assert_allclose(found, net.predict(rows), rtol=1e-9, atol=1e-9)


def test_a_law_has_no_limits_and_applicability_sees_its_pole():
    rows = np.random.default_rng(0).uniform(1, 5, (40, 2))
    law = fit(rows, 3 * rows[:, 0] ** 1.5 / rows[:, 1])
    assert np.isinf(law.target_range_).all()
    assert law.predict([[1e3, 1e-3]])[0] == pytest.approx(3 * 1e3**1.5 / 1e-3, rel=1e-6)
    distance = law.applicability([[3.0, 1.0], [3.0, 1e-3], [1e-3, 3.0], [3.0, 0.0]])
    assert distance[0] < 0.1 and distance[2] < 0.5  # a positive exponent: nothing happens at zero
    assert distance[1] == pytest.approx(np.log(rows[:, 1].min() / 1e-3) / np.log(rows[:, 1].max() / rows[:, 1].min()))
    assert 100 < distance[3] < 1000


def test_applicability_sees_the_pole_of_a_feature_of_both_signs():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], 60) * rng.uniform(0.3, 1, 60)
    rows = np.column_stack([x, rng.uniform(1, 2, 60)])
    law = fit(rows, rows[:, 1] / x**2)
    distance = law.applicability([[0.0, 1.5], [1e-3, 1.5], [-0.2, 1.5], [0.5, 1.5]])
    assert distance[0] > distance[1] > 1 > distance[2] > 0 == distance[3]


# --- a constant that the data let be zero


def test_standard_deviations_do_not_depend_on_where_y_is_counted_from():
    covered = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows, y = rng.uniform(1, 5, (19, 2)), 0.15 + rng.normal(size=19)  # too few for a committee
        (mean, std), (_, other) = (fit(rows, y + a).predict(rows, return_std=True) for a in (0.0, 10.0))
        np.testing.assert_allclose(std, other, rtol=1e-6)
        covered += (np.abs(mean - 0.15) <= 2 * std).all()
    assert covered >= 9  # of about half the draws std was 0


def test_the_error_of_a_constant_zero_is_printed():
    y = np.random.default_rng(2).normal(size=8)
    text = str(fit(np.arange(8.0)[:, None], y - y.mean() + 0.01).formula(standard_errors=True))
    assert re.fullmatch(r"y = 0(\.0+)?\(±0\.\d+\)", text), text


# --- many columns with gaps


def test_gaps_among_many_columns_cost_what_is_missing(monkeypatch):
    """Decompositions are of the missing columns alone: of 300 columns they would be 27 million multiplications each."""
    sizes, eigh = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda a: sizes.append(len(a)) or eigh(a))
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 300))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    inputs = incomplete.Inputs.learn(rows)
    filled = inputs.fill(rows)
    weights = rng.normal(size=300)
    found = inputs.variance(rows, filled, lambda X: (X @ weights)[:, None])[:, 0]
    assert max(sizes) == np.isnan(rows).sum(axis=1).max() < 40
    unit = inputs.arrays["unit"]
    expected = (np.isnan(rows) * (weights * unit) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=0.01)  # one standard deviation stays within the trained range


# --- zeros that a law divides by


def test_a_zero_that_the_law_divides_by_is_said():
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 5, (40, 2))
    table = pd.DataFrame(rows, columns=["a", "b"])
    law = fit(table, 2 * rows[:, 0] ** 2 / rows[:, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        law.predict(table.assign(a=0.0))
        law.predict(table.assign(b=np.nan))
    for return_std in (False, True):
        with pytest.warns(UserWarning, match=r"^b is 0 in 3 of 40 row\(s\)"):
            law.predict(table.assign(b=np.where(np.arange(40) < 3, 0.0, 1.0)), return_std)
    inside = fit(table, np.exp(-3 / rows[:, 1]))  # a function of 1 / b
    with pytest.warns(UserWarning, match="^b is 0 in 40 of 40"):
        inside.predict(table.assign(b=0.0))
