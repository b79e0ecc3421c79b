"""The law of slip, read off recorded trajectories under any velocity gradient.

In plastic flow the rate of plastic strain D_p is what is left of D without the elastic rate, and the stress says which
systems slip, D_p = sum rate_a P_a with rate_a = slip_rate |tau_a / g|^n sign(tau_a). The direction of D_p gives n, its
length the slip resistance g, the change of the density the storage K; records before flow give the elastic constants.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import deviator, matrices, matrix_of, symmetric, tensors

SLIP_RATE = 1e-3  # 1/s; n, g and the rate are not all told by records: slip_rate / g^n is, and this is the convention
EXPONENTS = 2.0, 200.0  # range of n
FLOWING = 0.2  # greatest elastic share of the rate of strain in flow
SMOOTH = 0.1  # greatest change of the velocity gradient, and of the logarithm of the time step, over ln 3, at a record
# Greatest plastic share of the rate of strain at the end of a step that tells elastic constants; if few steps have it.
ELASTIC = 0.1, 0.7
MOST_STEPS = 2000  # such steps
STEP_TOL = 1e-3  # of a step by the law
ROUNDS = 6  # of elastic constants and law, each from the other
ENOUGH_ROWS, ENOUGH_STEPS = 20, 5  # records in flow, elastic steps
ROBUST = 4.0  # misfits beyond so many medians count as that
KEPT_VOLUME = 1e-4  # of the strain: a smaller change of volume does not tell the bulk modulus


class Records(NamedTuple):
    """Trajectories: times (n, T) in s, velocity gradients (n, T - 1, 3, 3), stress (n, T, 6) in MPa, sqrt(rho) (n, T),
    quaternions (n, T, 4). The last three are NaN after the end of a trajectory."""

    time: np.ndarray
    gradient: np.ndarray
    stress: np.ndarray
    root: np.ndarray
    quaternion: np.ndarray

    def part(self, which):
        return Records(*(one[which] for one in self))

    def start(self, where):
        """Stress (m, 6), sqrt(rho) (m,) and quaternions (m, 4) of records: an index of (n, T)."""
        return self.stress[where], self.root[where], self.quaternion[where]


def state_rows(stress, root, quaternion, stiffness):
    """Rows (m, 12) as `GrainLaw` takes them: coordinates of stress, orientation, mean stress, slip and sqrt(rho).

    From Cauchy stress (m, 6) in MPa, sqrt(rho) (m,), quaternions (m, 4), C11 - C12 and 2 C44 in MPa.
    """
    row, R, S = np.zeros((len(root), 12)), matrix_of(quaternion), symmetric(stress)
    row[:, :5] = deviator(np.swapaxes(R, -1, -2) @ S @ R).T / np.sqrt(np.repeat(stiffness[:2], [2, 3]))
    row[:, 5:9] = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    row[:, 9], row[:, 11] = np.trace(S, axis1=-2, axis2=-1) / 3, root
    return row


class Found(NamedTuple):
    """What records tell: elastic constants C11 - C12, 2 C44 and bulk modulus (3,) in MPa, NaN where they do not, the
    exponent; sqrt(rho), resistance g in MPa and storage d sqrt(rho) / dGamma at records in flow (m,); the median angle
    between the plastic strain and that of the law in degrees."""

    stiffness: np.ndarray
    exponent: float
    root: np.ndarray
    resistance: np.ndarray
    storage: np.ndarray
    misfit: float


class Lattice:
    """Records in the frame of the lattice, which no law is needed for."""

    def __init__(self, records):
        R = matrix_of(records.quaternion)
        back = np.swapaxes(R, -1, -2)
        S = symmetric(records.stress)
        self.records, self.R, self.back = records, R, back
        self.stress = np.moveaxis(deviator(back @ S @ R), 0, -1)  # (n, T, 5)
        self.mean = np.trace(S, axis1=-2, axis2=-1) / 3
        L = records.gradient
        self.D, self.W = (L + np.swapaxes(L, -1, -2)) / 2, (L - np.swapaxes(L, -1, -2)) / 2
        self.dt = np.diff(records.time, axis=1)
        starts, ends = back[:, :-1] @ self.D @ R[:, :-1], back[:, 1:] @ self.D @ R[:, 1:]
        self.strain = np.moveaxis(deviator(starts + ends), 0, -1) / 2 * self.dt[..., None]  # of a step, (n, T - 1, 5)
        self.dilation = np.trace(self.D, axis1=-2, axis2=-1) * self.dt

    def central(self, x):
        """Rates at the inner records (n, T - 2, ...) of x (n, T, ...), of second order."""
        h, k = self.dt[:, :-1], self.dt[:, 1:]
        with np.errstate(all="ignore"):
            shape = (..., *[None] * (x.ndim - 2))
            before, after = (x[:, 1:-1] - x[:, :-2]) / h[shape], (x[:, 2:] - x[:, 1:-1]) / k[shape]
            return (before * k[shape] + after * h[shape]) / (h + k)[shape]

    def middle(self, steps):
        """Values of the steps (n, T - 1, 3, 3) at the records between them."""
        h, k = self.dt[:, :-1, None, None], self.dt[:, 1:, None, None]
        return (steps[:, :-1] * k + steps[:, 1:] * h) / (h + k)

    def flow(self, stiffness):
        """Plastic rates of strain (m, 5), at which inner records (n, T - 2)."""
        records, inner = self.records, slice(1, -1)
        c = np.repeat(stiffness[:2], [2, 3])
        elastic = self.stress / c
        R, back = self.R[:, inner], self.back[:, inner]
        with np.errstate(all="ignore"):
            D = np.moveaxis(deviator(back @ self.middle(self.D) @ R), 0, -1)
            size = np.linalg.norm(D, axis=-1)
            rate = self.central(elastic)
            turned = back @ self.central(self.R)
            plastic_spin = back @ self.middle(self.W) @ R - (turned - np.swapaxes(turned, -1, -2)) / 2
            E = matrices(elastic[:, inner])
            bracket = np.moveaxis(deviator(E @ plastic_spin - plastic_spin @ E), 0, -1)
            jump = np.abs(np.diff(self.D + self.W, axis=1)).max(axis=(2, 3))
            even = np.abs(np.log(self.dt[:, 1:] / self.dt[:, :-1])) < SMOOTH * np.log(3.0)
            flows = (np.linalg.norm(rate, axis=-1) < FLOWING * size) & (jump <= SMOOTH * size) & even
            flows &= np.isfinite(rate).all(axis=-1) & np.isfinite(records.root[:, inner]) & (size > 0)
        return (D - rate - bracket)[flows], flows


def identified(records, systems, stiffness=None):
    """Found from Records, for the ``systems`` (normals, directions); ``stiffness`` (3,) where it is known."""
    lattice, (P, _) = Lattice(records), tensors(*systems)
    known = stiffness is not None
    c = stiffness if known else first_stiffness(lattice)
    for _ in range(1 if known else ROUNDS):
        plastic, flows = lattice.flow(c)
        if flows.sum() < ENOUGH_ROWS:
            raise ValueError(
                f"state: {flows.sum()} records lie in plastic flow under a velocity gradient that stays the same; "
                f"the law of slip needs {ENOUGH_ROWS} or more. Record more states beyond the knee, in even steps."
            )
        law = of_flow(lattice.stress[:, 1:-1][flows], plastic, P)
        line = np.polynomial.Polynomial.fit(records.root[:, 1:-1][flows], law[1], 1)
        before, c = c, c if known else better_stiffness(lattice, law[0], line, systems, c)
        if np.abs(c[:2] / before[:2] - 1).max() < 1e-5:
            break
    n, g, slip, misfit = law
    storage = lattice.central(records.root)[flows] / slip
    return Found(c, n, records.root[:, 1:-1][flows], g, storage, misfit)


def of_flow(stress, plastic, P):
    """Exponent, resistance and slip rates (m,) of records in flow, and the median angle by which the law misses."""
    tau = stress @ P
    top = np.abs(tau).max(axis=1)
    x = tau / top[:, None]
    length = np.linalg.norm(plastic, axis=1)

    def strain(n):
        return (np.sign(x) * np.abs(x) ** n) @ P.T

    def angles(n):
        f = strain(n)
        cosine = (f * plastic).sum(axis=1) / (np.linalg.norm(f, axis=1) * length)
        return np.arccos(np.clip(cosine, -1.0, 1.0))

    def loss(log_n):
        squares = angles(np.exp(log_n)) ** 2
        return np.minimum(squares, ROBUST**2 * np.median(squares) + 1e-300).mean()

    found = minimize_scalar(loss, bounds=np.log(EXPONENTS), method="bounded", options={"xatol": 1e-6})
    n = float(np.exp(found.x))
    f = strain(n)
    factor = np.maximum((plastic * f).sum(axis=1) / (f * f).sum(axis=1), 1e-300)  # slip_rate (top / g)^n
    g = top * (SLIP_RATE / factor) ** (1 / n)
    return n, g, factor * (np.abs(x) ** n).sum(axis=1), float(np.degrees(np.median(angles(n))))


def first_stiffness(lattice):
    """Elastic constants (3,) as if each first step were elastic."""
    strain, stress = lattice.strain[:, 0], np.diff(lattice.stress[:, :2], axis=1)[:, 0]
    with np.errstate(all="ignore"):
        c = [(strain[:, some] * stress[:, some]).sum() / (strain[:, some] ** 2).sum() for some in np.s_[:2, 2:]]
    if not (np.isfinite(c).all() and min(c) > 0):
        raise ValueError(
            "state: the stress does not rise with the strain in the first steps, so that the elastic constants are not "
            "told; give stiffness=(C11, C12, C44) in GPa, and check signs, units and the order xx, yy, zz, yz, xz, xy."
        )
    return np.array([*c, bulk_of(lattice)])


def bulk_of(lattice):
    """The bulk modulus, NaN where the volume is kept."""
    dilation, change = lattice.dilation, np.diff(lattice.mean, axis=1)
    known = np.isfinite(change) & np.isfinite(dilation)
    squares = (dilation[known] ** 2).sum()
    if not squares > KEPT_VOLUME**2 * np.nansum(lattice.strain**2):
        return np.nan
    return float((dilation[known] * change[known]).sum() / squares)


def better_stiffness(lattice, n, resistance, systems, c):
    """Elastic constants by least squares: each step before full flow is made from its recorded start, with the law.

    ``resistance``: g of sqrt(rho), a straight line. In the knee the stress follows no line in time, so that the plastic
    strain of a step cannot be read off its ends.
    """
    records, (P, spin) = lattice.records, tensors(*systems)
    tau0, slope = resistance.convert().coef
    g = np.maximum(tau0 + slope * records.root, 1e-3 * np.nanmax(records.root) * abs(slope) + 1e-3 * abs(tau0))
    with np.errstate(all="ignore"):
        tau = lattice.stress[:, 1:] @ P / g[:, 1:, None]
        plastic = SLIP_RATE * (np.sign(tau) * np.abs(tau) ** n) @ P.T * lattice.dt[..., None]
        share = np.linalg.norm(plastic, axis=-1) / np.linalg.norm(lattice.strain, axis=-1)
    before = [np.nonzero(np.isfinite(share) & (share < most)) for most in ELASTIC]
    rows = before[0] if len(before[0][0]) >= ENOUGH_ROWS else before[1]
    if len(rows[0]) < ENOUGH_STEPS:
        raise ValueError(
            f"state: {len(rows[0])} steps lie before plastic flow, too few for the elastic constants; give "
            "stiffness=(C11, C12, C44) in GPa, or record finer steps at the start."
        )
    rows = tuple(part[:: -(-len(rows[0]) // MOST_STEPS)] for part in rows)
    after = rows[0], rows[1] + 1
    dt, start = np.ascontiguousarray(lattice.dt[rows]), records.start(rows)
    gradient = np.ascontiguousarray((lattice.D + lattice.W)[rows])

    def residual(log_c):
        pair = np.exp(log_c)
        flow, linear = np.array([n, SLIP_RATE]), np.array([tau0, slope, 0.0, 0.0])
        law = GrainLaw(P, spin, np.array([*pair, 1.0]), flow, linear, None, tol=STEP_TOL)
        state = state_rows(*start, pair)
        law.step(gradient, dt, state)
        return ((state[:, :5] * np.sqrt(np.repeat(pair, [2, 3])) - lattice.stress[after]) / g[after][:, None]).ravel()

    found = least_squares(residual, np.log(c[:2]), diff_step=1e-4, loss="soft_l1", f_scale=0.1, max_nfev=20)
    return np.array([*np.exp(found.x), c[2]])
