"""A program that uses every public name as its documentation says; mypy --strict reads it, test_typing.py runs it."""

from typing import Any, assert_type

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas
from numpy.typing import NDArray

import skmerge
from skmerge import (
    Designer,
    GradientForestRegressor,
    MergedNetImputer,
    MergedNetRegressor,
    PlasticityPropagator,
    activation,
    activation_derivatives,
    crystal,
    datasets,
    metrics,
    plot,
)
from skmerge.crystal import (
    DIRECTIONS,
    NORMALS,
    Calibration,
    Crystal,
    Polycrystal,
    Response,
    calibrate,
    mean_stress,
    schmid_factors,
    simulate,
    slip_systems,
)
from skmerge.datasets import Formula, Variable, load_formulae, load_orbits
from skmerge.design import Designs
from skmerge.reading import Reading
from skmerge.table import Outlier
from skmerge.trajectories import read_damask

Floats = NDArray[np.float64]
matplotlib.use("agg")

X = np.random.default_rng(0).uniform(1.0, 5.0, (30, 2))
y = 3.0 * X[:, 0] ** 1.5 / X[:, 1]


def net() -> MergedNetRegressor:
    assert (
        MergedNetRegressor(intercept=False, noise="auto", link="identity", functions=["exp"], random_state=0)
        .fit(X, y)
        .laws_
    )
    by_list = MergedNetRegressor(units=["m", None], target_unit="m^1.5", constant_units=[{"kg": 1.0}])
    assert MergedNetRegressor(units={0: {"m": 2}, 1: ""}, target_unit=["m^3"]).get_params() != by_list.get_params()
    law = MergedNetRegressor(1, blend=0.0, exponents={0: 1.5, 1: (-2.0, None)}, random_state=0)
    assert_type(law.fit(X.tolist(), y, sample_weight=np.ones(30)), MergedNetRegressor)
    assert_type(law.predict(X), Floats)
    mean, std = law.predict(X, return_std="measurement")
    assert_type(law.predict(X, True), tuple[Floats, Floats])
    assert_type(law.predict_gradient(X), Floats)
    assert_type(law.applicability(X), Floats)
    assert_type(law.score(X, y), float)
    formula = law.formula(["a", "M"], target_names="T", standard_errors=True)
    text: str = formula.latex + str(formula) + " ".join(formula.python_names)
    assert text and mean.shape == std.shape == (30,)
    assert_type(law.covariance_, list[Floats])
    assert_type(law.target_names_in_, NDArray[np.object_] | None)
    return law


def forest() -> GradientForestRegressor:
    model = GradientForestRegressor(5, order=1, max_features=0.5, random_state=np.random.RandomState(0))
    model.fit(X, y, dydx=np.full((30, 2), np.nan)).fit(X, y, direction=X, slope=y)
    model.fit(X, y, groups=np.arange(30) % 7)
    assert_type(model.predict(X, return_std=True), tuple[Floats, Floats])
    assert_type(model.predict(X), Floats)
    assert_type(model.predict_gradient(X, smooth=True), Floats)
    assert_type(model.apply(X), NDArray[np.intp])
    assert_type(model.applicability(X), Floats)
    assert_type(model.score(X, y) + model.oob_score_, float)
    assert_type(model.feature_importances_, Floats)
    assert model.stand_in_.shape[1] == len(model.gap_scale_) == len(model.level_error_) == len(model.level_bend_) == 2
    assert len(model.level_) == model.level_start_[-1]
    return model


def table() -> None:
    cells = np.column_stack([X, y])
    cells[::3, 2] = np.nan
    imputer = MergedNetImputer(
        [2], derived={"ratio": lambda T: T[:, 0] / T[:, 1]}, bounds={2: (0.0, None)}, n_estimators=0, random_state=0
    ).fit(cells, groups=np.arange(30), error=[0.0, 0.0, 0.1])
    filled, std = imputer.transform(cells, return_std=True)
    expected: Floats = imputer.predict_entries(cells)
    outside: Floats = imputer.applicability(cells)
    assert outside.shape == (len(expected),) and imputer.outliers(1)[0].label == imputer.outliers(1)[0].row
    assert_type(imputer.predict_entries(cells, True), tuple[Floats, Floats])
    assert np.shape(imputer.transform(cells)) == np.shape(filled) == std.shape == expected.shape
    worst = imputer.outliers(1)
    assert_type(worst, list[Outlier])
    assert_type(worst[0].score, float)
    assert_type(imputer.score(cells), float)


def design(law: MergedNetRegressor) -> None:
    designer = Designer(
        {"T": law}, {"T": (5.0, None)}, bounds=[(1, 5), (1, 5)], integer=["x1"], max_iter=2, random_state=0
    )
    found = designer.suggest(1)
    assert_type(found, Designs)
    assert len(found) == 1 and found.action in ("exploit", "explore")
    assert_type(designer.probability(found.X), Floats)


def plasticity() -> None:
    copper = Crystal(tau0=10.0)
    assert_type(copper.young_modulus([0, 0, 1]), float)
    strain = np.r_[np.linspace(0, 2e-3, 21), np.linspace(4e-3, 0.02, 9)]
    angles = [[0.1 * k, 0.5, 0.2] for k in range(6)]
    old = simulate(angles, strain, crystal=copper, loading="uniaxial", axis="x")
    assert_type(old, Floats)
    pulled = simulate(angles, [0, 1, 2], velocity_gradient=np.diag([0, 0, 1e-3]), free=["xx", "yy"], crystal=copper)
    assert_type(pulled, Floats)
    fitted = calibrate(old, angles, strain, fit=["tau0"], axis="x")
    assert_type(fitted, Calibration)
    assert_type(fitted.crystal, Crystal)
    assert_type(fitted.standard_errors, dict[str, float])
    points = Polycrystal(copper, angles, n_grains=3, rho0=1e12, tol=None, n_jobs=None)
    response = points.step(np.tile(np.eye(3), (2, 1, 1)), 1.0, return_tangent=True)
    assert_type(response, Response)
    assert_type(response.tangent, Floats | None)
    assert response.stress.shape == response.piola.shape and not response.failed.any()
    points.accept()
    assert points.stress.shape == (2, 3, 6) and points.density.shape == points.slip.shape == (2, 3)
    assert points.orientation.shape == (2, 3, 3) and points.deformation_gradient.shape == (2, 3, 3)
    assert_type(slip_systems("bcc"), tuple[Floats, Floats])
    assert_type(Crystal(lattice="bcc", hardening="voce", back_storage=10.0).lattice, Any)
    assert_type(mean_stress(old, volume=np.ones(6)), Floats)
    assert schmid_factors(angles, axis=[1, 0, 0]).shape == (6, len(NORMALS)) == (6, len(DIRECTIONS))
    model = PlasticityPropagator(orientation="bunge", axis="x", memory=False, random_state=0)
    model.fit_trajectories(strain, old)
    assert_type(model.propagate(old[:, 0], strain[:15]), Floats)
    assert_type(model.predict(old[:, 3]), Floats)
    assert_type(model.applicability(old[:, 3]), Floats)
    flow = model.compiled_step()
    assert_type(flow.function + flow.address, int)
    assert_type(model.compiled_start(old[:, 0]), Floats)
    normals, directions = slip_systems("fcc")
    time, L = 1e3 * strain, 1e-3 * np.random.default_rng(0).normal(size=(6, 1, 3, 3)).repeat(29, axis=1)
    sheared = simulate(angles, time, velocity_gradient=L, tol=1e-2)
    slip = PlasticityPropagator(
        orientation="bunge",
        loading="any",
        lattice=(normals, directions),
        stiffness=[168.9, 121.8, 75.8],
        random_state=0,
    )
    slip.fit_trajectories(time, sheared, velocity_gradient=L)
    assert_type(slip.propagate(sheared[:, 0], time, velocity_gradient=L), Floats)
    assert_type(slip.laws_, tuple[str, str])


def displays(law: MergedNetRegressor, model: GradientForestRegressor) -> None:
    _, ax = plt.subplots()
    parity = plot.ParityDisplay.from_estimator(law, X, y, return_std="value", ax=ax)
    assert_type(parity.plot(ax, level=0.5, line_kwargs={"color": "k"}), plot.ParityDisplay)
    assert_type(plot.ParityDisplay.from_predictions(y, y + 0.1).rmse, float | None)
    assert_type(plot.ConfidenceCurveDisplay.from_predictions(y, y + 0.1, y, n_points=3).share, Floats)
    assert_type(plot.LawDisplay.from_estimator(law, feature_names=["a", "M"]).exponent, Floats)
    assert_type(plot.LawsDisplay.from_estimator(law, formulae="none").validation_error, Floats)
    assert_type(plot.MissingnessDisplay.from_data(X, sort="rows").measured, float)
    assert plot.PartitionDisplay.from_estimator(model, X, y, features=[0]).figure_
    path = plot.TrajectoryDisplay.from_predictions([0.0, 1.0], [[0.0, 1.0]], [[0.0, 1.1]], output=0)
    assert len(path.predicted_) == 1
    plt.close("all")


def rest() -> None:
    out = np.empty(30)
    slopes: tuple[Any, Any] = activation_derivatives(y, 2.0, kind="tanh")
    assert activation(y, C=2.0, out=out) is out and slopes[0].shape == out.shape
    assert_type(metrics.observed_r2_score(y, y + 0.1), float)
    assert_type(metrics.observed_rmse(y, y, average=None), Floats)
    assert_type(metrics.observed_mae(y, y, sample_weight=y, average="pooled"), float)
    share, r2, rmse = metrics.confidence_curve(y, y + 0.1, y, n_points=5)
    assert share.shape == r2.shape == rmse.shape == (5,)
    assert_type(metrics.interval_coverage(y, y + 0.1, y, levels=(0.5, 0.9)), Floats)
    for scorer in (metrics.observed_r2_scorer, metrics.observed_rmse_scorer, metrics.observed_mae_scorer):
        assert callable(scorer)
    law: Formula = load_formulae()[0]
    first: Variable = law.variables[0]
    rows, values = law.sample(5, noise=0.1, random_state=0)
    assert_type(law(rows), Floats)
    assert values.shape == (5,) and first.low <= first.high
    assert load_orbits().data.shape == (60, 3)
    assert callable(read_damask) and crystal.simulate is simulate and datasets.load_formulae is load_formulae
    assert skmerge.__version__
    assert_type(skmerge.get_include(), str)
    reading = skmerge.read_table(pandas.DataFrame({"a": ["1,5", "2"]}), decimal=None, sheet=None)
    assert_type(reading, Reading)
    assert_type(reading.units, dict[str, str])
    assert len(reading.problems) <= len(reading.report) and reading.frame.shape == reading.errors.shape
    assert reading.censored.shape == reading.frame.shape and str(reading)


if __name__ == "__main__":
    law = net()
    design(law)
    displays(law, forest())
    table()
    plasticity()
    rest()
