"""The trees of a forest as plain arrays."""

from dataclasses import dataclass, replace

import numpy as np

from skmerge._ext import tree_traversal
from skmerge._ext.tree_growing import Coordinates
from skmerge._ext.tree_traversal import Gaps


@dataclass(frozen=True)
class Trees:
    """Members, each the sum of its trees times their rates.

    Parameters
    ----------
    nodes : structured ndarray of NODE; the nodes of a tree follow each other, children after their parents. A row goes
        to ``child`` if its value of ``feature`` is at most ``threshold``, else to the node after it; an unknown value
        goes to ``child`` if ``missing_left``. A leaf has feature -1 and in ``child`` its row of ``leaves``.
    start : intp ndarray of shape (n_trees + 1,), the root of every tree, and the end
    leaves : ndarray of shape (n_leaves, width), see below
    m : int, outputs
    coordinates : Coordinates of the leaves
    rate : ndarray of shape (n_trees,)
    member_start : intp ndarray of shape (n_members + 1,), the first tree of every member, and the end

    A leaf without coordinates (order 0) holds its m values. Otherwise: its centre, then the low and the high end of its
    box (k each), then for each output the terms of its polynomial (see ``_ext.tree_leaf``), its least and its greatest
    value.
    """

    nodes: np.ndarray
    start: np.ndarray
    leaves: np.ndarray
    m: int
    coordinates: Coordinates
    rate: np.ndarray
    member_start: np.ndarray

    @classmethod
    def single(cls, nodes, leaves, m, coordinates, rate):
        start, member_start = np.array([0, len(nodes)], np.intp), np.array([0, 1], np.intp)
        return cls(nodes, start, leaves, m, coordinates, np.array([rate]), member_start)

    @classmethod
    def join(cls, parts):
        """The members of all parts, which share their coordinates. The list is emptied: a forest is not held twice."""
        first = parts[0]
        n_nodes, n_leaves = (sum(len(getattr(part, name)) for part in parts) for name in ("nodes", "leaves"))
        if max(n_nodes, n_leaves) >= 2**31:
            raise ValueError("the forest has more than 2^31 nodes; raise min_samples_leaf or give fewer estimators.")
        nodes, leaves = np.empty(n_nodes, first.nodes.dtype), np.empty((n_leaves, first.leaves.shape[1]))
        starts, members, rates = [np.zeros(1, np.intp)], [np.zeros(1, np.intp)], []
        n_nodes = n_leaves = n_trees = 0
        parts.reverse()
        while parts:
            part = parts.pop()
            mine = nodes[n_nodes : n_nodes + len(part.nodes)]
            mine[:] = part.nodes
            mine["child"] += np.where(mine["feature"] < 0, n_leaves, n_nodes).astype(np.int32)
            leaves[n_leaves : n_leaves + len(part.leaves)] = part.leaves
            starts.append(part.start[1:] + n_nodes)
            members.append(part.member_start[1:] + n_trees)
            rates.append(part.rate)
            n_nodes, n_leaves = n_nodes + len(part.nodes), n_leaves + len(part.leaves)
            n_trees += len(part.rate)
        rate, start, member_start = np.concatenate(rates), np.concatenate(starts), np.concatenate(members)
        return cls(nodes, start, leaves, first.m, first.coordinates, rate, member_start)

    @classmethod
    def one_member(cls, parts):
        """All trees of the parts as a single member."""
        joined = cls.join(parts)
        return replace(joined, member_start=np.array([0, len(joined.rate)], np.intp))

    @property
    def n_members(self):
        return len(self.member_start) - 1

    def _forest(self, X):
        return tree_traversal.Forest(
            X.shape[1], self.nodes, self.start, self.leaves, self.m, self.coordinates, self.rate, self.member_start
        )

    def _weight(self, weight):
        return np.ones((self.n_members, self.m)) if weight is None else weight

    def apply(self, X):
        """Leaf node of every row in every tree, (n, n_trees)."""
        return self._forest(X).apply(X)

    def sums(self, X, weight=None, clip=True):
        """Weighted sum of the members, (n, m)."""
        return self.moments(X, weight, clip, squares=False)[0]

    def moments(self, X, weight=None, clip=True, squares=True):
        """Weighted sum of the members and of their squares, (n, m) each."""
        return self._forest(X).moments(X, clip, self._weight(weight), squares)

    def between(self, gaps, weight, clip=True, slopes=False, exact=True):
        """Moments and slopes of rows that lie between levels, Gaps."""
        forest, weight = self._forest(gaps.X), self._weight(weight)
        if slopes:
            return forest.between(gaps, clip, weight, True, exact)
        inside = gaps.low < gaps.high
        one = inside.sum(axis=1) == 1  # row by row, so that a sum does not depend on the other rows
        sums, squares = np.empty((len(one), self.m)), np.empty((len(one), self.m))
        if one.any():
            some, inside = Gaps(*(field[one] for field in gaps)), inside[one]
            sides = (np.where(inside, end, some.X) for end in (some.low, some.high))
            sums[one], squares[one] = forest.beside(some.X, *sides, some.near[inside], clip, weight)
        if not one.all():
            some = Gaps(*(field[~one] for field in gaps))
            sums[~one], squares[~one], _ = forest.between(some, clip, weight, False, exact)
        return sums, squares, None

    def slopes(self, X, weight=None, clip=True, exact=True):
        """Weighted sum of the members' slopes, (n, m, d), per unit of X."""
        return self._forest(X).gradient(X, clip, self._weight(weight), exact)
