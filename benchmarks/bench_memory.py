"""Peak memory of a fit beyond the caller's X, each fit in a process of its own (Linux)."""

import os
import subprocess
import sys
import threading

import numpy as np
from figures import Figure

from skmerge import MergedNetRegressor

COLUMNS = 20
CASES = (  # rows, n_nodes, whether part of y follows no short law
    (20_000, "2", 0),
    (20_000, "auto", 1),
    (100_000, "2", 0),
    (100_000, "auto", 1),
    (1_000_000, "2", 0),
)


def figures(limit=100, cases=CASES):
    """Peak over the size of X from 10^5 rows on, in MB below; a fit is stopped after ``limit`` seconds."""
    out = []
    for n, n_nodes, curve in cases:
        command = [sys.executable, __file__, *map(str, (n, n_nodes, curve, limit))]
        how, peak = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        megabytes = int(peak) / 1e6
        title = f"fit of {n:.0e} x {COLUMNS}, n_nodes={n_nodes}: peak beyond X"
        beside = f"{megabytes:.0f} MB" + (f", stopped after {limit} s" if how == "stopped" else "")
        if n >= 100_000:
            out.append(Figure("memory", f"{title} / X", 1e6 * megabytes / (8 * n * COLUMNS), ("<=", 1.5), beside))
        else:
            out.append(Figure("memory", f"{title}, MB", megabytes, ("<=", 500.0), beside))
    return out


def status(name):
    """Bytes of this process, from the kernel: VmRSS now or VmHWM at the peak."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def fit_and_report(n, n_nodes, curve, limit):
    """Print how the fit ended and the peak beyond what was there before it."""
    rng = np.random.default_rng(0)
    X = np.empty((n, COLUMNS))
    for start in range(0, n, 10_000):
        X[start : start + 10_000] = rng.uniform(0.5, 2.0, (10_000, COLUMNS))
    y = X[:, 0] * X[:, 1] + curve * np.tanh(6 * X[:, 2] - 6 * X[:, 3]) + 0.05 * rng.standard_normal(n)
    net = MergedNetRegressor("auto" if n_nodes == "auto" else int(n_nodes), random_state=0)
    net.fit(X[:15], y[:15])  # whatever is imported at the first fit
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is measured from here on
    before = status("VmRSS")

    def report(how):
        print(how, max(status("VmHWM") - before, 0), flush=True)
        os._exit(0)

    timer = threading.Timer(limit, report, ["stopped"])
    timer.start()
    net.fit(X, y)
    timer.cancel()
    report("whole")


if __name__ == "__main__":
    fit_and_report(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
