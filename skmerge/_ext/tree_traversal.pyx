"""Evaluates a fitted forest: leaves, values and slopes. Every index read from its arrays is checked on the way."""

from collections import namedtuple

import numpy as np

from libc.math cimport fmax, fmin
from libc.string cimport memcpy

from skmerge._ext.tree_leaf cimport evaluate, evaluate_slope, n_terms
from skmerge._ext.types cimport Node

# Rows that lie between levels of some features, with an entry of each field for every row: ``at`` (n,) their numbers in
# a table, ``X`` (n, d) they themselves, ``low`` and ``high`` the levels below and above (inf and -inf of the other
# features), ``near`` by what share a row belongs to ``high``, more than 0 and less than 1, ``steep`` the slope of that.
Gaps = namedtuple("Gaps", "at X low high near steep", module=__name__)

cdef struct Arrays:
    const Node *nodes
    const Py_ssize_t *start     # (n_trees + 1,), the root of every tree, and the end
    Py_ssize_t n_trees
    const double *leaves        # (n_leaves, width)
    Py_ssize_t n_leaves, width
    int d, m, k, q, p
    const int *active           # (k,)
    const double *shift
    const double *unit
    const double *rate          # (n_trees,)
    const Py_ssize_t *member_start      # (n_members + 1,), the first tree of every member, and the end
    Py_ssize_t n_members
    int clip

cdef struct Row:
    # A row of Gaps, (d,) each.
    const double *x
    const double *low
    const double *high
    const double *near
    const double *steep

cdef struct Branch:
    # What waits while another side of a gap is walked.
    int node
    double share

cdef struct Scratch:
    # State of a walk to both sides of gaps.
    Py_ssize_t depth    # how many branches may wait
    Branch *waiting     # (depth,)
    double *copies      # (depth, d), the rows of these
    double *here        # (d,)
    double *t           # (k,)
    double *z           # (k,)

cdef enum:
    BLOCK_ROWS = 16384  # that walk a tree before the next is fetched: of 256, a forest of 40 MB took 1.8 times as long
    TOGETHER = 64  # walks side by side
    FEW_ROWS = 8  # rows below which trees, not rows, are walked side by side


cdef int walk(const Arrays *forest, int n, const double **x, const int *end, int *at) noexcept nogil:
    # From n <= TOGETHER roots to the leaf nodes that the rows x fall into, side by side: a single walk waits for memory
    # at every step. Returns whether one found an index that leads nowhere. ``end``: of each walk's tree. Children come
    # after their parents, so that it ends.
    cdef Py_ssize_t child
    cdef int r, i, going = 1
    cdef const Node *node
    cdef double value
    while going:
        going = 0
        for r in range(n):
            i = at[r]
            node = forest.nodes + i
            if node.feature < 0:
                continue
            child = node.child
            if node.feature >= forest.d or child <= i or child + 1 >= end[r]:
                return 1
            value = x[r][node.feature]
            child += not value <= node.threshold
            if value != value and node.missing_left:
                child -= 1
            at[r] = <int>child
            going = 1
    for r in range(n):
        child = forest.nodes[at[r]].child
        if child < 0 or child >= forest.n_leaves:
            return 1
    return 0


cdef int walk_rows(const Arrays *forest, Py_ssize_t tree, const double *x, int n, int *at) noexcept nogil:
    # n rows down one tree.
    cdef const double *rows[TOGETHER]
    cdef int ends[TOGETHER]
    cdef int r
    for r in range(n):
        rows[r] = x + <Py_ssize_t>r * forest.d
        at[r] = <int>forest.start[tree]
        ends[r] = <int>forest.start[tree + 1]
    return walk(forest, n, rows, ends, at)


cdef int walk_trees(const Arrays *forest, Py_ssize_t first, int n, const double *x, int *at) noexcept nogil:
    # One row down n trees.
    cdef const double *rows[TOGETHER]
    cdef int ends[TOGETHER]
    cdef int r
    for r in range(n):
        rows[r] = x
        at[r] = <int>forest.start[first + r]
        ends[r] = <int>forest.start[first + r + 1]
    return walk(forest, n, rows, ends, at)


cdef inline void coordinates(const Arrays *forest, const double *x, double *t) noexcept nogil:
    cdef int i
    cdef double value
    for i in range(forest.k):
        value = x[forest.active[i]]
        t[i] = (value - forest.shift[i]) * forest.unit[i] if value == value else 0.0


cdef inline void deviations(const Arrays *forest, const double *leaf, const double *t, double *z) noexcept nogil:
    cdef int i, k = forest.k
    if forest.clip:
        for i in range(k):
            z[i] = fmin(fmax(t[i], leaf[k + i]), leaf[2 * k + i]) - leaf[i]
    else:
        for i in range(k):
            z[i] = t[i] - leaf[i]


cdef inline double leaf_value(const Arrays *forest, const double *coef, const double *z) noexcept nogil:
    cdef double value = evaluate(coef, z, forest.k, forest.q)
    if forest.clip:
        if value < coef[forest.p]:  # NaN, of a damaged leaf, stays
            value = coef[forest.p]
        elif value > coef[forest.p + 1]:
            value = coef[forest.p + 1]
    return value


cdef inline void add_leaf(const Arrays *forest, int node, const double *t, double rate, double *z,
                          double *out) noexcept nogil:
    cdef const double *leaf = forest.leaves + forest.nodes[node].child * forest.width
    cdef int o, k = forest.k
    if k:
        deviations(forest, leaf, t, z)
        for o in range(forest.m):
            out[o] += rate * leaf_value(forest, leaf + 3 * k + o * (forest.p + 2), z)
    else:
        for o in range(forest.m):
            out[o] += rate * leaf[o]


cdef inline void add_member(const double *weight, int m, double *part, double *total, double *squares) noexcept nogil:
    # A member's sum of trees into the forest's sums; part is 0 afterwards.
    cdef int o
    for o in range(m):
        total[o] += weight[o] * part[o]
        if squares != NULL:
            squares[o] += weight[o] * part[o] * part[o]
        part[o] = 0.0


def damaged():
    raise ValueError("nodes_ has an index that no fit leaves; the forest is damaged, fit it again.")


cdef int check_weight(const Arrays *forest, const double[:, ::1] member_weight) except -1:
    if member_weight.shape[0] != forest.n_members or member_weight.shape[1] != forest.m:
        raise ValueError("member_weight_ must have a row for each member that member_start_ has, and a column for each "
                         "output; the forest is damaged, fit it again.")
    return 0


cdef int walk_between(const Arrays *forest, Py_ssize_t tree, const Row *row, const Scratch *scratch,
                      const double *weight, double *part, double *slopes, int exact) noexcept nogil:
    # One row down one tree, to both sides where a threshold divides the levels between which it lies: a leaf counts by
    # how near the row is to its side, and is evaluated at the level there. Values go into ``part`` (m,), slopes times
    # ``weight`` (m,) into ``slopes`` (m, d) unless NULL. Returns whether an index leads nowhere.
    cdef int d = forest.d, m = forest.m, k = forest.k, i, o, j, f, end = <int>forest.start[tree + 1]
    cdef Py_ssize_t n_waiting = 0, child
    cdef double share = 1.0, value, rate = forest.rate[tree]
    cdef const Node *node
    cdef const double *low = row.low
    cdef const double *high = row.high
    cdef const double *near = row.near
    cdef double *here = scratch.here
    cdef double *t = scratch.t
    cdef double *z = scratch.z
    cdef const double *leaf
    cdef const double *coef
    memcpy(here, row.x, d * sizeof(double))
    i = <int>forest.start[tree]
    while True:
        node = forest.nodes + i
        child = node.child
        f = node.feature
        if f >= 0:
            if f >= d or child <= i or child + 1 >= end:
                return 1
            value = here[f]
            if low[f] <= node.threshold < high[f]:
                if n_waiting == scratch.depth:
                    return 1
                here[f] = high[f]
                memcpy(scratch.copies + n_waiting * d, here, d * sizeof(double))
                scratch.waiting[n_waiting] = Branch(<int>(child + 1), share * near[f])
                n_waiting += 1
                here[f] = low[f]
                share *= 1.0 - near[f]
                i = <int>child
            else:
                child += not value <= node.threshold
                if value != value and node.missing_left:
                    child -= 1
                i = <int>child
            continue
        if child < 0 or child >= forest.n_leaves:
            return 1
        leaf = forest.leaves + child * forest.width
        coordinates(forest, here, t)
        if k:
            deviations(forest, leaf, t, z)
        for o in range(m):
            coef = leaf + 3 * k + o * (forest.p + 2) if k else leaf + o
            value = leaf_value(forest, coef, z) if k else coef[0]
            part[o] += rate * share * value
            if slopes == NULL:
                continue
            for j in range(d):  # by which share the leaf counts
                if here[j] != row.x[j] and row.x[j] == row.x[j]:
                    slopes[o * d + j] += (rate * weight[o] * share * value * row.steep[j]
                                          / (near[j] - 1.0 if here[j] == low[j] else near[j]))
            if k == 0 or (forest.clip and exact and value != evaluate(coef, z, k, forest.q)):
                continue
            for j in range(k):
                f = forest.active[j]
                if here[f] != row.x[f] or (forest.clip and exact and (t[j] < leaf[k + j] or t[j] > leaf[2 * k + j])):
                    continue
                slopes[o * d + f] += (rate * weight[o] * share * forest.unit[j]
                                      * evaluate_slope(coef, z, j, k, forest.q))
        if n_waiting == 0:
            return 0
        n_waiting -= 1
        memcpy(here, scratch.copies + n_waiting * d, d * sizeof(double))
        i, share = scratch.waiting[n_waiting].node, scratch.waiting[n_waiting].share


cdef class Forest:
    """Trees of one kind and their members, checked, ready to be evaluated; keeps its arrays alive and is never stored.

    Parameters
    ----------
    n_features : int
    nodes : (n_nodes,) of NODE; start : (n_trees + 1,), the root of every tree, and the end
    leaves : (n_leaves, width), see ``_forest.tree.Trees``
    m : outputs
    coordinates : those of leaves, see ``tree_growing.Coordinates``
    rate : (n_trees,), by which each tree counts
    member_start : (n_members + 1,), the first tree of every member, and the end
    """

    cdef Arrays arrays
    cdef const Node[::1] nodes
    cdef const Py_ssize_t[::1] start
    cdef const double[:, ::1] leaves
    cdef const int[::1] active
    cdef const double[::1] shift, unit
    cdef const double[::1] rate
    cdef const Py_ssize_t[::1] member_start

    def __init__(self, Py_ssize_t n_features, const Node[::1] nodes, const Py_ssize_t[::1] start,
                 const double[:, ::1] leaves, int m, coordinates, const double[::1] rate,
                 const Py_ssize_t[::1] member_start):
        cdef const int[::1] active = coordinates.active
        cdef const double[::1] shift = coordinates.shift, unit = coordinates.unit
        cdef int n_square = coordinates.n_square
        cdef Arrays forest
        cdef Py_ssize_t tree, member, i
        forest.n_trees, forest.n_members = start.shape[0] - 1, member_start.shape[0] - 1
        forest.k, forest.q, forest.d, forest.m, forest.clip = active.shape[0], n_square, n_features, m, 0
        if n_square < 0 or n_square > forest.k or shift.shape[0] != forest.k or unit.shape[0] != forest.k or m < 1:
            raise ValueError("the forest's coordinates do not fit together; it is damaged, fit it again.")
        forest.p = n_terms(forest.k, n_square)
        forest.width = m if forest.k == 0 else 3 * forest.k + m * (forest.p + 2)
        if leaves.shape[1] != forest.width or not leaves.shape[0] or forest.n_trees < 1:
            raise ValueError(f"leaves_ has {leaves.shape[1]} columns where {forest.width} are expected; the forest is "
                             "damaged, fit it again.")
        for tree in range(forest.n_trees):
            if start[tree] < 0 or start[tree + 1] <= start[tree] or start[tree + 1] > nodes.shape[0]:
                raise ValueError("tree_start_ points outside nodes_; the forest is damaged, fit it again.")
        for i in range(forest.k):
            if not 0 <= active[i] < n_features:
                raise ValueError("coordinate_ names features that do not exist; the forest is damaged, fit it again.")
        if (rate.shape[0] != forest.n_trees or forest.n_members < 1 or member_start[0] != 0
                or member_start[forest.n_members] != forest.n_trees):
            raise ValueError("rate_ and member_start_ do not fit together; the forest is damaged, fit it again.")
        for member in range(forest.n_members):
            if member_start[member + 1] < member_start[member]:
                raise ValueError("member_start_ must not decrease; the forest is damaged, fit it again.")
        forest.nodes, forest.start, forest.leaves = &nodes[0], &start[0], &leaves[0, 0]
        forest.n_leaves = leaves.shape[0]
        forest.active = &active[0] if forest.k else NULL
        forest.shift = &shift[0] if forest.k else NULL
        forest.unit = &unit[0] if forest.k else NULL
        forest.rate, forest.member_start = &rate[0], &member_start[0]
        self.arrays, self.nodes, self.start, self.leaves = forest, nodes, start, leaves
        self.active, self.shift, self.unit, self.rate, self.member_start = active, shift, unit, rate, member_start

    cdef Arrays view(self, Py_ssize_t d, bint clip) except *:
        cdef Arrays forest = self.arrays
        if d != forest.d:
            raise ValueError(f"X has {d} columns where the forest has {forest.d} features.")
        forest.clip = clip
        return forest

    def apply(self, const double[:, ::1] X):
        """Leaf node of every row in every tree, (n, n_trees), counted from the tree's root."""
        cdef Arrays forest = self.view(X.shape[1], False)
        out_array = np.empty((X.shape[0], forest.n_trees), np.intp)
        cdef Py_ssize_t[:, ::1] out = out_array
        cdef Py_ssize_t r, tree, n = X.shape[0], bad = 0
        cdef int leaf[TOGETHER]
        cdef int i, together
        with nogil:
            for tree in range(forest.n_trees):
                r = 0
                while r < n:
                    together = <int>min(n - r, <Py_ssize_t>TOGETHER)
                    bad += walk_rows(&forest, tree, &X[r, 0], together, leaf)
                    for i in range(together):
                        out[r + i, tree] = leaf[i] - forest.start[tree]
                    r += together
        if bad:
            damaged()
        return out_array

    def moments(self, const double[:, ::1] X, bint clip, const double[:, ::1] member_weight, bint squares):
        """Weighted sum over the members and, on request, of their squares: (n, m) and (n, m) or None.

        Member e is the sum of its trees, ``member_start[e]`` to ``member_start[e + 1]``, each times its ``rate``; its
        weight may differ between outputs.
        """
        cdef Arrays forest = self.view(X.shape[1], clip)
        cdef int m = forest.m
        cdef Py_ssize_t n = X.shape[0], r, b, tree, member, first, last, bad = 0
        cdef int at[TOGETHER]
        cdef int i, together, k = forest.k
        cdef double rate
        check_weight(&forest, member_weight)
        sums, square_sums = np.zeros((n, m)), np.zeros((n, m)) if squares else None
        cdef double[:, ::1] total = sums, total_squares = square_sums if squares else sums
        cdef double[:, ::1] t = np.empty((min(n, <Py_ssize_t>BLOCK_ROWS) + 1, k + 1))
        cdef double[:, ::1] part = np.zeros((min(n, <Py_ssize_t>BLOCK_ROWS) + 1, m))
        cdef double[::1] z = np.empty(k + 1)
        with nogil:
            for b in range((n + BLOCK_ROWS - 1) // BLOCK_ROWS):
                first = b * BLOCK_ROWS
                last = min(first + BLOCK_ROWS, n)
                for r in range(first, last):
                    coordinates(&forest, &X[r, 0], &t[r - first, 0])
                for r in range(first, last if n < FEW_ROWS else first):
                    member, tree = 0, 0
                    while tree < forest.n_trees:
                        together = <int>min(forest.n_trees - tree, <Py_ssize_t>TOGETHER)
                        if walk_trees(&forest, tree, together, &X[r, 0], at):
                            bad += 1
                            break
                        for i in range(together):
                            while tree >= forest.member_start[member + 1]:
                                member += 1
                            add_leaf(&forest, at[i], &t[r - first, 0], forest.rate[tree], &z[0], &part[0, 0])
                            tree += 1
                            if tree == forest.member_start[member + 1]:
                                add_member(&member_weight[member, 0], m, &part[0, 0], &total[r, 0],
                                           &total_squares[r, 0] if squares else NULL)
                for member in range(forest.n_members if n >= FEW_ROWS else 0):
                    for tree in range(forest.member_start[member], forest.member_start[member + 1]):
                        r, rate = first, forest.rate[tree]
                        while r < last and not bad:
                            together = <int>min(last - r, <Py_ssize_t>TOGETHER)
                            if walk_rows(&forest, tree, &X[r, 0], together, at):
                                bad += 1
                                break
                            for i in range(together):
                                add_leaf(&forest, at[i], &t[r - first, 0], rate, &z[0], &part[r - first, 0])
                                r += 1
                    for r in range(first, last):
                        add_member(&member_weight[member, 0], m, &part[r - first, 0], &total[r, 0],
                                   &total_squares[r, 0] if squares else NULL)
        if bad:
            damaged()
        return sums, square_sums

    def gradient(self, const double[:, ::1] X, bint clip, const double[:, ::1] member_weight, bint exact):
        """Weighted sum of the members' slopes, (n, m, d), per unit of X; ``exact``: 0 where the leaf clips."""
        cdef Arrays forest = self.view(X.shape[1], clip)
        cdef int m = forest.m
        cdef Py_ssize_t n = X.shape[0], r, tree, member, bad = 0
        cdef int i, o, j, k = forest.k, step = forest.p + 2
        check_weight(&forest, member_weight)
        sums = np.zeros((n, m, X.shape[1]))
        cdef double[:, :, ::1] total = sums
        cdef double[::1] t = np.empty(k + 1), z = np.empty(k + 1)
        cdef const double *leaf
        cdef const double *coef
        cdef double value
        if k == 0:
            return sums
        with nogil:
            for r in range(n):
                coordinates(&forest, &X[r, 0], &t[0])
                member = 0
                for tree in range(forest.n_trees):
                    while tree >= forest.member_start[member + 1]:
                        member += 1
                    if walk_rows(&forest, tree, &X[r, 0], 1, &i):
                        bad += 1
                        continue
                    leaf = forest.leaves + forest.nodes[i].child * forest.width
                    deviations(&forest, leaf, &t[0], &z[0])
                    for o in range(m):
                        coef = leaf + 3 * k + o * step
                        if clip and exact:
                            value = evaluate(coef, &z[0], k, forest.q)
                            if value < coef[forest.p] or value > coef[forest.p + 1]:
                                continue
                        for j in range(k):
                            if clip and exact and (t[j] < leaf[k + j] or t[j] > leaf[2 * k + j]):
                                continue
                            if X[r, forest.active[j]] != X[r, forest.active[j]]:
                                continue
                            value = forest.rate[tree] * member_weight[member, o] * forest.unit[j]
                            total[r, o, forest.active[j]] += value * evaluate_slope(coef, &z[0], j, k, forest.q)
        if bad:
            damaged()
        return sums

    def between(self, gaps, bint clip, const double[:, ::1] member_weight, bint slopes, bint exact):
        """Moments, as ``moments``, and slopes (n, m, d) or None, of the rows of Gaps.

        Of features between whose levels a row does not lie no threshold is at least ``low`` and less than ``high``.
        """
        cdef const double[:, ::1] X = gaps.X, low = gaps.low, high = gaps.high, near = gaps.near, steep = gaps.steep
        cdef Arrays forest = self.view(X.shape[1], clip)
        cdef int m = forest.m
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], r, tree, member, bad = 0
        cdef Row row
        cdef Scratch scratch
        check_weight(&forest, member_weight)
        if len({np.shape(field) for field in gaps[1:]}) > 1:
            raise ValueError("X, low, high, near and steep must have the same shape.")
        sums, square_sums, slope_sums = np.zeros((n, m)), np.zeros((n, m)), np.zeros((n, m, d)) if slopes else None
        cdef double[:, ::1] total = sums, total_squares = square_sums
        cdef double[:, :, ::1] total_slopes = slope_sums if slopes else np.zeros((1, 1, 1))
        scratch.depth = (gaps.low < gaps.high).sum(axis=1).max(initial=0)
        cdef unsigned char[::1] branches = np.empty((scratch.depth + 1) * sizeof(Branch), np.uint8)
        cdef double[::1] numbers = np.zeros((scratch.depth + 1) * d + 2 * (forest.k + 1) + m)
        scratch.waiting, scratch.here = <Branch *>&branches[0], &numbers[0]
        scratch.copies = scratch.here + d
        scratch.t = scratch.copies + scratch.depth * d
        scratch.z = scratch.t + forest.k + 1
        cdef double *part = scratch.z + forest.k + 1
        with nogil:
            for r in range(n):
                row = Row(&X[r, 0], &low[r, 0], &high[r, 0], &near[r, 0], &steep[r, 0])
                for member in range(forest.n_members):
                    for tree in range(forest.member_start[member], forest.member_start[member + 1]):
                        bad += walk_between(&forest, tree, &row, &scratch, &member_weight[member, 0], part,
                                            &total_slopes[r, 0, 0] if slopes else NULL, exact)
                    add_member(&member_weight[member, 0], m, part, &total[r, 0], &total_squares[r, 0])
        if bad:
            damaged()
        return sums, square_sums, slope_sums

    def beside(self, const double[:, ::1] X, const double[:, ::1] low, const double[:, ::1] high,
               const double[::1] near, bint clip, const double[:, ::1] member_weight):
        """Moments, as ``between``, of rows that lie between the levels of one feature.

        ``low``, ``high`` (n, d): the rows, moved to the levels beside. They reach two leaves of a tree, or one that
        holds both levels; walked side by side, which takes a third of the time.
        """
        cdef Arrays forest = self.view(X.shape[1], clip)
        cdef int m = forest.m
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], r, b, tree, member, first, last, bad = 0
        cdef int at[TOGETHER]
        cdef int above[TOGETHER]
        cdef int i, together, k = forest.k
        cdef double rate
        check_weight(&forest, member_weight)
        if low.shape[0] != n or low.shape[1] != d or high.shape[0] != n or high.shape[1] != d or near.shape[0] != n:
            raise ValueError("X, low, high and near do not fit together.")
        sums, square_sums = np.zeros((n, m)), np.zeros((n, m))
        cdef double[:, ::1] total = sums, total_squares = square_sums
        cdef double[:, :, ::1] t = np.empty((min(n, <Py_ssize_t>BLOCK_ROWS) + 1, 3, k + 1))
        cdef double[:, ::1] part = np.zeros((min(n, <Py_ssize_t>BLOCK_ROWS) + 1, m))
        cdef double[::1] z = np.empty(k + 1)
        with nogil:
            for b in range((n + BLOCK_ROWS - 1) // BLOCK_ROWS):
                first = b * BLOCK_ROWS
                last = min(first + BLOCK_ROWS, n)
                for r in range(first, last):
                    coordinates(&forest, &X[r, 0], &t[r - first, 0, 0])
                    coordinates(&forest, &low[r, 0], &t[r - first, 1, 0])
                    coordinates(&forest, &high[r, 0], &t[r - first, 2, 0])
                for member in range(forest.n_members):
                    for tree in range(forest.member_start[member], forest.member_start[member + 1]):
                        r, rate = first, forest.rate[tree]
                        while r < last and not bad:
                            together = <int>min(last - r, <Py_ssize_t>TOGETHER)
                            if (walk_rows(&forest, tree, &low[r, 0], together, at)
                                    or walk_rows(&forest, tree, &high[r, 0], together, above)):
                                bad += 1
                                break
                            for i in range(together):
                                if at[i] == above[i]:
                                    add_leaf(&forest, at[i], &t[r - first, 0, 0], rate, &z[0], &part[r - first, 0])
                                else:
                                    add_leaf(&forest, at[i], &t[r - first, 1, 0], rate * (1.0 - near[r]), &z[0],
                                             &part[r - first, 0])
                                    add_leaf(&forest, above[i], &t[r - first, 2, 0], rate * near[r], &z[0],
                                             &part[r - first, 0])
                                r += 1
                    for r in range(first, last):
                        add_member(&member_weight[member, 0], m, &part[r - first, 0], &total[r, 0],
                                   &total_squares[r, 0])
        if bad:
            damaged()
        return sums, square_sums
