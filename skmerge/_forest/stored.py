"""A fitted forest over its arrays, which are checked, because a damaged file must not predict, and evaluated."""

from types import SimpleNamespace

import numpy as np

from skmerge._ext.tree_growing import NODE, Coordinates
from skmerge._forest import levels, unknown
from skmerge._forest.tree import Trees

# Arrays of each kind of member: their types, their numbers of axes, and the attributes of Trees that they hold.
OF_A_KIND = {
    "nodes_": (NODE, 1, "nodes"),
    "tree_start_": (np.dtype(np.intp), 1, "start"),
    "leaves_": (np.dtype(float), 2, "leaves"),
    "rate_": (np.dtype(float), 1, "rate"),
    "member_start_": (np.dtype(np.intp), 1, "member_start"),
    "member_weight_": (np.dtype(float), 2, None),
}


class Forest(SimpleNamespace):
    """Arrays under the names that GradientForestRegressor describes, and what evaluates them.

    Values are in units of y's spread, ``(y - y_shift_) / y_unit_``. Besides the arrays: ``n_features``, ``n_outputs``,
    and ``clip``, whether leaves are clipped to their boxes.
    """

    ARRAYS = (
        *OF_A_KIND, "n_squared_", "n_coordinates_", "coordinate_", "x_shift_", "x_unit_", "y_shift_", "y_unit_",
        "x_min_", "x_max_", "std_scale_",
    )  # fmt: skip
    # Forests of version 0.1.0 have no stand-ins and no levels.
    LATER = ("stand_in_", "gap_scale_"), ("level_", "level_start_", "level_bend_", "level_error_")

    def __init__(self, n_features, n_outputs, clip, **arrays):
        d, m = n_features, n_outputs
        none = {"stand_in_": np.empty((0, d)), "gap_scale_": np.ones((d, m)), "level_": np.empty((0, 2))}
        none |= {"level_start_": np.zeros(d + 1, np.intp), "level_bend_": np.zeros(d), "level_error_": np.zeros((d, m))}
        super().__init__(n_features=d, n_outputs=m, clip=clip, **none | arrays)

    @staticmethod
    def arrays_of(kinds, weight):
        """The arrays of Trees of each kind, whose weights, (n_kinds, m), their members share."""
        arrays = {name: [getattr(trees, own) for trees in kinds] for name, (*_, own) in OF_A_KIND.items() if own}
        parts = zip(weight, (trees.n_members for trees in kinds), strict=True)
        arrays["member_weight_"] = [np.repeat(share[None] / n, n, axis=0) for share, n in parts]
        arrays["n_squared_"] = [trees.coordinates.n_square for trees in kinds]
        arrays["n_coordinates_"] = [len(trees.coordinates.active) for trees in kinds]
        return arrays

    def kinds(self):
        """(trees, weights of the members) of every kind of member."""
        for g, nodes in enumerate(self.nodes_):
            k = self.n_coordinates_[g]
            own = Coordinates(self.coordinate_[:k], self.x_shift_[:k], self.x_unit_[:k], self.n_squared_[g])
            trees = Trees(
                nodes, self.tree_start_[g], self.leaves_[g], self.n_outputs, own, self.rate_[g], self.member_start_[g]
            )
            yield trees, self.member_weight_[g]

    def gaps(self, X):
        """Gaps, the rows between levels."""
        return levels.gaps(X, self.level_, self.level_start_, self.level_bend_)

    def values(self, X):
        """Prediction, (n, m)."""
        return self._moments(X, squares=False)[0]

    def mean_and_variance(self, X):
        """Prediction and its variance, (n, m) each."""
        mean, square, gaps = self._moments(X)
        total = sum(weight.sum(axis=0) for weight in self.member_weight_)
        spread2 = np.maximum(square * total - mean**2, 0.0)
        variance = self.std_scale_[0] ** 2 + self.std_scale_[1] ** 2 * spread2
        if len(gaps.at):
            variance[gaps.at] += levels.variance(gaps, self.level_error_)
        if np.isnan(X).any():
            scale = np.where(np.isnan(X)[:, :, None], self.gap_scale_, 0.0).max(axis=1)
            variance += scale**2 * self.change_by_gaps(X)
        return mean, variance

    def _moments(self, X, squares=True):
        """Weighted sums of the members and of their squares, (n, m) each; Gaps."""
        gaps = self.gaps(X)
        at = gaps.at
        plain = np.delete(X, at, axis=0) if len(at) else X
        parts = [trees.moments(plain, weight, self.clip, squares) for trees, weight in self.kinds()]
        means, mean_squares = zip(*parts, strict=True)
        mean, square = sum(means), sum(mean_squares) if squares else None
        if len(at):
            parts = [trees.between(gaps, weight, self.clip) for trees, weight in self.kinds()]
            rows = np.concatenate([np.delete(np.arange(len(X)), at), at]).argsort()
            means, mean_squares, _ = zip(*parts, strict=True)
            mean = np.concatenate([mean, sum(means)])[rows]
            if squares:
                square = np.concatenate([square, sum(mean_squares)])[rows]
        return mean, square, gaps

    def change_by_gaps(self, X):
        """Mean squared change of the prediction, (n, m), where stand-ins fill the unknown features."""
        return unknown.squares(X, self.stand_in_, self.values, self.n_outputs)

    def slopes(self, X, exact):
        """Derivatives of the prediction, (n, m, d); ``exact``: 0 where a leaf clips."""
        found = sum(trees.slopes(X, weight, self.clip, exact) for trees, weight in self.kinds())
        gaps = self.gaps(X)
        if len(gaps.at):
            parts = [trees.between(gaps, weight, self.clip, True, exact) for trees, weight in self.kinds()]
            found[gaps.at] = sum(slopes for _, _, slopes in parts)
        return found

    def apply(self, X):
        """Leaf node of every row in every tree, (n, n_trees)."""
        return np.concatenate([trees.apply(X) for trees, _ in self.kinds()], axis=1)

    def distance_to_levels(self, X):
        """How far rows between levels are from the nearest, (n,), in units of the range of the feature."""
        with np.errstate(over="ignore"):
            reach = np.maximum(self.x_max_ / 4 - self.x_min_ / 4, np.finfo(float).tiny) * 4
        return levels.distance(X, self.level_, self.level_start_, reach)

    def importances(self):
        """Share of the squares that splits on each feature take away, (d,)."""
        gain = np.zeros(self.n_features)
        for nodes in self.nodes_:
            inner = nodes[nodes["feature"] >= 0]
            gain += np.bincount(inner["feature"], inner["gain"], minlength=len(gain))
        return gain / gain.sum() if gain.sum() > 0 else gain

    def check(self):
        """Raise ValueError if an array is not what a fit leaves.

        The time does not depend on the number of trees: the contents of the arrays are checked where they are read.
        """
        d, m, k = self.n_features, self.n_outputs, len(np.atleast_1d(self.coordinate_))
        of_outputs = dict.fromkeys(("y_shift_", "y_unit_"), (m,)) | {"std_scale_": (2, m)}
        of_features = dict.fromkeys(("x_min_", "x_max_", "level_bend_"), (d,))
        of_both = dict.fromkeys(("gap_scale_", "level_error_"), (d, m))
        rows = {name: (*np.shape(getattr(self, name))[:1], width) for name, width in (("stand_in_", d), ("level_", 2))}
        shapes = {"x_shift_": (k,), "x_unit_": (k,)} | of_outputs | of_features | of_both | rows
        for name, shape in shapes.items():
            self._is_array(name, shape, float)
        self._is_array("coordinate_", (k,), np.intc)
        self._is_array("level_start_", (d + 1,), np.intp)
        for name in ("x_shift_", "x_unit_", "level_"):
            if not np.isfinite(getattr(self, name)).all():
                damaged(name, "finite numbers")
        if np.isinf(self.stand_in_).any() or np.isinf(self.gap_scale_).any() or np.isnan(self.level_bend_).any():
            damaged("stand_in_, gap_scale_, level_bend_", "numbers")
        start = self.level_start_
        if start[0] or start[-1] != len(self.level_) or (np.diff(start) < 0).any():
            damaged("level_start_", "where the levels of each feature begin in level_")
        self._check_kinds(k)

    def _is_array(self, name, shape, dtype):
        array = getattr(self, name)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
            damaged(name, f"{np.dtype(dtype)} of shape {shape}")

    def _check_kinds(self, k):
        """Check the lists with an entry for each kind of member; leaves have k coordinates at most."""
        lists = [self.n_coordinates_, self.n_squared_, *(getattr(self, name) for name in OF_A_KIND)]
        lengths = {len(group) if isinstance(group, list) else -1 for group in lists}
        if len(lengths) > 1 or min(lengths) < 1:
            damaged(", ".join(OF_A_KIND), "lists as long as n_coordinates_ and n_squared_")
        for n_coordinates, n_squared in zip(self.n_coordinates_, self.n_squared_, strict=True):
            if type(n_coordinates) is not int or not 0 <= n_coordinates <= k:
                damaged("n_coordinates_", f"a list of integers from 0 to {k}")
            if type(n_squared) is not int or not 0 <= n_squared <= n_coordinates:
                damaged("n_squared_", "a list of integers up to those of n_coordinates_")
        for name, (dtype, ndim, _) in OF_A_KIND.items():
            for array in getattr(self, name):
                right = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == ndim
                if not right or not array.flags.c_contiguous:
                    damaged(name, f"a list of contiguous {ndim}-D arrays of {dtype}")
        for nodes, trees, leaves, rate, members, weight in zip(*lists[2:], strict=True):
            if len(trees) != len(rate) + 1 or trees[0] != 0 or trees[-1] != len(nodes) or not len(leaves):
                damaged("tree_start_", "the roots of as many trees as rate_ has, and the end of nodes_")
            if weight.shape != (len(members) - 1, self.n_outputs) or members[0] != 0 or members[-1] != len(rate):
                damaged(
                    "member_start_", "the first trees of as many members as member_weight_ has, and the end of rate_"
                )


def damaged(name, expected):
    raise ValueError(f"{name} is not {expected}; the forest is damaged, fit it again.")
