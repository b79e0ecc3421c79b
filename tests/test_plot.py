"""The displays: what their artists hold, bad input, and no matplotlib until something is drawn."""

import doctest
import inspect
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge._net.uncertainty import given_zero
from skmerge.metrics import confidence_curve, observed_r2_score, observed_rmse

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from skmerge import plot  # noqa: E402
from skmerge.plot import (  # noqa: E402
    ConfidenceCurveDisplay,
    LawDisplay,
    LawsDisplay,
    MissingnessDisplay,
    ParityDisplay,
    PartitionDisplay,
    TrajectoryDisplay,
)

NAN = np.nan
RNG = np.random.default_rng(0)
X = RNG.uniform(1, 3, (120, 2))
Y = np.column_stack([X[:, 0] ** 2 / X[:, 1], X[:, 0] + 10 * X[:, 1]]) * (1 + 0.05 * RNG.normal(size=(120, 2)))
FRAME, TARGETS = pd.DataFrame(X, columns=["a", "b"]), pd.DataFrame(Y, columns=["p", "q"])
STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.03, 14)]


pytestmark = pytest.mark.filterwarnings("ignore:.*grains left the states:UserWarning")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def forest():
    return GradientForestRegressor(5, order=1, max_leaf_nodes=5, random_state=0).fit(X[:80], Y[:80])


@pytest.fixture(scope="module")
def law():
    """3 a^1.37 b^-0.61 + 20 c, with noise."""
    Z = RNG.uniform(1, 5, (150, 3))
    y = 3 * Z[:, 0] ** 1.37 / Z[:, 1] ** 0.61 + 20 * Z[:, 2]
    Z = pd.DataFrame(Z, columns=["a", "b", "c"])
    return MergedNetRegressor(random_state=0).fit(Z, y + RNG.normal(size=150) * 0.3)


@pytest.fixture(scope="module")
def grains():
    state = crystal.simulate(Rotation.random(32, random_state=0), STRAIN)
    return PlasticityPropagator(orientation="bunge", memory=False, law=False, random_state=0).fit_trajectories(
        STRAIN, state[:20]
    ), state[20:]


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# --- all of them


def displays(forest, law, grains):
    _, state = grains
    return {
        "parity": lambda **more: ParityDisplay.from_estimator(forest, X, Y, output=0, **more),
        "confidence": lambda **more: ConfidenceCurveDisplay.from_estimator(forest, X, Y, output=0, **more),
        "law": lambda **more: LawDisplay.from_estimator(law, **more),
        "laws": lambda **more: LawsDisplay.from_estimator(law, **more),
        "partition": lambda **more: PartitionDisplay.from_estimator(forest, X, Y, output=0, **more),
        "missingness": lambda **more: MissingnessDisplay.from_data(FRAME, **more),
        "trajectory": lambda **more: TrajectoryDisplay.from_predictions(STRAIN, state, state, **more),
    }


@pytest.mark.parametrize("name", ["parity", "confidence", "law", "laws", "partition", "missingness", "trajectory"])
def test_the_convention_of_scikit_learn(forest, law, grains, name):
    make = displays(forest, law, grains)[name]
    figure, ax = plt.subplots()
    display = make(ax=ax)
    assert display.ax_ is ax and display.figure_ is figure
    again = display.plot()
    assert again is display and display.ax_ is not ax and display.figure_ is display.ax_.figure
    figure.canvas.draw()
    display.figure_.canvas.draw()
    assert ax.get_ylabel() and not np.isnan(ax.dataLim.bounds).any()
    figure, ax = plt.subplots()
    ax.set_ylabel("mine")
    make(ax=ax)
    assert ax.get_ylabel() == "mine"
    with pytest.raises(TypeError, match=r"^ax is a ndarray; give the matplotlib axes of one plot"):
        make(ax=plt.subplots(2)[1])
    stored = type(display).__init__.__kwdefaults__ or {}
    names = type(display).__init__.__code__.co_varnames[1 : type(display).__init__.__code__.co_kwonlyargcount + 1]
    assert set(stored) <= set(names) and all(hasattr(display, parameter) for parameter in names)
    assert type(display).__name__ in plot.__all__


def test_matplotlib_is_imported_to_draw_only_and_asked_for_by_name():
    code = """
import sys
import skmerge.plot
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
for call in (lambda: skmerge.plot.ParityDisplay.from_predictions([1, 2], [1, 2]),
             lambda: skmerge.plot.MissingnessDisplay.from_data([[1.0]]),
             lambda: skmerge.plot.ConfidenceCurveDisplay(share=[1], r2=[1], rmse=[1]).plot()):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    out = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.split(" requires matplotlib. You can install")[0] for line in out] == [
        "ParityDisplay.from_predictions", "MissingnessDisplay.from_data", "ConfidenceCurveDisplay.plot"
    ]  # fmt: skip


def test_styles_take_aliases_and_no_words():
    display = ParityDisplay.from_predictions([1, 2], [1, 2], line_kwargs={"c": "red", "ls": ":"})
    assert display.line_.get_color() == "red" and display.line_.get_linestyle() == ":"
    with pytest.raises(TypeError, match=r"^line_kwargs='red' is not possible: give a dict"):
        display.plot(line_kwargs="red")
    with pytest.raises(TypeError, match=r"^line_kwargs: Got both 'c' and 'color'"):
        display.plot(line_kwargs={"c": "red", "color": "blue"})
    coloured = display.plot(scatter_kwargs={"c": [0.0, 1.0]})
    assert_array_equal(coloured.scatter_.get_array(), [0, 1])


@pytest.mark.parametrize("name", plot.__all__)
def test_docstrings(name):
    display = getattr(plot, name)
    result = doctest.testmod(sys.modules[display.__module__])
    assert result.attempted > 2 and not result.failed
    for method in (display, *(vars(display)[key].__func__ for key in vars(display) if key.startswith("from_"))):
        names = list(inspect.signature(method).parameters)
        documented = re.split(r"\n *Returns\n|\n *Attributes\n", method.__doc__)[0]
        assert all(re.search(rf"^[ \w,]*\b{key}\b[ \w,]* :", documented, re.MULTILINE) for key in names if key != "cls")


# --- parity


def test_parity_of_predictions():
    true, pred, std = [1.0, NAN, 3.0, 5.0], [1.5, 7.0, 2.0, 5.0], [0.1, 9.0, 0.2, 0.3]
    display = ParityDisplay.from_predictions(true, pred, std, level=0.6827, name="steel")
    assert_array_equal(display.scatter_.get_offsets(), [[1, 1.5], [3, 2], [5, 5]])
    bars = np.array([bar for bar in display.errorbar_.lines[2][0].get_segments()])
    assert_allclose(np.diff(bars[:, :, 1], axis=1)[:, 0], [0.2, 0.4, 0.6], rtol=1e-3)
    assert_array_equal(display.line_.get_xydata(), [[1, 1], [5, 5]])
    r2, rmse = observed_r2_score(true, pred), observed_rmse(true, pred)
    assert legend_of(display) == [f"steel: R² = {r2:.3g}, RMSE = {rmse:.3g}"]
    assert "68.27 %" in display.ax_.get_ylabel()
    assert ParityDisplay.from_predictions(true, pred).errorbar_ is None
    one = ParityDisplay.from_predictions([1.0], [2.0])
    assert one.r2 is None and legend_of(one) == ["RMSE = 1"]


def test_parity_of_an_estimator_takes_an_output_by_name_or_number(forest):
    mean, std = forest.predict(X[80:], return_std=True)
    by_number = ParityDisplay.from_estimator(forest, X[80:], Y[80:], output=1)
    by_name = ParityDisplay.from_estimator(forest, X[80:], TARGETS[80:], output="q")
    for display in (by_number, by_name):
        assert_array_equal(display.scatter_.get_offsets(), np.column_stack([Y[80:, 1], mean[:, 1]]))
        assert_array_equal(display.std, std[:, 1])
    assert by_name.name == "q" and by_number.name is None
    series = ParityDisplay.from_predictions(TARGETS["q"], TARGETS["q"] + 1)
    assert series.name == "q" and series.rmse == pytest.approx(1)


def test_standard_deviations_of_a_measurement_where_there_are_some(law):
    Z, y = pd.DataFrame(RNG.uniform(1, 5, (9, 3)), columns=list("abc")), np.ones(9)
    display = ParityDisplay.from_estimator(law, Z, y)
    assert_array_equal(display.std, law.predict(Z, return_std="measurement")[1])
    display = ParityDisplay.from_estimator(law, Z, y, return_std="value")
    assert_array_equal(display.std, law.predict(Z, return_std="value")[1])
    assert ParityDisplay.from_estimator(law, Z, y, return_std=False).std is None
    assert ParityDisplay.from_estimator(LinearRegression().fit(X, Y[:, 0]), X, Y[:, 0]).std is None
    pipeline = make_pipeline(StandardScaler(), BayesianRidge()).fit(X, Y[:, 0])
    assert_array_equal(ParityDisplay.from_estimator(pipeline, X, Y[:, 0]).std, pipeline.predict(X, return_std=True)[1])
    several = GaussianProcessRegressor(optimizer=None).fit(X[:9], Y[:9])
    assert_allclose(
        ParityDisplay.from_estimator(several, X[9:], Y[9:], output=1).std,
        several.predict(X[9:], return_std=True)[1][:, 1],
    )


def test_an_imputer_is_compared_entry_by_entry():
    table = np.column_stack([X, Y])
    table[RNG.random(table.shape) < 0.1] = NAN
    frame = pd.DataFrame(table, columns=["a", "b", "p", "q"])
    imputer = MergedNetImputer(["p", "q"], n_estimators=0, random_state=0).fit(frame[:80])
    expected, std = imputer.predict_entries(frame[80:], return_std=True)
    seen = ~np.isnan(table[80:, 3])
    for display in (
        ParityDisplay.from_estimator(imputer, frame[80:], output="q"),
        ParityDisplay.from_estimator(imputer, frame[80:], output=3),
    ):
        assert_array_equal(display.y_true, table[80:, 3][seen])
        assert_array_equal(display.y_pred, expected[seen, 3])
        assert_array_equal(display.std, std[seen, 3])
    curve = ConfidenceCurveDisplay.from_estimator(imputer, frame[80:], output="q", n_points=4)
    assert_allclose(curve.rmse, confidence_curve(table[80:, 3], expected[:, 3], std[:, 3], n_points=4)[2])


def test_a_subsample_is_drawn_and_all_is_scored():
    true, pred = RNG.normal(size=(2, 300))
    whole = ParityDisplay.from_predictions(true, pred, subsample=None)
    for subsample, size in ((50, 50), (0.1, 30), (1000, 300)):
        part = ParityDisplay.from_predictions(true, pred, subsample=subsample, random_state=3)
        assert len(part.scatter_.get_offsets()) == size and part.rmse == whole.rmse and part.r2 == whole.r2
        assert len(np.unique(part.y_true)) == size and np.isin(part.y_true, true).all()
    assert len(whole.y_true) == 300


# --- confidence


def test_the_confidence_curve_is_that_of_the_metrics(forest):
    mean, std = forest.predict(X[80:], return_std=True)
    display = ConfidenceCurveDisplay.from_estimator(forest, X[80:], Y[80:], output=0, n_points=7)
    share, r2, rmse = confidence_curve(Y[80:, 0], mean[:, 0], std[:, 0], n_points=7)
    assert_allclose(display.line_.get_xydata(), np.column_stack([100 * share, rmse]))
    assert_allclose(display.baseline_.get_ydata(), rmse[-1])
    assert display.ax_.get_ylim()[0] == 0
    display.plot(metric="r2", name="forest")
    assert_allclose(display.line_.get_ydata(), r2)
    assert display.ax_.get_ylabel() == "R²" and legend_of(display) == ["forest"]
    pooled = ConfidenceCurveDisplay.from_predictions(Y[80:], mean, std, n_points=3)
    assert_allclose(pooled.rmse, confidence_curve(Y[80:], mean, std, n_points=3)[2])
    named = ConfidenceCurveDisplay.from_predictions(TARGETS[80:], mean, std, output="p", n_points=7)
    assert_allclose(named.rmse, rmse)


# --- law


def test_a_law_shows_the_exponents_of_its_formula(law):
    display = LawDisplay.from_estimator(law, level=0.6827)
    formula = law.formula(standard_errors=True)
    (t, power), (u, plain) = sorted(enumerate(formula.terms), key=lambda pair: np.isnan(pair[1].exponent[0]))
    assert display.feature_names == ["a", "b", "c"] and display.law == str(law.formula())
    assert_array_equal(display.exponent, [term.exponent for term in formula.terms])
    assert np.isnan(power.exponent[2]) and np.isnan(plain.exponent[:2]).all()
    for j, name in enumerate("ab"):  # as they are printed
        assert f"{name}^{power.exponent[j]:.2f}(±{power.std[j]:.2g})" in str(formula)
    assert_allclose(power.exponent[:2], [1.37, -0.61], atol=3 * power.std[:2].max())
    # Exponents have no units: they and their standard errors are those of the scaled net.
    node = int(np.argmin(np.abs(law.A_[0, 0, :, 0] - 1.37)))
    places = node * (law.n_features_in_ + 3) + np.arange(2)
    assert_allclose(display.exponent[t, :2], law.A_[0, 0, node, :2])
    covariance = given_zero(law.covariance_[0])  # the constant is zero and not shown
    assert_allclose(display.std[t, :2], np.sqrt(np.diag(covariance)[places]), rtol=1e-6)
    assert_array_equal(display.points_[t].lines[0].get_ydata(), display.exponent[t, :2])
    bars = display.points_[t].lines[2][0].get_segments()
    assert_allclose([np.diff(bar[:, 1])[0] for bar in bars], 2 * display.std[t, :2], rtol=1e-3)
    assert display.exponent[u, 2] == 1 and display.std[u, 2] > 0  # a simple value that the data chose
    assert not any(len(line.get_ydata()) for line in (*display.fixed_, *display.undecided_))
    assert legend_of(display) == [term.text for term in law.formula().terms]


def test_names_with_a_dollar_sign_are_no_mathematics():
    X = np.random.default_rng(0).uniform(1, 5, (30, 2))
    table = pd.DataFrame(X, columns=["cost, $", "price {$"])
    net = MergedNetRegressor(random_state=0).fit(table, X[:, 0] * X[:, 1])
    display = LawDisplay.from_estimator(net)
    display.figure_.canvas.draw()
    texts = [display.ax_.title, *display.ax_.get_legend().get_texts()]
    assert "$" in texts[0].get_text() and not any(text.get_parse_math() for text in texts)
    net = MergedNetRegressor(random_state=0).fit(table.set_axis(["$T_c$", "b"], axis=1), X[:, 0] * X[:, 1])
    display = LawDisplay.from_estimator(net)
    display.figure_.canvas.draw()
    assert display.ax_.title.get_parse_math()


def test_linear_terms_are_of_exponent_one():
    net = MergedNetRegressor(2, blend=1.0, random_state=0).fit(X, 3 * X[:, 0] + 2 * X[:, 1])
    display = LawDisplay.from_estimator(net)
    assert_array_equal(display.exponent, [[1, NAN], [NAN, 1]])
    assert_array_equal(display.std, [[0, NAN], [NAN, 0]])
    assert display.term_names == ["3.00 x0", "2.00 x1"]
    terms = net.formula().terms
    assert [term.kind for term in terms] == ["linear", "linear"]
    assert MergedNetRegressor(11, n_estimators=2, random_state=0).fit(X, Y).formula().terms == [[], []]


def test_exponents_that_the_data_cannot_decide_are_crossed():
    Z = RNG.uniform(1, 5, (60, 2))
    Z = np.column_stack([Z, Z[:, 1]])
    net = MergedNetRegressor(1, simplify=False, blend=0.0, random_state=0).fit(Z, 3 * Z[:, 0] ** 1.2 * Z[:, 1])
    assert "undetermined" in str(net.formula(standard_errors=True))
    display = LawDisplay.from_estimator(net, features="all")
    unknown = np.isnan(display.std[0]) & ~np.isnan(display.exponent[0])
    assert unknown[1:].any() and not unknown[0]
    assert_allclose(display.undecided_[0].get_ydata(), display.exponent[0, unknown])
    assert "undetermined" in legend_of(display)


def test_the_law_of_one_of_several_outputs():
    Z = RNG.uniform(1, 5, (60, 2))
    y = pd.DataFrame({"area": Z[:, 0] * Z[:, 1], "ratio": Z[:, 0] / Z[:, 1]})
    net = MergedNetRegressor(random_state=0).fit(Z, y)
    for output, expected in (("area", [1, 1]), (1, [1, -1])):
        display = LawDisplay.from_estimator(net, output=output, feature_names=["u", "v"])
        assert_allclose(display.exponent, [expected])
        assert display.feature_names == ["u", "v"]
    with pytest.raises(ValueError, match=r"^output=None is not possible: there are 2 of them: area, ratio; give one"):
        LawDisplay.from_estimator(net)


def test_what_is_no_law_is_refused(forest):
    with pytest.raises(TypeError, match=r"^estimator is a GradientForestRegressor; give a fitted MergedNetRegressor"):
        LawDisplay.from_estimator(forest)
    with pytest.raises(NotFittedError):
        LawDisplay.from_estimator(MergedNetRegressor())
    step = MergedNetRegressor(1, blend=1.0, random_state=0).fit(X[:, :1], np.tanh(20 * (X[:, 0] - 2)))
    with pytest.raises(ValueError, match=r"^estimator has learned a law without powers, y = "):
        LawDisplay.from_estimator(step)
    committee = MergedNetRegressor(11, n_estimators=2, random_state=0).fit(X, np.sin(5 * X[:, 0]) * Y[:, 0])
    with pytest.raises(ValueError, match=r"^estimator: y = weighted mean of .* are no law"):
        LawDisplay.from_estimator(committee)


# --- laws


def test_the_list_of_laws_with_its_formulae(law):
    for net in (law, pickle.loads(pickle.dumps(law))):
        display = LawsDisplay.from_estimator(net)
        drawn = np.concatenate([line.get_xydata() for line in (display.points_, display.chosen_)])
        expected = [(one["n_parameters"], one["validation_error"]) for one in law.laws_]
        assert_allclose(drawn[np.argsort(drawn[:, 0])], expected)
        chosen = next(one for one in law.laws_ if one["is_chosen"])
        assert_allclose(display.chosen_.get_xydata(), [[chosen["n_parameters"], chosen["validation_error"]]])
        assert_allclose(display.noise_line_.get_ydata(), law.noise_std_[0])
        assert display.committee_line_ is None and list(display.ax_.get_xticks()) == list(display.n_parameters)
        for text, one in zip(legend_of(display), law.laws_, strict=True):
            assert text.startswith(f"{one['n_parameters']}: ")
    assert LawsDisplay.from_estimator(law, formulae="none").ax_.get_legend() is None


@pytest.mark.parametrize("place", ["below", "right"])
def test_long_formulae_stay_within_a_new_figure(place):
    sums = " + ".join(rf"{k}.25 \cdot 10^{{3}}\,{{\mathrm{{length}}}}^{{{k}}}" for k in range(2, 12))
    text = " + ".join(f"{k}.25e3 length^{k}" for k in range(2, 12))
    latex = [rf"y = {sums}", rf"y = \frac{{1}}{{{sums}}}", r"y = \unknown{x}"] + [rf"y = 2\,x - {sums}"] * 7
    display = LawsDisplay(
        n_parameters=np.arange(1, 11), validation_error=np.r_[np.inf, np.geomspace(10, 0.1, 9)],
        is_chosen=np.arange(10) == 6, formulae=[f"y = {text}", f"y = 1/({text})", "y = unknown"] + [f"y = {text}"] * 7,
        latex=latex, noise=0.09, is_relative=True,
    ).plot(formulae=place)  # fmt: skip
    display.figure_.canvas.draw()
    box, page = display.list_.get_window_extent(), display.figure_.bbox
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
    assert not box.overlaps(display.ax_.bbox)
    assert display.ax_.bbox.height > 200 and display.ax_.bbox.width > 200
    texts = display.list_.get_texts()
    assert [text.get_parse_math() for text in texts] == [True, False, False] + 7 * [True]
    assert texts[0].get_text().count("\n") >= 2 and texts[2].get_text().split() == ["3:", "y", "=", "unknown"]
    assert "share of y" in display.ax_.get_ylabel() and len(display.points_.get_xdata()) == 9


def test_laws_of_one_output_of_a_committee_and_a_single_candidate(forest):
    Z = RNG.uniform(1, 5, (60, 2))
    y = pd.DataFrame({"area": Z[:, 0] * Z[:, 1], "ratio": Z[:, 0] / Z[:, 1]})
    net = MergedNetRegressor(random_state=0).fit(Z, y)
    display = LawsDisplay.from_estimator(net, output="ratio")
    assert display.formulae == [law["formula"] for law in net.laws_[1]] and display.formulae[0].startswith("ratio = ")
    with pytest.raises(ValueError, match=r"^output=None is not possible: there are 2 of them: area, ratio; give one"):
        LawsDisplay.from_estimator(net)
    one = MergedNetRegressor(1, blend=0.0, random_state=0).fit(Z, y["area"])
    assert LawsDisplay.from_estimator(one).chosen_.get_xdata().size == 1
    committee = MergedNetRegressor(n_estimators=2, link="identity", functions=(), random_state=0)
    committee.fit(X, np.sin(6 * X[:, 0]) * X[:, 1] ** 2)
    display = LawsDisplay.from_estimator(committee)
    assert len(committee.A_) > 1 and not display.is_chosen.any() and display.noise_line_ is None
    assert_allclose(display.committee_line_.get_ydata(), committee.validation_error_[0])
    wide = MergedNetRegressor(11, n_estimators=2, random_state=0).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"^estimator has no list of laws: .* Fit with n_nodes=\"auto\"\.$"):
        LawsDisplay.from_estimator(wide)
    with pytest.raises(TypeError, match=r"^estimator is a GradientForestRegressor; give a fitted MergedNetRegressor"):
        LawsDisplay.from_estimator(forest)
    with pytest.raises(ValueError, match=r"^formulae='above'"):
        LawsDisplay.from_estimator(net, output=0, formulae="above")


# --- partition


def test_the_prediction_and_splits_of_one_feature():
    x = np.linspace(0, 3, 40)[:, None]
    tree = GradientForestRegressor(1, order=0, max_leaf_nodes=4, bootstrap=False, random_state=0).fit(x, x[:, 0] ** 2)
    display = PartitionDisplay.from_estimator(tree, x, x[:, 0] ** 2)
    grid, values = display.line_.get_data()
    assert_array_equal(values, tree.predict(grid[:, None]))
    drawn = np.sort([segment[0, 0] for segment in display.splits_.get_segments()])
    assert len(drawn) == 3
    assert_allclose(drawn, np.sort(tree.nodes_[0]["threshold"][tree.nodes_[0]["feature"] >= 0]))
    jumps = grid[:-1][np.diff(values) != 0]  # the prediction jumps where it is split, and upright
    assert_allclose(jumps, drawn)
    assert_array_equal(display.scatter_.get_offsets(), np.column_stack([x[:, 0], x[:, 0] ** 2]))
    assert display.surface_ is None


@pytest.mark.parametrize("held", [False, True])
def test_splits_of_two_features_are_the_borders_of_the_leaves(held):
    Z = RNG.uniform(size=(300, 3))
    y = Z[:, 0] * Z[:, 1] + (Z[:, 2] > 0.5)
    if not held:
        Z, chosen = Z[:, :2], None
    else:
        chosen = [1, 0]
    forest = GradientForestRegressor(3, order=0, max_leaf_nodes=12, random_state=0).fit(Z, y)
    display = PartitionDisplay.from_estimator(forest, Z, features=chosen, grid_resolution=60, max_splits=1000)
    first, second = display.grid
    rows = np.tile(np.median(Z, axis=0), (3600, 1))
    rows[:, chosen or [0, 1]] = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    assert_array_equal(display.response.ravel(), forest.predict(rows))
    assert_array_equal(display.surface_.get_array().ravel(), display.response.ravel())
    leaf = forest.apply(rows).reshape(60, 60, -1)
    segments = np.array(display.splits_.get_segments())
    assert_array_equal(segments, display.splits)
    for axis, (along, across) in enumerate(((first, second), (second, first))):
        changes = (np.diff(leaf, axis=1 - axis) != 0).any(axis=2)
        changes = changes if axis == 0 else changes.T
        lines = segments[segments[:, 0, axis] == segments[:, 1, axis]]
        crossed = np.zeros(changes.shape, bool)
        for low, high in lines:
            at = (along[:-1] <= low[axis]) & (low[axis] < along[1:])
            crossed |= at & ((across > low[1 - axis]) & (across <= high[1 - axis]) | (across == across[0]) &
                             (low[1 - axis] == across[0]))[:, None]  # fmt: skip
        assert_array_equal(crossed, changes)


def test_the_splits_that_explain_most_are_drawn(forest):
    display = PartitionDisplay.from_estimator(forest, FRAME, output=1, max_splits=3)
    nodes = forest.nodes_[0]
    inner = nodes[nodes["feature"] >= 0]
    assert len(display.splits) == len(inner)
    assert_array_equal(display.splits_.get_segments(), display.splits[:3])
    for segment, node in zip(display.splits, inner[np.argsort(-inner["gain"], kind="stable")], strict=True):
        assert_array_equal(segment[:, node["feature"]], node["threshold"])
    assert display.scatter_ is None and display.ax_.get_xlabel() == "a"
    named = GradientForestRegressor(2, random_state=0).fit(FRAME, TARGETS)
    display = PartitionDisplay.from_estimator(named, FRAME, TARGETS, features="b", output="q", grid_resolution=5)
    assert display.ax_.get_xlabel() == "b" and display.ax_.get_ylabel() == "q"
    rows = pd.DataFrame({"a": FRAME["a"].median(), "b": display.grid[0]})
    assert_array_equal(display.line_.get_ydata(), named.predict(rows)[:, 1])
    assert_array_equal(display.scatter_.get_offsets(), np.column_stack([FRAME["b"], TARGETS["q"]]))
    again = PartitionDisplay.from_estimator(named, pl.DataFrame(FRAME.to_dict("list")), features=1, output=1,
                                            grid_resolution=5)  # fmt: skip
    assert_array_equal(again.response, display.response)


# --- missingness


def test_missing_entries_of_all_kinds_of_tables():
    expected = np.array([[1, 0, 1], [0, 1, 0]])
    for table in (
        np.array([[1.0, NAN, 2.0], [NAN, 3.0, NAN]]),
        np.ma.masked_equal([[1.0, 9.0, 2.0], [NAN, 3.0, 9.0]], 9.0),
        [["a", None, 1.0], [NAN, "b", pd.NA]],
        pd.DataFrame({"a": ["x", None], "b": [pd.NaT, pd.Timestamp(0)], "c": pd.array([1, pd.NA], dtype="Int64")}),
        pl.DataFrame({"a": ["x", None], "b": [None, 1.0], "c": [2, None]}),
        pl.DataFrame({"a": [1.0, None], "b": [NAN, 1.0], "c": [2.0, None]}),
    ):
        display = MissingnessDisplay.from_data(table)
        assert_array_equal(display.im_.get_array(), expected)
        assert display.measured == pytest.approx(50) and display.ax_.get_title() == "50 % measured"
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["a", "b", "c"]
    assert MissingnessDisplay.from_data(np.ones((3, 2), int)).ax_.get_title() == "all measured"
    # From Python 3.12 on a comparison that has run often asks the processor for < and >, which flags NaN.
    assert MissingnessDisplay.from_data(100 * [["a", NAN]]).measured == 50


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_rows_are_counted_in_whole_numbers(n_samples):
    display = MissingnessDisplay.from_data(np.ones((n_samples, 2)))
    assert_array_equal(display.ax_.get_yticks() % 1, 0)


def test_a_long_table_is_put_together_and_sorted():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(13_190, 159))
    table[rng.random(table.shape) > rng.random(159) * rng.random((13_190, 1))] = NAN
    seen = ~np.isnan(table)
    display = MissingnessDisplay.from_data(pd.DataFrame(table, columns=[f"assay {j}" for j in range(159)]), sort="both")
    assert display.share.shape == (500, 159) and display.im_.get_array().shape == (500, 159)
    sizes = np.diff(np.unique(np.linspace(0, 13_190, 501).astype(int)))
    assert_allclose(sizes @ display.share, -np.sort(-seen.sum(axis=0)))
    assert_allclose((display.share.sum(axis=1) * sizes).sum(), seen.sum())
    assert (np.diff(display.share.mean(axis=1)) <= 1e-12).all()
    assert display.columns[0] == f"assay {seen.sum(axis=0).argmax()}"
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert 20 < len(labels) < 80 and labels == display.columns[:: len(display.columns) // len(labels) + 1]
    assert display.ax_.get_ylim() == (13_189.5, -0.5)
    plain = MissingnessDisplay.from_data(table, max_rows=20_000)
    assert_array_equal(plain.im_.get_array(), seen)
    columns = MissingnessDisplay.from_data(table, sort="columns", max_rows=20_000)
    assert_array_equal(columns.share, seen[:, [int(name) for name in columns.columns]])
    assert (np.diff(columns.share.sum(axis=0)) <= 0).all()


# --- trajectories


def test_few_trajectories_are_drawn_one_by_one(grains):
    model, state = grains
    display = TrajectoryDisplay.from_estimator(model, STRAIN, state[:4])
    found = model.propagate(state[:4, 0], STRAIN)
    for lines, expected in ((display.recorded_, state[:4, :, 0]), (display.predicted_, found[:, :, 0].T)):
        assert len(lines) == 4 and lines[0].axes is display.ax_
        for line, values in zip(lines, expected, strict=True):
            assert_array_equal(line.get_data(), [STRAIN, values])
    assert legend_of(display) == ["recorded", "propagated"] and display.ax_.get_ylabel() == "stress, MPa"
    density = TrajectoryDisplay.from_estimator(model, STRAIN, state[:4], output="density")
    assert_array_equal(density.predicted_[2].get_ydata(), found[:, 2, 1])
    assert density.ax_.get_yscale() == "log"
    start_only = TrajectoryDisplay.from_estimator(model, STRAIN, state[:4, 0], output=1)
    assert start_only.recorded_ == []
    assert_array_equal(start_only.y_pred, found[:, :, 1].T)
    paths = np.tile(STRAIN, (12, 1)) * np.linspace(0.9, 1, 12)[:, None]  # of their own: no band
    own = TrajectoryDisplay.from_predictions(paths, state[:12], state[:12])
    assert_array_equal(own.predicted_[5].get_xdata(), paths[5])


def test_many_trajectories_are_a_median_and_a_band():
    strain = np.r_[np.linspace(0, 1, 6), np.linspace(0.8, -0.4, 7)]
    true = RNG.normal(size=(30, 13)).cumsum(axis=1)
    true[3, 7:] = NAN
    pred = true + 0.1
    display = TrajectoryDisplay.from_predictions(strain, true, pred, output=0, quantiles=(0.25, 0.75))
    whole = np.delete(true, 3, axis=0)
    for line, band, values in (
        (display.recorded_, display.recorded_band_, whole), (display.predicted_, display.predicted_band_, whole + 0.1)
    ):  # fmt: skip
        assert_allclose(line[0].get_data(), [strain, np.median(values, axis=0)])
        low, high = np.quantile(values, [0.25, 0.75], axis=0)
        polygons = [path.vertices for path in band.get_paths()]
        assert len(polygons) == 2  # forth and back
        forth = [np.r_[strain[:6], strain[5::-1]], np.r_[low[:6], high[5::-1]]]
        assert_allclose(polygons[0][:12], np.transpose(forth))
        assert_allclose(polygons[1][:8], np.column_stack([strain[5:], low[5:]]))
    assert legend_of(display)[-1] == "25 to 75 % of 29"
    assert len(display.plot(kind="individual").predicted_) == 30
    pred[:, -1] = NAN  # nothing whole to make a band of
    assert len(TrajectoryDisplay.from_predictions(strain, true, pred, output=0).predicted_) == 30


def test_orientation_is_how_far_the_lattice_has_turned(grains):
    model, state = grains
    found = model.propagate(state[:, 0], STRAIN).transpose(1, 0, 2)
    display = TrajectoryDisplay.from_predictions(STRAIN, state, found, output="orientation", kind="individual")
    for lines, path in ((display.recorded_, state), (display.predicted_, found)):
        for line, angles in zip(lines, path[:, :, 2:], strict=True):
            turn = Rotation.from_euler("ZXZ", angles)
            assert_allclose(line.get_ydata(), np.degrees((turn[0].inv() * turn).magnitude()), atol=1e-5)
    one, other = (Rotation.from_euler("ZXZ", path[:, -1, 2:]) for path in (state, found))
    off = np.degrees((one.inv() * other).magnitude()).mean()
    assert display.misorientation == pytest.approx(off)
    assert legend_of(display)[1] == f"propagated, {off:.2g}° off at the end"


# --- bad input

NUMBERS = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS[:2]), ValueError, "^y_pred has shape"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, [1, 2]), ValueError, "^std has shape"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, -NUMBERS), ValueError, "^std is -3"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, [1, NAN, 2]), ValueError, "^y_pred is nan"),
        (lambda: ParityDisplay.from_predictions([NAN] * 3, NUMBERS), ValueError, "^y_true has no measured row"),
        (lambda: ParityDisplay.from_predictions(["a", "b"], [1, 2]), ValueError, "^y_true: could not convert"),
        (lambda: ParityDisplay.from_predictions([np.inf, 1], [1, 2]), ValueError, "^y_true: .*infinity"),
        (lambda: ParityDisplay.from_predictions([], []), ValueError, "^y_true: "),
        (lambda: ParityDisplay.from_predictions(Y, Y), ValueError, "^output=None is not possible: there are 2"),
        (lambda: ParityDisplay.from_predictions(Y, Y, output=2), ValueError, "^output=2 is not possible"),
        (lambda: ParityDisplay.from_predictions(Y, Y, output=True), ValueError, "^output=True is not possible"),
        (lambda: ParityDisplay.from_predictions(Y, Y, output="p"), ValueError, "^output='p' .*no names"),
        (lambda: ParityDisplay.from_predictions(TARGETS, Y, output="r"), ValueError, "^output='r' .*: p, q"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, level=1.0), ValueError, "^level=1.0"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, level="90%"), ValueError, "^level='90%'"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, subsample=0), ValueError, "^subsample=0 "),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, subsample=1.5), ValueError, "^subsample=1.5"),
        (lambda: ParityDisplay.from_predictions(NUMBERS, NUMBERS, subsample=2, random_state="a"), ValueError,
         "^random_state"),
        (lambda: ParityDisplay.from_estimator(StandardScaler().fit(X), X, X), TypeError, "^estimator is a Standard"),
        (lambda: ParityDisplay.from_estimator(LinearRegression, X, Y), TypeError, "^estimator is the class Linear"),
        (lambda: ParityDisplay.from_predictions("abc", NUMBERS), TypeError, "^y_true is the text .* of finite numbers"),
        (lambda: ParityDisplay.from_estimator(LinearRegression().fit(X, Y), X), ValueError, "^y=None is not possible"),
        (lambda: ParityDisplay.from_estimator(LinearRegression().fit(X, Y), X, Y[:9], output=0), ValueError,
         "^y has shape"),
        (lambda: ParityDisplay.from_estimator(LinearRegression().fit(X, Y), X, Y, output=0, return_std=True),
         ValueError, "^return_std=True is not possible: LinearRegression"),
        (lambda: ParityDisplay.from_estimator(MergedNetRegressor(), X, Y[:, 0]), NotFittedError, "not fitted"),
        (lambda: ConfidenceCurveDisplay.from_estimator(LinearRegression().fit(X, Y), X, Y, output=0), ValueError,
         "^estimator: LinearRegression gives no standard deviations"),
        (lambda: ConfidenceCurveDisplay.from_predictions(NUMBERS, NUMBERS, None), ValueError, "^std=None"),
        (lambda: ConfidenceCurveDisplay.from_predictions(NUMBERS, NUMBERS, NUMBERS, metric="mae"), ValueError,
         "^metric='mae' is not possible: give one of 'rmse', 'r2'"),
        (lambda: ConfidenceCurveDisplay.from_predictions(NUMBERS, NUMBERS, NUMBERS, n_points=0), ValueError,
         "n_points=0"),
        (lambda: MissingnessDisplay.from_data(None), TypeError, "^X is NoneType"),
        (lambda: MissingnessDisplay.from_data("a table"), TypeError, "^X is str"),
        (lambda: MissingnessDisplay.from_data(csr_array(np.eye(3))), TypeError, "^X is sparse"),
        (lambda: MissingnessDisplay.from_data(pl.DataFrame({"a": [1]}).lazy()), TypeError, "^X is a LazyFrame"),
        (lambda: MissingnessDisplay.from_data(NUMBERS), ValueError, r"^X has shape \(3,\)"),
        (lambda: MissingnessDisplay.from_data(pd.DataFrame()), ValueError, r"^X has shape \(0, 0\)"),
        (lambda: MissingnessDisplay.from_data([[1, 2], [3]]), ValueError, "^X"),
        (lambda: MissingnessDisplay.from_data(X, sort="up"), ValueError, "^sort='up'"),
        (lambda: MissingnessDisplay.from_data(X, max_rows=0), ValueError, "^max_rows=0"),
        (lambda: PartitionDisplay.from_estimator(LinearRegression().fit(X, Y), X), TypeError, "^estimator is a Linear"),
        (lambda: PartitionDisplay.from_estimator(GradientForestRegressor(), X), NotFittedError, "not fitted"),
        (lambda: TrajectoryDisplay.from_estimator(LinearRegression(), STRAIN, X), TypeError, "^estimator is a Linear"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], X[None], X[None], output=0), ValueError, "^strain has sha"),
        (lambda: TrajectoryDisplay.from_predictions([0, NAN], X[None], X[None], output=0), ValueError, "^strain: "),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], NUMBERS, NUMBERS), ValueError, "^y_pred must have shape"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], np.ones((4, 2, 1)), np.ones((2, 4, 1))), ValueError,
         r"^y_true has shape .*transpose\(1, 0, 2\)"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], np.ones((4, 2)), np.ones((4, 2))), ValueError,
         "^output='stress' needs states of five columns"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], np.ones((4, 2)), np.ones((4, 2)), output=1), ValueError,
         "^output=1 is not possible"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], np.ones((4, 2, 5)), np.ones((4, 2, 5)), output="x"),
         ValueError, "^output='x' is not possible: give one of 'stress', 'density', 'orientation'"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], None, np.ones((4, 2)), output=0, kind="both"), ValueError,
         "^kind='both'"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], None, np.ones((4, 2)), output=0, quantiles=(0.9, 0.1)),
         ValueError, "^quantiles="),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], None, np.ones((4, 2)), output=0, quantiles=("a", "b")),
         ValueError, "^quantiles="),
        (lambda: TrajectoryDisplay.from_predictions(np.ones((4, 2)), None, np.ones((4, 2)), output=0, kind="band"),
         ValueError, "^kind='band' needs one path"),
        (lambda: TrajectoryDisplay.from_predictions([0, 1], None, np.full((4, 2), NAN), output=0, kind="band"),
         ValueError, "no trajectory without NaN"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_bad_input_of_a_partition_is_named(forest):
    for given, message in (
        ({"output": None}, "^output=None"),
        ({"features": [0, 0]}, "^features="),
        ({"features": []}, "^features="),
        ({"features": 2}, "^features=2"),
        ({"features": 1.5}, "^features=1.5"),
        ({"features": "c"}, "^features='c'"),
        ({"grid_resolution": 1}, "^grid_resolution=1"),
        ({"max_splits": -1}, "^max_splits=-1"),
        ({"y": Y[:5]}, "^y has shape"),
        ({"X": X[:, :1]}, "^X has 1 columns"),
        ({"X": X[:1]}, "^X has a single value of feature 0"),
        ({"X": np.full((3, 2), NAN)}, "^X has a column that is missing"),
    ):
        with pytest.raises(ValueError, match=message):
            PartitionDisplay.from_estimator(**{"estimator": forest, "X": X, "output": 0} | given)
