/* A stage where each system has a slip resistance of its own: goes between grain_lanes.h and grain_attempt.h.
 *
 * Unknown are u and the slip y of all systems, with x = P u / g(y):
 *     b - u - GAMMA P' y = 0,    slip(x) - y = 0,    Gamma = before + GAMMA interaction |y|.
 * A change of slip in its own direction, w = sign(x) dy, obeys
 *     (1 + diag(e) + diag(c) interaction) w = sign(x) (slip - y) + diag(|slope| sign(x) / g) P du,    c = GAMMA n
 * |slip| dg / g.
 */

/* LU in place, without pivots: 1 + diag(c) interaction is close to a product with symmetric positive matrices. */
PART void LANE(eliminate)(int n, vd *M, int columns, vd *right) {
    EACH (i, n) {
        vd inverse = 1.0 / M[i * n + i];
        for (int r = i + 1; r < n; r++) {
            vd factor = M[r * n + i] * inverse;
            for (int j = i + 1; j < n; j++) M[r * n + j] -= factor * M[i * n + j];
            EACH (j, columns) right[r * columns + j] -= factor * right[i * columns + j];
        }
        M[i * n + i] = inverse;
    }
    for (int i = n - 1; i >= 0; i--)
        EACH (j, columns) {
            for (int l = i + 1; l < n; l++) right[i * columns + j] -= M[i * n + l] * right[l * columns + j];
            right[i * columns + j] *= M[i * n + i];
        }
}

/* The factors of a 5 x 5 matrix, the inverse pivots on the diagonal, and a solution by them. */
FN void LANE(factorise_each)(vd *A) {
    EACH (i, 5) {
        A[6 * i] = 1.0 / A[6 * i];
        for (int r = i + 1; r < 5; r++) {
            A[5 * r + i] *= A[6 * i];
            for (int j = i + 1; j < 5; j++) A[5 * r + j] -= A[5 * r + i] * A[5 * i + j];
        }
    }
}

FN void LANE(substitute_each)(const vd *A, vd *b) {
    EACH (i, 5)
        EACH (j, i) b[i] -= A[5 * i + j] * b[j];
    for (int i = 4; i >= 0; i--) {
        for (int j = i + 1; j < 5; j++) b[i] -= A[5 * i + j] * b[j];
        b[i] *= A[6 * i];
    }
}

FN int LANE(has_back)(const skmerge_grain_law *law) { return law->row > SKMERGE_GRAIN_HARDENING + law->systems; }

/* Back stress after slip of one sign, from `start`. */
FN void LANE(back)(const skmerge_grain_law *law, vd start, vd slip, stage *at, int a) {
    vd side = LANE(signed_as)(set(1.0), slip), z = -law->back_recovery * size(slip);
    vd p = LANE(phi1)(z); /* chi = start + (c - d start side) slip phi1(-d |slip|) */
    at->chi[a] = start + (law->back_storage - law->back_recovery * start * side) * slip * p;
    at->dchi_start[a] = 1.0 + z * p;
    at->dchi[a] = (law->back_storage - law->back_recovery * start * side) * at->dchi_start[a];
}

/* Hardening at the start and x there, u in at->v; the greatest |x|, the least g and the logarithm of their spread. */
PART vd LANE(start_each)(const skmerge_grain_law *law, const grain *from, hard *h, stage *at, vd *least, vd *spread,
                         vd *shift) {
    vd most = set(0.0), greatest = set(0.0), farthest = set(0.0), g;
    *least = set(1e300);
    EACH (i, 5) at->v[i] = from->u[i];
    LANE(resolve)(law, at->v, at->x);
    EACH (a, law->systems) {
        LANE(start_of)(law, from->s[a], h + a, &g);
        *least = select(less(g, *least), g, *least);
        greatest = greater(g, greatest);
        if (LANE(has_back)(law)) {
            vd chi = from->s[law->systems + a];
            at->x[a] -= chi;
            farthest = greater(size(chi), farthest);
        }
        at->x[a] /= g;
        most = greater(size(at->x[a]), most);
    }
    /* The bound of x is one of tau / g: with back stress it is a guess, which Newton's method may pass by 5 % a round.
     */
    *spread = logarithm(greater(greatest / *least, set(1.0)));
    *shift = 1.0 + farthest / *least;
    return most;
}

/* M = 1 + diag(e) + diag(c) interaction */
FN void LANE(coupling)(const skmerge_grain_law *law, const vd *c, const vd *e, vd *M) {
    const int n = law->systems;
    EACH (a, n)
        EACH (b, n) M[a * n + b] = c[a] * law->interaction[a][b] + (a == b ? 1.0 + e[a] : set(0.0));
}

/* The root, from u in at->v, x and the slip in at->rate; `first` is the first stage, if this is the second. */
PART vm LANE(solve_each)(const skmerge_grain_law *law, const hard *h, const vd *chi, const vd *b, const stage *first,
                         vd slip_rate, vd limit, stage *at, stage *out) {
    const int n = law->systems;
    vm open = less(set(-1.0), set(0.0));
    vd before[SKMERGE_MOST_SYSTEMS], y[SKMERGE_MOST_SYSTEMS], dy[SKMERGE_MOST_SYSTEMS], dx[SKMERGE_MOST_SYSTEMS];
    vd M[SKMERGE_MOST_SYSTEMS * SKMERGE_MOST_SYSTEMS], right[SKMERGE_MOST_SYSTEMS * 6], c[SKMERGE_MOST_SYSTEMS];
    vd e[SKMERGE_MOST_SYSTEMS], slipped[SKMERGE_MOST_SYSTEMS];
    const int back = LANE(has_back)(law);
    EACH (a, n) {
        before[a] = slipped[a] = e[a] = set(0.0);
        y[a] = at->rate[a];
        if (first) slipped[a] = (1.0 - GAMMA) * first->rate[a];
        if (first)
            EACH (l, n) before[a] += ((1.0 - GAMMA) * law->interaction[a][l]) * size(first->rate[l]);
    }
    EACH (round, MOST_ROUNDS) {
        vd du[5], change = set(0.0), most = set(0.0), cut = set(1.0);
        vm now;
        LANE(resolve)(law, at->v, dx);
        EACH (a, n) {
            vd Gamma = before[a];
            EACH (l, n) Gamma += (GAMMA * law->interaction[a][l]) * size(y[l]);
            LANE(harden)(law, h + a, Gamma, &at->each[a]);
            if (back) {
                LANE(back)(law, chi[a], slipped[a] + GAMMA * y[a], at, a);
                dx[a] -= at->chi[a];
            }
            dx[a] /= at->each[a].g;
        }
        if (!round && !back) { /* u grows with g, or all x would begin too small */
            vd known = set(1e-280), both = set(1e-280), factor;
            EACH (a, n) {
                known += at->x[a] * at->x[a];
                both += at->x[a] * dx[a];
            }
            factor = known / both;
            factor = select(less(size(factor - 1.0), set(0.5)), factor, set(1.0));
            EACH (i, 5) at->v[i] *= factor;
            EACH (a, n) dx[a] *= factor;
        }
        EACH (a, n) at->x[a] = dx[a];
        LANE(powers)(law, slip_rate, at->x, at->rate, at->slope);
        EACH (a, n) {
            vd side = LANE(signed_as)(set(1.0), at->x[a]), per_g = at->slope[a] / at->each[a].g;
            c[a] = GAMMA * per_g * size(at->x[a]) * at->each[a].dg;
            if (back) e[a] = GAMMA * per_g * at->dchi[a];
            right[6 * a] = side * (at->rate[a] - y[a]);
            EACH (j, 5) right[6 * a + 1 + j] = side * per_g * law->P[a][j];
        }
        LANE(coupling)(law, c, e, M);
        LANE(eliminate)(n, M, 6, right);
        EACH (i, 5) {
            EACH (j, 5) at->A[5 * i + j] = set(i == j ? 1.0 : 0.0);
            du[i] = b[i] - at->v[i];
        }
        EACH (a, n) {
            vd side = LANE(signed_as)(set(GAMMA), at->x[a]), w = GAMMA * y[a] + side * right[6 * a];
            EACH (i, 5) {
                vd part = law->P[a][i] * side;
                EACH (j, 5) at->A[5 * i + j] += part * right[6 * a + 1 + j];
                du[i] -= law->P[a][i] * w;
            }
        }
        LANE(factorise_each)(at->A);
        LANE(substitute_each)(at->A, du);
        EACH (a, n) {
            dy[a] = right[6 * a];
            EACH (j, 5) {
                at->Z[a][j] = right[6 * a + 1 + j];
                dy[a] += at->Z[a][j] * du[j];
            }
        }
        LANE(resolve)(law, du, dx);
        EACH (a, n) {
            vd harder = set(0.0);
            EACH (l, n) harder += law->interaction[a][l] * dy[l];
            dx[a] = dx[a] - GAMMA * at->x[a] * at->each[a].dg * harder;
            if (back) dx[a] -= GAMMA * at->dchi[a] * LANE(signed_as)(set(1.0), at->x[a]) * dy[a];
            dx[a] /= at->each[a].g;
            change = greater(size(dx[a]), change);
            most = greater(size(at->x[a] + dx[a]), most);
        }
        EACH (a, n) dy[a] *= LANE(signed_as)(set(1.0), at->x[a]);
        if (any(less(limit, most) & open)) cut = LANE(cut_of)(law, at->x, dx, limit);
        now = less(law->n * change, set(law->newton_tol)) & less(set(0.999999), cut) & open;
        if (any(now)) {
#define KEEP(name, value) out->name = select(now, value, out->name)
            EACH (i, 5) KEEP(u[i], at->v[i] + du[i]);
            EACH (i, 25) KEEP(A[i], at->A[i]);
            EACH (a, n) {
                KEEP(x[a], at->x[a] + dx[a]);
                KEEP(rate[a], y[a] + dy[a]);
                KEEP(slope[a], at->slope[a]);
                EACH (j, 5) KEEP(Z[a][j], at->Z[a][j]);
            }
#undef KEEP
            open &= ~now;
            if (!any(open)) break;
        }
        EACH (i, 5) at->v[i] += cut * du[i];
        EACH (a, n) y[a] += cut * dy[a]; /* slip is convex, so that this is below that of x */
    }
    out->total = set(0.0);
    EACH (a, n) {
        vd Gamma = before[a];
        EACH (l, n) Gamma += (GAMMA * law->interaction[a][l]) * size(out->rate[l]);
        LANE(harden)(law, h + a, Gamma, &out->each[a]);
        if (back) LANE(back)(law, chi[a], slipped[a] + GAMMA * out->rate[a], out, a);
        out->total += size(out->rate[a]);
    }
    return ~open;
}

/* out = part interaction w */
PART void LANE(interact)(const skmerge_grain_law *law, double part, vd w[][5], vd out[][5]) {
    EACH (a, law->systems)
        EACH (j, 5) {
            vd sum = set(0.0);
            EACH (l, law->systems) sum += (part * law->interaction[a][l]) * w[l][j];
            out[a][j] = part == GAMMA ? out[a][j] + sum : sum;
        }
}

/* As `differentiate`: slip (n x 5) of each system is that in its own direction. */
PART void LANE(differentiate_each)(const skmerge_grain_law *law, const stage *at, vd b[5][5], vd before[][5],
                                   vd slipped[][5], vd s[][5], vd du[5][5], vd slip[][5], vd w[3][5]) {
    const int n = law->systems;
    vd M[SKMERGE_MOST_SYSTEMS * SKMERGE_MOST_SYSTEMS], right[SKMERGE_MOST_SYSTEMS * 5], c[SKMERGE_MOST_SYSTEMS];
    vd e[SKMERGE_MOST_SYSTEMS];
    const int back = LANE(has_back)(law);
    EACH (a, n) {
        const hardened *now = &at->each[a];
        vd k = at->slope[a] * size(at->x[a]) / now->g;
        c[a] = GAMMA * k * now->dg;
        e[a] = set(0.0);
        EACH (j, 5) right[5 * a + j] = -k * (now->dg * before[a][j] + now->dg_ds * now->ds_start * s[a][j]);
        if (back) {
            vd side = LANE(signed_as)(set(1.0), at->x[a]), per_g = at->slope[a] / now->g;
            e[a] = GAMMA * per_g * at->dchi[a];
            EACH (j, 5)
                right[5 * a + j] -= side * per_g * (at->dchi_start[a] * s[n + a][j] + at->dchi[a] * slipped[a][j]);
        }
    }
    LANE(coupling)(law, c, e, M);
    LANE(eliminate)(n, M, 5, right);
    EACH (i, 3)
        EACH (j, 5) w[i][j] = set(0.0);
    EACH (j, 5) {
        vd column[5];
        EACH (i, 5) column[i] = b[i][j];
        EACH (a, n) {
            vd part = LANE(signed_as)(set(GAMMA), at->x[a]) * right[5 * a + j];
            EACH (i, 5) column[i] -= law->P[a][i] * part;
        }
        LANE(substitute_each)(at->A, column);
        EACH (i, 5) du[i][j] = column[i];
        EACH (a, n) {
            vd side = LANE(signed_as)(set(1.0), at->x[a]);
            slip[a][j] = right[5 * a + j] + LANE(dot)(at->Z[a], column);
            EACH (i, 3) w[i][j] += law->S[a][i] * side * slip[a][j];
        }
    }
}
