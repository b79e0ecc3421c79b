"""scikit-learn's own checks, for the default and for corners; none is expected to fail and none is skipped."""

from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator

ESTIMATORS = [
    MergedNetRegressor(),
    MergedNetRegressor(blend=0.0, n_nodes=2),
    MergedNetRegressor(blend=1.0, n_nodes=1),
    MergedNetRegressor(n_estimators=3, n_nodes=2),
    MergedNetRegressor(n_nodes=1),
    MergedNetRegressor(sign=[0], n_nodes=2),
    MergedNetRegressor(n_nodes=12, n_estimators=3),
    GradientForestRegressor(n_estimators=20),
    GradientForestRegressor(n_estimators=5, order=0),
    GradientForestRegressor(n_estimators=5, order=1),
    GradientForestRegressor(n_estimators=5, order=2),
    GradientForestRegressor(n_estimators=10, bootstrap=False),
    GradientForestRegressor(n_estimators=1, order=2, bootstrap=False, extrapolate="linear"),
    PlasticityPropagator(GradientForestRegressor(10)),
    PlasticityPropagator(Ridge(), integrator="euler"),
    MergedNetImputer(n_estimators=3),
    MergedNetImputer(properties=[0], n_estimators=0, damping=0.5),
]


@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    check(estimator)
