"""The fitted law as text, LaTeX and Python."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmerge import MergedNetRegressor

RNG = np.random.default_rng(3)
X = RNG.uniform(0.5, 4.0, (40, 2))
BOTH = RNG.uniform(-3.0, 3.0, (40, 2))


def fit(X, y, **parameters):
    return MergedNetRegressor(random_state=0, **parameters).fit(X, y)


def evaluate(formula, X, names=None, **known):
    names = [f"x{j}" for j in range(X.shape[1])] if names is None else names
    expressions = formula.python if isinstance(formula.python, list) else [formula.python]
    values = [
        eval(expression, {"np": np, "X": X, **known, **dict(zip(names, X.T, strict=True))})
        for expression in expressions
    ]
    values = np.stack([np.broadcast_to(value, len(X)) for value in values], axis=1)
    return values if isinstance(formula.python, list) else values[:, 0]


def assert_sane_latex(latex):
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert latex.count(r"\left") == latex.count(r"\right")
    assert "inf" not in latex and "nan" not in latex


@pytest.mark.parametrize(
    ("X", "y", "text"),
    [
        (X, 3 * X[:, 0] ** 1.5 / X[:, 1], "y = 3.00 a^1.50 M^-1.00"),
        (X, 2 * X[:, 0] + 3 * X[:, 1] - 4, "y = 2.00 a + 3.00 M - 4.00"),
        (X, np.full(40, 3.0), "y = 3.00"),
        (X, np.zeros(40), "y = 0"),
        (BOTH, BOTH[:, 0] * BOTH[:, 1], "y = 1.00 a M"),
        (BOTH, 2 * BOTH[:, 0] ** 2 * BOTH[:, 1], "y = 2.00 a^2.00 M"),
        (BOTH, -2 * np.abs(BOTH[:, 0]) * BOTH[:, 1], "y = -2.00 |a| M"),
        (BOTH, 2 * np.sign(BOTH[:, 0]) * np.abs(BOTH[:, 1]) ** 1.5, "y = 2.00 |M|^1.50 sign(a)"),
        (BOTH, 2 * np.sign(BOTH[:, 0]) * np.abs(BOTH[:, 0]) ** 0.5, "y = 2.00 sign(a) |a|^0.50"),
        (X, 1e-7 * X[:, 0] ** 2, "y = 1e-07 a^2.00"),
    ],
)
def test_text(X, y, text):
    formula = fit(X, y).formula(["a", "M"])
    assert str(formula) == text and formula.text == text
    assert_sane_latex(formula.latex)
    np.testing.assert_allclose(evaluate(formula, X, ["a", "M"]), y, rtol=1e-9, atol=1e-12)


def test_latex():
    formula = fit(X, 3e-7 * X[:, 0] ** 1.5 / X[:, 1]).formula(["a_max", "M"], target_names="T")
    assert formula.latex == r"T = 3 \cdot 10^{-7}\,{\mathrm{a}_{\mathrm{max}}}^{3/2}\,{M}^{-1}"
    assert formula._repr_latex_() == rf"$\displaystyle {formula.latex}$"
    assert "3e-07 a_max^1.50 M^-1.00" in repr(formula)


def test_latex_of_signs():
    y = 2 * np.sign(BOTH[:, 0]) * np.abs(BOTH[:, 0]) ** 0.5
    assert fit(BOTH, y).formula(["s", "t"]).latex == (
        r"y = 2.00\,\operatorname{sign}(s)\,{\left|s\right|}^{1/2}"
    )  # fmt: skip


def test_names():
    model = fit(pd.DataFrame(X, columns=["a", "M"]), X[:, 0] * X[:, 1])
    assert str(model.formula()) == "y = 1.00 a M"
    assert str(model.formula(["p", "q"], target_names="z")) == "z = 1.00 p q"
    two = fit(X, np.column_stack([X[:, 0] * X[:, 1], 2 * X[:, 0]]))
    assert str(two.formula()) == "y0 = 1.00 x0 x1\ny1 = 2.00 x0"
    assert str(two.formula(target_names=["area", "width"])) == "area = 1.00 x0 x1\nwidth = 2.00 x0"
    assert r" \\ " in two.formula().latex
    np.testing.assert_allclose(evaluate(two.formula(), X), two.predict(X), rtol=1e-12)


def test_errors():
    model = fit(X, X[:, 0] * X[:, 1])
    for names in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="feature_names must be 2 different names"):
            model.formula(names)
    with pytest.raises(ValueError, match="target_names must be 1 names"):
        model.formula(target_names=["y", "z"])
    ensemble = fit(X, X[:, 0] * X[:, 1], n_estimators=3)
    with pytest.raises(ValueError, match="standard_errors"):
        ensemble.formula(standard_errors=True)


ODD_NAMES = [
    "lambda",
    "np",
    "X",
    "a b",
    "T (K)",
    "100%",
    "sign",
    "x1",
    "x0",
    "$x$",
    "a_b_c",
    "{",
    "e\\",
    "|",
    "ρ",
    "a+-b",
]


@given(
    names=st.lists(st.one_of(st.sampled_from(ODD_NAMES), st.text(min_size=1, max_size=6)), min_size=2, max_size=2,
                   unique=True),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_any_names(names):
    for model in ODD_MODELS:
        formula = model.formula(names, target_names=names[0])
        assert_sane_latex(formula.latex)
        good = all(n.isidentifier() and n not in {"lambda", "np", "X"} for n in names) and "if" not in names
        try:
            value = evaluate(formula, BOTH, names if good else None)
        except (NameError, SyntaxError):  # another keyword: then x0, x1 are used
            value = evaluate(formula, BOTH)
        np.testing.assert_allclose(value, model.predict(BOTH), rtol=1e-9)


ODD_MODELS = [
    fit(BOTH, 2 * np.sign(BOTH[:, 0]) * np.abs(BOTH[:, 0]) ** 0.5 * BOTH[:, 1]),
    fit(BOTH, 2 * BOTH[:, 0] + BOTH[:, 1] - 1),
]


@st.composite
def laws(draw):
    """A random table and a random small law of it, with noise: fits of every kind come out."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, 3))
    X = rng.uniform(0.3, 3.0, (25, d)) * 10.0 ** draw(st.sampled_from([0, -9, 9]))
    X *= rng.choice([-1, 1], X.shape) if draw(st.booleans()) else 1
    z = X / np.abs(X).mean()
    y = rng.normal() * np.prod(np.abs(z) ** rng.integers(-2, 3, d), axis=1)
    y += draw(st.sampled_from([0.0, 1.0])) * z.sum(axis=1) + draw(st.sampled_from([0.0, 0.1])) * rng.normal(size=25)
    y = y / (1 + np.abs(y)) if draw(st.booleans()) else y
    return X, y * 10.0 ** draw(st.sampled_from([0, -20, 20]))


@given(
    law=laws(),
    parameters=st.fixed_dictionaries(
        {"n_nodes": st.sampled_from([1, 2, 3, 12])},
        optional={
            "blend": st.sampled_from([0.0, 0.4, 1.0]),
            "n_estimators": st.sampled_from([1, 3]),
            "sign": st.sampled_from(["all", "none", [0]]),
            "simplify": st.booleans(),
        },
    ),
    offset=st.sampled_from([None, "column", "callable", "nameless"]),
)
@settings(deadline=None, max_examples=50)
def test_python_evaluates_to_the_prediction(law, parameters, offset):
    X, y = law

    def known(X):
        return np.abs(y).mean() * X[:, 0] / np.abs(X[:, 0]).max()

    given = {None: None, "column": 0, "callable": known, "nameless": lambda X: known(X)}[offset]
    model = fit(X, y, offset=given, **parameters)
    formula = model.formula()
    value, prediction = evaluate(formula, X, known=known, offset=known), model.predict(X)
    np.testing.assert_allclose(value, prediction, rtol=1e-6, atol=1e-8 * np.abs(prediction).max())
    assert_sane_latex(formula.latex)
    assert str(formula).startswith("y")


def test_rounding_is_dropped():
    text = str(fit(X, 0.1 * X[:, 0] + 0.7 * X[:, 1]).formula())
    assert text == "y = 0.10 x0 + 0.70 x1"


# --- standard errors


def error_of(text, name):
    return float(re.search(rf"{name}\^[-\d.]+\(±([\d.e+-]+)\)", text).group(1))


def test_standard_errors_are_the_spread_of_repeated_measurements():
    rng = np.random.default_rng(0)
    truth = 2 * X[:, 0] ** 1.5 / X[:, 1]
    exponents, errors, factors, factor_errors = [], [], [], []
    for _ in range(150):
        y = truth + 0.1 * rng.normal(size=40)
        model = fit(X, y, n_nodes=1, blend=0.0, simplify=False, exponents={0: (0.5, 3), 1: (-3, 0)})
        text = str(model.formula(standard_errors=True))
        if "g(" in text:  # the data asked for saturation
            continue
        factor, factor_error = re.match(r"y = ([-\d.]+)\(±([\d.e-]+)\)", text).groups()
        exponents.append(model.A_[0, 0, 0] if model.A_.shape[2] == 1 else [np.nan, np.nan])
        errors.append([error_of(text, "x0"), error_of(text, "x1")])
        factors.append(float(factor))
        factor_errors.append(float(factor_error))
    assert len(errors) > 50
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(exponents, axis=0), rtol=0.25)
    assert np.mean(factor_errors) == pytest.approx(np.std(factors), rel=0.25)


def test_standard_error_in_closed_form():
    # The exponent fixed, a straight line is left: its slope's standard error.
    x = X[:, :1]
    y = 3 * x[:, 0] - 7 + 0.2 * np.random.default_rng(0).normal(size=40)
    model = fit(x, y, n_nodes=1, blend=0.0, exponents={0: 1.0}, simplify=False)
    assert np.isinf(model.C_).all()
    text = str(model.formula(standard_errors=True))
    found = float(re.match(r"y = [23]\.\d+\(±([\d.e-]+)\) x0\^1\.00\(fixed\)", text).group(1))
    design = np.column_stack([x[:, 0], np.ones(40)])
    _, squares, *_ = np.linalg.lstsq(design, y)
    expected = np.sqrt(squares[0] / 38 * np.linalg.inv(design.T @ design)[0, 0])
    assert found == pytest.approx(expected, rel=0.02)


def test_undetermined_where_the_data_cannot_decide():
    table = np.column_stack([X, X[:, 0] ** 2])  # logarithms of the first and the last column are collinear
    y = 2 * X[:, 0] ** 1.5 / X[:, 1] + 0.01 * RNG.normal(size=40)
    model = fit(table, y, n_nodes=1, blend=0.0, simplify=False)
    text = str(model.formula(standard_errors=True))
    assert re.search(r"x0\^[-\d.]+\(undetermined\)", text) and re.search(r"x2\^[-\d.]+\(undetermined\)", text)
    assert error_of(text, "x1") < 0.1


def test_fixed_exponents_say_so():
    model = fit(X, 2 * X[:, 0] ** 1.5 / X[:, 1])
    assert re.fullmatch(
        r"y = 2\.00\(±[\d.e-]+\) x0\^1\.50\(fixed\) x1\^-1\.00\(fixed\)", str(model.formula(standard_errors=True))
    )
