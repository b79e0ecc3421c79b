"""Laws of history, from the measurements in which they were found."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, GREY, ORANGE, save

from skmerge import MergedNetRegressor


class Record(NamedTuple):
    """A published table: X (n, d), y (n,), their names, labels of the axes, the law of the textbook, kind of errors."""

    title: str
    names: list
    target: str
    labels: tuple
    X: np.ndarray
    y: np.ndarray
    textbook: str
    noise: str


def boyle():
    """Boyle, 1662: the volume of air in a bent tube (graduations) and its pressure (inches of mercury)."""
    volume = [48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12]
    sixteenths = [466, 489, 511, 536, 565, 592, 629, 666, 707, 753, 805, 869, 941, 981, 1025, 1073, 1131, 1186, 1246,
                  1324, 1406, 1489, 1607, 1719, 1881]  # fmt: skip
    y = np.array(sixteenths) / 16
    return Record(
        "Boyle 1662",
        ["V"],
        "p",
        ("volume V (graduations)", "pressure p (inches of mercury)"),
        np.array(volume, float)[:, None],
        y,
        "p = const / V",
        "absolute",
    )


def hubble():
    """Hubble, 1929: distance (Mpc) and radial velocity (km/s) of 24 nebulae, his table 1."""
    D = [0.032, 0.034, 0.214, 0.263, 0.275, 0.275, 0.45, 0.5, 0.5, 0.63, 0.8, 0.9, 0.9, 0.9, 0.9, 1.0, 1.1, 1.1, 1.4,
         1.7, 2.0, 2.0, 2.0, 2.0]  # fmt: skip
    v = [170, 290, -130, -70, -185, -220, 200, 290, 270, 200, 300, -30, 650, 150, 500, 920, 450, 500, 500, 960, 500,
         850, 800, 1090]  # fmt: skip
    return Record(
        "Hubble 1929",
        ["D"],
        "v",
        ("distance D (Mpc)", "velocity v (km/s)"),
        np.array(D)[:, None],
        np.array(v, float),
        "v = 424 D",
        "absolute",
    )


def hydrogen():
    """Lines of hydrogen (nm) from level m to level n: the series of Lyman (n = 1), Balmer and Paschen."""
    series = {
        1: (2, [121.567, 102.572, 97.2537, 94.9743, 93.7803]),
        2: (3, [656.279, 486.135, 434.0472, 410.1734, 397.0075, 388.9064]),
        3: (4, [1875.13, 1281.807, 1093.817, 1004.98, 954.62]),
    }
    rows = np.array([(n, first + i, line) for n, (first, lines) in series.items() for i, line in enumerate(lines)])
    # Beyond 200 nm lines are measured in air, whose refractive index is 1.00028.
    y = rows[:, 2] * np.where(rows[:, 2] > 200, 1.00028, 1.0)
    textbook = "L = 91.18 n^2 / (1 - n^2 / m^2)"
    return Record(
        "hydrogen, Rydberg 1888",
        ["n", "m"],
        "L",
        ("upper level m", "wavelength L (nm)"),
        rows[:, :2],
        y,
        textbook,
        "relative",
    )


def enzyme():
    """Treloar, 1974: rate of a reaction (counts/min^2) by the concentration (ppm) of its substrate, with puromycin."""
    c = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1]
    v = [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]
    textbook = "v = 212.7 c / (0.0641 + c)"
    return Record(
        "enzyme, Michaelis 1913",
        ["c"],
        "v",
        ("concentration c (ppm)", "rate v (counts / min²)"),
        np.array(c)[:, None],
        np.array(v, float),
        textbook,
        "absolute",
    )


def found(record):
    """The law of a record, and its formula with standard errors."""
    law = MergedNetRegressor(noise=record.noise, random_state=0).fit(record.X, record.y)
    return law, law.formula(record.names, target_names=record.target, standard_errors=True)


def history(out):
    print("5. Laws of history, from the tables in which they were found. g(u; C) = C u / (|u| + C).")
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 6.4), layout="constrained")
    for record, axis in zip((boyle(), hubble(), hydrogen(), enzyme()), axes.ravel(), strict=True):
        law, formula = found(record)
        print(f"   {record.title:24s}{len(record.y):3d} rows  {formula}")
        print(f"   {'textbook':35s}  {record.textbook}")
        _draw(axis, record, law)
    print("   Twice the standard error holds 95 %. 212.7 and 0.0641 are the published fit of Michaelis' law: C is the")
    print("   first, and the second is C over the factor of c. Hubble's slope is his data's, six times today's value.")
    save(figure, out, "history.png")


def _draw(axis, record, law):
    x = record.X[:, -1]
    line = np.linspace(x.min() / 1.3, x.max() * 1.1, 300)
    if record.X.shape[1] == 1:
        mean, std = law.predict(line[:, None], return_std=True)
        axis.fill_between(line, mean - 2 * std, mean + 2 * std, color=BLUE, alpha=0.2, lw=0)
        axis.plot(line, mean, color=BLUE, lw=1.4, label="law found, ± 2 standard errors")
        axis.plot(x, record.y, "o", ms=4, color=GREY, label="measured")
    else:
        for n, marker, color in ((1, "o", GREY), (2, "s", ORANGE), (3, "^", BLACK)):
            rows = record.X[:, 0] == n
            axis.plot(x[rows], record.y[rows], marker, ms=4, color=color, label=f"measured, n = {n:.0f}")
            own = np.linspace(n + 0.7, 9, 200)
            label = "law found" if n == 3 else None
            axis.plot(own, law.predict(np.column_stack([np.full(200, n), own])), color=BLUE, lw=1.2, label=label)
        axis.set(yscale="log", ylim=(70, 6000))
    formula = law.formula(record.names, target_names=record.target).latex
    axis.set(xlabel=record.labels[0], ylabel=record.labels[1])
    axis.set_title(f"{record.title}: ${formula}$", fontsize=9)
    axis.legend(frameon=False, fontsize=8)
