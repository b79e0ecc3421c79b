"""Hostile tables and damaged files, for as long as asked: ``python tests/fuzz.py [SECONDS] [FIRST_SEED]``.

Every case is one seed in a process of its own kind, with a limit of memory and of time, and ends in one of: an answer
of finite numbers, a ValueError or TypeError that names what was wrong, for damaged files any exception. Everything else
(another exception, NaN without a word, a crash, a hang, memory beyond the limit) is a fault, printed with its seed.
"""

import collections
import faulthandler
import io
import json
import multiprocessing
import pickle
import resource
import sys
import time
import warnings
import zipfile

import joblib
import numpy as np
import skops.io
import stored_models

from skmerge import Designer, GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator

MEMORY = 6 << 30  # bytes of address space; a fit of these sizes takes 0.3 GB beside the libraries
PATIENCE = 60  # seconds for one case
ODD = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, 1e-308, 1e-30, 1e30, 1e308, -1e308, np.nan, np.inf, -np.inf])


def numbers(rng, shape):
    """Numbers of one kind: ordinary, wide, odd, equal, whole."""
    kind = rng.integers(6)
    if kind == 0:
        return rng.normal(size=shape)
    if kind == 1:
        return np.exp(rng.uniform(-700, 700, shape)) * rng.choice([-1, 1], shape)
    if kind == 2:
        return rng.choice(ODD[: rng.integers(1, len(ODD) + 1)], shape)
    if kind == 3:
        return np.full(shape, rng.choice(ODD))
    if kind == 4:
        return rng.integers(-3, 4, shape).astype(float)
    return rng.uniform(1, 5, shape)


def dressed(rng, a):
    """The same in another dtype, order or container."""
    kind = rng.integers(9)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == 0:
            return a.astype(np.float32)
        if kind == 1:
            return np.asfortranarray(a)
        if kind == 2:
            return np.repeat(a, 2, axis=0)[::2]
        if kind == 3:
            a = a.copy()
            a.flags.writeable = False
            return a
        if kind == 4:
            return a.astype(object)
        if kind == 5:
            return a.tolist()
        if kind == 6:
            return a.astype(str)
        if kind == 7:
            return np.nan_to_num(a, posinf=9, neginf=-9).clip(-1e9, 1e9).astype(int)
    return a


def table(rng):
    n, d = int(rng.choice([0, 1, 2, 3, 5, 12, 30])), int(rng.choice([0, 1, 2, 3, 6]))
    X = numbers(rng, (n, d))
    if n and rng.random() < 0.3:
        X = X[rng.integers(n, size=n)]  # repeated rows
    if X.size and rng.random() < 0.3:
        X[rng.random(X.shape) < 0.3] = np.nan
    m = rng.integers(4)
    y = numbers(rng, (n,) if m == 0 else (n, m))
    return X, y


def weights(rng, n):
    kind = rng.integers(4)
    return None if kind < 2 else np.abs(numbers(rng, n)) if kind == 2 else rng.integers(0, 3, n)


class Silent(Exception):
    """NaN or infinity without a word."""


def finite(values):
    if not np.isfinite(np.asarray(values, dtype=float)).all():
        raise Silent("NaN or infinity without a word")


def fit_and_predict(rng):
    """A fit of a hostile table; what it predicts of that table and of another one."""
    X, y = table(rng)
    kind = rng.integers(4)
    if kind == 0:
        model = MergedNetRegressor(
            n_nodes=rng.choice(["auto", "1", "3"]), blend=rng.choice(["learn", "0", "1", "0.5"]), random_state=0
        )
        model.n_nodes = model.n_nodes if model.n_nodes == "auto" else int(model.n_nodes)
        model.blend = model.blend if model.blend == "learn" else float(model.blend)
    elif kind == 1:
        model = GradientForestRegressor(3, order=rng.choice([0, 1, 2]), random_state=0)
        model.order = int(model.order)
    elif kind == 2:
        model = PlasticityPropagator(random_state=0)
        y = numbers(rng, X.shape)
    else:
        return impute(rng, X)
    weight = weights(rng, len(X))
    model.fit(dressed(rng, X), dressed(rng, y), sample_weight=weight)
    other = numbers(rng, (int(rng.integers(1, 5)), X.shape[1]))
    for rows in dressed(rng, X), dressed(rng, other):
        finite(model.predict(rows))
        if kind < 2:
            finite(model.predict(rows, return_std=True))
            finite(model.predict_gradient(rows))
            if np.isnan(model.applicability(rows)).any():  # infinitely far outside is an answer
                raise Silent("applicability is NaN")


def impute(rng, X):
    model = MergedNetImputer(n_estimators=2, random_state=0).fit(dressed(rng, X))
    finite(np.stack(model.transform(dressed(rng, X), return_std=True)))
    model.outliers(3)


def design(rng):
    """Targets and bounds of any kind of a model that is sound."""
    model = MODELS["law"]
    low, high = np.sort(numbers(rng, (2, 2)), axis=0)
    target = tuple(None if rng.random() < 0.3 else float(v) for v in np.sort(numbers(rng, 2)))
    total = None if rng.random() < 0.5 else float(numbers(rng, ()))
    bounds = list(zip(low, high, strict=True))
    found = Designer(model, {0: target}, bounds=bounds, total=total, random_state=0).suggest(int(rng.integers(1, 3)))
    finite(found.X)


def damage(rng, data):
    data = bytearray(data)
    kind = rng.integers(3)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    for _ in range(int(rng.choice([1, 1, 3, 20]))):
        at = int(rng.integers(len(data)))
        data[at] = int(rng.integers(256)) if kind == 1 else data[at] ^ (1 << int(rng.integers(8)))
    return bytes(data)


def load_pickle(rng):
    """A damaged pickle: whatever it loads must answer or raise."""
    return pickle.loads(damage(rng, PICKLES[rng.choice(list(PICKLES))]))


def load_skops(rng):
    """A skops file of which one member is damaged and its checksum right."""
    out = io.BytesIO()
    with zipfile.ZipFile(stored_models.STORED / f"{rng.choice(list(MODELS))}.skops") as old:
        names = old.namelist()
        hit = rng.choice(names)
        with zipfile.ZipFile(out, "w") as new:
            for name in names:
                data = old.read(name)
                new.writestr(name, damage(rng, data) if name == hit else data)
    return skops.io.loads(out.getvalue(), trusted=TRUSTED)


def use_damaged(rng, load):
    try:
        model = load(rng)
    except Exception as error:  # anything but a crash will do
        return f"load: {type(error).__name__}"
    try:
        with np.errstate(all="ignore"):
            finite(stored_models.predicted(model))
    except Silent:
        raise
    except Exception as error:
        return f"use: {type(error).__name__}"
    return "answer"


def one(seed):
    """How case ``seed`` ended."""
    rng = np.random.default_rng(seed)
    part = rng.choice(["fit", "fit", "fit", "design", "pickle", "skops"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if part in ("pickle", "skops"):
            return part, use_damaged(rng, load_pickle if part == "pickle" else load_skops)
        try:
            fit_and_predict(rng) if part == "fit" else design(rng)
        except np.linalg.LinAlgError:  # is a ValueError that names nothing
            raise
        except (ValueError, TypeError) as error:
            return part, type(error).__name__
    return part, "answer"


def worker(seeds, report):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for seed in seeds:
        report.put((seed, None))
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            end = one(seed)
        except BaseException as error:
            end = "FAULT", f"{type(error).__name__}: {error}"[:300]
        faulthandler.cancel_dump_traceback_later()
        report.put((seed, end))


def run(seconds, first):
    """Cases from seed ``first`` on: how many ended how, and the faults."""
    counts, faults = collections.Counter(), []
    stop, seed = time.monotonic() + seconds, first
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < stop:
        report = context.Queue()
        process = context.Process(target=worker, args=(range(seed, seed + 10**9), report), daemon=True)
        process.start()
        while time.monotonic() < stop:
            try:
                seed, end = report.get(timeout=2)
            except Exception:
                if process.is_alive():
                    continue
                faults.append((seed, f"crash or hang, exit code {process.exitcode}"))
                break
            if end is None:
                continue
            if end[0] == "FAULT":
                faults.append((seed, end[1]))
                print("fault", seed, end[1], flush=True)
            else:
                counts[end] += 1
        process.kill()
        seed += 1
    return counts, faults, seed - first


MODELS = {path.stem: joblib.load(path) for path in sorted(stored_models.STORED.glob("*.joblib"))}
PICKLES = {name: pickle.dumps(model) for name, model in MODELS.items()}
TRUSTED = sorted({f"{type(model).__module__}.{type(model).__name__}" for model in MODELS.values()})

if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    counts, faults, n = run(seconds, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for (part, end), count in sorted(counts.items()):
        print(f"{part:8} {end:28} {count:6}")
    print(json.dumps({"cases": n, "faults": len(faults)}))
    for fault in faults:
        print("fault", *fault)
    sys.exit(bool(faults))
