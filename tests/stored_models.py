"""Small models of every estimator, and what they predict.

``python tests/stored_models.py`` writes them to tests/stored. Run once for a release, never to make a test pass: later
releases must load what stands there to the same predictions. ``python tests/stored_models.py NAME ...`` writes what
fits of these models predict now to refitted.npz, where a fit was changed on purpose; the stored models stay.
"""

import sys
from pathlib import Path

import joblib
import numpy as np
import skops.io
from scipy.spatial.transform import Rotation

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator, crystal

STORED = Path(__file__).parent / "stored"
RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 4.0, (40, 2))
LAW = 2 * X[:, 0] ** 1.5 / X[:, 1] + 0.02 * RNG.normal(size=40)
BENT = X[:, 0] + np.sin(3 * X[:, 1])
SLOPES = np.column_stack([np.ones(40), 3 * np.cos(3 * X[:, 1])])
GAPPY = np.column_stack([X, LAW, BENT, LAW + BENT])
GAPPY[RNG.random(GAPPY.shape) < 0.25] = np.nan
STRAIN = np.r_[np.linspace(0.0, 0.002, 21), np.linspace(0.01, 0.05, 5)]
GRAINS = Rotation.random(5, random_state=0)


def fitted():
    """The models, by name."""
    return {
        "law": MergedNetRegressor(random_state=0).fit(X, LAW),
        "committee": MergedNetRegressor(n_nodes=12, n_estimators=2, random_state=0).fit(X, BENT),
        "forest": GradientForestRegressor(3, random_state=0).fit(X, BENT, SLOPES),
        "imputer": MergedNetImputer(n_estimators=2, random_state=0).fit(GAPPY),
        "propagator": PlasticityPropagator(
            orientation="bunge", memory=False, law=False, random_state=0
        ).fit_trajectories(STRAIN, crystal.simulate(GRAINS, STRAIN)),
    }


def predicted(model):
    """What a model says: values, and standard deviations where it has them."""
    if isinstance(model, MergedNetImputer):
        return np.stack(model.transform(GAPPY, return_std=True))
    if isinstance(model, PlasticityPropagator):
        start = np.column_stack([np.zeros(5), np.full(5, 1e12), GRAINS.as_euler("ZXZ")])
        return model.propagate(start, STRAIN)
    return np.stack([*model.predict(X, return_std=True), model.predict_gradient(X)[:, 0]])


def write_refitted(names):
    """What fits of these models predict since they were changed, beside those of the others that were."""
    file = STORED / "refitted.npz"
    known = dict(np.load(file)) if file.exists() else {}
    models = fitted()
    np.savez_compressed(file, **known | {name: predicted(models[name]) for name in names})


if __name__ == "__main__" and len(sys.argv) > 1:
    write_refitted(sys.argv[1:])
elif __name__ == "__main__":
    STORED.mkdir(exist_ok=True)
    (STORED / "refitted.npz").unlink(missing_ok=True)
    models = fitted()
    for name, model in models.items():
        joblib.dump(model, STORED / f"{name}.joblib", compress=("zlib", 9))
        skops.io.dump(model, STORED / f"{name}.skops", compression=8)  # zipfile.ZIP_DEFLATED
    np.savez_compressed(STORED / "predicted.npz", **{name: predicted(model) for name, model in models.items()})
