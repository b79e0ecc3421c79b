"""Ctrl-C during the long calls that have no such test beside their own: within a second, and the model as it was.

Fits of the net: test_progress; of the forest: test_forest_progress; of trajectories and propagation:
test_plasticity_input; the simulation: test_crystal.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

# name: seconds after which it is interrupted, and the call
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
SCRIPT = """
    import json, pickle, signal, sys, time, warnings
    import joblib, numpy as np
    sys.path.insert(0, TESTS)
    import stored_models
    from skmerge import Designer, GradientForestRegressor, MergedNetImputer, PlasticityPropagator

    signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C, whenever the other processes let it
    warnings.simplefilter("ignore")
    net, law, imputer = (joblib.load(stored_models.STORED / f"{n}.joblib") for n in ("committee", "law", "imputer"))
    forest = GradientForestRegressor(100, random_state=0).fit(stored_models.X, stored_models.BENT)
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.5, 4.0, (6_000_000, 2))
    wide = rng.normal(size=(50_000, 10))
    table = rng.normal(size=(3000, 12))
    table[rng.random(table.shape) < 0.3] = np.nan
    many = np.tile(stored_models.GAPPY, (20_000, 1))
    fresh, plain = MergedNetImputer(random_state=0), PlasticityPropagator(random_state=0)
    designer = Designer(law, {0: (1.0, 1.1)}, bounds=[(0.5, 4.0)] * 2, max_iter=10**6, random_state=0)
    models = {"net": net, "law": law, "forest": forest, "imputer": imputer}
    before = {name: {k: pickle.dumps(v) for k, v in vars(model).items() if k.endswith("_")}
              for name, model in models.items()}
    after = {}
    for name, (seconds, call) in CALLS.items():
        code = compile(call, name, "eval")  # interrupted in the text itself, eval would tell the interpreter to fail
        begin = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            eval(code)
        except KeyboardInterrupt:
            after[name] = time.monotonic() - begin - seconds
        else:
            sys.exit(f"{name}: finished before it was interrupted")
    fitted = [k for model in (fresh, plain) for k in vars(model) if k.endswith("_")]
    changed = [name for name, model in models.items()
               if {k: pickle.dumps(v) for k, v in vars(model).items() if k.endswith("_")} != before[name]]
    print(json.dumps([after, fitted, changed]))
"""


def test_interrupts_leave_within_a_second_and_models_as_they_were(tmp_path):
    constants = f"TESTS, CALLS = {str(Path(__file__).parent)!r}, {CALLS!r}\n"
    command = [sys.executable, "-c", constants + textwrap.dedent(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stderr
    after, fitted, changed = json.loads(done.stdout.splitlines()[-1])
    print(*(f"{name}: left after {seconds:.2f} s" for name, seconds in after.items()), sep="\n")
    assert set(after) == set(CALLS) and not fitted and not changed
    # at most a second alone; more where other processes take the cores (0.8 s on average with ten others on two)
    assert max(after.values()) < 4, after
