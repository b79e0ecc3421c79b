"""Masked loss of one output of the blended net: its scaling, its flat parameter vector, its least squares."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from skmerge._ext import net_kernel, net_solver
from skmerge._net.correlation import is_correlated
from skmerge._net.floats import squarable
from skmerge._net.functions import Functions
from skmerge._parallel import Shared

# Exponents beyond this are steps, not laws; slopes and constants are free.
MAX_EXPONENT = 30.0
# Residuals below this are rounding; relative to the variance of y.
ROUNDING = 1e-14
MAX_CURVATURE = 2000  # parameters whose covariance is kept, 32 MB
# Multiply-adds of one Levenberg-Marquardt iteration, (n_rows + n_parameters / 3) n_parameters^2, above which L-BFGS is
# used instead (0.1 s).
MAX_NORMAL_EQUATIONS = 2e9
# Binary digits of the numbers that a search sees. Other units change the last of 53 digits and with it, once in 10^5
# numbers, one of 32. The rounding error, 1e-10, matters only for a law without noise.
DIGITS = 32
STEP_OFFSET = 0.37  # between the steps of the rounding and the powers of two, at which a spread may lie exactly
MAX_FINER = 16  # most digits by which a number is rounded more finely than by its own size: a constant is rounded, too
PARAMETERS = "theta", "lower", "upper"  # of a Network
DENSE = 0.9 - 1e-9  # share of the weight, that of 9 of 10 rows, above which zeros in the rest do not matter
FEW_SIZES = 5  # sizes other than 0 that a feature with more zeros needs to enter products
MOSTLY, THREE_SIZES = 0.75, 3  # one with zeros in a quarter of the weight at most, such as 0, 1, 2, 3, 4, needs these
CORRELATED = 5000  # rows, evenly spaced, among which correlations are looked for


def rounded(value, spread):
    """value to DIGITS of itself or of its spread, whichever is finer, so that other units give the same number."""
    power = np.floor(np.log2(spread) + STEP_OFFSET) if spread > 0 else np.inf
    out = np.empty(len(value))
    with np.errstate(under="ignore"):
        for start in range(0, len(value), 10_000):  # of many rows each temporary array takes as much as a column
            part = value[start : start + 10_000]
            own = np.frexp(part)[1]
            digits = (DIGITS - np.maximum(own - MAX_FINER, np.minimum(own, power))).astype(int)
            out[start : start + 10_000] = np.ldexp(np.rint(np.ldexp(part, digits)), -digits)
    return out


def in_units(x, unit, weight):
    """One column in its unit, clipped to the range of float and rounded."""
    with np.errstate(over="ignore"):
        z = np.clip(x / unit, -1.7e308, 1.7e308)
    clipped = squarable(z)
    return rounded(z, np.sqrt(weight @ (clipped - weight @ clipped) ** 2))


def collinear(Z, root):
    """Whether a column is a linear function of others to within 1e-5 of its spread; rows are weighted by root^2."""
    Z = (Z - root**2 @ Z) * root[:, None]
    length = np.sqrt((Z**2).sum(axis=0))
    Z = Z[:, length > 1e-12] / length[length > 1e-12]
    return Z.shape[1] > 1 and np.linalg.svd(Z, compute_uv=False)[-1] < 1e-5


@dataclass(frozen=True)
class Scaling:
    """Units in which the net is fitted, and which features may enter a product.

    A feature may enter a product if its sizes other than 0 differ, and if there are FEW_SIZES of them (THREE_SIZES if
    it is seldom zero) or it is zero for at most a tenth of the weight: at zero, |x|^A is 0 or infinite, whatever the
    other factors are. A feature with any zeros has no negative exponent.
    """

    x_scale: np.ndarray  # weighted geometric mean of the non-zero |x_j|
    x_mean: np.ndarray  # weighted mean, in units of x_scale
    product: np.ndarray  # uint8, may enter a product
    dense: np.ndarray  # bool, is zero for at most a tenth of the weight; products of a committee hold no others
    zeros: np.ndarray  # bool, is zero somewhere
    signed: np.ndarray  # bool, may enter a product and has both signs
    slope_variance: np.ndarray  # weighted variance of x_j / x_scale_j
    log_variance: np.ndarray  # weighted variance of log|x_j|

    @classmethod
    def of(cls, X, weight, asked=()):
        """``asked``: numbers of the features whose exponents are given: these enter products if two sizes differ."""
        d = X.shape[1]
        x_scale, x_mean, slope, spread = np.ones(d), np.zeros(d), np.zeros(d), np.zeros(d)
        product, (dense, zeros, signed) = np.zeros(d, np.uint8), np.zeros((3, d), bool)
        for j in range(d):  # column by column: no copy of a large X
            x = X[:, j]
            nonzero = x != 0
            share = weight[nonzero].sum()
            zeros[j] = not nonzero.all()
            if share > 0:
                # Division by a power of two keeps the logarithm small: that of 1e30 has an error of 1e-14, as has its
                # exponential.
                power = np.frexp(np.abs(x).max())[1]
                log = np.log2(np.maximum(np.ldexp(np.abs(x[nonzero]), -power), np.finfo(float).tiny))
                # At least the smallest normal number: 1 / x_scale is within the range of float.
                x_scale[j] = max(np.ldexp(np.exp2(weight[nonzero] @ log / share), power), np.finfo(float).tiny)
            z = in_units(x, x_scale[j], weight)
            if share > 0:
                log = np.log(np.abs(z[nonzero]))
                spread[j] = weight[nonzero] @ (log - weight[nonzero] @ log / share) ** 2 / share
            dense[j] = share >= DENSE
            least = THREE_SIZES if share >= MOSTLY else FEW_SIZES
            enough = dense[j] or j in asked or len(np.unique(np.abs(z[nonzero]))) >= least
            product[j] = enough and spread[j] > 1e-20
            signed[j] = product[j] and x.min() < 0 < x.max()
            z = squarable(z)
            x_mean[j] = weight @ z
            slope[j] = weight @ (z - x_mean[j]) ** 2
        return cls(x_scale, x_mean, product, dense, zeros, signed, slope, spread)

    @property
    def geometry(self):
        """What the compiled functions need of it."""
        return self.x_scale, self.x_mean, self.product

    def of_first(self, d):
        """The same of the first d features."""
        return Scaling(*(value[:d] for value in vars(self).values()))

    def with_functions(self, columns, weight):
        """The same and that of functions (n, m), which enter products as they are."""
        none, clipped = np.zeros(columns.shape[1]), squarable(columns)
        log = np.log(np.maximum(np.abs(columns), 1e-300))
        changes = {
            "x_scale": none + 1.0,
            "x_mean": none,
            "product": (none + 1.0).astype(np.uint8),
            "dense": none == 0.0,
            "zeros": none > 0.0,
            "signed": (columns < 0).any(axis=0) & (columns > 0).any(axis=0),
            "slope_variance": np.array([weight @ (c - weight @ c) ** 2 for c in clipped.T]),
            "log_variance": np.array([weight @ (c - weight @ c) ** 2 for c in log.T]),
        }
        return Scaling(**{name: np.append(old, changes[name]).astype(old.dtype) for name, old in vars(self).items()})

    def without(self, j):
        """The same, feature j excluded from every node."""
        slope, product = self.slope_variance.copy(), self.product.copy()
        slope[j], product[j] = 0.0, 0
        return replace(self, slope_variance=slope, product=product, signed=self.signed & (product > 0))


class NewNode(NamedTuple):
    """What ``Network.with_node`` takes: start values A_1..A_d, B, k, a of a node, their bounds, and its sign (d,)."""

    start: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    sign: np.ndarray


@dataclass(frozen=True)
class Network:
    """Flat parameters of one output, node after node A_i1..A_id, B_i, k_i, a_i, and last the constant.

    ``lower == upper`` fixes a parameter. ``sign[i, j]``: sign(x_j) multiplies the product of node i.
    """

    theta: np.ndarray
    sign: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    squares: float = np.inf  # weighted mean of the squared residuals, y in units of its standard deviation
    JTJ: np.ndarray | None = field(default=None, repr=False)
    n_iter: int = 0  # iterations of its fit

    @property
    def n_nodes(self):
        return len(self.sign)

    @property
    def n_features(self):
        return self.sign.shape[1]

    @property
    def n_free(self):
        return int(np.count_nonzero(self.lower < self.upper))

    @property
    def nodes(self):
        """View of theta without the constant, shape (n_nodes, n_features + 3)."""
        return self._by_node(self.theta)

    def bound(self, which):
        """View of the bounds "lower" or "upper", as ``nodes``."""
        return self._by_node(getattr(self, which))

    def _by_node(self, flat):
        return flat[:-1].reshape(self.n_nodes, self.n_features + 3)

    def kind(self, i):
        """'product' (blend fixed at 0), 'sum' (fixed at 1) or 'blend'."""
        low, high = self.bound("lower")[i, -1], self.bound("upper")[i, -1]
        return "product" if high == 0 else "sum" if low == 1 else "blend"

    def copy(self, theta=None):
        """The same net, not fitted, with arrays of its own."""
        theta = (self.theta if theta is None else theta).copy()
        return Network(theta, self.sign, self.lower.copy(), self.upper.copy())

    def with_node(self, node, lower, upper, sign):
        def insert(old, new):
            return np.concatenate([old[:-1], new, old[-1:]])

        signs = np.vstack([self.sign, sign]).astype(np.uint8)
        return Network(insert(self.theta, node), signs, insert(self.lower, lower), insert(self.upper, upper))

    def without_node(self, i):
        m = self.n_features + 3
        keep = np.r_[0 : i * m, (i + 1) * m : len(self.theta)]
        return Network(self.theta[keep], np.delete(self.sign, i, axis=0), self.lower[keep], self.upper[keep])

    def pinned(self, index, value, theta=None):
        net = self.copy(theta)
        net.theta[index] = net.lower[index] = net.upper[index] = value
        return net


class Cancelled(Exception):
    """Raised in a worker when the fit it belongs to was interrupted."""


class Objective(Shared):
    """Weighted squares of one output on the rows where it was observed.

    X (n, d) is float64 in C order, in raw units; y (n,) has no NaN; exponent_bounds are two arrays (d,); blend is
    "learn" or a float; cancelled is a Flag or None; size (n,) is what errors are relative to, or None.

    With ``unit`` (n,) errors are also in these units, see ``with_target``. ``functions``: those whose columns are the
    last of X, see ``with_functions``. ``dimensions``: those of the features and of y, or None; without a constant where
    that has another unit than y.

    ``share`` (n,): the given weights, which sum to one; ``weight`` (n,): these over size^2, which sum to one, too. The
    root of a weighted square, times ``error_unit``, is an error in units of y, or as a share of ``size``.
    """

    def __init__(
        self,
        X,
        y,
        weight,
        scaling,
        exponent_bounds,
        blend="learn",
        cancelled=None,
        intercept=True,
        size=None,
        unit=None,
        dimensions=None,
    ):
        self.X, self.share, self.scaling, self.size = X, weight / weight.sum(), scaling, size
        if unit is not None:
            size = unit if size is None else size * unit
        smallest = 1.0 if size is None else size.min()
        weight = self.share if size is None else self.share * (smallest / size) ** 2
        self.weight = weight / weight.sum()
        self.exponent_bounds, self.blend, self.cancelled = exponent_bounds, blend, cancelled
        self.intercept = intercept and (dimensions is None or dimensions.allows_constant)
        self.dimensions, self.link, self.functions = dimensions, None, Functions.none(X.shape[1])
        self.log_unit = 0.0  # of u in y = exp(u): log(std(y)), where y is in units of std(y) and u is not
        biggest = np.abs(y).max() or 1.0  # so that squares of 1e-200 or 1e200 do not leave the range of float
        relative = y / biggest
        spread = np.sqrt(self.weight @ (relative - self.weight @ relative) ** 2)
        level = np.abs(relative).max() if size is None else np.sqrt(self.weight @ relative**2)
        self.y_scale = spread * biggest if spread > 1e-13 * level else biggest
        self.y = y / self.y_scale
        self.error_unit = self.y_scale if size is None else self.y_scale / smallest * np.sqrt(weight.sum())
        step = -(-len(y) // CORRELATED)
        part = self.share[::step] / self.share[::step].sum()
        self.is_correlated = is_correlated(X[::step], self.y[::step], part)

    @property
    def n(self):
        return len(self.y)

    @property
    def d(self):
        return self.X.shape[1]

    @property
    def asks_for_product(self):
        """Whether a prior exponent is not zero."""
        low, high = self.exponent_bounds
        return bool(((low > 0) | (high < 0)).any())

    @property
    def may_be_constant(self):
        """Whether neither a prior exponent nor a correlation says that y depends on a feature."""
        return not (self.asks_for_product or self.is_correlated)

    def _with(self, **changes):
        other = object.__new__(Objective)
        vars(other).update(vars(self) | changes)
        return other

    def with_target(self, target, unit, link):
        """The same rows with the target of a link; its errors over ``unit`` (n,) are those of y."""
        dimensions = None if self.dimensions is None else self.dimensions.through(link)
        # Without a constant to hold it the unit of y = exp(u) would be one that the user does not see.
        log_unit = np.log(self.y_scale) if link.power is None and not self.intercept else 0.0
        other = Objective(
            self.X, target + log_unit, self.share, self.scaling, self.exponent_bounds, self.blend, self.cancelled,
            self.intercept, self.size, unit, dimensions,
        )  # fmt: skip
        return other._with(link=link, log_unit=log_unit)

    def through_link(self, u):
        """h(u), u in units of y_scale; in units of std(y) before ``in_units``, in those of y afterwards."""
        return self.link.value(squarable(u) * self.y_scale - self.log_unit)

    def in_units(self, scale, net):
        """The objective of a link and its net, for y in its own unit; before, y was in units of ``scale``."""
        if self.link.power is not None:
            with np.errstate(over="ignore"):
                y_scale = self.y_scale * scale**self.link.power
            return self._with(y_scale=float(y_scale), error_unit=self.error_unit * scale), net
        if not self.intercept:
            return self._with(log_unit=0.0, error_unit=self.error_unit * scale), net
        shift = np.log(scale) / self.y_scale
        moved = {name: np.append(old[:-1], old[-1] + shift) for name, old in vars(net).items() if name in PARAMETERS}
        return self._with(y=self.y + shift, error_unit=self.error_unit * scale), replace(net, **moved)

    @property
    def n_given(self):
        """Number of features, without the functions of them."""
        return self.d - len(self.functions)

    @property
    def moving_features(self):
        """Features whose exponents do not follow from their units, bool (n_given,)."""
        which = np.flatnonzero(self.scaling.product[: self.n_given])
        return (np.abs(self.dimensions.directions(which)) > 1e-9).any(axis=0)

    def with_functions(self, functions):
        """The same with columns of these functions behind the features, their exponents not to be fitted."""
        d, (low, high) = self.n_given, self.exponent_bounds
        X, scaling, none = self.X[:, :d], self.scaling.of_first(d), np.zeros(len(functions))
        columns = functions.columns(X / scaling.x_scale)
        return self._with(
            X=np.column_stack([X, columns]),
            scaling=scaling.with_functions(columns, self.weight),
            exponent_bounds=(np.append(low[:d], none), np.append(high[:d], none)),
            functions=functions,
        )

    def completed(self, X):
        """Rows X, features alone, with the columns of the functions."""
        if not len(self.functions):
            return X
        return np.column_stack([X, self.functions.columns(X / self.scaling.x_scale[: self.n_given])])

    def subset(self, rows):
        """The same objective, scaling included, on some of the rows."""
        weight = self.weight[rows] / self.weight[rows].sum()
        size = None if self.size is None else self.size[rows]
        return self._with(X=np.ascontiguousarray(self.X[rows]), y=self.y[rows], weight=weight, size=size)

    def regular(self, features):
        """The same objective without negative exponents of these features, where positive ones are allowed."""
        low, high = self.exponent_bounds
        return self._with(exponent_bounds=(np.where(features & (high > 0), np.maximum(low, 0.0), low), high))

    def of_dense(self):
        """The same objective, features that are often zero without an exponent unless one is given that is not zero."""
        low, high = self.exponent_bounds
        often = (self.scaling.product > 0) & ~self.scaling.dense & (low <= 0) & (high >= 0)
        return self._with(exponent_bounds=(np.where(often, 0.0, low), np.where(often, 0.0, high)))

    def rounded(self):
        """The same objective in scaled units, to DIGITS: every number is the same in other units of X and y."""
        d = self.n_given
        X = np.empty((self.n, d))
        for j, unit in enumerate(self.scaling.x_scale[:d]):
            X[:, j] = in_units(self.X[:, j], unit, self.weight)
        size, power = np.frexp(self.weight)  # weights times a constant are then the same weights, not almost
        weight = np.ldexp(np.rint(np.ldexp(size, DIGITS)), power - DIGITS)
        scaling = replace(self.scaling.of_first(d), x_scale=np.ones(d))
        bounds = tuple(bound[:d] for bound in self.exponent_bounds)
        changes = {"X": X, "y": rounded(self.y, 1.0), "weight": weight, "scaling": scaling, "exponent_bounds": bounds}
        other = self._with(functions=Functions.none(d), **changes)
        return other.with_functions(self.functions) if len(self.functions) else other

    def constant(self):
        mean = self.weight @ self.y if self.intercept else 0.0
        squares = float(self.weight @ (self.y - mean) ** 2)
        no_sign, free = np.zeros((0, self.d), np.uint8), np.array([np.inf if self.intercept else 0.0])
        return Network(np.array([mean]), no_sign, -free, free, squares, np.ones((1, 1)))

    def with_free_constant(self, net):
        """The same net, its constant free if there is one."""
        if self.intercept:
            net = net.copy()
            net.lower[-1], net.upper[-1] = -np.inf, np.inf
        return net

    def node_bounds(self, kind, saturating=False):
        """Bounds of a new node of a kind: 'product', 'sum' (blend fixed) or 'blend' (blend free or as prescribed)."""
        d, s = self.d, self.scaling
        lower = np.concatenate([np.full(d, -np.inf), [-np.inf, 0.0, 0.0]])
        upper = np.concatenate([np.full(d, np.inf), [np.inf, 1e6 if saturating else 0.0, 1.0]])
        if kind != "sum":
            low, high = self.exponent_bounds
            low = np.where(s.zeros & (s.product > 0), np.maximum(low, 0.0), low)
            lower[:d], upper[:d] = low, np.maximum(high, low)
            excluded = s.product == 0
            lower[:d][excluded], upper[:d][excluded] = (0.0, 0.0) if kind == "product" else (-np.inf, np.inf)
        constant = s.slope_variance < 1e-24
        lower[:d][constant] = upper[:d][constant] = 0.0
        if isinstance(self.blend, float):
            lower[d + 2] = upper[d + 2] = self.blend
        elif kind != "blend":
            lower[d + 2] = upper[d + 2] = 0.0 if kind == "product" else 1.0
        return lower, upper

    def is_slow(self, net):
        """Whether an iteration takes some 0.1 s or more."""
        return net_solver.is_slow(self.n, net.n_free) or self._is_large(net)

    def _is_large(self, net):
        return (self.n + net.n_free / 3) * float(net.n_free) ** 2 > MAX_NORMAL_EQUATIONS

    def _check_cancelled(self):
        if self.cancelled is not None and self.cancelled.is_set():
            raise Cancelled

    def fit(self, net, penalty=None, max_iter=60, tol=1e-7, report=None, n_threads=1):
        """Least squares from net's parameters on; returns the fitted Network, the same for any n_threads.

        ``report(iteration, squares)`` is called after each iteration if ``is_slow(net)``; the fit ends if it is True.
        """

        def watch(iteration, squares):
            self._check_cancelled()
            return report is not None and report(iteration, squares)

        self._check_cancelled()
        penalty = np.zeros(len(net.theta)) if penalty is None else penalty
        if self._is_large(net):
            return self._fit_lbfgs(net, penalty, max_iter, tol, watch, n_threads)
        theta, squares, n_iter, JTJ = self._minimize(net, penalty, max_iter, tol, watch, n_threads)
        return replace(net, theta=theta, squares=squares, JTJ=JTJ, n_iter=n_iter)

    def _minimize(self, net, penalty, *options):
        rows = net_solver.Rows(self.X, self.y, self.weight, *self.scaling.geometry)
        return net_solver.minimize(rows, net.sign, net.theta, net.lower, net.upper, penalty, *options)

    def _fit_lbfgs(self, net, penalty, max_iter, tol, watch=lambda iteration, squares: False, n_threads=1):
        free = np.flatnonzero(net.lower < net.upper)
        theta = np.clip(net.theta, net.lower, net.upper)
        # Unit curvature of the linear model: slopes in units of the features' spread.
        unit = np.ones(len(theta))
        spread = np.sqrt(np.maximum(self.scaling.slope_variance, 1e-12))
        unit[:-1].reshape(net.n_nodes, -1)[:, : self.d] = 1.0 / spread
        unit = unit[free]
        rows = self.X, self.y, self.weight, *self.scaling.geometry

        def loss(z):
            self._check_cancelled()
            theta[free] = z * unit
            value, gradient = net_kernel.loss_gradient(*rows, theta, net.sign, n_threads)
            value += 0.5 * float(penalty @ theta**2)
            return value, (gradient[free] + penalty[free] * theta[free]) * unit

        last, count = np.inf, 0

        def stop(intermediate_result):
            # Not ftol: L-BFGS-B takes that relative to max(loss, 1), and the loss of a law is far below 1.
            nonlocal last, count
            count += 1
            asked = watch(count, 2.0 * intermediate_result.fun)
            if asked or last - intermediate_result.fun <= 1e-2 * tol * intermediate_result.fun:
                raise StopIteration
            last = intermediate_result.fun

        bounds = np.stack([net.lower[free] / unit, net.upper[free] / unit], axis=1)
        options = {"maxiter": max_iter, "ftol": 0.0, "gtol": 1e-10, "maxcor": 20}
        found = minimize(
            loss, theta[free] / unit, jac=True, method="L-BFGS-B", bounds=bounds, callback=stop, options=options
        )
        theta[free] = np.clip(found.x * unit, net.lower[free], net.upper[free])
        squares = 2.0 * found.fun - float(penalty @ theta**2)
        return replace(net, theta=theta, squares=squares, JTJ=None, n_iter=count)

    def curvature(self, net):
        """J'J of all parameters at the net, or None where it would take minutes or gigabytes."""
        p = len(net.theta)
        if net.JTJ is not None:
            return net.JTJ
        if p > MAX_CURVATURE or self.n * float(net.n_free) ** 2 > 50 * MAX_NORMAL_EQUATIONS:
            return None
        _, _, _, JTJ = self._minimize(net, np.zeros(p), 0)
        return JTJ

    def predict(self, net, X=None):
        """f in units of y_scale, shape (n,)."""
        return net_kernel.predict(self.X if X is None else X, *self.scaling.geometry, net.theta, net.sign)

    def jacobian(self, net):
        """Residuals and their derivatives with respect to all parameters, each times the root of its row's weight."""
        return net_kernel.jacobian(self.X, self.y, self.weight, *self.scaling.geometry, net.theta, net.sign)

    def jacobian_of_functions(self, net):
        """Derivatives of the prediction with respect to the parameters of the functions, as ``jacobian``, (n, 2 m)."""
        d = self.n_given
        slope = net_kernel.input_gradient(self.X, *self.scaling.geometry, net.theta, net.sign)[:, d:, None]
        J = slope * self.functions.by_parameters(self.X[:, :d] / self.scaling.x_scale[:d])
        return squarable(J).reshape(self.n, -1) * np.sqrt(self.weight)[:, None]

    def squares(self, net):
        """Squared residuals of these rows, of predictions within HUGE, shape (n,)."""
        return (self.y - squarable(self.predict(net))) ** 2
