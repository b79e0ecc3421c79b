"""The estimator inside scikit-learn's meta-estimators."""

import numpy as np
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from skmerge import MergedNetRegressor

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
