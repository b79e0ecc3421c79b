/* One step of LANES grains, its error and its derivative, and blocks of grains: grain_lanes.h and
 * grain_systems.h go before. */

/* Derivative of one stage by the strain of the sample: db (5 x 5) on entry is that of b, before (5) of Gamma until
 * then, and s (5) of s at the start; du, slip and w (3 x 5) are those of u, of the slip and of the turn of the lattice.
 */
PART void LANE(differentiate)(const skmerge_grain_law *law, const stage *at, vd b[5][5], const vd *before, const vd *s,
                              vd du[5][5], vd *slip, vd w[3][5]) {
    vd W[3][5], rank[5], v[5], denominator;
    EACH (i, 3)
        EACH (j, 5) W[i][j] = set(0.0);
    EACH (a, law->systems)
        EACH (i, 3) {
            vd part = law->S[a][i] * at->slope[a];
            EACH (j, 5) W[i][j] += law->P[a][j] * part;
        }
    EACH (i, 5) rank[i] = v[i] = at->v[i];
    LANE(substitute)(at->J, rank);
    EACH (i, 5) rank[i] *= GAMMA;
    denominator = 1.0 / (1.0 + at->now.dg * LANE(dot)(at->q, rank));
    EACH (j, 5) {
        vd column[5], K[5], more = at->now.dg * before[j] + at->now.dg_ds * at->now.ds_start * s[j];
        EACH (i, 5) column[i] = b[i][j] - v[i] * more;
        LANE(solve_for)(at, rank, denominator, column);
        LANE(symmetric_times)(at->K, column, K);
        EACH (i, 5) du[i][j] = b[i][j] - GAMMA * K[i];
        slip[j] = LANE(dot)(at->q, column);
        EACH (i, 3) w[i][j] = LANE(dot)(W[i], column);
    }
}

/* d v / d theta where a lattice turns by theta within itself, (5, 3); `sign` -1 for the strain seen from it. */
FN void LANE(by_turning)(const vd *v, double sign, vd X[5][3]) {
    EACH (c, 3) {
        vd unit[3], column[5];
        EACH (i, 3) unit[i] = set(i == c ? 1.0 : 0.0);
        LANE(commutator)(v, unit, column);
        EACH (i, 5) X[i][c] = sign * column[i];
    }
}

PART void LANE(chain)(const skmerge_grain_law *law, vd share, const stage *one, const stage *two, const vd *R1,
                      const vd *R2, const vd *d2, sensitivity *by) {
    vd A[5][5], b[5][5], b2[5][5], du[5][5], w1[3][5], w2[3][5], X[5][3], D2[5], slip[5];
    vd before[SKMERGE_MOST_SYSTEMS][5], slips[SKMERGE_MOST_SYSTEMS][5], slipped[SKMERGE_MOST_SYSTEMS][5];
    const int n = law->per_system ? law->systems : 1, back = LANE(has_back)(law);
    EACH (a, n)
        EACH (j, 5) before[a][j] = slipped[a][j] = set(0.0);
    LANE(rotation_of_deviators)(R1, A);
    EACH (i, 5)
        EACH (j, 5) b[i][j] = by->u[i][j] + (GAMMA * share * law->root_c[i]) * A[j][i];
    if (law->per_system)
        LANE(differentiate_each)(law, one, b, before, slipped, by->s, du, slips, w1);
    else
        LANE(differentiate)(law, one, b, before[0], by->s[0], du, slip, w1);
    /* b2 = u0 + (1 - GAMMA)/GAMMA (u1 - u0) + GAMMA d2 */
    LANE(rotation_of_deviators)(R2, A);
    EACH (i, 5) D2[i] = d2[i] * (1.0 / law->root_c[i]);
    LANE(by_turning)(D2, -1.0, X);
    EACH (i, 5)
        EACH (j, 5) {
            vd turn = X[i][0] * w1[0][j] + X[i][1] * w1[1][j] + X[i][2] * w1[2][j];
            b2[i][j] = by->u[i][j] + ((1.0 - GAMMA) / GAMMA) * (du[i][j] - by->u[i][j]) +
                       (GAMMA * law->root_c[i]) * (share * A[j][i] + turn);
        }
    if (law->per_system) {
        LANE(interact)(law, 1.0 - GAMMA, slips, before);
        EACH (a, n)
            EACH (j, 5) slipped[a][j] = (1.0 - GAMMA) * LANE(signed_as)(set(1.0), one->x[a]) * slips[a][j];
        LANE(differentiate_each)(law, two, b2, before, slipped, by->s, by->u, slips, w2);
        LANE(interact)(law, GAMMA, slips, before);
        EACH (a, n)
            EACH (j, 5) by->s[a][j] = two->each[a].ds_start * by->s[a][j] + two->each[a].ds_Gamma * before[a][j];
        if (back)
            EACH (a, n)
                EACH (j, 5) {
                    vd slip_by = slipped[a][j] + GAMMA * LANE(signed_as)(set(1.0), two->x[a]) * slips[a][j];
                    by->s[n + a][j] = two->dchi_start[a] * by->s[n + a][j] + two->dchi[a] * slip_by;
                }
    } else {
        EACH (j, 5) before[0][j] = (1.0 - GAMMA) * slip[j];
        LANE(differentiate)(law, two, b2, before[0], by->s[0], by->u, slip, w2);
        EACH (j, 5)
            by->s[0][j] = two->now.ds_start * by->s[0][j] + two->now.ds_Gamma * (before[0][j] + GAMMA * slip[j]);
    }
    EACH (i, 3)
        EACH (j, 5) by->turn[i][j] += (1.0 - GAMMA) * w1[i][j] + GAMMA * w2[i][j];
}

/* The largest change of x that a small change of b makes, in its place; relative to x where that is above one. */
PART vd LANE(response)(const skmerge_grain_law *law, const stage *at, vd least, vd *b) {
    vd x[SKMERGE_MOST_SYSTEMS], rank[5], most, largest = set(1.0);
    if (law->per_system) {
        LANE(substitute_each)(at->A, b);
        EACH (i, 5) b[i] /= least;
    } else {
        EACH (i, 5) rank[i] = at->v[i];
        LANE(substitute)(at->J, rank);
        EACH (i, 5) rank[i] *= GAMMA;
        LANE(solve_for)(at, rank, 1.0 / (1.0 + at->now.dg * LANE(dot)(at->q, rank)), b);
    }
    most = LANE(resolve)(law, b, x);
    EACH (a, law->systems) largest = greater(size(at->x[a]), largest);
    return most / largest;
}

/* One step; the error, infinite where it failed. With `by` its derivative is chained to what that holds, `share` being
 * the part of the whole step. */
PART vd LANE(attempt)(const skmerge_grain_law *law, const grain *from, const load *f, grain *to, sensitivity *by,
                      vd share) {
    hard h[SKMERGE_MOST_SYSTEMS];
    stage at, one, two;
    vd g, least, spread, limit, most, log_slip, w0[3], w1[3], w2[3], turn[3], t0[5], t1[5], d1[5], d2[5], b[5], y[5];
    vd R[9], R1[9], R2[9], q[4], error, part, along, square;
    vm good;
    const int n = law->per_system ? law->systems : 1;
    vd shift = set(1.0);
    log_slip = logarithm(greater(GAMMA * f->slip_rate, set(1e-280)));

    /* Slip at the start, of a stress that the first stage may have. */
    LANE(strain_in_lattice)(law, f, from->q, R, d1);
    EACH (i, 5) b[i] = from->u[i] + GAMMA * d1[i];
    if (law->per_system) {
        most = LANE(start_each)(law, from, h, &at, &least, &spread, &shift);
    } else {
        LANE(start_of)(law, from->s[0], h, &g);
        least = g;
        spread = set(0.0);
        EACH (i, 5) at.v[i] = from->u[i] / g;
        most = LANE(resolve)(law, at.v, at.x);
    }
    limit = shift * LANE(bound)(law, b, least, spread, log_slip);
    part = select(less(limit, most), limit / most, set(1.0));
    EACH (i, 5) at.v[i] *= part;
    EACH (a, law->systems) at.x[a] *= part;
    LANE(powers)(law, f->slip_rate, at.x, at.rate, at.slope);
    EACH (i, 5) y[i] = set(0.0);
    EACH (a, law->systems)
        EACH (i, 5) y[i] += law->P[a][i] * at.rate[a];
    LANE(spin_of)(law, from->u, y, at.rate, w0, t0);
    /* It need not be that of the step: the part of it that the strain asks for. */
    along = square = set(0.0);
    EACH (i, 5) {
        vd c = set(1.0 / (law->root_c[i] * law->root_c[i]));
        along += c * y[i] * d1[i];
        square += c * y[i] * y[i];
    }
    part = along / greater(square, set(1e-280));
    part = greater(select(less(part, set(1.0)), part, set(1.0)), set(0.0));
    EACH (i, 3) turn[i] = (GAMMA * part) * w0[i];
    EACH (i, 5) t0[i] *= part;

    LANE(turned)(f, GAMMA, from->q, turn, q);
    LANE(strain_in_lattice)(law, f, q, R1, d1);
    EACH (i, 5) b[i] = from->u[i] + GAMMA * (d1[i] + t0[i]);
    limit = shift * LANE(bound)(law, b, least, spread, log_slip);
    good = law->per_system ? LANE(solve_each)(law, h, from->s + law->systems, b, NULL, f->slip_rate, limit, &at, &one)
                           : LANE(solve)(law, h, b, set(0.0), f->slip_rate, limit, 1, &at, &one);
    EACH (i, 5) y[i] = (b[i] - one.u[i]) * (1.0 / GAMMA);
    LANE(spin_of)(law, one.u, y, one.rate, w1, t1);

    LANE(turned)(f, 1.0, from->q, w1, q);
    LANE(strain_in_lattice)(law, f, q, R2, d2);
    EACH (i, 5) b[i] = from->u[i] + (1.0 - GAMMA) * (d1[i] - y[i]) + GAMMA * d2[i] + t1[i];
    if (law->per_system) {
        EACH (i, 5) at.v[i] = one.u[i];
        EACH (a, law->systems) at.x[a] = one.x[a], at.rate[a] = one.rate[a];
        limit = shift * LANE(bound)(law, b, least, spread, log_slip);
        good &= LANE(solve_each)(law, h, from->s + law->systems, b, &one, f->slip_rate, limit, &at, &two);
    } else {
        EACH (i, 5) at.v[i] = one.v[i];
        EACH (a, law->systems) at.x[a] = one.x[a];
        limit = LANE(bound)(law, b, one.now.g, spread, log_slip);
        good &= LANE(solve)(law, h, b, (1.0 - GAMMA) * one.total, f->slip_rate, limit, 0, &at, &two);
    }
    EACH (i, 5) d1[i] = d1[i] - y[i]; /* du/dt of the first stage */
    EACH (i, 5) y[i] = (b[i] - two.u[i]) * (1.0 / GAMMA);
    LANE(spin_of)(law, two.u, y, two.rate, w2, t1);

    EACH (i, 5) to->u[i] = two.u[i];
    EACH (i, 3) turn[i] = (1.0 - GAMMA) * w1[i] + GAMMA * w2[i];
    LANE(turned)(f, 1.0, from->q, turn, q);
    part = 1.5 - 0.5 * (q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    EACH (i, 4) to->q[i] = part * q[i];
    to->mean = from->mean + law->bulk * f->volume;
    to->slip = from->slip + (1.0 - GAMMA) * one.total + GAMMA * two.total;

    /* Against the stage at GAMMA alone, which is of first order; its stiff part decays at once. */
    EACH (i, 5) b[i] = GAMMA * ((d2[i] - y[i]) - d1[i]);
    error = LANE(response)(law, &two, least, b);
    EACH (a, n) {
        const hardened *now = law->per_system ? &two.each[a] : &two.now;
        to->s[a] = now->s;
        error = greater(size(GAMMA * (two.total - one.total) * now->dg / now->g), error);
        if (LANE(has_back)(law)) {
            to->s[n + a] = two.chi[a];
            error = greater(size(GAMMA * (two.rate[a] - one.rate[a]) * two.dchi[a] / now->g), error);
            good &= less(size(two.chi[a]), set(1e300));
        }
        good &= less(size(now->s), set(1e300)) & less(set(0.0), now->g);
    }
    EACH (i, 3) error = greater(GAMMA * size(w2[i] - w1[i]), error);
    if (by) LANE(chain)(law, share, &one, &two, R1, R2, d2, by);
    /* A turn of more than 1 rad is beyond the series; what is not finite is beyond everything. */
    square = f->turn[0] * f->turn[0] + f->turn[1] * f->turn[1] + f->turn[2] * f->turn[2];
    along = turn[0] * turn[0] + turn[1] * turn[1] + turn[2] * turn[2];
    part = w1[0] * w1[0] + w1[1] * w1[1] + w1[2] * w1[2];
    good &= less(square, set(1.0)) & less(along, set(1.0)) & less(part, set(1.0));
    part = error + to->slip;
    EACH (i, 4) part += size(q[i]);
    EACH (i, 5) part += size(two.u[i]);
    good &= less(size(part), set(1e300));
    return select(good, error, set(INFINITY));
}

/* ---- blocks ---- */

typedef struct {
    const double *L, *dt;
    ptrdiff_t L_stride, dt_stride;
    double *state, *stress, *tangent;
    ptrdiff_t stress_stride;
    int *flags;
} LANE(batch);
#define batch LANE(batch)

/* The state and load of the grains `which`; lanes beyond `count` repeat the last one. Whether each is finite. */
PART vm LANE(gather)(const skmerge_grain_law *law, const batch *all, const ptrdiff_t *which, int count, grain *at,
                     load *f) {
    double rows[SKMERGE_GRAIN_HARDENING + 2 * SKMERGE_MOST_SYSTEMS][LANES], M[9][LANES], t[LANES];
    vd G[9], sum = set(0.0), dt;
    EACH (l, LANES) {
        ptrdiff_t r = which[l < count ? l : count - 1];
        EACH (i, law->row) rows[i][l] = all->state[r * law->row + i];
        EACH (i, 9) M[i][l] = all->L[r * all->L_stride + i];
        t[l] = all->dt[r * all->dt_stride];
    }
    memcpy(&dt, t, sizeof dt);
    EACH (i, 9) {
        memcpy(&G[i], M[i], sizeof dt);
        G[i] *= dt;
        sum += size(G[i]);
    }
    EACH (i, law->row) {
        memcpy((vd *)at + i, rows[i], sizeof dt);
        sum += size(((vd *)at)[i]);
    }
    LANE(deviator)(G, f->D);
    f->volume = G[0] + G[4] + G[8];
    f->turn[0] = 0.5 * (G[7] - G[5]), f->turn[1] = 0.5 * (G[2] - G[6]), f->turn[2] = 0.5 * (G[3] - G[1]);
    f->slip_rate = law->slip_rate * dt;
    f->dt = dt;
    return less(sum, set(1e300)) & ~less(dt, set(0.0)) & less(dt, set(1e300));
}

/* Rows of n numbers of the lanes `now`. Apart, from memory: a compiler that extracts a lane may also compute it by
 * itself, with other roundings. */
PART void LANE(scatter)(const vd *from, int n, const ptrdiff_t *which, int count, vm now, double *to,
                        ptrdiff_t stride) {
    const double *numbers = (const double *)from;
    EACH (l, count) {
        double *row = to + which[l] * stride;
        if (GET(now, l))
            EACH (i, n) row[i] = numbers[i * LANES + l];
    }
}

PART void LANE(write_stress)(const skmerge_grain_law *law, const grain *at, const ptrdiff_t *which, int count,
                             double *stress, ptrdiff_t stride) {
    vd s[5], R[9], M[9], row[6];
    EACH (i, 5) s[i] = law->root_c[i] * at->u[i];
    LANE(rotation)(at->q, R);
    LANE(rotate)(R, s, 1, s);
    LANE(matrix)(s, M);
    EACH (i, 3) row[i] = M[4 * i] + at->mean;
    row[3] = M[5], row[4] = M[2], row[5] = M[1];
    LANE(scatter)(row, 6, which, count, less(set(-1.0), set(0.0)), stress, stride);
}

/* d stress / d (D dt) from the derivatives by the deviator of the strain. */
PART void LANE(write_tangent)(const skmerge_grain_law *law, const grain *at, const sensitivity *by,
                              const ptrdiff_t *which, int count, double *tangent) {
    static const double B[6][5] = {{ROOT_1_2, -ROOT_1_6}, {-ROOT_1_2, -ROOT_1_6},    {0.0, 2.0 * ROOT_1_6},
                                   {0.0, 0.0, ROOT_1_2},  {0.0, 0.0, 0.0, ROOT_1_2}, {0.0, 0.0, 0.0, 0.0, ROOT_1_2}};
    vd R[9], A[5][5], X[5][3], s[5], T[5][5], half[6][5], rows[36];
    EACH (i, 5) s[i] = law->root_c[i] * at->u[i];
    LANE(rotation)(at->q, R);
    LANE(rotation_of_deviators)(R, A);
    LANE(by_turning)(s, 1.0, X);
    EACH (j, 5) {
        vd column[5];
        EACH (i, 5) {
            column[i] = law->root_c[i] * by->u[i][j];
            EACH (c, 3) column[i] += X[i][c] * by->turn[c][j];
        }
        EACH (i, 5) {
            T[i][j] = set(0.0);
            EACH (k, 5) T[i][j] += A[i][k] * column[k];
        }
    }
    EACH (i, 6)
        EACH (j, 5)
            half[i][j] = i < 2    ? B[i][0] * T[0][j] + B[i][1] * T[1][j]
                         : i == 2 ? B[2][1] * T[1][j]
                                  : ROOT_1_2 * T[i - 1][j];
    EACH (i, 6)
        EACH (j, 6) {
            vd c = j < 2    ? B[j][0] * half[i][0] + B[j][1] * half[i][1]
                   : j == 2 ? B[2][1] * half[i][1]
                            : ROOT_1_2 * half[i][j - 1];
            if (i < 3 && j < 3) c += law->bulk;
            rows[6 * i + j] = c;
        }
    LANE(scatter)(rows, 36, which, count, less(set(-1.0), set(0.0)), tangent, 36);
}

FN void LANE(clear)(const skmerge_grain_law *law, sensitivity *by) {
    EACH (i, 40 + 5 * (law->row - SKMERGE_GRAIN_HARDENING)) ((vd *)by)[i] = set(0.0);
}

/* Grains one step of which fails or errs too much: pieces of 2^-level of it, lane by lane. Returns all flags. */
PART int LANE(cut_step)(const skmerge_grain_law *law, const batch *all, const ptrdiff_t *which, int count) {
    grain at, next;
    load f, piece;
    sensitivity by, trial;
    int level[LANES], done[LANES], pieces[LANES], flag[LANES], found = 0, running = 0;
    const int deepest = law->most_halvings;
    vm finite = LANE(gather)(law, all, which, count, &at, &f), wrong;
    grain start = at;
    if (all->tangent) LANE(clear)(law, &by);
    EACH (l, LANES) {
        level[l] = deepest ? 1 : 0, done[l] = 0, pieces[l] = 0;
        flag[l] = GET(finite, l) ? (deepest ? 0 : SKMERGE_GRAIN_NOT_CONVERGED) : SKMERGE_GRAIN_NOT_FINITE;
        running |= l < count && !flag[l];
    }
    while (running) {
        double part[LANES];
        vd share, error;
        vm accepted = less(set(0.0), set(-1.0));
        EACH (l, LANES) part[l] = 1.0 / (double)(1 << level[l]);
        memcpy(&share, part, sizeof share);
        EACH (i, 5) piece.D[i] = share * f.D[i];
        EACH (i, 3) piece.turn[i] = share * f.turn[i];
        piece.volume = share * f.volume;
        piece.slip_rate = share * f.slip_rate;
        piece.dt = share * f.dt;
        if (all->tangent) trial = by;
        error = LANE(attempt)(law, &at, &piece, &next, all->tangent ? &trial : NULL, share);
        running = 0;
        EACH (l, LANES) {
            double e = GET(error, l);
            if (flag[l] || done[l] >> deepest) continue;
            if (e <= law->tol && e < INFINITY) {
                PUT(accepted, l, -1);
                done[l] += 1 << (deepest - level[l]);
                pieces[l]++;
                if (e < 0.25 * law->tol && level[l] && !(done[l] & ((1 << (deepest - level[l] + 1)) - 1))) level[l]--;
            } else if (level[l] < deepest) {
                level[l]++;
            } else {
                flag[l] = SKMERGE_GRAIN_NOT_CONVERGED;
            }
            running |= l < count && !flag[l] && !(done[l] >> deepest);
        }
        EACH (i, law->row) {
            vd *to = (vd *)&at + i;
            *to = select(accepted, ((vd *)&next)[i], *to);
        }
        if (all->tangent)
            EACH (i, 40 + 5 * (law->row - SKMERGE_GRAIN_HARDENING)) {
                vd *to = (vd *)&by + i;
                *to = select(accepted, ((vd *)&trial)[i], *to);
            }
    }
    wrong = less(set(0.0), set(-1.0));
    EACH (l, LANES)
        if (flag[l]) PUT(wrong, l, -1);
    EACH (i, law->row) {
        vd *to = (vd *)&at + i;
        *to = select(wrong, ((vd *)&start)[i], *to);
    }
    LANE(scatter)((vd *)&at, law->row, which, count, ~wrong, all->state, law->row);
    if (all->stress) LANE(write_stress)(law, &at, which, count, all->stress, all->stress_stride);
    if (all->tangent) LANE(write_tangent)(law, &at, &by, which, count, all->tangent);
    EACH (l, count) {
        int more = pieces[l] > 1 ? pieces[l] - 1 : 0;
        if (all->flags) all->flags[which[l]] = flag[l] | (more < 32767 ? more : 32767) * SKMERGE_GRAIN_PIECES;
        found |= flag[l];
    }
    return found;
}

PART int LANE(steps)(const skmerge_grain_law *law, ptrdiff_t n, const batch *all) {
    ptrdiff_t pending[2 * LANES], which[LANES];
    int waiting = 0, found = 0;
    for (ptrdiff_t r = 0; r < n; r += LANES) {
        const int count = n - r < LANES ? (int)(n - r) : LANES;
        grain at, next;
        load f;
        sensitivity by;
        vm good;
        EACH (l, count) which[l] = r + l;
        good = LANE(gather)(law, all, which, count, &at, &f);
        if (all->tangent) LANE(clear)(law, &by);
        vd error = LANE(attempt)(law, &at, &f, &next, all->tangent ? &by : NULL, set(1.0));
        good &= ~less(set(law->tol), error) & less(error, set(INFINITY));
        LANE(scatter)((vd *)&next, law->row, which, count, good, all->state, law->row);
        if (all->stress) LANE(write_stress)(law, &next, which, count, all->stress, all->stress_stride);
        if (all->tangent) LANE(write_tangent)(law, &next, &by, which, count, all->tangent);
        EACH (l, count) {
            if (GET(good, l)) {
                if (all->flags) all->flags[which[l]] = 0;
            } else {
                pending[waiting++] = which[l];
            }
        }
        if (waiting >= LANES) {
            found |= LANE(cut_step)(law, all, pending, LANES);
            waiting -= LANES;
            EACH (l, waiting) pending[l] = pending[LANES + l];
        }
    }
    if (waiting) found |= LANE(cut_step)(law, all, pending, waiting);
    return found;
}

PART void LANE(stress_of)(const skmerge_grain_law *law, ptrdiff_t n, const batch *all) {
    const double zero[9] = {0.0};
    batch at_rest = *all;
    at_rest.L = at_rest.dt = zero;
    at_rest.L_stride = at_rest.dt_stride = 0;
    for (ptrdiff_t r = 0; r < n; r += LANES) {
        const int count = n - r < LANES ? (int)(n - r) : LANES;
        ptrdiff_t which[LANES];
        grain at;
        load f;
        EACH (l, count) which[l] = r + l;
        LANE(gather)(law, &at_rest, which, count, &at, &f);
        LANE(write_stress)(law, &at, which, count, all->stress, all->stress_stride);
    }
}

#undef vd
#undef vm
#undef vu
#undef set
#undef less
#undef select
#undef size
#undef greater
#undef any
#undef exponential
#undef logarithm
#undef grain
#undef load
#undef hard
#undef stage
#undef hardened
#undef sensitivity
#undef batch
#undef EACH
#undef FN
#undef PART
#undef GET
#undef PUT
#undef LANES
#undef TARGET
#undef LANE
