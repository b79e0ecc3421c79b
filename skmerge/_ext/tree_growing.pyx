"""Growth of one tree: fit a node's model to what those above leave over, find its best split, go on with both sides.

A node's polynomial is that of its parent plus a correction, fitted to what the parent leaves over by least squares with
a ridge of ``ridge`` rows: a leaf with few rows keeps its parent's slopes. Values and slopes are equations of the same
least squares, weighted by how far the parent's model missed each of them within the parent.
"""

from collections import namedtuple

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, fmax, fmin, sqrt
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dsyrk

from skmerge._ext.tree_leaf cimport evaluate, n_terms, recentre, slope_terms, solve, value_terms
from skmerge._ext.tree_splitting cimport MISSING, Search, Split, Table, find_split, histogram_size
from skmerge._ext.types cimport Node

cdef enum:
    ROWS = 128  # equations gathered before they are added to the normal equations

NODE = np.dtype(
    [("threshold", "<f8"), ("child", "<i4"), ("feature", "<i4"), ("n_samples", "<i4"), ("missing_left", "<i4"),
     ("gain", "<f8")]
)

# The features of the rows: X (n, d), their codes (n, d), and the least and greatest value of every code, feature after
# feature from ``place[j]`` on.
Features = namedtuple("Features", "X codes lower upper place", module=__name__)
# Features that are coordinates of the polynomials, x -> (x - shift) unit, (k,) each, and how many of them have
# second-order terms.
Coordinates = namedtuple("Coordinates", "active shift unit n_square", module=__name__)
# How splits are scored, see ``tree_splitting`` (slopes are equations of a leaf in any case), and where growth ends:
# ``max_features`` are tried at a node.
Rules = namedtuple(
    "Rules", "linear split_on_slopes ridge min_gain min_leaf max_depth max_leaves best_first max_features"
)

cdef struct Open:
    # A node with a split that waits for its turn.
    double key
    Py_ssize_t start, end
    int node, slot, depth
    Split split

cdef struct Grower:
    Table table
    int m, s, k, q, p           # outputs, slopes per output, coordinates, squared ones, terms
    int n_axes                  # of the s slopes, those along a coordinate; one more is along a direction
    const int *active           # (k,) features that are coordinates
    const double *shift         # (k,) coordinate = (x - shift) * unit, 0 where x is unknown
    const double *unit
    const int *axis             # (n_axes,)
    const double *direction     # (n, k) or NULL
    int complete                # all values measured and no slopes: one matrix serves every output
    double ridge
    int *rows
    double *coef                # (leaves, m, p)
    double *centre              # (leaves, k)
    double *ratio               # (leaves, m, s)
    # scratch
    double *z                   # (k,)
    double *width               # (k,)
    double *v                   # (k,)
    double *phi                 # (p,)
    double *equations           # (ROWS, p + m)
    double *gram                # (p + m, p + m)
    double *G                   # (p, p)
    double *beta                # (p, m)
    double *sums                # (c, 2)
    double work


cdef inline void coordinates(const Grower *g, Py_ssize_t row, double *t) noexcept nogil:
    cdef const double *x = g.table.X + row * g.table.d
    cdef double value
    cdef int i
    for i in range(g.k):
        value = x[g.active[i]]
        t[i] = (value - g.shift[i]) * g.unit[i] if value == value else 0.0


cdef inline void slope_direction(const Grower *g, Py_ssize_t row, int j) noexcept nogil:
    # v: the direction of slope j at a row, in units of the node's width.
    cdef int i
    if j < g.n_axes:
        memset(g.v, 0, g.k * sizeof(double))
        g.v[g.axis[j]] = 1.0 / g.width[g.axis[j]]
    else:
        for i in range(g.k):
            g.v[i] = g.direction[row * g.k + i] / g.width[i]


cdef void add_equation(Grower *g, int *filled, int p, int m, double root, int output,
                       const double *rest) noexcept nogil:
    # One equation: phi.beta = rest, for output `output` or for all m of them.
    cdef int i, ld = p + m, rows = ROWS
    cdef double one = 1.0
    cdef double *equation = g.equations + filled[0] * ld
    for i in range(p):
        equation[i] = root * g.phi[i]
    for i in range(m):
        equation[p + i] = root * rest[output + i]
    filled[0] += 1
    if filled[0] == ROWS:
        dsyrk("U", "N", &ld, &rows, &one, g.equations, &ld, &one, g.gram, &ld)
        filled[0] = 0


cdef int fit_outputs(Grower *g, int slot, Py_ssize_t start, Py_ssize_t end, int first, int m, int q,
                     int p) noexcept nogil:
    # beta (p, m) of outputs first..first + m; returns 0 if it worked.
    cdef int i, j, ld = p + m, filled = 0, c = g.table.c, k = g.k
    cdef Py_ssize_t r, row, n_rows = 0
    cdef double one = 1.0, w, total = 0.0
    cdef const double *rest
    cdef const double *ratio = g.ratio + (<Py_ssize_t>slot * g.m + first) * g.s
    memset(g.gram, 0, ld * ld * sizeof(double))
    for r in range(start, end):
        row = g.rows[r]
        w = g.table.weight[row]
        rest = g.table.rest + row * c
        coordinates(g, row, g.z)
        for i in range(k):
            g.z[i] = (g.z[i] - g.centre[<Py_ssize_t>slot * k + i]) / g.width[i]
        if rest[first] == rest[first]:
            total += w
            n_rows += 1
            value_terms(g.z, k, q, g.phi)
            add_equation(g, &filled, p, m, sqrt(w), first, rest)
        for j in range(g.s):  # m is 1 here
            i = g.m + first * g.s + j
            if rest[i] == rest[i]:
                n_rows += 1
                total += w
                slope_direction(g, row, j)
                slope_terms(g.z, g.v, k, q, g.phi)
                add_equation(g, &filled, p, 1, sqrt(w * ratio[j]), i, rest)
    if n_rows == 0:
        return 1
    if filled:
        dsyrk("U", "N", &ld, &filled, &one, g.equations, &ld, &one, g.gram, &ld)
    for j in range(p):
        for i in range(j + 1):
            g.G[i + j * p] = g.gram[i + j * ld]
        if j:
            g.G[j + j * p] += g.ridge * total / n_rows
        elif g.G[0] == 0.0:
            g.G[0] = 1.0  # slopes only: the value stays the parent's
    for j in range(m):
        for i in range(p):
            g.beta[i + j * p] = g.gram[i + (p + j) * ld]
    return solve(g.G, g.beta, p, m)


cdef void correct(Grower *g, int slot, Py_ssize_t start, Py_ssize_t end, int first, int m, int q, int p) noexcept nogil:
    # Add beta to the node's polynomial and take it from what is left over.
    cdef int i, j, o, t, c = g.table.c, k = g.k
    cdef Py_ssize_t r, row
    cdef double total
    cdef double *rest
    cdef double *coef
    for r in range(start, end):
        row = g.rows[r]
        rest = g.table.rest + row * c
        coordinates(g, row, g.z)
        for i in range(k):
            g.z[i] = (g.z[i] - g.centre[<Py_ssize_t>slot * k + i]) / g.width[i]
        for o in range(m):
            rest[first + o] -= evaluate(g.beta + o * p, g.z, k, q)
        for j in range(g.s):
            i = g.m + first * g.s + j
            if rest[i] == rest[i]:
                slope_direction(g, row, j)
                slope_terms(g.z, g.v, k, q, g.phi)
                total = 0.0
                for t in range(p):
                    total += g.phi[t] * g.beta[t]
                rest[i] -= total
    for o in range(m):
        coef = g.coef + (<Py_ssize_t>slot * g.m + first + o) * g.p
        coef[0] += g.beta[o * p]
        for i in range(min(k, p - 1)):
            coef[1 + i] += g.beta[o * p + 1 + i] / g.width[i]
        t = 1 + k
        for i in range(q):
            for j in range(i + 1):
                coef[t] += g.beta[o * p + t] / (g.width[i] * g.width[j])
                t += 1


cdef double fit_node(Grower *g, int slot, Py_ssize_t start, Py_ssize_t end, int is_root) noexcept nogil:
    # The node's model on its own centre; returns the weighted squares that it leaves over.
    cdef int i, j, o, q, p, k = g.k, c = g.table.c, group = g.m if g.complete else 1
    cdef Py_ssize_t r, row, n_equations
    cdef double W = 0.0, w, value, squares = 0.0, lowest
    cdef double *centre = g.centre + <Py_ssize_t>slot * k
    cdef double *ratio
    cdef const double *rest
    if k == 0 and g.s == 0:
        return constant(g, slot, start, end, 0, g.m)
    # Mean and width of the coordinates; the polynomial moves to the new centre.
    memset(g.width, 0, k * sizeof(double))
    memset(g.v, 0, k * sizeof(double))
    for r in range(start, end):
        row = g.rows[r]
        w = g.table.weight[row]
        W += w
        coordinates(g, row, g.z)
        for i in range(k):
            value = g.z[i] - centre[i]
            g.v[i] += w * value
            g.width[i] += w * value * value
    for i in range(k):
        g.v[i] /= W
        value = g.width[i] / W - g.v[i] * g.v[i]
        # Rounding leaves 1e-16 of the square of a coordinate that is constant in the node.
        g.width[i] = sqrt(value) if value > 1e-14 * g.width[i] / W and value > 1e-20 else 1.0
    if k:
        for o in range(g.m):
            recentre(g.coef + (<Py_ssize_t>slot * g.m + o) * g.p, g.v, k, g.q)
        for i in range(k):
            centre[i] += g.v[i]
    for o in range(g.m):
        ratio = g.ratio + (<Py_ssize_t>slot * g.m + o) * g.s
        for j in range(g.s):
            value = 0.0
            if j < g.n_axes:
                value = g.width[g.axis[j]] ** 2
            else:  # along the directions of the node's rows
                for r in range(start, end):
                    row = g.rows[r]
                    for i in range(k):
                        value += g.table.weight[row] * (g.direction[row * k + i] * g.width[i]) ** 2
                value /= W
            if is_root:
                ratio[j] = value
            else:
                ratio[j] = fmin(fmax(ratio[j], 0.01 * value), 1e4 * value)
    o = -group
    while o + group < g.m:
        o += group
        # The highest order that the distinct rows support: one and a half equations for each term.
        n_equations = 0
        for r in range(start, end):
            rest = g.table.rest + <Py_ssize_t>g.rows[r] * c
            n_equations += rest[o] == rest[o]
            for j in range(g.s):
                i = g.m + o * g.s + j
                n_equations += rest[i] == rest[i]
        if n_equations == 0:
            continue
        q, p = g.q, g.p
        if 2 * n_equations + 2 < 3 * p:
            q = 0
            p = 1 + k
        if 2 * n_equations + 2 < 3 * p:
            p = 1
        if p == 1 and k > 0:
            constant(g, slot, start, end, o, group)
        elif fit_outputs(g, slot, start, end, o, group, q, p) == 0:
            correct(g, slot, start, end, o, group, q, p)
        else:
            constant(g, slot, start, end, o, group)
    # What is left over; how far slopes miss compared with values decides what they weigh further down.
    memset(g.sums, 0, 2 * c * sizeof(double))
    for r in range(start, end):
        row = g.rows[r]
        w = g.table.weight[row]
        rest = g.table.rest + row * c
        for i in range(c):
            if rest[i] == rest[i]:
                g.sums[2 * i] += w
                g.sums[2 * i + 1] += w * rest[i] * rest[i]
    for o in range(g.m):
        squares += g.sums[2 * o + 1]
        value = g.sums[2 * o + 1] / g.sums[2 * o] if g.sums[2 * o] > 0 else 0.0
        for j in range(g.s):
            i = g.m + o * g.s + j
            if g.sums[2 * i] > 0:
                lowest = g.sums[2 * i + 1] / g.sums[2 * i]
                squares += g.ratio[(<Py_ssize_t>slot * g.m + o) * g.s + j] * g.sums[2 * i + 1]
                if lowest > 0 and value > 0:
                    g.ratio[(<Py_ssize_t>slot * g.m + o) * g.s + j] = value / lowest
    return squares


cdef double constant(Grower *g, int slot, Py_ssize_t start, Py_ssize_t end, int first, int m) noexcept nogil:
    # Too few equations for slopes: correct the values only. Returns the weighted squares that this leaves over.
    cdef int o, c = g.table.c
    cdef Py_ssize_t r
    cdef double total, weight, value, w, squares = 0.0
    cdef double *rest
    for o in range(first, first + m):
        total, weight = 0.0, 0.0
        for r in range(start, end):
            value = g.table.rest[<Py_ssize_t>g.rows[r] * c + o]
            w = g.table.weight[g.rows[r]] if value == value else 0.0
            weight += w
            total += w * value if w > 0 else 0.0
        if weight == 0:
            continue
        total /= weight
        g.coef[(<Py_ssize_t>slot * g.m + o) * g.p] += total
        for r in range(start, end):
            rest = g.table.rest + <Py_ssize_t>g.rows[r] * c + o
            rest[0] -= total
            squares += g.table.weight[g.rows[r]] * rest[0] * rest[0] if rest[0] == rest[0] else 0.0
    return squares


cdef inline uint64_t draw(uint64_t *state) noexcept nogil:
    # splitmix64
    cdef uint64_t z
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


cdef void push(Open *heap, Py_ssize_t *size, const Open *entry) noexcept nogil:
    cdef Py_ssize_t i = size[0], parent
    size[0] += 1
    while i > 0:
        parent = (i - 1) // 2
        if heap[parent].key >= entry.key:
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = entry[0]


cdef Open pop(Open *heap, Py_ssize_t *size) noexcept nogil:
    cdef Open top = heap[0], last = heap[size[0] - 1]
    cdef Py_ssize_t i = 0, child
    size[0] -= 1
    while True:
        child = 2 * i + 1
        if child >= size[0]:
            break
        if child + 1 < size[0] and heap[child + 1].key > heap[child].key:
            child += 1
        if last.key >= heap[child].key:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = last
    return top


def grow(features, const double[::1] weight, const double[:, ::1] y, rest, direction, const int[::1] axis, coordinates,
         rules, uint64_t seed, const int[::1] cancelled):
    """Grow one tree on the rows of positive weight.

    Parameters
    ----------
    features : Features
    weight : (n,)
    y : (n, m), NaN where not measured.
    rest : (n, m (1 + s)), values, then s slopes of each output; is written to.
    direction : (n, k) or None; axis : coordinates along which slopes are known.
    coordinates : Coordinates
    rules : Rules
    cancelled : (1,), not 0 to stop.

    Returns
    -------
    nodes : structured array of NODE, children after their parents, siblings side by side.
    leaves : (n_leaves, width)
    """
    cdef const double[:, ::1] X = features.X
    cdef const unsigned short[:, ::1] codes = features.codes
    cdef const double[::1] lower = features.lower, upper = features.upper
    cdef const Py_ssize_t[::1] place = features.place
    cdef const int[::1] active = coordinates.active
    cdef const double[::1] shift = coordinates.shift, unit = coordinates.unit
    cdef bint linear = rules.linear, split_on_slopes = rules.split_on_slopes, best_first = rules.best_first
    cdef double ridge = rules.ridge, min_gain = rules.min_gain
    cdef Py_ssize_t min_leaf = rules.min_leaf, max_leaves = rules.max_leaves
    cdef int max_depth = rules.max_depth, max_features = rules.max_features, n_square = coordinates.n_square
    cdef Py_ssize_t n = X.shape[0], n_rows = 0, i, j, at, spare
    cdef int d = X.shape[1], m = y.shape[1], k = active.shape[0], p = n_terms(k, n_square)
    cdef int c = rest.shape[1], s = c // m - 1, f, o, slot, n_features
    cdef const double[:, ::1] u
    cdef double[:, ::1] left_over = rest
    rows_array = np.flatnonzero(np.asarray(weight) > 0).astype(np.intc)
    n_rows = len(rows_array)
    max_leaves = min(max_leaves, max(n_rows // max(min_leaf, 1), 1))
    cdef int[::1] rows = rows_array, other = np.empty(n_rows, np.intc)
    nodes_array = np.empty(2 * max_leaves - 1, NODE)
    cdef Node[::1] nodes = nodes_array
    cdef double[::1] coef = np.empty(max_leaves * m * p), centre = np.empty(max_leaves * k + 1)
    cdef double[::1] ratio = np.empty(max_leaves * m * s + 1)
    cdef Py_ssize_t[:, ::1] extent = np.empty((max_leaves, 2), np.intp)
    cdef int[::1] order = np.arange(d, dtype=np.intc)
    cdef unsigned short[::1] low = np.empty(d, np.uint16), high = np.empty(d, np.uint16)
    cdef double[::1] histogram = np.empty(histogram_size(d, c)), factor = np.ones(c)
    cdef double[::1] middle = np.zeros(d)
    cdef double[::1] scratch = np.empty(5 * k + p + ROWS * (p + m) + (p + m) ** 2 + p * p + p * m + 2 * c + 8)
    open_bytes = np.empty(max_leaves * sizeof(Open) + 1, np.uint8)
    cdef unsigned char[::1] open_view = open_bytes
    cdef Open *heap = <Open *>&open_view[0]
    cdef Open entry, child
    cdef Py_ssize_t n_open = 0, n_nodes = 1, n_leaves = 1, sequence = 0
    cdef Search search = Search(&factor[0], &middle[0], linear, ridge, min_leaf, &low[0], &high[0], &histogram[0])
    cdef Grower g
    cdef double squares, threshold, a, b, work = 0.0
    cdef int side, code, goes_left
    cdef Py_ssize_t bounds[3]
    g.table = Table(n, d, c, &X[0, 0], &codes[0, 0], &weight[0], &left_over[0, 0])
    g.m, g.s, g.k, g.q, g.p = m, s, k, n_square, p
    g.n_axes = axis.shape[0]
    g.axis = &axis[0] if g.n_axes else NULL
    g.active = &active[0] if k else NULL
    g.shift = &shift[0] if k else NULL
    g.unit = &unit[0] if k else NULL
    g.direction = NULL
    if direction is not None:
        u = direction
        g.direction = &u[0, 0]
    g.complete = s == 0 and not np.isnan(rest).any()
    g.ridge = ridge
    g.rows = &rows[0]
    g.coef, g.centre, g.ratio = &coef[0], &centre[0], &ratio[0]
    cdef double *at_scratch = &scratch[0]
    g.z = at_scratch
    g.width = g.z + k
    g.v = g.width + k
    g.phi = g.v + k
    g.equations = g.phi + p
    g.gram = g.equations + ROWS * (p + m)
    g.G = g.gram + (p + m) * (p + m)
    g.beta = g.G + p * p
    g.sums = g.beta + p * m
    with nogil:
        for i in range(m * p):
            coef[i] = 0.0
        for i in range(k):
            centre[i] = 0.0
        nodes[0] = Node(0.0, -1, -1, <int>n_rows, 0, 0.0)
        entry.node, entry.slot, entry.depth, entry.start, entry.end = 0, 0, 0, 0, n_rows
        bounds[0], bounds[1], bounds[2] = 0, 0, n_rows
        while True:
            # Fit the new node(s): the root at first, later the two sides of the last split.
            for side in range(1 if n_nodes == 1 else 2):
                child.start = 0 if n_nodes == 1 else bounds[side]
                child.end = n_rows if n_nodes == 1 else bounds[side + 1]
                child.slot = entry.slot if side == 0 else <int>(n_leaves - 1)
                child.node = 0 if n_nodes == 1 else nodes[entry.node].child + side
                child.depth = 0 if n_nodes == 1 else entry.depth + 1
                slot = child.slot
                extent[slot, 0], extent[slot, 1] = child.start, child.end
                nodes[child.node] = Node(0.0, slot, -1, <int>(child.end - child.start), 0, 0.0)
                squares = fit_node(&g, slot, child.start, child.end, n_nodes == 1)
                work += (child.end - child.start) * (d * (1.0 + c) + p * (p + m) * (1.0 + s))
                if child.end - child.start < 2 * min_leaf or child.depth >= max_depth or not squares > 1e-10 * n_rows:
                    continue
                for o in range(m):
                    for j in range(s):
                        factor[m + o * s + j] = sqrt(ratio[(<Py_ssize_t>slot * m + o) * s + j])
                        if not split_on_slopes:
                            factor[m + o * s + j] = 0.0
                for i in range(k):
                    middle[active[i]] = shift[i] + centre[<Py_ssize_t>slot * k + i] / unit[i]
                n_features = d
                if max_features < d:
                    n_features = max_features
                    for f in range(max_features):
                        at = f + <Py_ssize_t>(draw(&seed) % <uint64_t>(d - f))
                        order[f], order[at] = order[at], order[f]
                find_split(&g.table, &search, g.rows + child.start, child.end - child.start, &order[0], n_features,
                           &child.split)
                if child.split.feature < 0 and n_features < d:
                    find_split(&g.table, &search, g.rows + child.start, child.end - child.start, &order[n_features],
                               d - n_features, &child.split)
                if child.split.feature < 0 or child.split.gain <= min_gain * squares / (child.end - child.start):
                    continue
                if best_first:
                    child.key = child.split.gain
                else:
                    child.key = <double>sequence
                    sequence += 1
                push(heap, &n_open, &child)
            if n_open == 0 or n_leaves >= max_leaves:
                break
            if work > 1e8:  # about 0.1 s
                work = 0.0
                if cancelled[0]:
                    break
                with gil:
                    PyErr_CheckSignals()
            entry = pop(heap, &n_open)
            # Divide its rows, in their order.
            f = entry.split.feature
            at, spare = entry.start, 0
            for i in range(entry.start, entry.end):
                code = codes[rows[i], f]
                goes_left = entry.split.missing_left if code == MISSING else <int>(code <= entry.split.code)
                other[spare] = rows[i]  # to both, for which way is not to be guessed
                rows[at] = rows[i]
                at += goes_left
                spare += 1 - goes_left
            memcpy(&rows[at], &other[0], spare * sizeof(int))
            bounds[0], bounds[1], bounds[2] = entry.start, at, entry.end
            if entry.split.next_code == MISSING:  # all that is known goes left
                threshold = INFINITY
            else:
                a = upper[place[f] + entry.split.code]
                b = lower[place[f] + entry.split.next_code]
                threshold = a + 0.5 * (b - a)
                if not a <= threshold < b:
                    threshold = a
            nodes[entry.node].feature = f
            nodes[entry.node].threshold = threshold
            nodes[entry.node].missing_left = entry.split.missing_left
            nodes[entry.node].gain = entry.split.gain
            nodes[entry.node].child = <int>n_nodes
            slot = <int>n_leaves
            memcpy(&coef[<Py_ssize_t>slot * m * p], &coef[<Py_ssize_t>entry.slot * m * p], m * p * sizeof(double))
            if k:
                memcpy(&centre[<Py_ssize_t>slot * k], &centre[<Py_ssize_t>entry.slot * k], k * sizeof(double))
            if s:
                memcpy(&ratio[<Py_ssize_t>slot * m * s], &ratio[<Py_ssize_t>entry.slot * m * s],
                       m * s * sizeof(double))
            n_nodes += 2
            n_leaves += 1
    if cancelled[0]:
        raise KeyboardInterrupt
    return nodes_array[:n_nodes].copy(), leaf_table(&g, n_leaves, extent, y)


cdef leaf_table(Grower *g, Py_ssize_t n_leaves, const Py_ssize_t[:, ::1] extent, const double[:, ::1] y):
    # Every leaf: centre, low and high (k each), then for each output its p terms and its least and greatest value.
    cdef int k = g.k, m = g.m, p = g.p, o, i, width = m if k == 0 else 3 * k + m * (p + 2)
    leaves_array = np.empty((n_leaves, width))
    cdef double[:, ::1] leaves = leaves_array
    cdef Py_ssize_t leaf, r
    cdef double value, least, greatest, extra
    cdef double *out
    with nogil:
        for leaf in range(n_leaves):
            out = &leaves[leaf, 0]
            if k == 0:
                memcpy(out, g.coef + leaf * m, m * sizeof(double))
                continue
            memcpy(out, g.centre + leaf * k, k * sizeof(double))
            for i in range(k):
                out[k + i], out[2 * k + i] = 1e300, -1e300
            for r in range(extent[leaf, 0], extent[leaf, 1]):
                coordinates(g, g.rows[r], g.z)
                for i in range(k):
                    out[k + i] = fmin(out[k + i], g.z[i])
                    out[2 * k + i] = fmax(out[2 * k + i], g.z[i])
            for i in range(k):
                extra = 0.5 * (out[2 * k + i] - out[k + i])
                out[k + i] -= extra
                out[2 * k + i] += extra
            out += 3 * k
            for o in range(m):
                memcpy(out, g.coef + (leaf * m + o) * p, p * sizeof(double))
                least, greatest = 1e300, -1e300
                for r in range(extent[leaf, 0], extent[leaf, 1]):
                    value = y[g.rows[r], o]
                    if value == value:
                        least, greatest = fmin(least, value), fmax(greatest, value)
                if greatest < least:  # nothing measured here: no bound
                    least, greatest = -1e300, 1e300
                extra = greatest - least
                out[p], out[p + 1] = least - extra, greatest + extra
                out += p + 2
    return leaves_array
