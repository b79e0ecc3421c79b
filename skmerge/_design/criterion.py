"""The value of an input: the probability of all targets, and how far goals are reached."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import qmc

FINE = 4096  # points for a reported probability
WORSE = 1e6  # added to the loss for a missed target of an exact property
SPAN = 30.0  # largest distance of the level of a goal from the mean, in spreads
CHUNK_NUMBERS = 2**20  # numbers in memory at a time
RARE = 1e-8  # probability of the least likely property below which the product replaces the joint probability
NEVER = 1e-10  # probability below which digits mean nothing


@dataclass(frozen=True)
class Criterion:
    """Targets on properties whose errors are jointly normal."""

    low: np.ndarray  # (m,), -inf where open
    high: np.ndarray  # (m,), inf where open
    goal: np.ndarray  # (m,), 1 to maximise, -1 to minimise, otherwise 0
    factor: np.ndarray | None  # Cholesky factor of the correlations of the properties with a target or goal
    confidence: float
    middle: np.ndarray | float = 0.0  # (m,), mean over the feasible inputs
    spread: np.ndarray | float = 1.0  # (m,), standard deviation over the feasible inputs

    @property
    def bounded(self):
        """Properties with a target or goal."""
        return np.flatnonzero(np.isfinite(self.low) | np.isfinite(self.high) | (self.goal != 0))

    def limits(self, mean, std, low, high, optimism=0.0):
        """Limits in standard deviations, and by how much exact properties miss them, in spreads."""
        exact = std <= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            lower = np.where(exact, -np.inf, (low - mean) / np.where(exact, 1.0, std) - optimism)
            upper = np.where(exact, np.inf, (high - mean) / np.where(exact, 1.0, std) + optimism)
            missed = np.where(exact, np.maximum(np.maximum(low - mean, mean - high), 0.0), 0.0)
        return lower, upper, missed / self.spread

    def log_probability(self, mean, std, low, high, n_points=128, optimism=0.0):
        """For each row the log of the probability, and by how much exact properties miss their targets."""
        at = self.bounded
        lower, upper, missed = self.limits(mean, std, low, high, optimism)
        return log_box(lower[:, at], upper[:, at], self.factor, n_points), missed.sum(axis=1)

    def loss(self, mean, std, rough=False, without=(), only=None, optimism=0.0, n_points=128):
        """The loss of a search: minus log of the probability; above ``confidence`` minus the level of the goals.

        ``rough``: as if errors were independent; ``without``, ``only``: some of the targets; ``optimism``: standard
        deviations by which all predictions err in the favourable direction.
        """
        if rough and self.factor is not None:
            return replace(self, factor=None).loss(mean, std, False, without, only, optimism)
        low, high, goals = self.low.copy(), self.high.copy(), self.goal != 0
        for j in range(len(low)):
            if j in without or only not in (None, j):
                low[j], high[j], goals[j] = -np.inf, np.inf, False
        log_p, missed = self.log_probability(mean, std, low, high, n_points, optimism)
        loss = np.minimum(-log_p, 0.9 * WORSE)
        reached = (missed == 0) & (log_p >= np.log(self.confidence))
        if goals.any():
            loss += SPAN
            loss[reached] = -self._level(mean[reached], std[reached], low, high, goals, optimism)
        return loss + np.where(missed > 0, WORSE * (1 + missed), 0.0)

    def _level(self, mean, std, low, high, goals, optimism):
        """The level of all goals, in spreads above the average, that is reached with the targets and confidence."""
        sign = self.goal[goals]
        value = sign * (mean[:, goals] - self.middle[goals]) / self.spread[goals]
        reach = (8.0 + optimism) * std[:, goals] / self.spread[goals]
        below, above = (value - reach).min(axis=1), (value + reach).min(axis=1)
        for _ in range(40 if reach.any() else 0):
            level = (below + above) / 2
            aim = self.middle[goals] + sign * level[:, None] * self.spread[goals]
            lower, upper = np.tile(low, (len(mean), 1)), np.tile(high, (len(mean), 1))
            lower[:, goals] = np.where(sign > 0, aim, -np.inf)
            upper[:, goals] = np.where(sign < 0, aim, np.inf)
            log_p, missed = self.log_probability(mean, std, lower, upper, 32, optimism)
            holds = (missed == 0) & (log_p >= np.log(self.confidence))
            below, above = np.where(holds, level, below), np.where(holds, above, level)
        return np.clip(below, -SPAN, SPAN)

    def probabilities(self, mean, std):
        """Of all targets together and of each, without goals."""
        log_p, missed = self.log_probability(mean, std, self.low, self.high, FINE)
        lower, upper, wrong = self.limits(mean, std, self.low, self.high)
        each = np.where(wrong > 0, 0.0, np.exp(log_interval(lower, upper)))
        each[:, ~(np.isfinite(self.low) | np.isfinite(self.high))] = np.nan
        return np.where(missed > 0, 0.0, np.exp(log_p)), each


def log_interval(lower, upper):
    """Logarithm of the probability that a standard normal variable lies between limits, exact in both tails."""
    right = lower > 0
    a, b = np.where(right, -upper, lower), np.where(right, -lower, upper)
    low, high = log_ndtr(a), log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(high == -np.inf, -np.inf, high + np.log(-np.expm1(np.minimum(low - high, 0.0))))


def log_box(lower, upper, factor=None, n_points=128):
    """Logarithm of the probability (n,) that normal variables of unit variance lie in boxes, one a row.

    Separation of variables (Genz, J. Comput. Graph. Stat. 1, 141, 1992) on the points of a Sobol sequence, the same
    for every row, so that the result is a smooth function of the limits.

    Parameters
    ----------
    lower, upper : ndarray of shape (n, m)
        Limits, possibly infinite.
    factor : ndarray of shape (m, m) or None
        Lower Cholesky factor of the correlations; None: independent, and exact.
    n_points : int
        A power of two. The error of 128 points is some 1e-3 of the probability with five variables.
    """
    product = log_interval(lower, upper)
    worst, out = product.min(axis=1, initial=0.0), product.sum(axis=1)
    m = lower.shape[1]
    if factor is None or m < 2:
        return out
    rows = np.flatnonzero(worst > np.log(RARE))
    out = np.minimum(out, np.where(worst > np.log(RARE), 0.0, np.log(RARE)))
    points = np.clip(qmc.Sobol(m - 1, scramble=False).random(n_points) + 0.5 / n_points, 0.0, 1 - 1e-9)
    size = max(1, CHUNK_NUMBERS // (n_points * m))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        values = np.empty((m - 1, len(some), n_points))
        total = np.ones((len(some), n_points))
        for i in range(m):
            shift = np.tensordot(factor[i, :i], values[:i], axes=1)
            a = ndtr((lower[some, i, None] - shift) / factor[i, i])
            width = ndtr((upper[some, i, None] - shift) / factor[i, i]) - a
            total *= width
            if i < m - 1:
                values[i] = ndtri(np.clip(a + points[:, i] * width, 1e-300, 1 - 1e-16))
        # Rounding does not make a box likelier than its least likely side.
        out[some] = np.log(np.clip(total.mean(axis=1), RARE**2, np.exp(worst[some])))
    return out


def as_text(probability, digits=2):
    return f"< {NEVER:.0e}" if 0 < probability < NEVER else f"{probability:.{digits}g}"
