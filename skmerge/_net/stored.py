"""The fitted nets of all outputs over their arrays, which are checked, because a damaged file must not predict."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from skmerge._ext import net_kernel
from skmerge._net import limits, uncertainty
from skmerge._net.floats import SMALL, squarable, within_float
from skmerge._net.functions import KINDS, Functions
from skmerge._net.links import LINKS

# The form of a law is doubtful where its error beyond the noise exceeds 1 + DOUBTED / n times the noise: of 40 right
# laws with 5 % noise the ratio was at most 0.94 in 12 rows, and below 2.7 and 1.4 for 95 % in 6 and 8 rows. Or where
# relative errors exceed MOST_RELATIVE: y is then missed by more than itself.
DOUBTED, MOST_RELATIVE = 10.0, 1.0
LEAST_FORM = (
    1e-4  # squares, in units of var(y), of errors that are not minded: in orbits one far body decides on the noise
)
NOT_NEGATIVE = ("C_", "blend_", "estimator_weight_", "x_scale_", "y_scale_", "noise_std_", "form_error_")


class Member(NamedTuple):
    """A net with its weight among those of its output."""

    weight: float
    net: tuple  # what the compiled functions take after X


class Nets(SimpleNamespace):
    """Arrays under the names that MergedNetRegressor describes, and what evaluates them.

    Besides: ``null`` and ``status`` of ``_net.uncertainty``; ``offset``, the Offset of y; ``exponent_bounds``, a pair
    of ndarrays of shape (d,); ``target_names`` of a pandas or polars y, or None.
    """

    ARRAYS = (
        *("A_", "B_", "C_", "blend_", "D_", "sign_", "estimator_weight_", "x_scale_", "x_mean_", "x_min_", "x_max_"),
        *("product_", "y_scale_", "y_mean_", "noise_std_", "form_error_", "covariance_"),
    )

    @property
    def functions(self):
        """The functions of features among the columns of ``A_``, behind the features."""
        return Functions(**self.functions_)

    @property
    def geometry(self):
        """What the compiled functions take of the features and functions."""
        scaling = self.x_scale_, self.x_mean_, self.product_.view(np.uint8)
        n, of_function = len(self.functions_["kind"]), (1.0, 0.0, 1)  # unit, mean, and that it may enter products
        return tuple(np.append(a, np.full(n, one, a.dtype)) for a, one in zip(scaling, of_function, strict=True))

    def _in_units(self, X):
        with np.errstate(over="ignore"):
            return np.clip(X / self.x_scale_, -1e300, 1e300)

    def completed(self, X):
        """Rows X with the columns of the functions."""
        if not len(self.functions_["kind"]):
            return X
        return np.column_stack([X, self.functions.columns(self._in_units(X))])

    @property
    def n_outputs(self):
        return len(self.y_scale_)

    def link(self, k):
        return LINKS[str(self.link_[k])]

    def theta(self, e, k):
        """Flat parameters of member e of output k."""
        nodes = [self.A_[e, k], self.B_[e, k, :, None], 1.0 / self.C_[e, k, :, None], self.blend_[e, k, :, None]]
        constant = self.D_[e, k] + self.blend_[e, k].mean() * self.y_mean_[k]
        return np.append(np.hstack(nodes).ravel(), constant)

    def parameters(self, e, k):
        """Those of member e of output k, then factor and phase of every function."""
        return np.append(self.theta(e, k), self.functions.parameters)

    def members(self, k):
        """Each Member of output k that has a weight."""
        sign = np.ascontiguousarray(self.sign_[:, k]).view(np.uint8)
        geometry = self.geometry
        for e in np.flatnonzero(self.estimator_weight_[:, k]):
            yield Member(self.estimator_weight_[e, k], (*geometry, self.theta(e, k), sign[e]))

    def predict(self, X, n_threads=1):
        """Values of complete rows without the offset, (n, m)."""
        out = np.zeros((len(X), self.n_outputs))
        for k, scale in enumerate(self.y_scale_):
            rows, low, high = limits.limited(self, X, k)
            rows = self.completed(rows)
            for weight, net in self.members(k):
                out[:, k] += weight * net_kernel.predict(rows, *net, n_threads)
            out[:, k] = np.clip(self.link(k).value(within_float(out[:, k], scale)), low, high)
        return out

    def with_offset(self, X, n_threads=1):
        """Values of complete rows, (n, m)."""
        return self.predict(X, n_threads) + self.offset(X, self.n_outputs)

    def moments(self, X):
        """Values without the offset and their standard deviations if the form is right, (n, m) each."""
        mean, std = np.zeros((2, len(X), self.n_outputs))
        for k, scale in enumerate(self.y_scale_):
            members = list(self.members(k))
            given, low, high = limits.limited(self, X, k)
            rows = self.completed(given)
            if len(self.A_) == 1:
                f, J = net_kernel.jacobian(rows, np.zeros(len(X)), np.ones(len(X)), *members[0].net)
                if rows is not given:
                    slope = net_kernel.input_gradient(rows, *members[0].net)[:, given.shape[1] :, None]
                    of_functions = slope * self.functions.by_parameters(self._in_units(given))
                    J = np.column_stack([J, of_functions.reshape(len(X), -1)])
                J = squarable(J)
                size = np.maximum(np.abs(J).max(axis=1), SMALL)
                J /= size[:, None]
                variance = np.einsum("np,pq,nq->n", J, self.covariance_[k], J, optimize=True)
            else:
                values = np.array([net_kernel.predict(rows, *net) for _, net in members])
                weight = np.array([[w] for w, _ in members])
                f = (weight * values).sum(axis=0)  # not BLAS, whose sums depend on the number of rows
                size = np.maximum(np.abs(values - f).max(axis=0), SMALL)
                variance = (weight * ((values - f) / size) ** 2).sum(axis=0)
            u, spread = within_float(f, scale), within_float(np.sqrt(np.maximum(variance, 0.0)), size, scale)
            mean[:, k] = np.clip(self.link(k).value(u), low, high)
            std[:, k] = self._through_link(k, u, spread)
        return mean, std

    def _through_link(self, k, u, spread):
        """Standard deviation of y from that of u: its slope, or the change within one standard deviation if greater."""
        if self.link_[k] == "identity":
            return spread
        link = self.link(k)
        with np.errstate(over="ignore"):
            std = within_float(spread, np.abs(link.slope(u)))
            ends = [np.abs(link.value(within_float(u + side * spread)) - link.value(u)) for side in (-1.0, 1.0)]
            # Where h has no value, the distance to the nearest u with a value counts as an error of u.
            beyond = np.where(link.is_undefined(u), np.abs(link.value(np.abs(u) + spread)), 0.0)
        return within_float(np.maximum.reduce([std, *ends, beyond]))

    def is_undefined(self, X):
        """Rows for which a link or a function has no value, as the root of a negative number: bool (n,)."""
        found = np.zeros(len(X), bool)
        for k in np.flatnonzero(self.link_ != "identity"):
            u = sum(weight * net_kernel.predict(self.completed(X), *net) for weight, net in self.members(k))
            found |= self.link(k).is_undefined(u)
        return found | self.functions.is_undefined(self._in_units(X))

    def gradient(self, X, n_threads=1):
        """Slopes of complete rows without the offset, (n, m, d)."""
        out = np.zeros((len(X), self.n_outputs, X.shape[1]))
        for k, scale in enumerate(self.y_scale_):
            given, low, high = limits.limited(self, X, k)
            rows, u = self.completed(given), np.zeros(len(X))
            for weight, net in self.members(k):
                if self.link_[k] != "identity":
                    u += weight * net_kernel.predict(rows, *net, n_threads)
                gradient = self._by_features(net_kernel.input_gradient(rows, *net, n_threads), given)
                with np.errstate(over="ignore"):
                    out[:, k] = within_float(out[:, k] + within_float(gradient, weight, scale))
            if self.link_[k] != "identity":
                out[:, k] = within_float(out[:, k], self.link(k).slope(within_float(u, scale))[:, None])
            if np.isfinite(low):  # a value at its limit does not change
                out[:, k][given != X] = 0.0
                y = self.predict(X, n_threads)[:, k]
                out[(y <= low) | (y >= high), k] = 0.0
        return out

    def _by_features(self, gradient, X):
        """Slopes (n, d) from those by features and functions."""
        d = X.shape[1]
        if gradient.shape[1] == d:
            return gradient
        with np.errstate(over="ignore", invalid="ignore"):
            inner = self.functions.by_features(self._in_units(X)) / self.x_scale_
            return within_float(gradient[:, :d] + np.nan_to_num(np.einsum("nq,nqd->nd", gradient[:, d:], inner)))

    def check(self, n_features):
        """Raise ValueError if an array has a shape, a type or a value that no fit stores."""
        n_estimators, m, h, d = self.A_.shape if np.ndim(self.A_) == 4 else (0, 0, 0, 0)
        self._check_functions(n_features)
        n_functions = len(self.functions_["kind"])
        if not n_estimators * m * h * d or d != n_features + n_functions:
            raise ValueError(f"A_ has shape {np.shape(self.A_)}; the model is damaged, fit it again.")
        node = (n_estimators, m, h)
        shapes = {"A_": (*node, d), "B_": node, "C_": node, "blend_": node, "sign_": (*node, d)}
        shapes |= dict.fromkeys(("D_", "estimator_weight_"), (n_estimators, m))
        shapes |= dict.fromkeys(("x_scale_", "x_mean_", "x_min_", "x_max_", "product_"), (n_features,))
        shapes |= dict.fromkeys(
            ("y_scale_", "y_mean_", "noise_std_", "form_error_", "relative_", "form_doubtful_"), (m,)
        )
        for name, shape in shapes.items():
            array = getattr(self, name)
            dtype = np.dtype(bool) if name in ("sign_", "product_", "relative_", "form_doubtful_") else np.dtype(float)
            if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
                found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else f"{type(array)}"
                expected = f"{dtype} of shape {shape} is expected beside A_ of shape {self.A_.shape}"
                raise ValueError(f"{name} is {found} where {expected}; fit the model again.")
            if dtype.kind == "f":
                low = 0.0 if name in NOT_NEGATIVE else -np.inf
                bad = np.isnan(array) if name == "C_" else ~np.isfinite(array)
                if bad.any() or array.min() < low or (name in ("C_", "x_scale_", "y_scale_") and not array.min() > 0):
                    raise ValueError(f"{name} has entries that no fit stores; fit the model again.")

        def is_covariance(c):
            return isinstance(c, np.ndarray) and c.shape == (p, p) and c.dtype == float and np.isfinite(c).all()

        least, limit = np.asarray(self.x_least_), np.asarray(self.target_range_)
        p, n_covariances = h * (d + 3) + 1 + 2 * n_functions, (0, m) if n_estimators == 1 else (0,)
        right = {
            "x_least_": least.shape == (n_features,) and np.isfinite(least).all() and (least >= 0).all(),
            "target_range_": limit.shape == (2, m) and limit.dtype == float and not np.isnan(limit).any(),
            "covariance_": len(self.covariance_) in n_covariances and all(is_covariance(c) for c in self.covariance_),
        }
        right["link_"] = np.shape(self.link_) == (m,) and all(str(name) in LINKS for name in self.link_)
        right |= {"_null": len(self.null) in n_covariances, "_standing": len(self.status) in n_covariances}
        for name, is_right in right.items():
            if not is_right:
                raise ValueError(f"{name} has another shape or type than a fit stores; fit the model again.")

    def _check_functions(self, n_features):
        shapes = {"kind": (), "exponent": (n_features,), "factor": (), "phase": (), "free": (2,)}
        found = self.functions_ if isinstance(self.functions_, dict) else {}
        n = len(found["kind"]) if np.ndim(found.get("kind")) == 1 else 0
        right = found.keys() == shapes.keys() and all(str(kind) in KINDS for kind in found["kind"])
        for name, shape in shapes.items():
            right = right and isinstance(found[name], np.ndarray) and found[name].shape == (n, *shape)
            number = name in ("exponent", "factor", "phase")
            right = right and (not number or (found[name].dtype == float and np.isfinite(found[name]).all()))
        # Without the groups a row of another one would silently get none of their terms.
        right = right and (self.groups is not None or "group" not in found["kind"])
        if not right or found["free"].dtype != bool:
            raise ValueError("functions_ has another form than a fit stores; fit the model again.")


class Nodes(NamedTuple):
    """Parameters of nodes, each with the shape that the public array has after its name."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    blend: np.ndarray


def parts_of(nodes):
    """The Nodes from flat parameters (..., d + 3) of nodes, which hold 1 / C."""
    with np.errstate(divide="ignore", over="ignore"):
        return Nodes(nodes[..., :-3], nodes[..., -3], 1.0 / nodes[..., -2], nodes[..., -1])


def arrays_of(results, objectives):
    """Arrays of what was trained, under their names, by a list of Trained and the Objective of each."""
    given, m = objectives[0].n_given, len(results)
    scaling = objectives[0].scaling.of_first(given)
    n_estimators = max(len(trained.members) for trained in results)
    n_nodes = max(1, *(net.n_nodes for trained in results for net in trained.members))
    functions = Functions.joined([objective.functions for objective in objectives], given)
    d, first = given + len(functions), np.cumsum([0] + [len(objective.functions) for objective in objectives])
    A, D = np.zeros((n_estimators, m, n_nodes, d)), np.zeros((n_estimators, m))
    B, blend = np.zeros((2, *A.shape[:3]))
    C, sign, estimator_weight = np.full(B.shape, np.inf), np.zeros(A.shape, bool), np.zeros(D.shape)
    y_scale = np.array([objective.y_scale for objective in objectives])
    y_mean = np.array([objective.weight @ objective.y for objective in objectives])
    error_unit = np.array([objective.error_unit for objective in objectives])
    target_range, assessed = np.tile([[-np.inf], [np.inf]], m), []
    for k, trained in enumerate(results):
        members = trained.members
        if not trained.is_law:
            target_range[:, k] = within_float(limits.widened(objectives[k].y), y_scale[k])
        columns = np.r_[0:given, given + first[k] : given + first[k + 1]]
        blend[:, k] = 1.0  # nodes that fill up the arrays are sums with A = B = 0, which add nothing
        estimator_weight[: len(members), k] = trained.weight
        for e, net in enumerate(members):
            h = net.n_nodes
            own = parts_of(net.nodes)
            A[e, k, :h][:, columns], B[e, k, :h], C[e, k, :h], blend[e, k, :h] = own.A, own.B, own.C, own.blend
            sign[e, k, :h][:, columns] = net.sign
            D[e, k] = net.theta[-1] - blend[e, k].mean() * y_mean[k]
        found = None
        if n_estimators == 1:
            layout = uncertainty.Layout.of(members[0], n_nodes, columns, d, first[k], len(functions))
            found = uncertainty.of_law(objectives[k], members[0], trained.noise, layout)
        assessed += [found] * (found is not None)
    assessed = assessed if len(assessed) == m else []
    # The error of the form of a law, not of its parameters.
    form = [max(trained.error - trained.noise, 0.0) for trained in results]
    doubtful = [is_doubtful(*pair) for pair in zip(results, objectives, strict=True)]
    return {
        "A_": A,
        "B_": B,
        "C_": C,
        "blend_": blend,
        "D_": D,
        "sign_": sign,
        "functions_": functions.arrays,
        "estimator_weight_": estimator_weight,
        "x_scale_": scaling.x_scale,
        "x_mean_": scaling.x_mean,
        "product_": scaling.product > 0,
        "link_": np.array([trained.link for trained in results]),
        "y_scale_": y_scale,
        "y_mean_": y_mean,
        "relative_": np.array([objective.size is not None for objective in objectives]),
        "validation_error_": within_float(np.sqrt([trained.error for trained in results]), error_unit),
        "noise_std_": within_float(np.sqrt([trained.noise for trained in results]), error_unit),
        "form_error_": within_float(np.sqrt(form), error_unit),
        "form_doubtful_": np.array(doubtful),
        "target_range_": target_range,
        "covariance_": [one.covariance for one in assessed],
        "_null": [one.null for one in assessed],
        "_standing": [one.status for one in assessed],  # the name that stored models know
        "_tried": [candidates_of(trained) for trained in results],
    }


def is_doubtful(trained, objective):
    """Whether a law, other than a constant, misses new rows by much more than the noise."""
    if not trained.is_law or not trained.members[0].n_nodes:
        return False
    form = max(trained.error - trained.noise, 0.0)
    too_large = objective.size is not None and np.sqrt(trained.error) * objective.error_unit > MOST_RELATIVE
    return bool(too_large or form > max((1.0 + DOUBTED / objective.n) ** 2 * trained.noise, LEAST_FORM))


def candidates_of(trained):
    """Candidates for a law, dicts of plain values: of each length that with the smallest error, the shortest first."""

    def error_of(one):
        return float(within_float(np.sqrt(one.error), one.objective.error_unit))

    kept = {}
    for one in sorted(trained.tried, key=lambda one: (not one.is_chosen, error_of(one))):
        if not np.isfinite(one.error) and not one.is_chosen:  # an exponent at its limit
            continue
        net, error = trained.members[0] if one.is_chosen else one.net, error_of(one)
        objective = one.objective
        n_free = int(net.n_free + np.count_nonzero(objective.functions.free))
        found = {"theta": net.theta, "sign": net.sign, "link": one.link, "functions": objective.functions.arrays}
        found |= {"y_scale": float(objective.y_scale), "y_mean": float(objective.weight @ objective.y)}
        found |= {"n_parameters": n_free, "validation_error": error, "is_chosen": one.is_chosen}
        kept.setdefault(n_free, found)
    return [kept[n_free] for n_free in sorted(kept)]


def groups_of(nets, k):
    """Numbers of the functions that stand for the groups of output k; empty where its law is the same for all."""
    d = len(nets.x_scale_)
    return np.flatnonzero((nets.functions_["kind"] == "group") & nets.A_[:, k].any(axis=(0, 1))[d:])


def numbers_of(groups):
    """The numbers that stand for groups: their own, or 1, 2, ... for words."""
    return 1.0 + np.arange(len(groups)) if groups.dtype.kind == "U" else groups


def label_of(nets, q):
    """The group of function q, a number or a word."""
    j = int(np.argmax(nets.functions_["exponent"][q]))
    number = -nets.functions_["phase"][q] / nets.functions_["factor"][q] * nets.x_scale_[j]
    label = nets.groups[np.argmin(np.abs(numbers_of(nets.groups) - number))].item()
    return int(label) if isinstance(label, float) and label.is_integer() else label


def of_group(nets, k, q):
    """Nets with one output, k of ``nets``, as its law is in the group of function q: without those of other groups."""
    d, given = nets.A_.shape[-1], len(nets.x_scale_)
    is_group = np.append(np.zeros(given, bool), nets.functions_["kind"] == "group")
    others = is_group & (np.arange(d) != given + q)
    node = ~nets.A_[:, k][..., others].any(axis=(0, 2))
    arrays = {name: getattr(nets, name)[:, [k]][:, :, node] for name in ("A_", "B_", "C_", "blend_", "sign_")}
    arrays |= {"estimator_weight_": nets.estimator_weight_[:, [k]], "target_range_": nets.target_range_[:, [k]]}
    names = ("link_", "y_scale_", "y_mean_", "noise_std_", "form_error_", "relative_", "form_doubtful_")
    arrays |= {name: getattr(nets, name)[[k]] for name in names}
    # The nodes that fill up the arrays count in the mean blend.
    lost = nets.blend_[:, k].mean(axis=1) - arrays["blend_"][:, 0].mean(axis=1)
    arrays["D_"] = nets.D_[:, [k]] + (lost * nets.y_mean_[k])[:, None]
    arrays["A_"] = arrays["A_"][..., ~is_group]
    arrays["sign_"] = arrays["sign_"][..., ~is_group]
    kept = ~is_group[given:]
    arrays["functions_"] = {name: array[kept] for name, array in nets.functions_.items()}
    parameters = np.append(np.repeat(node, d + 3), True).reshape(-1)
    parameters[:-1] &= np.tile(np.append(~is_group, [True] * 3), len(node))
    parameters = np.append(parameters, np.repeat(kept, 2))
    own = slice(k, k + 1) if nets.covariance_ else slice(0)
    arrays["covariance_"] = [covariance[np.ix_(parameters, parameters)] for covariance in nets.covariance_[own]]
    arrays["null"] = [null[:, parameters] for null in nets.null[own]]
    arrays["status"] = [status[parameters] for status in nets.status[own]]
    return Nets(**vars(nets) | arrays)


def with_net(nets, k, candidate):
    """Nets with one output, k of ``nets``, and one net: a dict of ``candidates_of``."""
    theta, sign = candidate["theta"], candidate["sign"]
    nodes = theta[:-1].reshape(1, 1, len(sign), sign.shape[1] + 3)
    if not len(sign):  # one node that adds nothing
        nodes, sign = np.zeros((1, 1, 1, sign.shape[1] + 3)), np.zeros((1, sign.shape[1]), bool)
        nodes[..., -1] = 1.0
    arrays = {f"{name}_": array for name, array in parts_of(nodes)._asdict().items()}
    blend = arrays["blend_"]
    arrays |= {"D_": theta[-1:, None] - blend.mean() * candidate["y_mean"], "sign_": sign[None, None].astype(bool)}
    arrays |= {"estimator_weight_": np.ones((1, 1)), "target_range_": np.array([[-np.inf], [np.inf]])}
    arrays |= {name: getattr(nets, name)[k : k + 1] for name in ("noise_std_", "form_error_", "relative_")}
    arrays["form_doubtful_"] = nets.form_doubtful_[k : k + 1] & candidate["is_chosen"]
    arrays |= {f"{name}_": np.array([candidate[name]]) for name in ("link", "y_scale", "y_mean")}
    arrays["functions_"] = candidate.get("functions", Functions.none(len(nets.x_scale_)).arrays)
    return Nets(**vars(nets) | arrays | {"covariance_": []})
