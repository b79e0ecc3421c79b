"""Ctrl-C during the long calls that have no such test beside their own: within a second, and the model as it was.

Fits of the net: test_progress; of the forest: test_forest_progress; of trajectories and propagation:
test_plasticity_input; the simulation: test_crystal.
"""

import signal
import subprocess
import sys
import textwrap
import time
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
    "net, predict": (0.4, "net.set_params(n_jobs=1).predict(rows)"),
    "net, std": (0.4, "net.predict(rows, return_std=True)"),
    "net, gradient": (0.4, "net.predict_gradient(rows)"),
    "net, gradient in threads": (0.4, "net.set_params(n_jobs=2).predict_gradient(rows)"),
    "law, std": (0.4, "law.predict(rows, return_std=True)"),
    "forest, predict": (0.4, "forest.predict(rows)"),
    "forest, std in threads": (0.4, "forest.set_params(n_jobs=2).predict(rows, return_std=True)"),
    "forest, gradient": (0.4, "forest.set_params(n_jobs=1).predict_gradient(rows)"),
    "forest, apply": (0.4, "forest.apply(rows[:1_000_000])"),
}
SCRIPT = """
    import pickle, signal, sys, time, warnings
    import joblib, numpy as np
    sys.path.insert(0, TESTS)
    import stored_models
    from skmerge import Designer, GradientForestRegressor, MergedNetImputer, PlasticityPropagator

    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    for call in CALLS:
        print("running", flush=True)
        try:
            eval(call)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        else:
            print("finished", flush=True)
    print([k for model in (fresh, plain) for k in vars(model) if k.endswith("_")])
    print([name for name, model in models.items()
           if {k: pickle.dumps(v) for k, v in vars(model).items() if k.endswith("_")} != before[name]], flush=True)
"""


def test_interrupts_leave_within_a_second_and_models_as_they_were(tmp_path):
    constants = f"TESTS = {str(Path(__file__).parent)!r}\nCALLS = {[call for _, call in CALLS.values()]!r}\n"
    command = [sys.executable, "-c", constants + textwrap.dedent(SCRIPT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    after = {}
    try:
        for name, (seconds, _) in CALLS.items():
            assert process.stdout.readline() == "running\n", name
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            assert process.stdout.readline() == "interrupted\n", name
            after[name] = time.monotonic() - begin
            print(f"{name}: left after {after[name]:.2f} s")
        assert process.stdout.readline() == "[]\n"  # not fitted
        assert process.stdout.readline() == "[]\n"  # as before
        process.wait(timeout=10)
    finally:
        process.kill()
        process.stdout.close()
    # at most a second alone; more where other processes take the cores (0.8 s on average with ten others on two)
    assert max(after.values()) < 4, after
