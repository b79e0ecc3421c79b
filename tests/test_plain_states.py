"""PlasticityPropagator without orientation: states of any meaning, rates by any regressor."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from skmerge import PlasticityPropagator


def test_a_plain_state():
    """Without orientation: exponential decay, learned from its records, by any regressor."""
    strain = np.linspace(0, 1, 21)
    state = np.exp(-np.multiply.outer([[1.0], [2.0], [0.5]], strain)).transpose(0, 2, 1) * [[[1.0]], [[2.0]], [[3.0]]]
    state = np.concatenate([state, -state], axis=2)
    model = PlasticityPropagator(LinearRegression()).fit_trajectories(strain, state[:1])
    out = model.propagate(state[:1, 0], strain)
    assert_allclose(out[:, 0], state[0], atol=0.01)


def decaying(n=12, up=True):
    t = np.linspace(0, 1, 41)
    start = np.linspace(0.5, 2, n)[:, None]
    path = t if up else np.r_[t, t[-2::-1]]
    rate = np.where(np.diff(path) > 0, -3.0, -1.0)  # falls whichever way: the direction is an input
    x = start * np.exp(np.r_[0.0, np.cumsum(rate * np.abs(np.diff(path)))])
    return path, np.stack([x, x**2], axis=2)


@pytest.mark.parametrize("integrator", ["euler", "heun", "adaptive"])
def test_the_direction_of_straining_is_an_input_without_orientation(integrator):
    path, state = decaying(up=False)
    model = PlasticityPropagator(integrator=integrator, random_state=0).fit_trajectories(path, state[::2])
    out = model.propagate(state[1::2, 0], path)
    assert_allclose(out[..., 0].T, state[1::2, :, 0], atol=0.06)
    assert not (model.flags_ & 2).any() and model.n_features_in_ == 2
    assert model.predict(state[:, 0]).shape == (12, 2)
    assert_array_equal(model.propagate(state[3:4, 0], path)[:, 0], out[:, 1])


def test_a_reversal_never_seen_without_orientation():
    path, state = decaying()
    model = PlasticityPropagator(random_state=0).fit_trajectories(path, state)
    with pytest.warns(UserWarning, match="direction that no training trajectory has"):
        out = model.propagate(state[:2, 0], [0.0, 0.2, 0.1])
    assert (model.flags_ & 2).all() and np.isfinite(out).all()
    with pytest.warns(UserWarning, match="longer steps"):
        model.propagate(state[:2, 0], [0.0, 0.5])
    assert (model.flags_ & 4).all()
    with pytest.raises(ValueError, match="not the rates of the columns"):
        PlasticityPropagator(LinearRegression()).fit(state[0], state[0, :, :1]).propagate(state[0], path)


def test_weights():
    path, state = decaying()
    X, y = state[:, :-1].reshape(-1, 2), (np.diff(state, axis=1) / np.diff(path)[:, None]).reshape(-1, 2)
    weight = np.arange(len(X)) % 3
    one = PlasticityPropagator(LinearRegression()).fit(X, y, sample_weight=weight)
    many = PlasticityPropagator(LinearRegression()).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    assert_allclose(one.predict(X), many.predict(X), rtol=1e-9)
    with pytest.raises(TypeError, match="KNeighborsRegressor takes none"):
        PlasticityPropagator(KNeighborsRegressor()).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        grid = GridSearchCV(
            PlasticityPropagator(Ridge()).set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            {"estimator__alpha": [0.1]},
            cv=2,
        )
        assert np.isfinite(grid.fit(X, y, sample_weight=weight).best_score_)


FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.5]})


@pytest.mark.parametrize(
    ("X", "y", "kind", "match"),
    [
        (None, FRAME, ValueError, "X is None; give"),
        ("text", FRAME, TypeError, "X is the text 'text'; give"),
        (FRAME.assign(b=pd.date_range("2026-01-01", periods=3)), FRAME, TypeError, "X holds times in column 'b'"),
        (FRAME.set_axis(["a", "a"], axis=1), FRAME, ValueError, "X has repeated column names"),
        (FRAME.replace(1.0, np.nan), FRAME, ValueError, "X contains NaN.*remove"),
        (FRAME, FRAME.replace(1.0, np.nan), ValueError, "y contains NaN; leave"),
        (FRAME, FRAME.replace(1.0, np.inf), ValueError, "y: .*infinity.*Give one value per row"),
    ],
)
def test_bad_states_and_rates(X, y, kind, match):
    with pytest.raises(kind, match=match):
        PlasticityPropagator(LinearRegression()).fit(X, y)


def test_a_damaged_range_raises():
    path, state = decaying()
    model = PlasticityPropagator(LinearRegression()).fit_trajectories(path, state)
    model._box = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match=r"_box .* damaged"):
        model.propagate(state[:, 0], path)
