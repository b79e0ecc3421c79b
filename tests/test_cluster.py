"""Fits on a cluster of two worker processes are those of this process; tables larger than memory go block by block."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from scipy.spatial.transform import Rotation
from sklearn.model_selection import GridSearchCV

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge._forest.grower import TreeData
from skmerge._net.objective import Objective

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 4.0, (400, 4))
Y = np.column_stack([2 * X[:, 0] ** 1.5 / X[:, 1], X[:, 0] + np.sin(3 * X[:, 1]) + 0.1 * RNG.normal(size=400)])


@pytest.fixture(scope="module")
def client():
    # Times by the clock end a test only where a worker is dead: beside other processes all may take very long.
    patient = {
        "distributed.scheduler.no-workers-timeout": "10 minutes",
        "distributed.comm.timeouts.connect": "10 minutes",
        "distributed.comm.timeouts.tcp": "10 minutes",
    }
    with pytest.MonkeyPatch.context() as patch, dask.config.set(patient):
        patch.syspath_prepend(EXAMPLES)  # workers inherit it; one that cannot import a task's module dies of it
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True)
        with cluster, distributed.Client(cluster) as client:
            yield client


def gappy():
    table = np.column_stack([X, Y])[:120]
    table[np.random.default_rng(1).random(table.shape) < 0.3] = np.nan
    return table


FITS = {
    "forest": lambda: GradientForestRegressor(8, random_state=0).fit(X, Y[:, 1]).predict(X),
    "outputs": lambda: MergedNetRegressor(n_nodes=1, random_state=0).fit(X[:60], Y[:60]).predict(X),
    "committee": lambda: (
        MergedNetRegressor(n_nodes=12, n_estimators=3, random_state=0).fit(X[:80, :2], Y[:80, 1]).predict(X[:, :2])
    ),
    "imputer": lambda: MergedNetImputer(n_estimators=1, random_state=0).fit(gappy()).transform(gappy()),
    "search": lambda: (
        GridSearchCV(GradientForestRegressor(3, random_state=0), {"order": [0, 1]}, cv=3)
        .fit(X, Y[:, 1])
        .cv_results_["mean_test_score"]
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_cluster_fits_the_same_model(client, name):
    local = FITS[name]()
    with parallel_config("dask"):
        np.testing.assert_array_equal(FITS[name](), local)


def test_processes_fit_the_same_model():
    local = FITS["forest"]()
    with parallel_config("loky", n_jobs=2):
        np.testing.assert_array_equal(FITS["forest"](), local)


@pytest.mark.parametrize("shared", [TreeData, Objective])
def test_the_table_is_sent_once_and_not_with_every_task(client, shared, monkeypatch):
    sent = []

    def counted(self, protocol):
        sent.append(protocol)
        return object.__reduce_ex__(self, protocol)

    monkeypatch.setattr(shared, "__reduce_ex__", counted, raising=False)
    with parallel_config("dask"):
        if shared is TreeData:
            GradientForestRegressor(40, order=1, random_state=0).fit(X, Y[:, 1])
            assert 1 <= len(sent) <= 2
        else:
            MergedNetRegressor(n_nodes=12, n_estimators=10, random_state=0).fit(X, Y[:, 1])
            assert 1 <= len(sent) <= 4  # members and refits, of what may be different rows


def test_predictions_stay_in_this_process(client):
    # They write into one array, which another process would not see.
    strain = np.linspace(0.0, 0.02, 21)
    grains = Rotation.random(6, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        state = crystal.simulate(grains, strain)
        model = PlasticityPropagator(orientation="bunge", law=False, random_state=0).fit_trajectories(strain, state)
        start = np.tile(state[:, 0], (2000, 1))
        local = model.propagate(start, strain)
        for backend in "dask", "loky":
            with parallel_config(backend, n_jobs=2):
                np.testing.assert_array_equal(crystal.simulate(grains, strain), state)
                np.testing.assert_array_equal(model.propagate(start, strain), local)
        blocks = da.from_array(start, chunks=(3000, 5)).map_blocks(
            lambda block: model.propagate(block, strain)[-1], dtype=float
        )
        np.testing.assert_array_equal(blocks.compute(), local[-1])


@pytest.mark.parametrize("model", [MergedNetRegressor(n_nodes=1, random_state=0), GradientForestRegressor(5)])
def test_a_table_larger_than_memory_is_predicted_block_by_block(client, model):
    model.fit(X[:60], Y[:60, 0])
    found = da.from_array(X, chunks=(150, 4)).map_blocks(model.predict, dtype=float, drop_axis=1)
    np.testing.assert_array_equal(found.compute(), model.predict(X))


def test_the_example(client, capsys):
    import show_cluster

    assert show_cluster.main(["--scheduler", client.scheduler.address, "--grains", "4000"]) == 0
    said = capsys.readouterr().out
    assert "4.76e+05 grain steps" in said and "on 2 cores" in said and "core hours" in said


def test_ray_fits_the_same_model():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for name in "forest", "outputs":
            local = FITS[name]()
            with parallel_config("ray"):
                np.testing.assert_array_equal(FITS[name](), local)
    finally:
        ray.shutdown()
