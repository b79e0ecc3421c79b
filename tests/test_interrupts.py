"""Ctrl-C during the long calls that have no such test beside their own: within a second, and the model as it was.

Seconds are processor time, see ``interrupting``; by the clock they are figures of ``benchmarks/bench_interrupts.py``.

Fits of the net: test_progress; of the forest: test_forest_progress; of trajectories and propagation:
test_plasticity_input; the simulation: test_crystal.
"""

import interrupting
import stored_models

# name: seconds of processor time after which it is interrupted, and the call
CALLS = {
    "imputer, fit": (0.5, "fresh.fit(table)"),
    "imputer, refit": (0.5, "imputer.set_params(n_jobs=2).fit(table)"),
    "imputer, trees": (2.0, "fresh.set_params(n_estimators=50_000, n_jobs=2).fit(table[:150, :3])"),
    "imputer, transform": (0.7, "imputer.transform(many, return_std=True)"),
    "imputer, entries": (0.7, "imputer.predict_entries(many)"),
    "propagator, fit": (0.5, "plain.fit(wide, np.abs(wide))"),
    "designer, suggest": (0.5, "designer.suggest(500)"),
    "net, predict": (0.2, "net.set_params(n_jobs=1).predict(rows)"),
    "net, std": (0.2, "net.predict(rows, return_std=True)"),
    "net, gradient": (0.2, "net.predict_gradient(rows)"),
    "net, gradient in threads": (0.2, "net.set_params(n_jobs=2).predict_gradient(rows)"),
    "law, std": (0.2, "law.predict(rows, return_std=True)"),
    "forest, predict": (0.4, "forest.predict(rows)"),
    "forest, std in threads": (0.4, "forest.set_params(n_jobs=2).predict(rows, return_std=True)"),
    "forest, gradient": (0.4, "forest.set_params(n_jobs=1).predict_gradient(rows)"),
    "forest, apply": (0.4, "forest.apply(rows[:1_000_000])"),
}
SETUP = f"""
    import pickle, warnings
    import joblib, numpy as np
    sys.path.insert(0, {str(stored_models.STORED.parent)!r})
    import stored_models
    from skmerge import Designer, GradientForestRegressor, MergedNetImputer, PlasticityPropagator

    warnings.simplefilter("ignore")
    net, law, imputer = (joblib.load(stored_models.STORED / f"{{n}}.joblib") for n in ("committee", "law", "imputer"))
    forest = GradientForestRegressor(100, random_state=0).fit(stored_models.X, stored_models.BENT)
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.5, 4.0, (6_000_000, 2))
    wide = rng.normal(size=(50_000, 10))
    table = rng.normal(size=(3000, 12))
    table[rng.random(table.shape) < 0.3] = np.nan
    many = np.tile(stored_models.GAPPY, (20_000, 1))
    fresh, plain = MergedNetImputer(random_state=0), PlasticityPropagator(random_state=0)
    designer = Designer(law, {{0: (1.0, 1.1)}}, bounds=[(0.5, 4.0)] * 2, max_iter=10**6, random_state=0)
    models = {{"net": net, "law": law, "forest": forest, "imputer": imputer}}

    def state(model):
        return {{k: pickle.dumps(v) for k, v in vars(model).items() if k.endswith("_")}}

    before = {{name: state(model) for name, model in models.items()}}
"""
FITTED = "[k for model in (fresh, plain) for k in vars(model) if k.endswith('_')]"
CHANGED = "[name for name, model in models.items() if state(model) != before[name]]"


def test_interrupts_leave_within_a_second_and_models_as_they_were(tmp_path):
    left, (fitted, changed), rest = interrupting.interrupt(CALLS, tmp_path, SETUP, f"[{FITTED}, {CHANGED}]")
    assert set(left) == set(CALLS) and not fitted and not changed
    interrupting.check(left, rest, n_threads=2)
