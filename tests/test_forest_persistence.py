"""Saving and loading forests, and forests whose arrays were damaged on the way."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skmerge import GradientForestRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 3))
X[::7, 2] = np.nan
Y = np.column_stack([X[:, 0] ** 2 + X[:, 1], X[:, 0] * X[:, 1]])
DYDX = np.stack([np.column_stack([2 * X[:, 0], np.ones(60), np.zeros(60)]),
                 np.column_stack([X[:, 1], X[:, 0], np.zeros(60)])], axis=1)  # fmt: skip
MODELS = {
    "auto": GradientForestRegressor(8, random_state=0).fit(X, Y[:, 0]),
    "slopes": GradientForestRegressor(8, random_state=0).fit(X, Y, DYDX),
    "constants": GradientForestRegressor(3, order=0, random_state=0).fit(X, Y),
    "quadratics": GradientForestRegressor(3, order=2, random_state=0).fit(X, Y[:, 0], DYDX[:, 0]),
    "all rows": GradientForestRegressor(2, order=1, bootstrap=False, extrapolate="linear").fit(X, Y[:, 0]),
}
USES = {
    "predict": lambda model: model.predict(X),
    "std": lambda model: model.predict(X, return_std=True),
    "gradient": lambda model: model.predict_gradient(X),
    "smooth": lambda model: model.predict_gradient(X, smooth=True),
    "apply": lambda model: model.apply(X),
    "applicability": lambda model: model.applicability(X),
}


def assert_same(loaded, model):
    for use in USES.values():
        np.testing.assert_array_equal(use(loaded), use(model))


@pytest.mark.parametrize("name", MODELS)
def test_pickle(name):
    assert_same(pickle.loads(pickle.dumps(MODELS[name])), MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_joblib_memory_map(name, tmp_path):
    joblib.dump(MODELS[name], tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    for stored in ("nodes_", "leaves_", "tree_start_", "rate_", "member_start_", "member_weight_"):
        assert all(isinstance(a, np.memmap) and not a.flags.writeable for a in getattr(loaded, stored))
    assert_same(loaded, MODELS[name])
    loaded.set_params(n_jobs=2)
    assert_same(loaded, MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_skops(name, tmp_path):
    skops.io.dump(MODELS[name], tmp_path / "model.skops")
    untrusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert untrusted == ["skmerge.forest.GradientForestRegressor"]
    assert_same(skops.io.load(tmp_path / "model.skops", trusted=untrusted), MODELS[name])


def test_a_loaded_forest_goes_on_growing(tmp_path):
    model = GradientForestRegressor(5, order=1, random_state=0, warm_start=True).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r").set_params(n_estimators=9).fit(X, Y)
    assert_same(loaded, GradientForestRegressor(9, order=1, random_state=0).fit(X, Y))


def test_clone_is_not_fitted():
    assert not [name for name in vars(clone(MODELS["auto"])) if name.endswith("_") or name.startswith("_")]


# --- damage

GROUPS = ["nodes_", "tree_start_", "leaves_", "rate_", "member_start_", "member_weight_"]
FLAT = ["coordinate_", "x_shift_", "x_unit_", "y_shift_", "y_unit_", "std_scale_", "x_min_", "x_max_"]
COUNTS = ["n_squared_", "n_coordinates_"]


def damaged(name, attribute, value):
    model = copy.copy(MODELS[name])
    if value is None:
        delattr(model, attribute)
    else:
        setattr(model, attribute, value)
    return model


def refuses(model, use="predict"):
    with pytest.raises((ValueError, AttributeError), match=r"damaged|has no attribute|not fitted"):
        USES[use](model)


def damages(array):
    yield from (array[:-1], array[:0], np.concatenate([array, array]), array[None], np.array(1.0), "text", None, 3)
    yield from (array.astype(object), array.tolist(), array[::-1][::-1][:-1])
    if array.dtype.names is None:
        yield from (array.astype(np.float32), array.astype("U8"), array.astype(complex), array.astype(np.int16))
        if array.dtype.kind == "f":
            yield np.full_like(array, np.nan)
        else:
            yield from (array - 1, array + 1, np.full_like(array, -1), np.full_like(array, np.iinfo(array.dtype).max))
    else:
        yield from (array.view("V4"), array.astype([(name, "<f8") for name in array.dtype.names]))


# What a damage leaves as it was, or is still a forest: nodes or leaves that nobody refers to, no coordinate at all.
HARMLESS = {("leaves_", "doubled"), ("nodes_", "doubled")}


@pytest.mark.parametrize("use", ["predict", "std", "gradient", "apply"])
@pytest.mark.parametrize("attribute", GROUPS)
@pytest.mark.parametrize("name", MODELS)
def test_damaged_groups(name, attribute, use):
    groups = getattr(MODELS[name], attribute)
    for bad in (None, "text", {}, [], groups[:-1], groups + groups, np.arange(3)):
        refuses(damaged(name, attribute, bad), use)
    if use == "apply" and attribute in ("rate_", "member_start_", "member_weight_", "leaves_"):
        return  # does not read what is in them
    for g in (0, len(groups) - 1):
        if use == "gradient" and MODELS[name].n_coordinates_[g] == 0:
            continue  # 0 everywhere
        for i, bad in enumerate(damages(groups[g])):
            if i == 2 and (attribute, "doubled") in HARMLESS:
                continue
            changed = list(groups)
            changed[g] = bad
            refuses(damaged(name, attribute, changed), use)


@pytest.mark.parametrize("attribute", FLAT)
@pytest.mark.parametrize("name", MODELS)
def test_damaged_vectors(name, attribute):
    array = getattr(MODELS[name], attribute)
    for i, bad in enumerate(damages(array)):
        if attribute in ("std_scale_", "x_min_", "x_max_") and isinstance(bad, np.ndarray) and bad.dtype == float \
                and bad.shape == array.shape:  # fmt: skip
            continue  # NaN, of an unknown column
        if isinstance(bad, np.ndarray) and name == "constants" and attribute in ("coordinate_", "x_unit_", "x_shift_") \
                and (i == 1 or bad.dtype == np.intc):  # fmt: skip
            continue  # which has none
        if attribute == "coordinate_" and isinstance(bad, np.ndarray) and bad.dtype == np.intc and i in (11, 12, 15):
            bad = bad + 3
        refuses(damaged(name, attribute, bad))


@pytest.mark.parametrize("attribute", COUNTS)
@pytest.mark.parametrize("name", MODELS)
def test_damaged_counts(name, attribute):
    counts = getattr(MODELS[name], attribute)
    for bad in (-1, 4, 2**40, 1.0, "text", np.nan, True):
        if bad != counts[0] or type(bad) is not int:
            refuses(damaged(name, attribute, [bad, *counts[1:]]))


@given(data=st.data())
@settings(max_examples=200)
def test_damaged_nodes_never_read_outside(data):
    """Whatever an index is: an error, or leaves that are there."""
    name = data.draw(st.sampled_from(list(MODELS)))
    g = data.draw(st.integers(0, len(MODELS[name].nodes_) - 1))
    nodes = MODELS[name].nodes_[g].copy()
    for _ in range(data.draw(st.integers(1, 3))):
        field = data.draw(st.sampled_from(["child", "feature", "missing_left", "n_samples"]))
        extreme = st.sampled_from([-(2**31), -1, 0, 1, len(nodes) - 1, len(nodes), 2**31 - 1])
        nodes[field][data.draw(st.integers(0, len(nodes) - 1))] = data.draw(extreme)
    model = damaged(name, "nodes_", [nodes if i == g else a for i, a in enumerate(MODELS[name].nodes_)])
    for use in USES.values():
        try:
            use(model)
        except ValueError as error:
            assert "damaged" in str(error)


@pytest.mark.parametrize("attribute", ["tree_start_", "member_start_"])
@given(data=st.data())
@settings(max_examples=50)
def test_damaged_starts_never_read_outside(attribute, data):
    name = data.draw(st.sampled_from(list(MODELS)))
    arrays = [array.copy() for array in getattr(MODELS[name], attribute)]
    array = arrays[data.draw(st.integers(0, len(arrays) - 1))]
    values = st.sampled_from([-(2**63), -1, 0, 1, len(array), 10**6, 2**63 - 1])
    array[data.draw(st.integers(0, len(array) - 1))] = data.draw(values)
    model = damaged(name, attribute, arrays)
    for use in USES.values():
        try:
            use(model)
        except ValueError as error:
            assert "damaged" in str(error)


@pytest.mark.parametrize("name", ["auto", "slopes", "constants", "quadratics"])
def test_a_leaf_of_nan_is_refused(name):
    model = MODELS[name]
    k, m = model.n_coordinates_[0], len(model.y_shift_)
    leaves = [a.copy() for a in model.leaves_]
    leaves[0].reshape(len(leaves[0]), -1)[:, 3 * k if k else 0] = np.nan
    assert m > 0
    refuses(damaged(name, "leaves_", leaves))


@pytest.mark.parametrize("attribute", ["y_shift_", "y_unit_", "std_scale_"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_units_that_are_not_finite_are_refused(attribute, value):
    refuses(damaged("auto", attribute, np.full_like(getattr(MODELS["auto"], attribute), value)), "std")


@pytest.mark.parametrize("attribute", ["x_min_", "x_max_"])
def test_a_range_of_nan_is_refused(attribute):
    refuses(damaged("auto", attribute, np.full_like(getattr(MODELS["auto"], attribute), np.nan)), "applicability")


def test_an_infinite_weight_is_refused():
    model = damaged("auto", "member_weight_", [np.full_like(a, np.inf) for a in MODELS["auto"].member_weight_])
    with pytest.raises(ValueError, match="damaged"):
        model.predict(np.zeros((2, model.n_features_in_)))


@pytest.mark.parametrize("attribute", ["stand_in_", "gap_scale_"])
def test_damaged_stand_ins(attribute):
    array = getattr(MODELS["auto"], attribute)
    for bad in (array[:, :1], array[0], "text", array.tolist(), array.astype(np.float32), np.full_like(array, np.inf)):
        if np.shape(bad) != array.shape or not isinstance(bad, np.ndarray) or bad.dtype != float or np.isinf(bad).any():
            refuses(damaged("auto", attribute, bad), "std")


def test_a_forest_without_stand_ins_still_answers():
    """As version 0.1 stored them: unknown features widen nothing there."""
    old = copy.copy(MODELS["auto"])
    del old.stand_in_, old.gap_scale_
    predicted, std = old.predict(X, return_std=True)
    np.testing.assert_array_equal(predicted, MODELS["auto"].predict(X))
    assert (std <= MODELS["auto"].predict(X, return_std=True)[1]).all()
