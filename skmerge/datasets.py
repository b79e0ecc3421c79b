"""Small tables of facts, and formulae of physics to draw samples from. Nothing is downloaded.

The orbits are facts published by NASA, in the planetary and satellite fact sheets of the NASA Space Science Data
Coordinated Archive (https://nssdc.gsfc.nasa.gov/planetary/factsheet/) and in the tables of mean and osculating elements
of JPL Solar System Dynamics (https://ssd.jpl.nasa.gov/).
"""

from ast import literal_eval
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from numbers import Integral, Real
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_array, check_random_state, check_scalar

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["Formula", "Variable", "load_formulae", "load_orbits"]

FARADAY = 96485.33  # C / mol
GAS_CONSTANT = 8.314462  # J / (mol K)

_CENTRAL_MASSES = {"Sun": 1.98847e30, "Jupiter": 1.89813e27, "Saturn": 5.6834e26, "Uranus": 8.6810e25}  # kg
# For each central body: name, semi-major axis in km, eccentricity, period in days.
_ORBITS = {
    "Sun": """
        Mercury 57909227.0 0.205636 87.96926, Venus 108209475.0 0.006777 224.7008,
        Earth 149598261.0 0.016711 365.25636, Mars 227943822.0 0.093394 686.9796,
        Jupiter 778340817.0 0.048386 4332.820, Saturn 1426666414.0 0.053862 10755.70,
        Uranus 2870658171.0 0.047257 30687.15, Neptune 4498396417.0 0.008590 60190.03,
        Ceres 414279800.0 0.076875 1683.259, Pluto 5906440597.0 0.248827 90553.02,
        Haumea 6450060000.0 0.19642 103410.0, Makemake 6796230000.0 0.16126 111845.0,
        Eris 10152300000.0 0.43607 204199.0
    """,
    "Jupiter": """
        Metis 128000.0 0.0002 0.294780, Adrastea 129000.0 0.0015 0.298260, Amalthea 181400.0 0.0032 0.498179,
        Thebe 221900.0 0.0176 0.6745, Io 421800.0 0.0041 1.769138, Europa 671100.0 0.0094 3.551181,
        Ganymede 1070400.0 0.0013 7.154553, Callisto 1882700.0 0.0074 16.689017, Leda 11165000.0 0.164 240.92,
        Himalia 11461000.0 0.162 250.5662, Lysithea 11717000.0 0.112 259.22, Elara 11741000.0 0.217 259.6528,
        Ananke 21276000.0 0.244 629.77, Carme 23404000.0 0.253 734.17, Pasiphae 23624000.0 0.409 743.63,
        Sinope 23939000.0 0.250 758.90
    """,
    "Saturn": """
        Pan 133583.0 0.0000 0.5750, Atlas 137670.0 0.0012 0.6019, Prometheus 139353.0 0.0024 0.6130,
        Pandora 141700.0 0.0042 0.6285, Janus 151472.0 0.0068 0.6945, Mimas 185520.0 0.0202 0.9424218,
        Enceladus 238020.0 0.0045 1.370218, Tethys 294660.0 0.0000 1.887802, Dione 377400.0 0.0022 2.736915,
        Rhea 527040.0 0.0010 4.517500, Titan 1221830.0 0.0292 15.945421, Hyperion 1481100.0 0.1042 21.276609,
        Iapetus 3561300.0 0.0283 79.330183, Phoebe 12952000.0 0.1633 550.48, Skathi 15541000.0 0.270 728.2,
        Ymir 23040000.0 0.335 1315.2
    """,
    "Uranus": """
        Cordelia 49770.0 0.0003 0.335034, Ophelia 53790.0 0.0099 0.376400, Bianca 59170.0 0.0009 0.434579,
        Cressida 61780.0 0.0004 0.463570, Desdemona 62680.0 0.0001 0.473650, Juliet 64350.0 0.0007 0.493065,
        Portia 66090.0 0.0001 0.513196, Rosalind 69940.0 0.0001 0.558460, Belinda 75260.0 0.0001 0.623527,
        Puck 86010.0 0.0001 0.761833, Miranda 129900.0 0.0013 1.413479, Ariel 190900.0 0.0012 2.520379,
        Umbriel 266000.0 0.0039 4.144177, Titania 436300.0 0.0011 8.705867, Oberon 583500.0 0.0014 13.463234
    """,
}

_ORBITS_DESCR = """Orbits in the solar system

The eight planets and five dwarf planets around the Sun, and moons of Jupiter, Saturn and Uranus.

:Number of rows: 60 (Sun 13, Jupiter 16, Saturn 16, Uranus 15)
:Features: a, semi-major axis of the orbit (km); M, mass of the central body (kg); e, eccentricity (no unit)
:Target: T, sidereal orbital period (days), positive for retrograde orbits as well (Ananke, Carme, Pasiphae, Sinope,
    Phoebe, Skathi, Ymir)
:Missing values: none

Kepler's third law, T = 2 pi sqrt(a^3 / (G M)), holds within 1 % in every row and within 0.5 % in all but three; it does
not contain e. The deviations are physics and rounding: the flattened planet speeds up its innermost moons (Metis, 0.4
%), the Sun disturbs the distant irregular ones (Ananke, Skathi and Ymir, 0.7 %). The table leaves out irregular moons
whose mean elements deviate from the law by more than 1 %.

Sources: planets and Pluto, mean elements at J2000 and sidereal periods of JPL Solar System Dynamics; Ceres (2020),
Haumea, Makemake and Eris, osculating elements of the JPL small-body database, which drift by some per mille from year
to year and whose period follows from a; moons, NASA satellite fact sheets (NASA Space Science Data Coordinated Archive)
and JPL mean elements of planetary satellites. The entries were typed by hand, and not all have been compared with the
sources again. The masses are rounded from the measured products G M, with G = 6.6743e-11 m^3 / (kg s^2).
"""


def load_orbits(*, as_frame: bool = False) -> Bunch:
    """Load the orbits of planets, dwarf planets and the moons of Jupiter, Saturn and Uranus.

    Parameters
    ----------
    as_frame : bool, default=False
        Give `data` as a pandas DataFrame and `target` as a Series, and `frame`, which holds both.

    Returns
    -------
    sklearn.utils.Bunch
        data : ndarray or DataFrame of shape (60, 3)
            Semi-major axis `a` (km), mass of the central body `M` (kg), eccentricity `e` (no unit).
        target : ndarray or Series of shape (60,)
            Sidereal orbital period `T` (days), positive for retrograde orbits as well.
        frame : DataFrame of shape (60, 4), or None
            `data` and `target` together, if `as_frame`.
        feature_names : list of str
            ``["a", "M", "e"]``.
        target_name : str
            ``"T"``.
        body_names : ndarray of str of shape (60,)
            The planet or moon.
        central_bodies : ndarray of str of shape (60,)
            The body that it orbits: "Sun", "Jupiter", "Saturn" or "Uranus".
        DESCR : str
            The table in words, and its sources.

    Examples
    --------
    >>> from skmerge.datasets import load_orbits
    >>> orbits = load_orbits()
    >>> orbits.data.shape, orbits.target.shape
    ((60, 3), (60,))
    >>> is_io = orbits.body_names == "Io"
    >>> str(orbits.central_bodies[is_io][0]), float(orbits.target[is_io][0])
    ('Jupiter', 1.769138)
    """
    if not isinstance(as_frame, (bool, np.bool_)):
        raise TypeError(f"as_frame must be True or False, got {as_frame!r}.")
    orbits = [(center, *orbit.split()) for center, table in _ORBITS.items() for orbit in table.split(",")]
    rows = [(body, center, a, _CENTRAL_MASSES[center], e, T) for center, body, a, e, T in orbits]
    bodies, centers, *columns = zip(*rows, strict=True)
    *features, target = np.array(columns, dtype=float)
    names = ["a", "M", "e"]
    data, frame = np.column_stack(features), None
    if as_frame:
        import pandas as pd

        frame = pd.DataFrame(data, columns=names).assign(T=target)
        data, target = frame[names], frame["T"]
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=names,
        target_name="T",
        body_names=np.array(bodies),
        central_bodies=np.array(centers),
        DESCR=_ORBITS_DESCR,
    )


@dataclass(frozen=True)
class Variable:
    """One variable of a formula: where its values lie and how they are drawn.

    Parameters
    ----------
    name : str
    low, high : float
        The range of training values, both ends included.
    sampling : {"loguniform", "uniform", "int"}, default="loguniform"
        Even in the logarithm, even, or whole numbers of equal probability.

    Examples
    --------
    >>> Variable("R", 1, 100).top
    150.0
    """

    name: str
    low: float
    high: float
    sampling: str = "loguniform"

    def __post_init__(self) -> None:
        if self.sampling not in ("loguniform", "uniform", "int"):
            raise ValueError(f"sampling must be 'loguniform', 'uniform' or 'int', got {self.sampling!r}.")

    @property
    def top(self) -> float:
        """Upper end of the range when extrapolating: beyond `high` by half of it, or by half the width if "uniform"."""
        if self.sampling == "uniform":
            return self.low + 1.5 * (self.high - self.low)
        return float(ceil(1.5 * self.high)) if self.sampling == "int" else 1.5 * self.high

    def values(self, u: _F8, high: float) -> _F8:
        """Values in [low, high] for numbers `u` that are even in [0, 1); an array of the shape of `u`."""
        low = self.low
        if self.sampling == "int":
            drawn = np.floor(low + u * (high - low + 1))
        elif self.sampling == "uniform":
            drawn = low + u * (high - low)
        else:
            drawn = low * np.exp(u * np.log(high / low))
        return np.clip(drawn, low, high)


@dataclass(frozen=True)
class Formula:
    """A formula with named variables, which can be evaluated and sampled.

    Parameters
    ----------
    name : str
    expression : str
        The right-hand side in Python's notation, in terms of the variables and NumPy's exp, log, log10 and sqrt.
    variables : tuple of Variable
        In the order of the columns of X.
    function : callable
        Takes one array per variable, in that order, and returns y.
    description : str
        The quantity and its units.

    Examples
    --------
    >>> from skmerge.datasets import load_formulae
    >>> ohm = {f.name: f for f in load_formulae()}["ohm"]
    >>> ohm.expression, ohm.feature_names
    ('I*R', ['I', 'R'])
    >>> ohm([[2.0, 30.0]])
    array([60.])
    """

    name: str
    expression: str
    variables: tuple[Variable, ...]
    function: Callable[..., np.ndarray] = field(repr=False)
    description: str = ""

    @property
    def feature_names(self) -> list[str]:
        """Names of the variables, in the order of the columns of X; list of str."""
        return [v.name for v in self.variables]

    def __call__(self, X: ArrayLike) -> _F8:
        """Evaluate the formula.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_variables)
            Any real values, in the units that `description` states; NaN gives NaN.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        X = check_array(X, dtype=float, ensure_all_finite=False, input_name="X")
        if X.shape[1] != len(self.variables):
            names = ", ".join(self.feature_names)
            raise ValueError(f"X has {X.shape[1]} columns, but {self.name} takes {len(self.variables)}: {names}.")
        return self.function(*X.T)

    def sample(
        self,
        n: int,
        *,
        noise: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        extrapolate: bool = False,
    ) -> tuple[_F8, _F8]:
        """Draw rows and evaluate the formula on them.

        Parameters
        ----------
        n : int
            Number of rows, at least 1.
        noise : float, default=0.0
            Standard deviation of the Gaussian noise added to y, in standard deviations of the n noise-free values.
        random_state : int, RandomState or None, default=None
            One seed gives the same X for every `noise`, and a smaller `n` gives the first rows of a larger one.
        extrapolate : bool, default=False
            Draw from `low` to `top` and keep rows with at least one variable above its `high`.

        Returns
        -------
        X : ndarray of shape (n, n_variables)
        y : ndarray of shape (n,)

        Examples
        --------
        >>> from skmerge.datasets import load_formulae
        >>> spring = {f.name: f for f in load_formulae()}["spring_pos"]
        >>> X, y = spring.sample(200, noise=0.05, random_state=0)
        >>> X.shape, y.shape
        ((200, 2), (200,))
        """
        check_scalar(n, "n", Integral, min_val=1)
        check_scalar(noise, "noise", Real, min_val=0)
        if not np.isfinite(noise):
            raise ValueError(f"noise must be finite, got {noise}.")
        if not isinstance(extrapolate, (bool, np.bool_)):
            raise TypeError(f"extrapolate must be True or False, got {extrapolate!r}.")
        rng = check_random_state(random_state)
        training_tops = [v.high for v in self.variables]
        tops = [v.top for v in self.variables] if extrapolate else training_tops
        X = np.empty((0, len(tops)))
        while len(X) < n:
            # Row by row from one stream, so that the rows do not depend on how many are asked for.
            u = rng.random_sample((n, len(tops)))
            rows = np.column_stack([v.values(u[:, j], tops[j]) for j, v in enumerate(self.variables)])
            X = np.vstack([X, rows[(rows > training_tops).any(axis=1)] if extrapolate else rows])
        X = X[:n]
        y = self(X)
        return X, y + noise * np.std(y) * rng.standard_normal(n) if noise else y


# fmt: off
# The functions of the table below: named, and at module level, so that a Formula can be pickled.
def _weld_mu(tau, sigma_y): return tau / (3 * sigma_y)
def _stoney_kappa(E_d, h, sigma_d, E_s, H): return 6 * E_d * h * sigma_d / (E_s * H**2) * 1e3
def _limiting_current(Z, D, C, delta): return Z * FARADAY * D * 1e-9 * C / (delta * 1e-6)
def _spring(k, x): return 0.5 * k * x**2
def _flexure(F, L, b, d): return 3 * F * L / (2 * b * d**2)
def _product(x1, x2): return x1 * x2
def _ideal_gas(n, T, Vol): return n * GAS_CONSTANT * T / Vol
def _resistivity(A, R, L): return A * R / L
def _london(m, n, q): return 168.07 * np.sqrt(m / n) / q
def _london_raw(m, n, e, mu0): return np.sqrt(m / (n * e**2 * mu0))
def _diatomic_omega(k, m1, m2): return np.sqrt(k * (m1 + m2) / (m1 * m2))
def _tafel(i0, a, z, eta, T): return i0 * np.exp(a * z * FARADAY * eta / (GAS_CONSTANT * T))
def _series_resistors(I, R1, R2): return I * (R1 + R2)
def _creep(A, sigma, n, Q, T): return A * sigma**n * np.exp(24.0 - Q * 1e3 / (GAS_CONSTANT * T))
def _creep_log10(A, sigma, n, Q, T): return np.log10(A * sigma**n) - Q * 1e3 / (GAS_CONSTANT * T) / np.log(10)
def _parabola(x): return 1 - x + x**2


def _variables(text):
    """From "name low high", or with the sampling if it is not loguniform, separated by commas."""
    parts = (part.split() for part in text.split(", "))
    return tuple(Variable(name, literal_eval(low), literal_eval(high), *rest) for name, low, high, *rest in parts)


# Every formula: name, expression, ranges, function, description.
_FORMULAE = (
    ("weld_mu", "tau/(3*sigma_y)", "tau 10 500, sigma_y 50 1000", _weld_mu,
     "friction coefficient in friction welding; tau shear stress, sigma_y yield stress (MPa)"),
    ("stoney_kappa", "6*E_d*h*sigma_d/(E_s*H**2)*1e3",
     "E_d 50 400, h 0.1 2, sigma_d 0.1 1, E_s 50 400, H 50 500", _stoney_kappa,
     "Stoney: 1000 times the curvature of a coated plate; film thickness h, stress sigma_d; plate thickness H"),
    ("limiting_current", "Z*96485.33*D*1e-9*C/(delta*1e-6)",
     "Z 1 4 int, D 0.1 10, C 1 1000, delta 10 500", _limiting_current,
     "limiting current density (A/m^2); Z charges, D (1e-9 m^2/s), C (mol/m^3), delta diffusion layer (um)"),
    ("spring_pos", "0.5*k*x**2", "k 1 100, x 0.05 2", _spring,
     "energy of a stretched spring (J); stiffness k (N/m), x > 0 (m)"),
    ("spring_signed", "0.5*k*x**2", "k 1 100, x -2 2 uniform", _spring,
     "energy of a stretched or compressed spring (J); stiffness k (N/m), x of both signs (m)"),
    ("flexure", "3*F*L/(2*b*d**2)", "F 10 1000, L 20 200, b 2 20, d 1 10", _flexure,
     "flexural stress in three-point bending (MPa); force F (N), span L, width b, depth d (mm)"),
    ("ohm", "I*R", "I 0.1 10, R 1 100", _product, "Ohm's law, voltage (V); I > 0 (A), R (ohm)"),
    ("ohm_signed", "I*R", "I -5 5 uniform, R 1 100", _product, "Ohm's law, voltage (V); I of both signs (A), R (ohm)"),
    ("ideal_gas", "n*8.314462*T/Vol", "n 0.1 10, T 200 600 uniform, Vol 1 50", _ideal_gas,
     "pressure of an ideal gas (kPa); n (mol), T (K), Vol (litre)"),
    ("resistivity", "A*R/L", "A 0.1 10, R 1 100, L 1 50", _resistivity,
     "resistivity; cross-section A, resistance R, length L (any consistent units)"),
    ("london", "168.07*sqrt(m/n)/q", "m 0.5 5, n 1 50, q 1 2 int", _london,
     "London penetration depth (nm); m (electron masses), n (1e27 / m^3), q (elementary charges)"),
    ("london_raw", "(m/(n*e**2*mu0))**0.5", "m 0.5 5, n 1 50, e 0.5 2, mu0 0.5 2", _london_raw,
     "London penetration depth, without units"),
    ("diatomic_omega", "sqrt(k*(m1+m2)/(m1*m2))", "k 100 2000, m1 1 50, m2 1 50", _diatomic_omega,
     "angular frequency of a diatomic molecule; stiffness k, masses m1 and m2 (any consistent units)"),
    ("tafel", "i0*exp(a*z*96485.33*eta/(8.314462*T))",
     "i0 0.01 1, a 0.3 0.7 uniform, z 1 2 int, eta 0 0.1 uniform, T 280 360 uniform", _tafel,
     "Tafel: current density, in units of i0; a transfer coefficient, z charges, overpotential eta (V), T (K)"),
    ("series_resistors", "I*(R1+R2)", "I 0.1 10, R1 1 100, R2 1 100", _series_resistors,
     "voltage over two resistors in series (V); I (A), R1 and R2 (ohm)"),
    ("series_resistors_u", "I*(R1+R2)", "I 0 5 uniform, R1 0 10 uniform, R2 0 10 uniform", _series_resistors,
     "the same, even from zero on"),
    ("creep", "A*sigma**n*exp(-Q*1e3/(8.314462*T)+24.0)",
     "A 0.5 2, sigma 1 2.5, n 3 5 uniform, Q 190 210 uniform, T 950 1050 uniform", _creep,
     "creep rate times e^24; stress sigma (in a reference stress), exponent n, Q (kJ/mol), T (K)"),
    ("creep_log10", "log10(A)+n*log10(sigma)-Q*1e3/(8.314462*T)/log(10)",
     "A 1e-3 1e3, sigma 1 100, n 3 7 uniform, Q 150 300 uniform, T 600 1200 uniform", _creep_log10,
     "decimal logarithm of the creep rate, wide ranges; Q (kJ/mol), T (K)"),
    ("product", "x1*x2", "x1 -1 1 uniform, x2 -1 1 uniform", _product, "product of two numbers of both signs"),
    ("product_pos", "x1*x2", "x1 0 1 uniform, x2 0 1 uniform", _product, "product of two positive numbers"),
    ("parabola", "1-x+x**2", "x -1 2 uniform", _parabola, "parabola"),
)


# fmt: on
def load_formulae() -> list[Formula]:
    """Load formulae of physics and chemistry, with the ranges of their variables.

    Textbook formulae, among them weld friction, Stoney's curvature, limiting current, spring energy, flexural stress,
    London depth, diatomic vibration, Tafel's law and creep; each `description` states its units.

    Returns
    -------
    list of Formula
        21 of them; see :class:`~skmerge.datasets.Formula` for evaluating and sampling one.

    Examples
    --------
    >>> from skmerge.datasets import load_formulae
    >>> formulae = load_formulae()
    >>> len(formulae), formulae[0].name, formulae[0].expression
    (21, 'weld_mu', 'tau/(3*sigma_y)')
    """
    return [Formula(name, expression, _variables(ranges), *others) for name, expression, ranges, *others in _FORMULAE]
