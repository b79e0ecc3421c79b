"""scikit-learn's own checks, for the default and for corners; none is expected to fail and none is skipped."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmerge import MergedNetRegressor

ESTIMATORS = [
    MergedNetRegressor(),
    MergedNetRegressor(blend=0.0, n_nodes=2),
    MergedNetRegressor(blend=1.0, n_nodes=1),
    MergedNetRegressor(n_estimators=3, n_nodes=2),
    MergedNetRegressor(n_nodes=1),
    MergedNetRegressor(sign=[0], n_nodes=2),
    MergedNetRegressor(n_nodes=12, n_estimators=3),
]


@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    check(estimator)
