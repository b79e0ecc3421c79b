"""What the data say about the parameters of a law: their covariance, and which parameters are undetermined."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from skmerge._net.floats import squarable
from skmerge._net.objective import ROUNDING

# The status of a parameter: estimated; fixed by its form or because the data did not object; fixed by the user; fixed
# by the user against the data; an exponent at its bound; undetermined; undetermined, as other features fit as well; a
# simple exponent chosen by too few rows to say how certain it is; an exponent that follows from units.
FREE, FIXED, GIVEN, REJECTED, BOUND, UNDETERMINED, SHARED, CHOSEN, OF_UNITS = range(9)
REJECTION = 3.0  # standard errors by which the data would move a given exponent
STATUS_ROWS = 2000  # that decide on the status
MAX_STATUS_PARAMETERS = 200  # above, a net is no law, and its parameters are FREE or FIXED
MAX_SHIFT = 3.0  # standard errors by which a parameter would move at most if simple values were not fixed
NULL = 1e-12  # eigenvalue of the correlations below which a direction has no effect


def with_free_exponents(objective, net):
    """The net with those exponents free that the data, not the user, fixed at simple values other than zero.

    A simple exponent that was chosen by the data is as uncertain as a fitted one: where 2.5 x^0.71 was simplified to
    2.5 x^(2/3), the factor was 3.0 standard errors off in the root mean square as long as the exponent counted as
    known. If there are too few rows to determine so many parameters, the result is the net itself. An exponent that
    follows from units is known.
    """
    free = _freed(objective, net)
    return free if n_estimated(objective, objective.with_free_constant(free)) < objective.n else net


def n_numbers(objective, net):
    """Number of the numbers of a law that the data chose, simple exponents and parameters of functions among them."""
    return n_estimated(objective, _freed(objective, net)) + int(np.count_nonzero(objective.functions.free))


def _freed(objective, net):
    low, high = (bound[: net.n_features] for bound in objective.node_bounds("product"))
    free = net.copy()
    rows, columns = np.nonzero(_chosen(objective, net) & _moves(objective, net))
    free.bound("lower")[rows, columns], free.bound("upper")[rows, columns] = low[columns], high[columns]
    return free


def _chosen(objective, net):
    """Exponents other than zero that the fit, not the user, fixed at simple values: bool (n_nodes, d)."""
    d = net.n_features
    low, high = (bound[:d] for bound in objective.node_bounds("product"))
    lower, upper = net.bound("lower")[:, :d], net.bound("upper")[:, :d]
    product = np.array([net.kind(i) == "product" for i in range(net.n_nodes)], bool)
    return (lower == upper) & (lower != 0) & (low < high) & product[:, None]


def _moves(objective, net):
    """Features, and functions, whose exponents do not follow from units: bool (d,)."""
    moves = np.ones(net.n_features, bool)
    if objective.dimensions is not None:
        moves[: objective.n_given] = objective.moving_features
    return moves


def n_estimated(objective, net):
    """Number of estimated parameters of the net; what groups share counts once."""
    lead = shared_by_groups(objective, net)
    return len(np.unique(lead[net.lower < net.upper]))


def shared_by_groups(objective, net):
    """Number of the parameter that each parameter is equal to, (p,): exponents of one term in several groups."""
    d, lead = net.n_features, np.arange(len(net.theta))
    own = objective.n_given + np.flatnonzero(objective.functions.kind == "group")
    rows, first = lead[:-1].reshape(-1, d + 3), {}
    for i, A in enumerate(net.nodes[:, :d]):
        if A[own].any():
            key = A[: objective.n_given].tobytes(), net.sign[i, : objective.n_given].tobytes()
            shared = first.setdefault(key, i)
            rows[i, : objective.n_given] = shared * (d + 3) + np.arange(objective.n_given)
    return lead


class Assessed(NamedTuple):
    """What ``assess`` finds."""

    covariance: np.ndarray
    null: np.ndarray
    status: np.ndarray


class Layout(NamedTuple):
    """Where the parameters of a net stand among those that are stored: ``place`` (p,) in so many, ``size``."""

    place: np.ndarray
    size: int

    @classmethod
    def of(cls, net, n_nodes, columns, n_features, first, n_functions):
        """A net of the features ``columns`` among ``n_features``, its functions the ``first`` of ``n_functions`` on.

        Padded to ``n_nodes``; factor and phase of the functions follow the constant.
        """
        within = np.r_[columns, n_features + np.arange(3)]
        nodes = (np.arange(net.n_nodes)[:, None] * (n_features + 3) + within).ravel()
        constant = n_nodes * (n_features + 3)
        own = np.arange(2 * (net.n_features - (n_features - n_functions)))
        return cls(np.r_[nodes, constant, constant + 1 + 2 * first + own].astype(int), constant + 1 + 2 * n_functions)


def of_law(objective, net, noise, layout):
    """What ``assess`` finds for a law, with the exponents free that the data chose; None for too many rows."""
    free = with_free_exponents(objective, net)
    JTJ = objective.curvature(objective.with_free_constant(free))
    if JTJ is None:
        return None
    has_groups = (objective.functions.kind == "group").any()  # whose exponents a fit would not keep equal
    shift = None if free is net or has_groups else objective.fit(free, max_iter=30).theta - net.theta
    found = assess(objective, free, JTJ, noise, layout, shift)
    chosen, moves, d = _chosen(objective, net), _moves(objective, net), net.n_features
    chosen[:, objective.n_given :] = False  # a power of a function is a part of the form
    index = layout.place[: net.n_nodes * (d + 3)].reshape(net.n_nodes, d + 3)[:, :d]
    found.status[index[chosen & ~moves]] = OF_UNITS
    if free is net:
        found.status[index[chosen & moves]] = CHOSEN
    return found


def assess(objective, net, JTJ, noise, layout, shift=None):
    """Covariance of the p flat parameters, as ``layout`` places them, directions without effect, and status.

    Where ``objective`` has functions their factors and phases follow the parameters of the net.

    ``shift`` (p,): by how much the parameters would differ if none was fixed at a simple value.

    ``covariance`` (p, p) is 0 where a parameter other than the constant is fixed. It leaves out the directions that the
    data do not determine, ``null`` (q, p). ``status`` (p,) is FREE to SHARED; ``of_law`` adds the others.
    """
    place, size = layout
    covariance, status = np.zeros((size, size)), np.full(size, FIXED, np.uint8)
    found = _status_of(objective, net, noise)
    fitted = net.lower < net.upper
    moving = fitted & (found != BOUND)
    # A constant fixed at zero because the data did not object is as uncertain as a free one.
    moving[-1] = objective.intercept
    lead = shared_by_groups(objective, net)
    own_constant = [(A[objective.n_given :] != 0).any() and not A[: objective.n_given].any() for A in net.nodes[:, :-3]]
    if (objective.functions.kind == "group").any() and any(own_constant):
        moving[-1] = fitted[-1]  # each group has its constant
    if len(objective.functions):
        free = objective.functions.uncertain.ravel()
        fitted, moving = np.append(fitted, free), np.append(moving, free)
        found = np.append(found, np.where(free, FREE, FIXED)).astype(np.uint8)
        residual, J = objective.jacobian(net)
        J = squarable(np.column_stack([J, objective.jacobian_of_functions(net)]))
        JTJ, shift = J.T @ J, np.zeros(len(found))
        if (lead == np.arange(len(lead))).all():
            shift[moving] = -np.linalg.lstsq(J[:, moving], residual, rcond=1e-12)[0]  # one step of Gauss and Newton
        lead = np.append(lead, np.arange(len(lead), len(moving)))
        equal = np.zeros((len(lead), len(lead)))
        equal[np.arange(len(lead)), lead] = 1.0
        JTJ, moving = equal.T @ JTJ @ equal, moving & (lead == np.arange(len(lead)))
    status[place] = found
    strength = np.diag(JTJ)
    live = (strength > 0) & np.isfinite(strength)
    free = np.flatnonzero(moving & live)
    unit = np.sqrt(strength[free])
    with np.errstate(over="ignore"):
        value, vector, without_effect = _correlations(JTJ[np.ix_(free, free)], unit)
        inverse = (vector[:, ~without_effect] / value[~without_effect]) @ vector[:, ~without_effect].T
        # Wide enough that two standard deviations hold 95 %, even if few rows determine the noise.
        wider = (stdtrit(max(objective.n - len(free), 1), 0.975) / stdtrit(np.inf, 0.975)) ** 2
        covariance[np.ix_(place[free], place[free])] = np.clip(
            wider * noise / objective.n * inverse / unit[:, None] / unit, -1e300, 1e300
        )
        if shift is not None:
            std = np.sqrt(np.diag(covariance)[place[free]])
            moved = np.clip(shift[free], -MAX_SHIFT * std, MAX_SHIFT * std)
            covariance[np.ix_(place[free], place[free])] += np.outer(moved, moved)
        if np.count_nonzero(moving & fitted) >= objective.n:  # no row remains to determine the noise
            vector, without_effect = np.eye(len(free)), np.ones(len(free), bool)
        lost = np.where(np.abs(vector[:, without_effect]) > 1e-3, vector[:, without_effect] / unit[:, None], 0.0)
    dead = np.flatnonzero(moving & ~live)
    null = np.zeros((lost.shape[1] + len(dead), size))
    null[: lost.shape[1], place[free]] = np.clip(lost.T, -1e300, 1e300)
    null[lost.shape[1] :, place[dead]] = np.eye(len(dead))
    equal = np.arange(size)
    equal[place] = place[lead]
    covariance, null = covariance[np.ix_(equal, equal)], null[:, equal]
    return Assessed(covariance, null, status)


def given_zero(covariance, constant=-1):
    """The covariance of the other parameters where the constant, number ``constant`` of them, is zero."""
    column, variance = covariance[constant], covariance[constant, constant]
    return covariance - np.outer(column / variance, column) if variance > 0 else covariance


def _correlations(gram, unit):
    """Eigenvalues and eigenvectors of the correlations, and which of them have no effect."""
    cosines = np.clip(gram / unit[:, None] / unit, -1.0, 1.0)
    value, vector = np.linalg.eigh(cosines)
    return value, vector, value <= NULL * value.max(initial=0.0)


def _status_of(objective, net, noise):
    d, scaling = net.n_features, objective.scaling
    status = np.where(net.lower < net.upper, FREE, FIXED).astype(np.uint8)
    if net.n_free > MAX_STATUS_PARAMETERS or not net.n_nodes:
        return status
    of_node, index = status[:-1].reshape(-1, d + 3), np.arange(len(status) - 1).reshape(-1, d + 3)
    low, high = (bound[:d] for bound in objective.node_bounds("product"))
    power = scaling.product > 0
    for i, A in enumerate(net.nodes[:, :d]):
        if net.kind(i) != "sum":
            at_bound = (np.stack([low, high]) == A).any(axis=0) & ((A != 0) | (of_node[i, :d] == FREE))
            of_node[i, :d][power & at_bound] = BOUND
            of_node[i, :d][power & (low == high)] = GIVEN
            of_node[i, objective.n_given : d] = FIXED  # a power of a function is a part of the form
    if (objective.functions.kind == "group").any():  # whose exponents move together, which the rest does not know
        return status
    part = objective.subset(np.arange(0, objective.n, -(-objective.n // STATUS_ROWS)))
    residual, J = part.jacobian(net)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.sqrt((squarable(J) ** 2).sum(axis=0))
        J = J / np.where(unit > 0, unit, 1.0)
    live = (unit > 0) & np.isfinite(unit)
    free = np.flatnonzero((status == FREE) & live)
    basis, _ = np.linalg.qr(J[:, free])
    threshold = REJECTION * np.sqrt(max(noise, ROUNDING) / part.n)
    for q in np.flatnonzero((status == GIVEN) & live):
        new = J[:, q] - basis @ (basis.T @ J[:, q])
        length = np.linalg.norm(new)
        if length > 1e-6 and abs(new @ residual) > threshold * length:
            status[q] = REJECTED
    scatter = np.sqrt(noise / part.n)

    def errors(columns):
        """Standard errors if these parameters were free; infinite where they are not determined."""
        value, vector, without_effect = _correlations(J[:, columns].T @ J[:, columns], np.ones(len(columns)))
        error = (
            scatter * np.sqrt((vector[:, ~without_effect] ** 2 / value[~without_effect]).sum(axis=1)) / unit[columns]
        )
        return np.where((vector[:, without_effect] ** 2).sum(axis=1) > 1e-6, np.inf, error)

    weak, shared = [], []
    for i in range(net.n_nodes):
        # Would other features fit as well? Compare the standard errors if all slopes or exponents of the node are free
        # with those if each of them alone is free.
        sum_ = net.kind(i) == "sum"
        may = scaling.slope_variance >= 1e-24 if sum_ else power & (low < high)
        own = index[i, :d][may & live[index[i, :d]] & (of_node[i, :d] != BOUND)]
        columns, others = np.union1d(free, own), np.setdiff1d(free, own)
        if not len(own) or len(columns) >= part.n:
            continue
        size = np.abs(net.theta[own])
        # Exponents to a half: features that vary together take large ones of opposite sign.
        enough = np.where(size > 0, size, (size * unit[own]).max() / unit[own]) if sum_ else np.full(len(own), 0.5)
        error = errors(columns)[np.searchsorted(columns, own)]
        for q, spread, limit in zip(own, error, enough, strict=True):
            if spread >= limit:
                alone = np.union1d(others, [q])
                if errors(alone)[np.searchsorted(alone, q)] < limit:
                    shared.append(q)
                elif spread >= max(limit, abs(net.theta[q])):
                    weak.append(q)
    status[np.array(weak, int)], status[np.array(shared, int)] = UNDETERMINED, SHARED
    return status
