"""A sparse table of made-up nickel alloys, for the examples that need one.

Composition (wt %), ageing temperature and test temperature are always known; of five properties most cells are empty.
What is true: strength = solid solution + gamma prime (from Al and Ti, lost when the alloy is aged or tested too hot)
+ Hall-Petch term of a grain size that the table does not have. Hardness and both strengths share that term, ductility
pays for it: what is measured of one tells about the others. Noise is 3 % of each property.
"""

import numpy as np
import pandas as pd

PROPERTIES = ["yield_MPa", "UTS_MPa", "hardness_HV", "elongation_pct", "density_g_cm3"]


def make_alloys(n=300, missing=0.6, seed=0):
    """The table with gaps and the same without, (n, 12) each."""
    rng = np.random.default_rng(seed)
    cr, mo, al, ti, fe = rng.uniform([8, 0, 0, 0, 0], [25, 10, 6, 5, 20], (n, 5)).T
    ageing, test = rng.uniform(650, 950, n), rng.choice([20.0, 500.0, 700.0, 850.0], n)
    grain = 10 ** rng.uniform(0.7, 2.0, n)  # micrometres, not in the table
    gamma = (al + 0.6 * ti) / 9 * np.exp(-(((ageing - 780) / 90) ** 2))
    hot = 1 / (1 + np.exp((test - 800) / 60))
    strength = (80 + 60 * mo ** (2 / 3) + 6 * cr + 900 * gamma * hot + 900 / np.sqrt(grain)) * (0.4 + 0.6 * hot)
    ultimate = strength + (150 + 12 * cr + 80 * gamma) * hot
    hardness = 0.3 * (strength / (0.4 + 0.6 * hot) + 0.3 * (ultimate - strength))
    elongation = 55 * np.exp(-strength / 700) * (1 + 0.5 * (1 - hot))
    share = np.column_stack([cr, mo, al, ti, fe]) / 100
    density = 1 / ((1 - share.sum(axis=1)) / 8.91 + share @ (1 / np.array([7.19, 10.28, 2.70, 4.51, 7.87])))
    whole = pd.DataFrame({"Cr": cr, "Mo": mo, "Al": al, "Ti": ti, "Fe": fe, "ageing_C": ageing, "test_C": test})
    for name, value, unit in zip(PROPERTIES, (strength, ultimate, hardness, elongation, density),
                                 (0.03, 0.03, 0.03, 0.03, 0.002), strict=True):  # fmt: skip
        whole[name] = value * (1 + unit * rng.normal(size=n))
    sparse = whole.copy()
    sparse[PROPERTIES] = whole[PROPERTIES].mask(rng.random((n, len(PROPERTIES))) < missing)
    return sparse, whole
