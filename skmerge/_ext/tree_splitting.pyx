"""Search for the best split of a node.

What the node's model leaves over, channel by channel (values, and slopes in units of the values), is summed into at
most 256 bins (32 for lines) of each feature's codes between the least and the greatest present, and no more bins than
rows (or 8), so that small nodes are split almost exactly and cost no more than their rows. A side of a split is scored
by the squares that a constant, or a straight line in the feature split on, takes away from it:

    (sum w r)^2 / W + (sum w x r - X sum w r / W)^2 / ((sum w x^2 - X^2 / W) (1 + ridge / n)),   W = sum w, X = sum w x

The line is what a leaf that is a plane can still follow: without it a parabola is cut where its values differ most, not
where its slope turns.
"""

from collections import namedtuple

import numpy as np

from libc.string cimport memset

from skmerge._ext.types cimport clones

# ``code`` and ``next_code``: the greatest on the left, the least on the right; ``missing_left``: whether unknown values
# go left; ``n_left``: rows on the left.
BestSplit = namedtuple("BestSplit", "gain feature code next_code missing_left n_left", module=__name__)

cdef enum:
    LANES = 32  # features scanned side by side
    PADDED = 4  # bins of so many features, or a multiple, so that none is left over

cdef struct Bins:
    # Sums over the rows of a node, by bins of the codes of each feature that is tried; a last bin is of unknown values.
    const int *features     # (n_features,)
    int n_features
    int most                # bins of known values, at most
    int stride              # numbers of a bin: rows, weight, what is left over of each channel, positions
    Py_ssize_t step         # numbers of a feature
    int *low                # (n_features,), least code
    float *scale            # (n_features,), bins per code
    int *slot               # (n_features,), scratch
    double *sums            # (n_features, most + 1, stride)


cdef Py_ssize_t histogram_size(int n_features, int c) noexcept nogil:
    return <Py_ssize_t>(n_features + PADDED) * ((MAX_BINS + 1) * (3 + c) + 2) + 4 * (4 + 2 * c)


cdef inline double side(const double *s, int c, int linear, double ridge) noexcept nogil:
    # s: n, w, x, xx, then r of every channel, then x r of every channel.
    cdef double total = 0.0, inverse = 1.0 / s[1], spread, cross
    cdef int k
    for k in range(c):
        total += s[4 + k] * s[4 + k]
    total *= inverse
    if linear:
        spread = s[3] - s[2] * s[2] * inverse
        if spread > 1e-12 * s[3]:
            spread += ridge * spread / s[0]
            for k in range(c):
                cross = s[4 + c + k] - s[2] * s[4 + k] * inverse
                total += cross * cross / spread
    return total


cdef clones code_ranges(const unsigned short *codes, const int *rows, Py_ssize_t n, int d, unsigned short *low,
                        unsigned short *high) noexcept nogil:
    # Least and greatest code of every feature among the rows; high < low where all are unknown.
    cdef Py_ssize_t i
    cdef const unsigned short *row
    cdef unsigned short code, known
    cdef int f
    for f in range(d):
        low[f], high[f] = MISSING, 0
    for i in range(n):
        row = codes + <Py_ssize_t>rows[i] * d
        for f in range(d):
            code = row[f]
            known = code if code != MISSING else 0
            low[f] = code if code < low[f] else low[f]
            high[f] = known if known > high[f] else high[f]


cdef clones fill_single(const Table *table, const Search *search, const int *rows, Py_ssize_t n, const Bins *bins,
                        double *total) noexcept nogil:
    # One channel, four numbers a bin, added at once. total: weight and what is left over of all rows.
    cdef Py_ssize_t i, row
    cdef const unsigned short *codes
    cdef const double *x
    cdef const double *centre = search.centre
    cdef const int *features = bins.features
    cdef const int *low = bins.low
    cdef const float *scale = bins.scale
    cdef int *slot = bins.slot
    cdef double *sums = bins.sums
    cdef double w, value, factor = search.factor[0]
    cdef double add[4]
    cdef double *bin
    cdef int f, k, code, d = table.d, n_features = bins.n_features, most = bins.most
    add[0], add[3] = 1.0, 0.0
    total[0] = total[1] = 0.0
    for i in range(n):
        row = rows[i]
        codes = table.codes + row * d
        w = table.weight[row]
        value = table.rest[row]
        add[1] = w
        add[2] = w * factor * value if value == value else 0.0
        total[0] += w
        total[1] += add[2]
        if n_features == d:
            for f in range(d):
                code = codes[f]
                slot[f] = <int>(<float>(code - low[f]) * scale[f]) if code != MISSING else most
        else:
            for f in range(n_features):
                code = codes[features[f]]
                slot[f] = <int>(<float>(code - low[f]) * scale[f]) if code != MISSING else most
        if search.linear:
            x = table.X + row * d
            for f in range(n_features):
                bin = sums + 4 * (<Py_ssize_t>f * (most + 1) + slot[f])
                value = x[features[f]]
                add[3] = w * (value - centre[features[f]]) if value == value else 0.0
                for k in range(4):
                    bin[k] += add[k]
        else:
            for f in range(n_features):
                bin = sums + 4 * (<Py_ssize_t>f * (most + 1) + slot[f])
                for k in range(4):
                    bin[k] += add[k]


cdef inline int bin_of(int code, int low, float scale) noexcept nogil:
    # Integer division would take as long as all else that is done for a row.
    return <int>(<float>(code - low) * scale)


cdef inline float bin_scale(int low, int high, int most) noexcept nogil:
    cdef int span = high - low + 1
    return 1.0 if span <= most else <float>most / <float>span


cdef void fill(const Table *table, const Search *search, const int *rows, Py_ssize_t n,
               const Bins *bins) noexcept nogil:
    # Any number of channels.
    cdef Py_ssize_t i, row
    cdef const unsigned short *codes
    cdef const double *x
    cdef const double *rest
    cdef const double *factor = search.factor
    cdef double *bin
    cdef double w, value
    cdef int f, j, k, b, code, c = table.c, d = table.d, linear = search.linear, stride = bins.stride
    for i in range(n):
        row = rows[i]
        codes = table.codes + row * d
        x = table.X + row * d
        rest = table.rest + row * c
        w = table.weight[row]
        for f in range(bins.n_features):
            j = bins.features[f]
            code = codes[j]
            b = bin_of(code, bins.low[f], bins.scale[f]) if code != MISSING else bins.most
            bin = bins.sums + f * bins.step + b * stride
            bin[0] += 1.0
            bin[1] += w
            for k in range(c):
                value = rest[k]
                if value == value:
                    bin[2 + k] += w * factor[k] * value
            if linear and code != MISSING:
                bin[2 + c] += w * (x[j] - search.centre[j])


cdef void find_split(const Table *table, const Search *search, const int *rows, Py_ssize_t n, const int *features,
                     int n_features, Split *best) noexcept nogil:
    cdef int c = table.c, linear = search.linear, size = 4 + 2 * c, n_bins, f, j, missing, way, lane
    cdef int padded = (n_features + PADDED - 1) // PADDED * PADDED
    cdef Bins bins
    cdef double *own
    cdef double *scratch = search.histogram + <Py_ssize_t>padded * (MAX_BINS + 1) * (3 + c)
    cdef double found[4 * LANES]
    cdef double total[2]
    cdef double gain
    best.gain, best.feature = 0.0, -1
    if n < 2 * search.min_leaf or n < 2:
        return
    if n == 2 and c == 1 and not linear:
        split_pair(table, rows, features, n_features, search.factor[0], best)
        return
    code_ranges(table.codes, rows, n, table.d, search.low, search.high)
    bins.features, bins.n_features, bins.sums = features, n_features, search.histogram
    bins.most = MAX_BINS if not linear else MAX_BINS // 8
    bins.most = <int>max(4, min(bins.most, n))
    bins.stride = 3 + c
    bins.step = (bins.most + 1) * bins.stride
    bins.scale = <float *>(scratch + 4 * size)
    bins.low = <int *>(bins.scale + n_features)
    bins.slot = bins.low + n_features
    memset(bins.sums, 0, padded * bins.step * sizeof(double))
    for f in range(n_features):
        bins.low[f] = search.low[features[f]]
        bins.scale[f] = bin_scale(bins.low[f], search.high[features[f]], bins.most)
    if c == 1:
        fill_single(table, search, rows, n, &bins, total)
    else:
        fill(table, search, rows, n, &bins)
    for f in range(n_features):
        j = features[f]
        own = bins.sums + f * bins.step
        lane = f % LANES
        if c == 1 and not linear and lane == 0:
            scan_constants(own, bins.step, min(padded - f, <int>LANES), bins.most, n, search.min_leaf, total[0],
                           total[1], found)
        missing = own[bins.most * bins.stride] > 0
        if search.high[j] < search.low[j] or (search.high[j] == search.low[j] and not missing):
            continue
        n_bins = min(<int>search.high[j] - search.low[j] + 1, bins.most)
        if c == 1 and not missing:
            if linear:
                scan_line(own, n_bins, n, search.ridge, search.min_leaf, j, best)
            elif found[2 * LANES + lane] >= 0:
                gain = found[lane] / found[LANES + lane] - total[1] * total[1] / total[0]
                if gain > best.gain * (1.0 + 1e-12):
                    best.gain, best.feature, best.code = gain, j, <int>found[2 * LANES + lane]
                    best.missing_left = 2 * found[3 * LANES + lane] >= n
            continue
        for way in range(1 + missing):  # 0: unknown values go right
            scan(table, search, &bins, f, n_bins, way, scratch, best)
    if best.feature >= 0:
        bin_to_codes(table, search, rows, n, bins.most, best)


cdef void bin_to_codes(const Table *table, const Search *search, const int *rows, Py_ssize_t n, int most,
                       Split *best) noexcept nogil:
    # ``code`` of a split, so far its bin: the greatest on the left, and the least on the right.
    cdef Py_ssize_t i
    cdef int j = best.feature, low = search.low[j], code, b, left = -1, right = MISSING
    cdef float scale = bin_scale(low, search.high[j], most)
    for i in range(n):
        code = table.codes[<Py_ssize_t>rows[i] * table.d + j]
        b = bin_of(code, low, scale)
        left = code if code > left and b <= best.code and code != MISSING else left
        right = code if code < right and b > best.code else right
    best.code, best.next_code = left, right


cdef void split_pair(const Table *table, const int *rows, const int *features, int n_features, double factor,
                     Split *best) noexcept nogil:
    # Two rows, a third of all nodes of a full-grown tree: any feature in which they differ takes away the same.
    cdef const unsigned short *a = table.codes + <Py_ssize_t>rows[0] * table.d
    cdef const unsigned short *b = table.codes + <Py_ssize_t>rows[1] * table.d
    cdef double w = table.weight[rows[0]], v = table.weight[rows[1]], step = table.rest[rows[0]] - table.rest[rows[1]]
    cdef int f, j
    if not step * step > 0:  # equal, or not measured
        return
    for f in range(n_features):
        j = features[f]
        if a[j] != b[j]:
            best.gain = factor * factor * step * step * w * v / (w + v)
            best.feature, best.code, best.next_code = j, min(a[j], b[j]), max(a[j], b[j])
            best.missing_left = best.next_code != MISSING
            return


cdef clones scan_constants(const double *bins, Py_ssize_t step, int lanes, int n_bins, Py_ssize_t n,
                           Py_ssize_t min_leaf, double W, double R, double *best) noexcept nogil:
    # One channel, no line: what forests do most, for some features at once. W, R: sums over the node. A feature's bins
    # follow each other after ``step`` numbers. best (4, LANES): score as a quotient, its bin (-1: none) and its rows.
    cdef int b, f
    cdef const double *bin
    cdef double other, over, under
    cdef double count[LANES]
    cdef double w[LANES]
    cdef double r[LANES]
    cdef double *best_over = best
    cdef double *best_under = best + LANES
    cdef double *at = best + 2 * LANES
    cdef double *left = best + 3 * LANES
    cdef double least = min_leaf, most = n - min_leaf
    for f in range(LANES):
        count[f] = w[f] = r[f] = best_over[f] = left[f] = 0.0
        best_under[f], at[f] = 1.0, -1.0
    for b in range(n_bins - 1):
        for f in range(lanes):
            bin = bins + f * step + 4 * b
            count[f] += bin[0]  # an empty bin is no better than the one before it; to ask would cost more
            w[f] += bin[1]
            r[f] += bin[2]
            other = W - w[f]
            over = r[f] * r[f] * other + (R - r[f]) * (R - r[f]) * w[f]
            under = w[f] * other
            # A division would wait.
            if (count[f] >= least) & (count[f] <= most) & (over * best_under[f] > best_over[f] * under):
                best_over[f], best_under[f], at[f], left[f] = over, under, b, count[f]


cdef void scan_line(const double *bins, int n_bins, Py_ssize_t n, double ridge, Py_ssize_t min_leaf, int feature,
                    Split *best) noexcept nogil:
    # One channel, a line on either side, nothing unknown.
    cdef int b
    cdef const double *bin
    cdef double total[6]
    cdef double left[6]
    cdef double right[6]
    cdef double gain, before
    memset(total, 0, sizeof(total))
    memset(left, 0, sizeof(left))
    for b in range(n_bins):
        bin = bins + 4 * b
        if bin[0] > 0:
            add(total, bin, 1, 1)
    before = side(total, 1, 1, ridge)
    for b in range(n_bins - 1):
        bin = bins + 4 * b
        if bin[0] == 0:
            continue
        add(left, bin, 1, 1)
        if left[0] < min_leaf:
            continue
        if n - left[0] < min_leaf:
            break
        right[0], right[1], right[2] = total[0] - left[0], total[1] - left[1], total[2] - left[2]
        right[3], right[4], right[5] = total[3] - left[3], total[4] - left[4], total[5] - left[5]
        gain = side(left, 1, 1, ridge) + side(right, 1, 1, ridge) - before
        if gain > best.gain * (1.0 + 1e-12):
            best.gain, best.feature, best.code = gain, feature, b
            best.missing_left = 2 * left[0] >= n


cdef void scan(const Table *table, const Search *search, const Bins *bins, int f, int n_bins, int way, double *total,
               Split *best) noexcept nogil:
    # Any number of channels; rows whose value is unknown go left if way, else right. total: scratch.
    cdef int b, k, c = table.c, linear = search.linear, stride = bins.stride, size = 4 + 2 * c, last = n_bins - 1
    cdef const double *own = bins.sums + f * bins.step
    cdef const double *lost = own + bins.most * stride
    cdef const double *bin
    cdef double *left = total + size
    cdef double *right = left + size
    cdef double gain, before, ridge = search.ridge
    cdef int missing = lost[0] > 0
    memset(total, 0, 2 * size * sizeof(double))
    for b in range(n_bins):
        bin = own + b * stride
        if bin[0] > 0:
            add(total, bin, c, linear)
    total[0] += lost[0]
    total[1] += lost[1]
    for k in range(c):
        total[4 + k] += lost[2 + k]
    before = side(total, c, linear, ridge)
    if way:
        left[0], left[1] = lost[0], lost[1]
        for k in range(c):
            left[4 + k] = lost[2 + k]
    elif missing:
        last = n_bins  # all that is known against all that is not
    for b in range(last):
        bin = own + b * stride
        if bin[0] == 0:
            continue
        add(left, bin, c, linear)
        if left[0] < search.min_leaf:
            continue
        if total[0] - left[0] < search.min_leaf:
            break
        for k in range(size):
            right[k] = total[k] - left[k]
        gain = side(left, c, linear, ridge) + side(right, c, linear, ridge) - before
        if gain > best.gain * (1.0 + 1e-12):
            best.gain, best.feature, best.code = gain, bins.features[f], b
            best.missing_left = way if missing else 2 * left[0] >= total[0]


cdef inline void add(double *s, const double *bin, int c, int linear) noexcept nogil:
    cdef int k
    cdef double mean
    s[0] += bin[0]
    s[1] += bin[1]
    for k in range(c):
        s[4 + k] += bin[2 + k]
    if linear:
        mean = bin[2 + c] / bin[1]
        s[2] += bin[2 + c]
        s[3] += bin[2 + c] * mean
        for k in range(c):
            s[4 + c + k] += mean * bin[2 + k]


def best_split(const double[:, ::1] X, const unsigned short[:, ::1] codes, const double[::1] weight,
               double[:, ::1] rest, const double[::1] factor, const double[::1] centre, bint linear=False,
               double ridge=0.0, Py_ssize_t min_leaf=1):
    """BestSplit of all rows, or None."""
    cdef Py_ssize_t n = X.shape[0]
    cdef int d = X.shape[1], c = rest.shape[1]
    if not n or not d or not c:
        raise ValueError("X and rest must have at least one row and one column.")
    if (codes.shape[0] != n or codes.shape[1] != d or weight.shape[0] != n or rest.shape[0] != n
            or factor.shape[0] != c or centre.shape[0] != d):
        raise ValueError("X, codes, weight, rest, factor and centre do not fit together.")
    cdef Table table = Table(n, d, c, &X[0, 0], &codes[0, 0], &weight[0], &rest[0, 0])
    cdef int[::1] rows = np.arange(n, dtype=np.intc), features = np.arange(d, dtype=np.intc)
    cdef unsigned short[::1] low = np.empty(d, np.uint16), high = np.empty(d, np.uint16)
    cdef double[::1] histogram = np.empty(histogram_size(d, c))
    cdef Search search = Search(&factor[0], &centre[0], linear, ridge, min_leaf, &low[0], &high[0], &histogram[0])
    cdef Split split
    with nogil:
        find_split(&table, &search, &rows[0], n, &features[0], d, &split)
    if split.feature < 0:
        return None
    code = np.asarray(codes)[:, split.feature]
    n_left = np.count_nonzero(np.where(code == MISSING, bool(split.missing_left), code <= split.code))
    return BestSplit(split.gain, split.feature, split.code, split.next_code, bool(split.missing_left), n_left)
