"""Saving and loading, and models whose arrays were damaged on the way."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skmerge import MergedNetRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 4.0, (30, 2))
Y = np.column_stack([2 * X[:, 0] ** 1.5 / X[:, 1], X[:, 0] + X[:, 1] + 0.1 * RNG.normal(size=30)])
MODELS = {
    "law": MergedNetRegressor(random_state=0).fit(X, Y[:, 0]),
    "outputs": MergedNetRegressor(n_nodes=2, random_state=0).fit(X, Y),
    "ensemble": MergedNetRegressor(n_nodes=2, n_estimators=3, random_state=0).fit(X, Y),
    "committee": MergedNetRegressor(n_nodes=12, n_estimators=3, random_state=0).fit(X, Y[:, 1]),
    "named": MergedNetRegressor(n_nodes=1, random_state=0).fit(X, pd.Series(Y[:, 0], name="T")),
    "offset": MergedNetRegressor(offset=1, n_nodes=1, random_state=0).fit(X, Y[:, 0]),
}


def assert_same(loaded, model):
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_gradient(X), model.predict_gradient(X))
    np.testing.assert_array_equal(loaded.applicability(X), model.applicability(X))
    for kind in ("value", "measurement"):
        np.testing.assert_array_equal(loaded.predict(X, return_std=kind), model.predict(X, return_std=kind))
    for errors in {False, len(model.covariance_) > 0}:
        assert str(loaded.formula(standard_errors=errors)) == str(model.formula(standard_errors=errors))


@pytest.mark.parametrize("name", MODELS)
def test_pickle(name):
    assert_same(pickle.loads(pickle.dumps(MODELS[name])), MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_joblib_memory_map(name, tmp_path):
    joblib.dump(MODELS[name], tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert isinstance(loaded.A_, np.memmap) and not loaded.A_.flags.writeable
    assert_same(loaded, MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_skops(name, tmp_path):
    skops.io.dump(MODELS[name], tmp_path / "model.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert untrusted == ["skmerge.net.MergedNetRegressor"]
    assert_same(skops.io.load(tmp_path / "model.skops", trusted=untrusted), MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_clone_is_not_fitted_and_fits_alike(name):
    model = clone(MODELS[name])
    assert not [attribute for attribute in vars(model) if attribute.endswith("_")]
    y = Y if MODELS[name].predict(X).ndim == 2 else Y[:, int(name == "committee")]
    np.testing.assert_array_equal(model.fit(X, y).predict(X), MODELS[name].predict(X))


# --- damage

READ = ["A_", "B_", "C_", "D_", "blend_", "sign_", "estimator_weight_", "x_scale_", "x_mean_", "product_", "y_scale_",
        "y_mean_", "noise_std_", "form_error_"]  # fmt: skip
USES = {
    "predict": lambda model: model.predict(X),
    "std": lambda model: model.predict(X, return_std="measurement"),
    "gradient": lambda model: model.predict_gradient(X),
}


def damaged(name, attribute, value):
    model = copy.copy(MODELS[name])
    if value is None:
        delattr(model, attribute)
    else:
        setattr(model, attribute, value)
    return model


def refuses(model, use):
    with pytest.raises((ValueError, AttributeError)) as error:
        USES[use](model)
    return str(error.value)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("attribute", READ)
@pytest.mark.parametrize("name", ["law", "ensemble"])
def test_damaged_array(name, attribute, use):
    array = getattr(MODELS[name], attribute)
    damages = [None, array[..., :-1], np.concatenate([array, array]), array[None], array.astype(object),
               array.astype("U8"), np.array(1.0), "text"]  # fmt: skip
    if array.dtype == float:
        damages += [array.astype(complex), np.full_like(array, np.nan), array.astype(np.float32)]
    else:
        damages += [array.astype(float), array.view(np.uint8) + np.uint8(2)]
    if array.T.shape != array.shape:
        damages.append(array.T)
    for value in damages:
        assert attribute in refuses(damaged(name, attribute, value), use)


@pytest.mark.parametrize("attribute", ["x_min_", "x_max_", "x_scale_"])
def test_damaged_domain(attribute):
    array = getattr(MODELS["law"], attribute)
    for value in (None, array[:-1], array[None], np.full_like(array, np.nan), array.astype(object)):
        with pytest.raises((ValueError, AttributeError)):
            damaged("law", attribute, value).applicability(X)


def test_damaged_covariance():
    for value in (None, np.zeros(3), [np.zeros((1, 1))], [np.full_like(MODELS["law"].covariance_[0], np.nan)]):
        assert "covariance_" in refuses(damaged("law", "covariance_", value), "std")


def test_infinite_parameters_are_refused():
    for attribute in set(READ) - {"C_", "sign_", "product_"}:
        array = getattr(MODELS["law"], attribute)
        assert attribute in refuses(damaged("law", attribute, np.full_like(array, np.inf)), "predict")


def test_impossible_scale_is_refused():
    for attribute in ("x_scale_", "y_scale_", "C_"):
        array = getattr(MODELS["law"], attribute)
        assert attribute in refuses(damaged("law", attribute, -np.abs(array)), "predict")


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_shape_is_refused_or_right(data):
    name = data.draw(st.sampled_from(["law", "outputs", "ensemble"]))
    attribute = data.draw(st.sampled_from(READ))
    array = getattr(MODELS[name], attribute)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=0, max_size=5)))
    value = np.ones(shape, array.dtype)
    if shape == array.shape:
        assert np.isfinite(MODELS[name].predict(X)).all()
    else:
        assert attribute in refuses(damaged(name, attribute, value), data.draw(st.sampled_from(list(USES))))
