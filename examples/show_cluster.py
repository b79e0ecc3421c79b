"""Grains on a cluster
===================

Ten million grain steps on a cluster of two worker processes, block by block, and what the same would take of 10^3
simulations of 10^8 grains; and an industrial finite-element model with grains at its points.

The grains are never held at once: each block of them is drawn, stepped and averaged where it lies, and only the mean
stress comes back. On a cluster of your own give the scheduler's address: ``--scheduler tcp://host:8786``. Needs
``pip install 'skmerge[dask]'``.
"""

import argparse
import sys
import warnings
from time import perf_counter

import numpy as np
from scipy.spatial.transform import Rotation

from skmerge import PlasticityPropagator, crystal

STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.2, 99)]
BLOCK = 2500  # grains; their path is 12 MB
MODEL = {"points": 100_000, "grains at each": 100, "steps": 1000, "rounds of Newton's method": 4}


def grains(numbers):
    """Starts of the grains of these numbers, (n, 5): no stress, 10^12 dislocations per m^2, random orientations."""
    angles = Rotation.random(len(numbers), random_state=int(numbers[0])).as_euler("ZXZ")
    return np.column_stack([np.zeros(len(numbers)), np.full(len(numbers), 1e12), angles])


def mean_stress(numbers, model):
    """Mean stress of a block of grains along the strain, (1, n_steps)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*left the states")
        return model.propagate(grains(numbers), STRAIN)[:, :, 0].mean(axis=1)[None]


def seconds_at_points(n_points=200, n_grains=50, n_steps=20):
    """Of one core, for one grain and one step with its tangent, at the points of a finite-element program."""
    points = crystal.Polycrystal(crystal.Crystal(), Rotation.random(n_points * n_grains, random_state=0), n_grains)
    F, each = np.eye(3), []
    for _ in range(n_steps):
        F = np.diag([0.999, 0.999, 1.002]) @ F
        begin = perf_counter()
        points.step(np.tile(F, (n_points, 1, 1)), 2.0)
        points.accept()
        each.append(perf_counter() - begin)
    return np.median(each) / (n_points * n_grains)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a running cluster; two processes here without it")
    parser.add_argument("--grains", type=int, default=100_000)
    options = parser.parse_args(arguments)
    try:
        import dask.array as da
        from distributed import Client, LocalCluster
    except ImportError:
        print("This example needs dask and distributed: pip install 'skmerge[dask]'", file=sys.stderr)
        return 1
    state = crystal.simulate(Rotation.random(100, random_state=0), STRAIN)
    model = PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(STRAIN, state)
    cluster = options.scheduler or LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with Client(cluster) as client:
        n_cores = sum(client.ncores().values())
        numbers = da.arange(options.grains, chunks=BLOCK)
        sent = client.scatter(model, broadcast=True)  # to each worker once, not with every block
        blocks = numbers.map_blocks(mean_stress, sent, new_axis=1, chunks=(1, len(STRAIN)), dtype=float)
        begin = perf_counter()
        stress = np.average(blocks.compute(), axis=0, weights=numbers.chunks[0])
        seconds = perf_counter() - begin
    steps = options.grains * (len(STRAIN) - 1)
    each = seconds * n_cores / steps
    print(f"{steps:.3g} grain steps in {seconds:.1f} s on {n_cores} cores: {each * 1e6:.2f} microseconds of a core")
    print(f"mean stress of {options.grains} grains at a strain of {STRAIN[-1]}: {stress[-1]:.1f} MPa")
    hours = 1e3 * 1e8 * (len(STRAIN) - 1) * each / 3600
    print(f"10^3 simulations of 10^8 grains: {hours:.3g} core hours, {hours / 1e4:.2g} hours on 10^4 cores")
    each, steps = seconds_at_points(), np.prod([float(number) for number in MODEL.values()])
    hours, what = steps * each / 3600, ", ".join(f"{number:,} {name}" for name, number in MODEL.items())
    print(f"finite elements with {what}: {steps:.3g} grain steps with tangents of {each * 1e6:.2f} microseconds,")
    size = MODEL["points"] * MODEL["grains at each"] * 12 * 8 / 1e9
    print(f"   {hours:.3g} core hours, {60 * hours / 64:.2g} minutes on 64 cores, {size:.2g} GB of state")
    return 0


if __name__ == "__main__":
    sys.exit(main())
