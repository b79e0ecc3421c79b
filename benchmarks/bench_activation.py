"""What the activation costs: beside a copy, beside numpy.tanh, and within a whole forward pass. One thread.

Every ratio is of two minima, of many repeats taken in turn within one run.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from time import perf_counter  # noqa: E402

import numpy as np  # noqa: E402
from figures import Figure  # noqa: E402

from skmerge.activation import activation, activation_derivatives  # noqa: E402

NODES = 64


def seconds(calls, budget=3.0):
    """Least time of every call; they take turns until the budget is spent."""
    best = dict.fromkeys(calls, np.inf)
    end = perf_counter() + budget
    while perf_counter() < end:
        for name, call in calls.items():
            start = perf_counter()
            call()
            best[name] = min(best[name], perf_counter() - start)
    return best


def formula(u, C=1.0):
    return C * u / (np.abs(u) + C)


def elementwise(n, dtype):
    """Seconds of every call on n values."""
    u = np.random.default_rng(0).normal(0, 3, n).astype(dtype)
    C, out = np.full_like(u, 0.7), np.zeros_like(u)
    calls = {
        "copy, out=": lambda: np.copyto(out, u),
        "tanh, out=": lambda: np.tanh(u, out=out),
        "g, out=": lambda: activation(u, out=out),
        "g, in place, out=": lambda: activation(out, out=out),
        "g, out=, C array": lambda: activation(u, C, out=out),
        "numpy.tanh": lambda: np.tanh(u),
        "g": lambda: activation(u),
        "g, as a NumPy expression": lambda: formula(u),
        "both derivatives": lambda: activation_derivatives(u),
    }
    return seconds(calls)


def forward(n_inputs, dtype, n=4096):
    """Seconds of A.x + B -> activation -> output weights, and of the activation alone."""
    rng = np.random.default_rng(0)
    X, A, B, w = (rng.normal(size=s).astype(dtype) for s in ((n, n_inputs), (n_inputs, NODES), NODES, NODES))
    U, H, y = np.empty((n, NODES), dtype), np.empty((n, NODES), dtype), np.empty(n, dtype)

    def whole(function):
        np.dot(X, A, out=U)
        np.add(U, B, out=U)
        if function is not None:
            function(U, out=U)
        np.dot(U, w, out=y)

    np.add(np.dot(X, A), B, out=H)
    return seconds(
        {
            "none": lambda: whole(None),
            "tanh": lambda: whole(np.tanh),
            "g": lambda: whole(activation),
            "tanh alone": lambda: np.tanh(H, out=U),
            "g alone": lambda: activation(H, out=U),
        }
    )


def figures():
    """The figures with a target, of both dtypes: 10^6 values beside a copy, in the L2 cache beside tanh; the shares."""
    out = []
    for dtype in (np.float32, np.float64):
        big, small = elementwise(10**6, dtype), elementwise(2**15, dtype)
        over_copy = big["g, out="] / big["copy, out="]
        out.append(Figure("activation", f"g, 10^6 values, {dtype.__name__}: time / copy", over_copy, ("<=", 1.15)))
        if dtype is np.float64:
            faster = small["tanh, out="] / small["g, out="]
            out.append(Figure("activation", "g, 32768 values, float64: time of numpy.tanh / g", faster, (">=", 2.0)))
        for n_inputs in (10, 50):
            t = forward(n_inputs, dtype)
            title = f"share of a forward pass, {n_inputs} inputs, {NODES} nodes, {dtype.__name__}: g"
            beside = f"of tanh {t['tanh alone'] / t['tanh']:.2f}, expected .5; whole, tanh / g {t['tanh'] / t['g']:.2f}"
            out.append(Figure("activation", title, t["g alone"] / t["g"], None, beside))
    return out


def main():
    print(f"{'values':>8} {'dtype':8} {'call':26} {'µs':>8} {'time / copy':>12} {'tanh / time':>12}")
    for n in (10**6, 2**15):
        for dtype in (np.float32, np.float64):
            best = elementwise(n, dtype)
            for name, t in best.items():
                copy, tanh = best["copy, out="], best["tanh, out=" if "out=" in name else "numpy.tanh"]
                print(f"{n:8} {dtype.__name__:8} {name:26} {1e6 * t:8.1f} {t / copy:12.2f} {tanh / t:12.2f}")
    print(f"\nforward pass, 4096 rows, {NODES} nodes: share of the activation in the whole; the whole, tanh / g")
    print(f"{'inputs':>8} {'dtype':8} {'µs, tanh':>10} {'µs, g':>10} {'share, tanh':>12} {'share, g':>12} {'ratio':>9}")
    for n_inputs in (10, 50):
        for dtype in (np.float32, np.float64):
            t = forward(n_inputs, dtype)
            share = {name: t[f"{name} alone"] / t[name] for name in ("tanh", "g")}
            print(
                f"{n_inputs:8} {dtype.__name__:8} {1e6 * t['tanh']:10.1f} {1e6 * t['g']:10.1f} {share['tanh']:12.2f}"
                f" {share['g']:12.2f} {t['tanh'] / t['g']:9.2f}"
            )


if __name__ == "__main__":
    main()
