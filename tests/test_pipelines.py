"""The estimator inside scikit-learn's meta-estimators."""

import numpy as np
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from skmerge import GradientForestRegressor, MergedNetRegressor

RNG = np.random.default_rng(1)
X = RNG.uniform(0.5, 4.0, (40, 2))
PRODUCT = 2 * X[:, 0] ** 1.5 / X[:, 1]
SUM_OF_PRODUCTS = X[:, 0] * X[:, 1] + 3 * X[:, 0] ** -2


def test_pipeline_rescales_without_a_trace():
    pipeline = make_pipeline(MaxAbsScaler(), MergedNetRegressor(random_state=0)).fit(X, PRODUCT)
    np.testing.assert_allclose(pipeline.predict(X), PRODUCT, rtol=1e-8)
    assert pipeline.score(X, PRODUCT) > 1 - 1e-12


def test_grid_search_finds_the_product_and_its_nodes():
    grid = {"blend": [0.0, 1.0], "n_nodes": [1, 2]}
    search = GridSearchCV(MergedNetRegressor(random_state=0), grid, cv=3).fit(X, SUM_OF_PRODUCTS)
    assert search.best_params_ == {"blend": 0.0, "n_nodes": 2}
    assert search.best_score_ > 1 - 1e-9
    np.testing.assert_allclose(search.predict(X), SUM_OF_PRODUCTS, rtol=1e-7)


def test_cross_val_predict_of_two_outputs():
    Y = np.column_stack([PRODUCT, X[:, 0] + 2 * X[:, 1]])
    predicted = cross_val_predict(MergedNetRegressor(random_state=0), X, Y, cv=4)
    np.testing.assert_allclose(predicted, Y, rtol=1e-7)


def test_score_in_cross_validation_skips_the_unmeasured():
    Y = np.column_stack([PRODUCT, X[:, 0] + 2 * X[:, 1]])
    Y[::4, 0] = np.nan
    assert cross_validate(MergedNetRegressor(random_state=0), X, Y, cv=3)["test_score"].min() > 1 - 1e-9


def test_transformed_target():
    model = TransformedTargetRegressor(MergedNetRegressor(random_state=0), func=np.log, inverse_func=np.exp)
    np.testing.assert_allclose(model.fit(X, np.exp(PRODUCT / 10)).predict(X), np.exp(PRODUCT / 10), rtol=1e-8)


def test_sample_weight_is_routed():
    y = np.where(np.arange(40) < 20, PRODUCT, -PRODUCT)
    weight = np.where(np.arange(40) < 20, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        net = MergedNetRegressor(random_state=0).set_fit_request(sample_weight=True)
        routed = make_pipeline(FunctionTransformer(), net).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(routed.predict(X), PRODUCT, rtol=1e-8)
        refusing = MergedNetRegressor(random_state=0)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(FunctionTransformer(), refusing).fit(X, y, sample_weight=weight)
        net = MergedNetRegressor(n_nodes=1, random_state=0).set_fit_request(sample_weight=True)
        net.set_score_request(sample_weight=True)
        scores = cross_validate(net, X, y, cv=4, params={"sample_weight": np.where(weight, 1.0, 1e-9)})["test_score"]
    assert scores[:2].min() > 1 - 1e-6 and scores[2:].max() < 0


@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_output_container_does_not_matter(container):
    scaler = MaxAbsScaler().set_output(transform=container)
    predicted = make_pipeline(scaler, MergedNetRegressor(random_state=0)).fit(X, PRODUCT).predict(X)
    assert type(predicted) is np.ndarray
    np.testing.assert_allclose(predicted, PRODUCT, rtol=1e-8)


# --- slopes on their way to the forest

DYDX = np.column_stack([3 * np.sqrt(X[:, 0]) / X[:, 1], -2 * X[:, 0] ** 1.5 / X[:, 1] ** 2])
DIRECTION = RNG.normal(size=X.shape)
SLOPES = {
    "dydx": {"dydx": DYDX},
    "along": {"direction": DIRECTION, "slope": (DIRECTION * DYDX).sum(axis=1)},
    "weight": {"sample_weight": RNG.integers(1, 4, len(X)).astype(float)},
    "all": {"dydx": DYDX, "direction": DIRECTION, "slope": (DIRECTION * DYDX).sum(axis=1), "sample_weight": X[:, 0]},
}


def asking(given):
    forest = GradientForestRegressor(4, order=1, random_state=0)
    forest.set_fit_request(**dict.fromkeys(given, True))
    return forest.set_score_request(sample_weight=True) if "sample_weight" in given else forest


@pytest.mark.parametrize("kind", SLOPES)
def test_slopes_are_routed(kind):
    given = SLOPES[kind]
    direct = GradientForestRegressor(4, order=1, random_state=0).fit(X, PRODUCT, **given)
    without = GradientForestRegressor(4, order=1, random_state=0).fit(X, PRODUCT)
    assert not np.array_equal(direct.predict(X), without.predict(X))
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(FunctionTransformer(), asking(given)).fit(X, PRODUCT, **given)
        np.testing.assert_array_equal(pipeline.predict(X), direct.predict(X))
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            make_pipeline(FunctionTransformer(), GradientForestRegressor()).fit(X, PRODUCT, **given)
        search = GridSearchCV(pipeline, {"gradientforestregressor__order": [0, 1]}, cv=3).fit(X, PRODUCT, **given)
        assert search.best_params_ == {"gradientforestregressor__order": 1}
        np.testing.assert_array_equal(search.predict(X), direct.predict(X))
        found = cross_validate(asking(given), X, PRODUCT, cv=4, params=given, return_estimator=True)
    for fold, estimator in enumerate(found["estimator"]):
        rest = np.arange(40) // 10 != fold
        own = GradientForestRegressor(4, order=1, random_state=0).fit(
            X[rest], PRODUCT[rest], **{name: value[rest] for name, value in given.items()}
        )
        np.testing.assert_array_equal(estimator.predict(X), own.predict(X))
