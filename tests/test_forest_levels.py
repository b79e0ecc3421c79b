"""GradientForestRegressor between the levels of features of few values, such as five temperatures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import GradientForestRegressor

LEVELS = np.array([0.0, 0.3, 0.5, 0.8, 1.0])
RNG = np.random.default_rng(0)
ORDERS = ["auto", 0, 1, 2]


def curve(X):
    """A hardening curve over strain that falls with temperature, less and less steeply."""
    return (1 - np.exp(-20 * X[:, 0])) * (1.2 - X[:, 1] + 0.3 * X[:, 1] ** 2) + 0.1 * X[:, 0]


def grid(n=600):
    X = np.column_stack([RNG.uniform(0, 1, n), RNG.choice(LEVELS, n)])
    return X, curve(X) + 0.005 * RNG.normal(size=n)


def forest(**parameters):
    return GradientForestRegressor(**{"n_estimators": 30, "random_state": 0, **parameters})


@pytest.mark.parametrize("order", ORDERS)
def test_a_level_that_was_not_trained(order):
    """Before, on measured curves of aluminium: NMSE 1.25 (order 0: 2.4), none inside, applicability 0."""
    X, y = grid()
    model = forest(order=order).fit(X, y)
    new = np.column_stack([RNG.uniform(0, 1, 500), np.full(500, 0.65)])
    predicted, std = model.predict(new, return_std=True)
    truth = curve(new)
    assert np.mean((predicted - truth) ** 2) / truth.var() < 0.05
    assert np.mean(np.abs(predicted - truth) < 1.645 * std) > 0.8
    assert_allclose(model.applicability(new), 0.15)
    assert_array_equal(model.applicability(X), 0)


def value_of(model, x, between):
    """Forest by definition: down every tree, both ways where a threshold lies between the levels around x."""
    total = 0.0
    for g, (trees, weight) in enumerate(model._forest().kinds()):
        members = np.repeat(np.arange(trees.n_members), np.diff(trees.member_start))
        for tree, start in enumerate(trees.start[:-1]):
            nodes = model.nodes_[g][start:]
            one = {name: getattr(trees, name) for name in trees.__dataclass_fields__}
            one |= {"start": trees.start[tree : tree + 2].copy(), "rate": trees.rate[tree : tree + 1].copy()}
            single = type(trees)(**one | {"member_start": np.array([0, 1])})

            def walk(x, i, nodes=nodes, start=start, single=single):
                f, threshold, child = (nodes[i][name] for name in ("feature", "threshold", "child"))
                if f < 0:
                    return single.sums(x[None])[0, 0]
                low, high = between.get(int(f), (np.inf, -np.inf))
                if low <= threshold < high and low < x[f] < high:
                    share, left, right = (x[f] - low) / (high - low), x.copy(), x.copy()
                    share -= 4 * model.level_bend_[f] * (high - low) * share * (1 - share)
                    left[f], right[f] = low, high
                    return (1 - share) * walk(left, child - start) + share * walk(right, child - start + 1)
                return walk(x, child - start + (not x[f] <= threshold))

            total += weight[members[tree], 0] * walk(x, 0)
    return total * model.y_unit_[0] + model.y_shift_[0]


@pytest.mark.parametrize("order", ORDERS)
def test_leaves_count_by_how_near_a_row_is(order):
    X = np.column_stack([RNG.uniform(0, 1, 300), RNG.choice(LEVELS, 300), RNG.choice([1.0, 2.0, 4.0], 300)])
    model = forest(order=order, n_estimators=3).fit(X, curve(X) * X[:, 2])
    rows = np.array([[0.2, 0.4, 1.0], [0.7, 0.3, 3.5], [0.4, 0.9, 1.25], [0.9, 0.65, 2.5]])
    between = [{1: (0.3, 0.5)}, {2: (2.0, 4.0)}, {1: (0.8, 1.0), 2: (1.0, 2.0)}, {1: (0.5, 0.8), 2: (2.0, 4.0)}]
    expected = [value_of(model, x, gaps) for x, gaps in zip(rows, between, strict=True)]
    assert_allclose(model.predict(rows), expected, rtol=1e-10)
    assert_array_equal(np.concatenate([model.predict(row[None]) for row in rows]), model.predict(rows))
    for trees, weight in model._forest().kinds():  # rows between two levels of one feature have a shorter way
        gaps = model._forest().gaps(rows[:2])
        longer = trees._forest(rows).between(gaps, True, weight, False, True)
        for short, long in zip(trees.between(gaps, weight)[:2], longer[:2], strict=True):
            assert_allclose(short, long, rtol=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_at_the_levels_a_forest_says_what_its_trees_say(order):
    X, y = grid()
    model = forest(order=order).fit(X, y)
    X[::9, 1] = np.nan
    plain = sum(trees.sums(X, weight) for trees, weight in model._forest().kinds())[:, 0]
    plain = plain * model.y_unit_ + model.y_shift_
    assert_array_equal(model.predict(X), plain)
    near = X + np.array([0, 1e-9])
    assert_allclose(model.predict(near)[~np.isnan(X[:, 1])], plain[~np.isnan(X[:, 1])], atol=1e-5)


def test_a_forest_of_means_is_a_line_between_levels():
    X, y = grid()
    model = forest(order=0).fit(X, y)
    strain = RNG.uniform(0, 1, 50)
    low, middle, high = (model.predict(np.column_stack([strain, np.full(50, t)])) for t in (0.5, 0.6, 0.8))
    share = 1 / 3 - 4 * model.level_bend_[1] * 0.3 * 1 / 3 * 2 / 3
    assert_allclose(middle, (1 - share) * low + share * high, rtol=1e-9)


def test_a_line_bends_as_rows_at_inner_levels_tell():
    """A fall that grows steeper from level to level: its middle is nearer to the level that is less fallen."""
    t = np.repeat(np.linspace(0, 1, 6), 60)
    X = np.column_stack([RNG.uniform(0, 1, 360), t])
    f = lambda X: (1 + X[:, 0]) * (2 - np.exp(2.5 * X[:, 1]))  # noqa: E731
    model = forest(order=0).fit(X, f(X))
    assert 0.1 < model.level_bend_[1] < 1  # for each unit of distance
    new = np.column_stack([RNG.uniform(0.1, 0.9, 200), np.full(200, 0.7)])
    error = np.abs(model.predict(new) - f(new)).mean()
    model.level_bend_ = np.zeros(2)
    assert error < 0.5 * np.abs(model.predict(new) - f(new)).mean()
    for straight in (1 + X[:, 0] - X[:, 1], (X[:, 1] - 0.5) ** 2, RNG.normal(size=360)):
        assert abs(forest(order=0).fit(X, straight).level_bend_[1]) < 0.03
    three = X[np.isin(X[:, 1], t[[0, 60, 120]])]  # one inner level is no evidence
    assert forest(order=0).fit(three, f(three)).level_bend_[1] == 0


@pytest.mark.parametrize("order", ORDERS)
def test_the_gradient_between_levels_is_that_of_the_prediction(order):
    X = np.column_stack([RNG.uniform(0, 1, 400), RNG.choice(LEVELS, 400), RNG.choice([1.0, 2.0, 4.0], 400)])
    Y = np.column_stack([curve(X) * X[:, 2], X[:, 1] + X[:, 0]])
    model = forest(order=order, n_estimators=8).fit(X, Y)
    rows = np.column_stack([RNG.uniform(0.1, 0.9, 60), RNG.uniform(0, 1, 60), RNG.uniform(1, 4, 60)])
    gradient = model.predict_gradient(rows)
    assert gradient.shape == (60, 2, 3)
    checked = 0
    for j in range(3):
        step = 1e-6 * np.eye(3)[j]
        up, down = ((model.predict(rows + s) - model.predict(rows)) / s[j] for s in (step, -step))
        away = np.abs(up - down) < 1e-3 * (1 + np.abs(up))
        checked += away.mean() / 3
        assert_allclose(gradient[:, :, j][away], ((up + down) / 2)[away], rtol=1e-3, atol=1e-4)
    assert checked > 0.8
    if order == 0:  # nothing clips
        assert np.abs(gradient[:, :, 1]).min() > 0
        assert_array_equal(model.predict_gradient(rows, smooth=True), gradient)


def test_quadratics_on_a_factorial_design_stay_exact():
    """Three levels of each factor, as of a response surface: a leaf of several levels is followed between them."""
    levels = np.array([-1.0, 0.0, 1.0])
    X = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    f = lambda X: X[:, 0] ** 2 + X[:, 0] * X[:, 1] - 2 * X[:, 2] ** 2 + X[:, 1]  # noqa: E731
    new = RNG.uniform(-1, 1, (100, 3))
    assert_allclose(forest(order=2).fit(X, f(X)).predict(new), f(new), atol=1e-4)


def test_what_has_no_levels():
    X, y = grid()
    levels = lambda model: np.diff(model.level_start_).tolist()  # noqa: E731
    assert levels(forest(n_estimators=5).fit(X, y)) == [0, 5]
    assert levels(forest(order=1).fit(X[:24], y[:24])) == [0, 0]  # four of five rows each
    slopes = np.full(X.shape, np.nan)
    slopes[:, 1] = -1 + 0.6 * X[:, 1]  # which tell what happens between levels
    assert levels(forest(n_estimators=5).fit(X, y, slopes)) == [0, 0]
    many = np.column_stack([X[:, 0], np.arange(600) % 21])
    assert levels(forest(n_estimators=5).fit(many, y)) == [0, 0]


TEMPERATURES = np.array([20.0, 100, 200, 300, 400])


def wave(X):
    return np.sin(X[:, 0] / 60) * X[:, 1]


@pytest.mark.parametrize("read", ["exact", "last digits", "0.5 C", "whole degrees", "two scales"])
def test_a_gap_is_seen_however_exactly_its_levels_were_read(read):
    """Before, with errors of 1e-9 in the values: std .017, 10 % inside, applicability 0."""
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.choice(TEMPERATURES, 400), rng.uniform(0, 1, 400)])
    y = wave(X)
    noise = {
        "exact": 0, "last digits": 1e-9 * rng.normal(size=400), "0.5 C": 0.5 * rng.normal(size=400),
        "whole degrees": rng.integers(-1, 2, 400), "two scales": np.where(rng.random(400) < 0.5, 1e-12, 0),
    }  # fmt: skip
    X[:, 0] += noise[read]
    model = forest().fit(X, y)
    assert np.diff(model.level_start_).tolist() == [5, 0]
    new = np.column_stack([np.full(300, 250.0), rng.uniform(0, 1, 300)])
    predicted, std = model.predict(new, return_std=True)
    assert np.sqrt(np.mean((predicted - wave(new)) ** 2)) < 0.25
    assert np.mean(np.abs(predicted - wave(new)) < 1.645 * std) > 0.8
    assert_allclose(model.applicability(new), 50 / 380, atol=0.01)
    assert_array_equal(model.applicability(X), 0)


def test_a_gap_between_two_clusters_of_many_levels():
    """Before: std 0 and applicability 0 at 150."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice(np.r_[0:12, 300:312], 400).astype(float), rng.uniform(0, 1, 400)])
    model = forest().fit(X, wave(X))
    assert_array_equal(model.level_, [[0, 11], [300, 311]])
    new = np.column_stack([np.full(50, 150.0), np.linspace(0.1, 1, 50)])
    std = model.predict(new, return_std=True)[1]
    assert_allclose(model.applicability(new), 139 / 311)
    assert (std > 0.1 * new[:, 1]).all() and std.mean() > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_continuous_features_have_no_levels_whatever_their_tails(seed):
    rng = np.random.default_rng(seed)
    sparse = np.where(rng.random(500) < 0.7, 0, rng.gamma(2, 3, 500))  # an element that most alloys lack
    X = np.column_stack([
        rng.uniform(0, 1, 500), rng.normal(size=500), rng.exponential(size=500), rng.lognormal(0, 2, 500),
        rng.standard_cauchy(500), rng.pareto(0.5, 500), sparse, np.round(rng.normal(0, 20, 500)),
    ])  # fmt: skip
    assert not len(forest(n_estimators=1, order=0).fit(X, X[:, 0]).level_)


def test_levels_of_several_spacings_stay_levels():
    """Times of curing and rates of strain: neighbours may lie far closer together than others."""
    for values in ([1, 3, 7, 14, 28, 56, 90, 91, 100, 120, 180, 270, 360, 365], [1e-4, 1e-3, 1e-2, 1, 1000],
                   [0, 1, 2, 5, 1000]):  # fmt: skip
        x = np.repeat(np.array(values, float), 20)
        model = forest(n_estimators=1, order=0).fit(np.column_stack([x, np.arange(len(x))]), x)
        assert_array_equal(model.level_, np.column_stack([values, values]))


@pytest.mark.parametrize(("jump", "asked"), [(250, 250), (50, 60), (350, 340)])
def test_intervals_at_a_jump_are_as_wide_as_the_errors_of_held_out_levels(jump, asked):
    """Before: the std was half of that, 5 to 10 % inside; beside the last level it was 0.004."""
    X = np.column_stack([RNG.choice(TEMPERATURES, 500), RNG.uniform(0, 1, 500)])
    f = lambda X: np.where(X[:, 0] < jump, 1, 0.3) * X[:, 1] ** 0.3  # noqa: E731
    new = np.column_stack([np.full(200, float(asked)), RNG.uniform(0, 1, 200)])
    predicted, std = forest().fit(X, f(X)).predict(new, return_std=True)
    assert np.mean(np.abs(predicted - f(new)) < 1.645 * std) > 0.75
    assert 0.15 < std.mean() < 0.3  # the greatest error of a held-out level is .35
    smooth = lambda X: (2 - X[:, 0] / 400) ** 2 * X[:, 1]  # noqa: E731
    predicted, std = forest().fit(X, smooth(X)).predict(new, return_std=True)
    assert np.mean(np.abs(predicted - smooth(new)) < 1.645 * std) > 0.8 and std.max() < 0.1


def test_intervals_are_widest_in_the_middle_between_levels():
    X, y = grid()
    model = forest().fit(X, y)
    rows = np.column_stack([np.full(31, 0.5), np.linspace(0.5, 0.8, 31)])
    std = model.predict(rows, return_std=True)[1]
    assert std[15] > 1.02 * max(std[0], std[-1]) and 10 <= std.argmax() <= 20
    two = X[(X[:, 1] == 0) | (X[:, 1] == 1)]
    model = forest(order=0).fit(two, curve(two))  # of two levels nobody knows what lies between
    rows[:, 1] = 0.5
    assert model.predict(rows, return_std=True)[1].min() > 0.2 * np.abs(np.diff(curve(np.array([[0.5, 0], [0.5, 1]]))))


def test_damaged_levels_are_refused():
    X, y = grid()
    for name, bad in [("level_", np.full(5, np.nan)), ("level_", np.zeros(4)), ("level_start_", np.array([0, 9, 5])),
                      ("level_error_", np.zeros((1, 1))), ("level_bend_", np.zeros(3))]:  # fmt: skip
        model = forest(n_estimators=5).fit(X, y)
        setattr(model, name, bad)
        with pytest.raises(ValueError, match="damaged"):
            model.predict(X)


def test_a_forest_without_levels_still_answers():
    """As version 0.1 stored them."""
    X, y = grid()
    model = forest(n_estimators=5).fit(X, y)
    expected = model.predict(X, return_std=True)
    del model.level_, model.level_start_, model.level_error_, model.level_bend_
    assert_array_equal(model.predict(X, return_std=True), expected)
    assert_array_equal(model.applicability(X), 0)
    assert np.isfinite(model.predict_gradient(X + 0.01)).all()


# --- groups of the user's own


def specimens(n_groups=12, n=30, seed=0):
    """Curves of specimens that differ from each other by more than the rows of one do."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), n)
    mark = rng.normal(size=(3, n_groups))[:, group]
    X = np.column_stack([rng.uniform(0, 1, n_groups * n), mark[0], mark[1]])
    return X, np.sin(3 * X[:, 0]) + mark[2], group


def test_groups_are_evaluated_by_members_that_have_not_seen_them():
    inside = []
    for seed in range(4):
        X, y, group = specimens(40, 10, seed)
        new, truth, _ = specimens(200, 5, seed + 100)
        plain, whole = forest(order=0).fit(X, y), forest(order=0).fit(X, y, groups=group)
        assert plain.oob_score_ > 0.9  # of rows whose specimen was seen
        assert whole.oob_score_ < 0.6
        for model in (plain, whole):
            predicted, std = model.predict(new, return_std=True)
            inside.append(np.mean(np.abs(predicted - truth) < 1.645 * std))
    assert np.mean(inside[::2]) < 0.5 and np.mean(inside[1::2]) > 0.8


@pytest.mark.parametrize("parameters", [dict(), dict(order=0), dict(order=1, bootstrap=False)])
def test_members_leave_out_whole_groups(parameters):
    X, y, group = specimens(6, 10)
    labels = np.array(list("abcdef"))[group]
    model = forest(n_estimators=2, **parameters).fit(X, y, groups=labels)
    known = ~np.isnan(model.oob_prediction_).reshape(6, 10)
    assert (known.all(axis=1) | ~known.any(axis=1)).all() and known.any()
    order = RNG.permutation(60)
    shuffled = forest(n_estimators=2, **parameters).fit(X[order], y[order], groups=labels[order])
    assert_array_equal(shuffled.predict(X), model.predict(X))
    weight = RNG.integers(1, 4, 60)
    repeated = np.repeat(np.arange(60), weight)
    assert_allclose(forest(n_estimators=2, **parameters).fit(X, y, sample_weight=weight, groups=group).predict(X),
                    forest(n_estimators=2, **parameters).fit(X[repeated], y[repeated], groups=group[repeated])
                    .predict(X), rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize(("n_levels", "parameters"), [
    (5, dict()), (5, dict(order=0)), (5, dict(order=1, bootstrap=False)), (12, dict(order=0)), (2, dict()),
])  # fmt: skip
def test_groups_that_are_levels_change_no_prediction(n_levels, parameters):
    """Before: members that missed whole levels bent the mean of all, error at the trained ones 1.5 instead of 0.03."""
    rng = np.random.default_rng(0)
    t = rng.choice(np.linspace(20, 400, n_levels), 60 * n_levels)
    X = np.column_stack([t, rng.uniform(0, 1, len(t))])
    f = lambda X: np.exp(300 / (X[:, 0] + 100)) * X[:, 1] ** 0.3  # noqa: E731
    plain, whole = (forest(**parameters).fit(X, f(X), groups=groups) for groups in (None, t))
    assert_allclose(whole.predict(X), plain.predict(X), rtol=1e-10)
    assert whole.oob_score_ < plain.oob_score_  # of levels that members have not seen
    std = whole.predict(X, return_std=True)[1]
    assert np.isfinite(std).all() and std.mean() > 3 * plain.predict(X, return_std=True)[1].mean()
    assert np.sqrt(np.mean((whole.oob_prediction_ - f(X)) ** 2)) < 2 * std.mean() < 20 * np.ptp(f(X))


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_intervals_of_few_groups_hold_for_new_ones(n_groups):
    """Before: of 3 groups 72 % inside, by a std of millions."""
    inside = []
    for seed in range(4):
        X, y, group = specimens(n_groups, 20, seed)
        new, truth, _ = specimens(100, 5, seed + 100)
        predicted, std = forest(order=0).fit(X, y, groups=group).predict(new, return_std=True)
        inside.append(np.mean(np.abs(predicted - truth) < 1.645 * std))
        assert std.max() < 20
    assert np.mean(inside) > 0.7  # of 12 seeds 0.81 to 0.91


def test_a_warm_start_keeps_what_was_said_of_groups():
    X, y, group = specimens(6, 10)
    model = forest(n_estimators=10, warm_start=True).fit(X, y, groups=group)
    model.set_params(n_estimators=20).fit(X, y, groups=group)
    fresh = forest(n_estimators=20).fit(X, y, groups=group)
    for grown, expected in zip(model.predict(X, return_std=True), fresh.predict(X, return_std=True), strict=True):
        assert_allclose(grown, expected, rtol=1e-9)


@pytest.mark.parametrize(("groups", "words"), [
    (np.zeros(60), "one group"), (np.arange(59), r"shape \(60,\)"), (np.full(60, np.nan), "NaN"),
    ("words", r"shape \(60,\)"), (np.zeros((60, 1)), r"shape \(60,\)"), ([1, "a"] * 29 + [None, 2], "several types"),
])  # fmt: skip
def test_groups_that_are_none_are_refused(groups, words):
    X, y, _ = specimens(6, 10)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        forest().fit(X, y, groups=groups)
    assert "groups" in str(caught.value)
