"""skmerge.Designer: the probability found beside a dense search, and the time it takes to design a nickel superalloy.

The superalloy's table (CSV, weight per cent and treatments to five properties) is given by its path.
"""

import csv
from time import perf_counter, process_time

import numpy as np
from figures import Figure
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from skmerge import Designer, GradientForestRegressor

SECTION = "design"
PROPERTIES = "yield_strength", "ultimate_tensile_strength", "elongation", "stress_rupture_time", "stress_rupture_stress"
ELEMENTS = ("Al", "B", "C", "Co", "Cr", "Hf", "Mo", "Nb", "Ni", "Re", "Ta", "Ti", "W", "Zr", "Fe")
ATOMIC_MASS = (26.98, 10.81, 12.01, 58.93, 52.0, 178.5, 95.95, 92.91, 58.69, 186.2, 180.9, 47.87, 183.8, 91.22, 55.85)
DENSITY = (2.70, 2.34, 2.27, 8.90, 7.19, 13.31, 10.28, 8.57, 8.91, 21.02, 16.65, 4.51, 19.25, 6.52, 7.87)  # g/cm3
PRICE = (2.5, 4, 0.5, 33, 10, 900, 45, 45, 16, 1500, 300, 8, 35, 35, 0.5)  # dollars per kg, round figures
# d-orbital energy levels in Ni3Al, eV (Morinaga et al., Superalloys 1984); 0 where there is none.
LEVEL = (1.900, 0, 0, 0.777, 1.142, 3.020, 1.550, 2.117, 0.717, 1.267, 2.224, 2.271, 1.655, 2.944, 0.858)


def simplex(step, n):
    """All compositions of n components in steps."""
    parts = round(1 / step)
    grid = np.indices((parts + 1,) * (n - 1)).reshape(n - 1, -1).T
    grid = grid[grid.sum(axis=1) <= parts]
    return np.column_stack([grid, parts - grid.sum(axis=1)]) / parts


def problems():
    """(title, designer, grid of feasible inputs)."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (80, 2))
    Y = np.column_stack([np.sin(6 * X[:, 0]) + X[:, 1], X[:, 0] * X[:, 1]]) + 0.05 * rng.normal(size=(80, 2))
    kriging = GaussianProcessRegressor(RBF(0.3) + WhiteKernel(0.01), normalize_y=True, random_state=0).fit(X, Y)
    axis = np.linspace(0, 1, 401)
    plane = np.array(np.meshgrid(axis, axis)).reshape(2, -1).T
    options = {"bounds": [(0, 1)] * 2, "random_state": 0}
    targets = {0: (1.6, None), 1: (0.2, 0.25)}
    yield "kriging, two properties, errors correlated by 0.7", Designer(
        kriging, targets, correlation={(0, 1): 0.7}, **options
    ), plane
    yield "the same, x0 + x1 at most 0.9", Designer(
        kriging, targets, correlation={(0, 1): 0.7}, constraints=[({"x0": 1, "x1": 1}, (None, 0.9))], **options
    ), plane[plane.sum(axis=1) <= 0.9 + 1e-12]
    forest = GradientForestRegressor(order=0, n_estimators=50, random_state=0).fit(X, Y)
    yield "forest of steps, the same targets", Designer(forest, targets, **options), plane

    def alloy(X):  # three properties of four components, one of them best at a pure mixture of two
        a, b, c, d = X.T
        mean = [4 * a * b + c, 1 - (a - 0.3) ** 2 - 2 * (d - 0.2) ** 2, np.sin(5 * a) + b * c]
        return np.column_stack(mean), np.tile([0.1, 0.05, 0.2], (len(X), 1)) * (1 + d[:, None])

    mix = {
        "inputs": list("abcd"), "bounds": [(0, 1)] * 4, "total": 1, "random_state": 0,
        "correlation": [[1, 0.5, -0.4], [0.5, 1, 0.2], [-0.4, 0.2, 1]],
    }  # fmt: skip
    targets = {"p": (0.8, None), "q": (0.95, None), "r": (None, 0.95)}
    grid = simplex(0.0125, 4)
    model = {("p", "q", "r"): alloy}
    yield "mixture of four, three properties", Designer(model, targets, **mix), grid
    yield "the same, at most two components", Designer(model, targets, max_nonzero=2, **mix), grid[
        np.count_nonzero(grid, axis=1) <= 2
    ]
    costly = model | {"cost": lambda X: X @ np.array([3.0, 2.0, 1.0, 1.0])}
    mix["correlation"] = {("p", "q"): 0.5, ("p", "r"): -0.4, ("q", "r"): 0.2}
    yield "the same, four, an exact cost of at most 1.8", Designer(
        costly, targets | {"cost": (None, 1.8)}, **mix
    ), grid[grid @ [3.0, 2.0, 1.0, 1.0] <= 1.8 + 1e-12]

    def whole(X):
        a, b, c = X.T
        return np.sin(a) + np.cos(1.3 * b) + c * (1 - c), np.full(len(X), 0.3)

    counts = np.array(np.meshgrid(np.arange(21), np.arange(21), np.linspace(0, 1, 201))).reshape(3, -1).T
    yield "two whole numbers and a continuous input", Designer(
        whole, {"y": (2.4, None)}, inputs=list("abc"), bounds=[(0, 20), (0, 20), (0, 1)], integer=["a", "b"],
        constraints=[({"a": 1, "b": 2}, (10, 20))], random_state=0,
    ), counts[(counts @ [1, 2, 0] >= 10) & (counts @ [1, 2, 0] <= 20)]  # fmt: skip


def read(path):
    """(names, X, y): treatments and composition, properties; rupture as decadic logarithms."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    words = {"Yes": 1.0, "No": 0.0, "": np.nan}
    table = np.array([[words[cell] if cell in words else float(cell) for cell in row] for row in rows])
    at = [header.index(name) for name in PROPERTIES]
    y = table[:, at]
    y[:, 3:] = np.log10(np.where(y[:, 3:] > 0, y[:, 3:], np.nan))
    inputs = [j for j in range(len(header)) if j not in at]
    return [header[j] for j in inputs], table[:, inputs], y


def superalloy(path):
    names, X, y = read(path)
    start = perf_counter()
    models = {name: GradientForestRegressor(random_state=0).fit(X, y[:, k]) for k, name in enumerate(PROPERTIES)}
    fitting = perf_counter() - start
    at = [names.index(f"wt_{element}") for element in ELEMENTS]
    mass, density, price, level = map(np.array, (ATOMIC_MASS, DENSITY, PRICE, LEVEL))

    def phase(X):
        atoms = X[:, at] / mass * (level > 0)
        return atoms @ level / atoms.sum(axis=1)

    given = {
        "density": lambda X: 100 / (X[:, at] / density).sum(axis=1),
        "cost": lambda X: X[:, at] @ price / 100,
        "Md": phase,
    }
    treatment = {
        "test_temperature": 700.0, "heat_treatment_1_temperature": 1120.0, "heat_treatment_1_time": 4.0,
        "heat_treatment_2_temperature": 850.0, "heat_treatment_2_time": 16.0, "max_heat_treatment_temperature": 1120.0,
        "total_heat_treatment_time": 20.0, "area_under_heat_treatment_curve": 1120.0 * 4 + 850 * 16,
    }  # fmt: skip
    components = [f"wt_{element}" for element in ELEMENTS]
    bounds = dict.fromkeys(components, (0, 15)) | {"wt_Ni": (40, 80), "wt_Cr": (0, 25), "wt_Co": (0, 25)}
    bounds |= {"wt_B": (0, 0.05), "wt_C": (0, 0.2), "wt_Zr": (0, 0.1), "wt_Al": (0, 6), "wt_Ti": (0, 6)}
    start, busy = perf_counter(), process_time()
    designs = Designer(
        models | given,
        {
            "yield_strength": (750, None), "ultimate_tensile_strength": (950, None), "elongation": (8, None),
            "stress_rupture_time": (2, None), "stress_rupture_stress": (2.5, None), "density": (None, 8.4),
            "cost": (None, 40), "Md": (None, 0.98),
        },
        inputs=names, bounds=bounds, components=components, total=100, max_nonzero=10,
        fixed=treatment | {name: 0.0 for name in names if name not in treatment and name not in components},
        y=np.column_stack([y, np.full((len(y), 3), np.nan)]), random_state=0,
    ).suggest(5)  # fmt: skip
    seconds, busy = perf_counter() - start, process_time() - busy
    best = ", ".join(f"{name[3:]} {value:.3g}" for name, value in zip(names, designs.X[0], strict=True) if value > 0
                     and name in components)  # fmt: skip
    beside = f"{busy:.0f} s of processor; fit {fitting:.0f} s"
    yield Figure(SECTION, "nickel superalloy, five proposals, seconds", seconds, ("<=", 60), beside)
    yield Figure(SECTION, "its probability of all eight targets", designs.probability[0], None, best)


def densest(designer, grid):
    """(greatest probability, number of points): every eighth point of the grid, and all points near the best of these.

    Near is within a twentieth of the range in every input.
    """
    if len(grid) < 50_000:
        return designer.probability(grid).max(), len(grid)
    coarse = grid[::8]
    probability = designer.probability(coarse)
    best = coarse[np.argsort(probability)[-5:]]
    near = (np.abs(grid[:, None] - best) <= 0.05 * np.ptp(grid, axis=0)).all(axis=2).any(axis=1)
    dense = max(probability.max(), designer.probability(grid[near]).max())
    return dense, len(coarse) + np.count_nonzero(near)


def figures(path=None):
    for title, designer, grid in problems():
        start = perf_counter()
        found = designer.suggest(1).probability[0]
        seconds = perf_counter() - start
        dense, n_points = densest(designer, grid)
        beside = f"{found:.4f}, of {n_points} points {dense:.4f}; {seconds:.1f} s"
        yield Figure(SECTION, f"{title}: found / dense search", found / dense, (">=", 0.99), beside)
    if path:
        yield from superalloy(path)
    else:
        print(f"{SECTION}: superalloy left out, no --nickel FILE.csv given")
