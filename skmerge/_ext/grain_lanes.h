/* The step of LANES grains, in vectors of grain_vector.h: included once for each vector unit by grain_step.c.
 *
 * Everything is per step: slip, d = root_c D dt, spin. A stage is the root of
 *     b - g(Gamma) v - GAMMA P' slip(P v) = 0,    Gamma = before + GAMMA sum |slip|,
 * in v = u / g: the power law then has no g in it, and g stands outside as an explicit function of the slip. Its
 * derivative is symmetric but for a term of rank one.
 */

typedef struct {
    vd u[5], q[4], mean, slip, s[2 * SKMERGE_MOST_SYSTEMS]; /* in the order of a row: back stress right behind s */
} LANE(grain);

typedef struct {
    vd D[5], volume, turn[3], slip_rate, dt; /* deviator, change of volume, vector of the spin, of a step */
} LANE(load);

typedef struct {
    vd s, k, dk; /* variable, its rate by slip, and the derivative of that, at the start of a step */
} LANE(hard);

typedef struct {
    vd s, g, dg, dg_ds, ds_start, ds_Gamma; /* after some slip Gamma; dg is by Gamma, ds_start by s at the start */
} LANE(hardened);

typedef struct {
    vd u[5], x[SKMERGE_MOST_SYSTEMS], rate[SKMERGE_MOST_SYSTEMS], slope[SKMERGE_MOST_SYSTEMS]; /* x = tau / g */
    vd total; /* slip of all systems in a whole step at this rate */
    /* One g of all systems: v = u / g; factors of the derivative, P' slope P, derivative of the total. */
    vd v[5], Gamma, J[15], K[15], q[5];
    LANE(hardened) now;
    /* One for each system (grain_systems.h): derivatives of slip by u, factors of that of u. */
    vd Z[SKMERGE_MOST_SYSTEMS][5], A[25];
    LANE(hardened) each[SKMERGE_MOST_SYSTEMS];
    /* Back stress, its derivatives by the slip of the step and by its start. */
    vd chi[SKMERGE_MOST_SYSTEMS], dchi[SKMERGE_MOST_SYSTEMS], dchi_start[SKMERGE_MOST_SYSTEMS];
} LANE(stage);

typedef struct {
    /* Derivatives by the deviator of the strain of a whole step, in the sample; s of one or all systems. */
    vd u[5][5], turn[3][5], s[2 * SKMERGE_MOST_SYSTEMS][5];
} LANE(sensitivity);

#define grain LANE(grain)
#define load LANE(load)
#define hard LANE(hard)
#define stage LANE(stage)
#define hardened LANE(hardened)
#define sensitivity LANE(sensitivity)
#define EACH(i, n) for (int i = 0; i < (n); i++)

/* ---- hardening ---- */

/* Value and derivative of a table at x, cubic between nodes. */
PART void LANE(look_up)(const skmerge_grain_law *law, const double *f, const double *df, vd x, vd *value, vd *slope) {
    EACH (l, LANES) {
        const double h = law->width;
        double at = (GET(x, l) - law->first) / h, last = law->nodes - 1.0, beyond, t, a, b;
        int i;
        at = at > -1e300 ? at : 0.0; /* not a number either */
        beyond = at < 0.0 ? at : at > last ? at - last : 0.0;
        at = at < 0.0 ? 0.0 : at > last ? last : at;
        i = (int)at;
        i = i > law->nodes - 2 ? law->nodes - 2 : i;
        t = at - i;
        a = h * df[i] - (f[i + 1] - f[i]);
        b = (f[i + 1] - f[i]) - h * df[i + 1];
        PUT(*value, l, f[i] + t * (f[i + 1] - f[i]) + t * (1.0 - t) * ((1.0 - t) * a + t * b));
        PUT(*slope, l, (f[i + 1] - f[i] + (1.0 - 2.0 * t) * ((1.0 - t) * a + t * b) + t * (1.0 - t) * (b - a)) / h);
        if (beyond != 0.0 && f == law->g) PUT(*value, l, GET(*value, l) + h * beyond * GET(*slope, l));
        if (beyond != 0.0 && f == law->k) PUT(*slope, l, 0.0);
    }
}

/* (e^z - 1) / z */
FN vd LANE(phi1)(vd z) {
    vd p = set(1.0 / 39916800);
    p = p * z + 1.0 / 3628800;
    p = p * z + 1.0 / 362880;
    p = p * z + 1.0 / 40320;
    p = p * z + 1.0 / 5040;
    p = p * z + 1.0 / 720;
    p = p * z + 1.0 / 120;
    p = p * z + 1.0 / 24;
    p = p * z + 1.0 / 6;
    p = p * z + 0.5;
    p = p * z + 1.0;
    vm large = less(set(0.5), size(z));
    if (any(large)) {
        vd near_by = select(less(z, set(700.0)), select(less(set(-700.0), z), z, set(-700.0)), set(700.0));
        p = select(large, (exponential(near_by) - 1.0) / select(large, z, set(1.0)), p);
    }
    return p;
}

FN void LANE(start_of)(const skmerge_grain_law *law, vd s, hard *h, vd *g) {
    h->s = s;
    if (law->hardening == SKMERGE_LINEAR_HARDENING) {
        h->k = law->storage - law->recovery * s;
        h->dk = set(-law->recovery);
        *g = law->tau0 + law->c * s;
    } else {
        vd slope;
        LANE(look_up)(law, law->k, law->dk, s, &h->k, &h->dk);
        LANE(look_up)(law, law->g, law->dg, s, g, &slope);
    }
}

/* s and g after slip Gamma; the derivatives of g by Gamma and s, and of s by its start. Linear: exact. Tables: an
 * exponential method of third order (exprb32 of Hochbruck and Ostermann), exact where k is a straight line. */
PART void LANE(harden)(const skmerge_grain_law *law, const hard *h, vd Gamma, hardened *out) {
    vd z = h->dk * Gamma, p = LANE(phi1)(z);
    out->s = h->s + h->k * Gamma * p;
    out->ds_start = 1.0 + z * p;
    out->ds_Gamma = h->k * out->ds_start;
    if (law->hardening == SKMERGE_LINEAR_HARDENING) {
        out->g = law->tau0 + law->c * out->s;
        out->dg_ds = set(law->c);
        out->dg = law->c * out->ds_Gamma;
    } else {
        vd k, slope, ds = out->s - h->s, phi3;
        LANE(look_up)(law, law->k, law->dk, out->s, &k, &slope);
        vm small = less(size(z), set(1e-2)); /* 1/6 + z/24 + z^2/120, or ((e^z - 1)/z - 1 - z/2) / z^2 */
        vd w = select(small, set(1.0), z);
        phi3 = select(small, 1.0 / 6 + z * (1.0 / 24 + z * (1.0 / 120)), (p - 1.0 - 0.5 * z) / (w * w));
        out->s = out->s + 2.0 * Gamma * phi3 * (k - h->k - h->dk * ds);
        LANE(look_up)(law, law->k, law->dk, out->s, &k, &slope);
        LANE(look_up)(law, law->g, law->dg, out->s, &out->g, &out->dg_ds);
        out->ds_Gamma = k;
        out->dg = out->dg_ds * k;
    }
}

/* ---- one stage ---- */

PART void LANE(powers)(const skmerge_grain_law *law, vd slip_rate, const vd *x, vd *rate, vd *slope) {
    EACH (a, law->systems) {
        vd p = (law->n - 1.0) * logarithm(greater(size(x[a]), set(1e-300)));
        p = greater(p, set(-600.0));
        p = slip_rate * exponential(select(less(p, set(600.0)), p, set(600.0)));
        rate[a] = p * x[a];
        slope[a] = law->n * p;
    }
}

FN vd LANE(resolve)(const skmerge_grain_law *law, const vd *v, vd *x) {
    vd most = set(0.0);
    EACH (a, law->systems) {
        const double *P = law->P[a];
        x[a] = (P[0] * v[0] + P[1] * v[1]) + (P[2] * v[2] + P[3] * v[3]) + P[4] * v[4];
        most = greater(size(x[a]), most);
    }
    return most;
}

/* J = L D L' in place, D inverted; lower triangle, row after row. */
FN void LANE(factorise)(vd *J) {
    EACH (i, 5) {
        vd *row = J + i * (i + 1) / 2, scaled[5];
        EACH (j, i) {
            const vd *other = J + j * (j + 1) / 2;
            EACH (l, j) row[j] -= scaled[l] * other[l];
            scaled[j] = row[j];
            row[j] = row[j] * other[j];
            row[i] -= scaled[j] * row[j];
        }
        row[i] = 1.0 / row[i];
    }
}

FN void LANE(substitute)(const vd *J, vd *x) {
    EACH (i, 5)
        EACH (l, i) x[i] -= J[i * (i + 1) / 2 + l] * x[l];
    EACH (i, 5) x[i] *= J[i * (i + 1) / 2 + i];
    for (int i = 4; i >= 0; i--)
        for (int l = i + 1; l < 5; l++) x[i] -= J[l * (l + 1) / 2 + i] * x[l];
}

FN void LANE(symmetric_times)(const vd *K, const vd *x, vd *y) {
    EACH (i, 5) {
        y[i] = set(0.0);
        EACH (j, 5) y[i] += K[i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i] * x[j];
    }
}

FN vd LANE(dot)(const vd *x, const vd *y) {
    return (x[0] * y[0] + x[1] * y[1]) + (x[2] * y[2] + x[3] * y[3]) + x[4] * y[4];
}

/* Solve for the change of v at a change of b, the derivative of the stage being J + v (dg GAMMA q)'. */
FN void LANE(solve_for)(const stage *at, const vd *rank, vd denominator, vd *b) {
    LANE(substitute)(at->J, b);
    vd w = at->now.dg * LANE(dot)(at->q, b) * denominator;
    EACH (i, 5) b[i] -= w * rank[i];
}

/* What part of a change of x does not exceed the limit. */
PART vd LANE(cut_of)(const skmerge_grain_law *law, const vd *x, const vd *dx, vd limit) {
    vd cut = set(1.0);
    EACH (a, law->systems) { /* a stress at the bound still changes */
        vd end = x[a] + dx[a], bound = greater(1.05 * size(x[a]), limit);
        vd part = (LANE(signed_as)(bound, dx[a]) - x[a]) / select(less(bound, size(end)), dx[a], set(1.0));
        cut = select(less(bound, size(end)) & less(part, cut), part, cut);
    }
    return cut;
}

/* What bounds all |x| at the root: GAMMA sum tau slip <= |b|^2 / 4, and <= |u| |b|; the logarithm of slip is given, the
 * least g, and the logarithm of the greatest over it. */
PART vd LANE(bound)(const skmerge_grain_law *law, const vd *b, vd g, vd spread, vd log_slip) {
    vd square = logarithm(greater(LANE(dot)(b, b), set(1e-280)));
    vd one = (square - log_slip - logarithm(4.0 * g)) * (1.0 / (law->n + 1.0));
    vd two = (0.5 * square + log(law->widest) + spread - log_slip) * (1.0 / law->n);
    one = select(less(one, two), one, two);
    return 1.02 * exponential(greater(select(less(one, set(300.0)), one, set(300.0)), set(-300.0)));
}

PART void LANE(keep)(const skmerge_grain_law *law, vm now, const stage *from, const vd *dv, const vd *dx, const vd *b,
                     stage *to) {
    vd change[5], slip = LANE(dot)(from->q, dv);
    LANE(symmetric_times)(from->K, dv, change);
#define KEEP(name, value) to->name = select(now, value, to->name)
    EACH (i, 5) {
        KEEP(v[i], from->v[i] + dv[i]);
        KEEP(q[i], from->q[i]);
        KEEP(u[i], b[i] - GAMMA * (from->u[i] + change[i]));
    }
    EACH (i, 15) {
        KEEP(J[i], from->J[i]);
        KEEP(K[i], from->K[i]);
    }
    EACH (a, law->systems) {
        KEEP(x[a], from->x[a] + dx[a]);
        KEEP(rate[a], from->rate[a] + from->slope[a] * dx[a]);
        KEEP(slope[a], from->slope[a]);
    }
    KEEP(total, from->total + slip);
    KEEP(Gamma, from->Gamma + GAMMA * slip);
    KEEP(now.g, from->now.g + from->now.dg * (GAMMA * slip));
    KEEP(now.dg, from->now.dg);
    KEEP(now.dg_ds, from->now.dg_ds);
    KEEP(now.ds_start, from->now.ds_start);
    KEEP(now.ds_Gamma, from->now.ds_Gamma);
#undef KEEP
}

/* Sums over the systems: K = P' slope P, its products q with the sides of slip, P' slip (in u) and all slip. */
PART void LANE(gather_slip)(const skmerge_grain_law *law, stage *at) {
    vd K[15], y[5], q[5], total = set(0.0);
    EACH (i, 15) K[i] = set(0.0);
    EACH (i, 5) y[i] = q[i] = set(0.0);
    EACH (a, law->systems) {
        const double *PP = law->PP[a], *P = law->P[a];
        vd slope = at->slope[a], rate = at->rate[a], side = LANE(signed_as)(slope, rate);
        EACH (i, 15) K[i] += PP[i] * slope;
        EACH (i, 5) {
            y[i] += P[i] * rate;
            q[i] += P[i] * side;
        }
        total += size(rate);
    }
    EACH (i, 15) at->K[i] = K[i];
    EACH (i, 5) {
        at->u[i] = y[i];
        at->q[i] = q[i];
    }
    at->total = total;
}

/* The root, from v and x at the start; with `known` the slip there is known, too. Lanes that converged are kept as they
 * were, whatever the others do. After the last change, which is small, slip is that of the tangent: so u, slip and
 * strain fit together exactly. Returns the lanes that converged. */
PART vm LANE(solve)(const skmerge_grain_law *law, const hard *h, const vd *b, vd before, vd slip_rate, vd limit,
                    int known, stage *at, stage *out) {
    vm open = less(set(-1.0), set(0.0));
    EACH (round, MOST_ROUNDS) {
        vd dv[5], rank[5], dx[SKMERGE_MOST_SYSTEMS], change = set(0.0), most = set(0.0), cut = set(1.0), denominator;
        if (!known || round) LANE(powers)(law, slip_rate, at->x, at->rate, at->slope);
        LANE(gather_slip)(law, at);
        at->Gamma = before + GAMMA * at->total;
        LANE(harden)(law, h, at->Gamma, &at->now);
        EACH (i, 15) at->J[i] = GAMMA * at->K[i];
        EACH (i, 5) {
            at->J[i * (i + 1) / 2 + i] += at->now.g;
            dv[i] = b[i] - at->now.g * at->v[i] - GAMMA * at->u[i];
            rank[i] = at->v[i];
        }
        LANE(factorise)(at->J);
        LANE(substitute)(at->J, rank);
        EACH (i, 5) rank[i] *= GAMMA;
        denominator = 1.0 / (1.0 + at->now.dg * LANE(dot)(at->q, rank));
        LANE(solve_for)(at, rank, denominator, dv);
        EACH (a, law->systems) {
            const double *P = law->P[a];
            dx[a] = (P[0] * dv[0] + P[1] * dv[1]) + (P[2] * dv[2] + P[3] * dv[3]) + P[4] * dv[4];
            change = greater(size(dx[a]), change);
            most = greater(size(at->x[a] + dx[a]), most);
        }
        if (any(less(limit, most) & open)) cut = LANE(cut_of)(law, at->x, dx, limit);
        /* cut = 1 and n |dx| small */
        vm now = less(law->n * change, set(law->newton_tol)) & less(set(0.999999), cut) & open;
        if (any(now)) {
            LANE(keep)(law, now, at, dv, dx, b, out);
            open &= ~now;
            if (!any(open)) break;
        }
        EACH (i, 5) at->v[i] += cut * dv[i];
        EACH (a, law->systems) at->x[a] += cut * dx[a];
    }
    {
        hardened last;
        LANE(harden)(law, h, out->Gamma, &last); /* s exactly */
        out->now.s = last.s;
    }
    return ~open;
}

/* ---- kinematics ---- */

/* Quaternion of a rotation vector, to 2 rad. */
FN void LANE(exponential_of)(const vd *w, vd *q) {
    vd t = 0.25 * (w[0] * w[0] + w[1] * w[1] + w[2] * w[2]), s, c;
    s = 1.0 - t * (1.0 / 156) * (1.0 - t * (1.0 / 210));
    s = 1.0 -
        t * (1.0 / 6) *
            (1.0 - t * (1.0 / 20) * (1.0 - t * (1.0 / 42) * (1.0 - t * (1.0 / 72) * (1.0 - t * (1.0 / 110) * s))));
    c = 1.0 - t * (1.0 / 132) * (1.0 - t * (1.0 / 182));
    c = 1.0 - t * (1.0 / 2) *
                  (1.0 - t * (1.0 / 12) * (1.0 - t * (1.0 / 30) * (1.0 - t * (1.0 / 56) * (1.0 - t * (1.0 / 90) * c))));
    EACH (i, 3) q[i] = 0.5 * s * w[i];
    q[3] = c;
}

FN void LANE(product)(const vd *p, const vd *q, vd *out) {
    out[0] = p[3] * q[0] + p[0] * q[3] + p[1] * q[2] - p[2] * q[1];
    out[1] = p[3] * q[1] + p[1] * q[3] + p[2] * q[0] - p[0] * q[2];
    out[2] = p[3] * q[2] + p[2] * q[3] + p[0] * q[1] - p[1] * q[0];
    out[3] = p[3] * q[3] - p[0] * q[0] - p[1] * q[1] - p[2] * q[2];
}

/* q turned by a part of the load's spin in the sample and by w in the lattice. */
PART void LANE(turned)(const load *f, double part, const vd *q, const vd *w, vd *out) {
    vd turn[3], left[4], right[4], half[4];
    EACH (i, 3) turn[i] = part * f->turn[i];
    LANE(exponential_of)(turn, left);
    LANE(exponential_of)(w, right);
    LANE(product)(q, right, half);
    LANE(product)(left, half, out);
}

FN void LANE(rotation)(const vd *q, vd *R) {
    vd x = q[0], y = q[1], z = q[2], w = q[3];
    R[0] = 1.0 - 2.0 * (y * y + z * z), R[1] = 2.0 * (x * y - z * w), R[2] = 2.0 * (x * z + y * w);
    R[3] = 2.0 * (x * y + z * w), R[4] = 1.0 - 2.0 * (x * x + z * z), R[5] = 2.0 * (y * z - x * w);
    R[6] = 2.0 * (x * z - y * w), R[7] = 2.0 * (y * z + x * w), R[8] = 1.0 - 2.0 * (x * x + y * y);
}

FN void LANE(matrix)(const vd *v, vd *M) {
    M[0] = v[0] * ROOT_1_2 - v[1] * ROOT_1_6;
    M[4] = -v[0] * ROOT_1_2 - v[1] * ROOT_1_6;
    M[8] = 2.0 * ROOT_1_6 * v[1];
    M[5] = M[7] = v[2] * ROOT_1_2;
    M[2] = M[6] = v[3] * ROOT_1_2;
    M[1] = M[3] = v[4] * ROOT_1_2;
}

FN void LANE(deviator)(const vd *M, vd *v) { /* of the symmetric part */
    v[0] = (M[0] - M[4]) * ROOT_1_2;
    v[1] = (2.0 * M[8] - M[0] - M[4]) * ROOT_1_6;
    v[2] = (M[5] + M[7]) * ROOT_1_2;
    v[3] = (M[2] + M[6]) * ROOT_1_2;
    v[4] = (M[1] + M[3]) * ROOT_1_2;
}

/* A(R): deviators of the lattice to those of the sample, both in their bases: columns are R B R'. */
PART void LANE(rotation_of_deviators)(const vd *R, vd A[5][5]) {
    EACH (j, 5) {
        vd M[9], column[5];
        EACH (i, 3)
            EACH (k, 3) {
                const vd *r = R + 3 * i, *t = R + 3 * k;
                if (k > i) continue;
                M[3 * i + k] = j == 0   ? (r[0] * t[0] - r[1] * t[1]) * ROOT_1_2
                               : j == 1 ? (2.0 * (r[2] * t[2]) - r[0] * t[0] - r[1] * t[1]) * ROOT_1_6
                               : j == 2 ? (r[1] * t[2] + r[2] * t[1]) * ROOT_1_2
                               : j == 3 ? (r[0] * t[2] + r[2] * t[0]) * ROOT_1_2
                                        : (r[0] * t[1] + r[1] * t[0]) * ROOT_1_2;
                M[3 * k + i] = M[3 * i + k];
            }
        LANE(deviator)(M, column);
        EACH (i, 5) A[i][j] = column[i];
    }
}

/* R' M R or, with `forth`, R M R'. */
PART void LANE(rotate)(const vd *R, const vd *v, int forth, vd *out) {
    vd M[9], half[9], whole[9];
    LANE(matrix)(v, M);
    EACH (i, 3)
        EACH (j, 3) {
            half[3 * i + j] = set(0.0);
            EACH (k, 3) half[3 * i + j] += (forth ? R[3 * i + k] : R[3 * k + i]) * M[3 * k + j];
        }
    EACH (i, 3)
        EACH (j, 3) {
            whole[3 * i + j] = set(0.0);
            EACH (k, 3) whole[3 * i + j] += half[3 * i + k] * (forth ? R[3 * j + k] : R[3 * k + j]);
        }
    LANE(deviator)(whole, out);
}

/* Coordinates of -(E W - W E), W x being w x x. */
FN void LANE(commutator)(const vd *strain, const vd *w, vd *out) {
    vd E[9], EW[9];
    LANE(matrix)(strain, E);
    EACH (i, 3) {
        EW[3 * i] = E[3 * i + 1] * w[2] - E[3 * i + 2] * w[1];
        EW[3 * i + 1] = E[3 * i + 2] * w[0] - E[3 * i] * w[2];
        EW[3 * i + 2] = E[3 * i] * w[1] - E[3 * i + 1] * w[0];
    }
    LANE(deviator)(EW, out);
    EACH (i, 5) out[i] *= -2.0;
}

/* From the plastic strain of a step, y = P' slip, and the slip: the turn of the lattice w, and what the plastic spin
 * does to u. */
PART void LANE(spin_of)(const skmerge_grain_law *law, const vd *u, const vd *y, const vd *slip, vd *w, vd *turned) {
    vd strain[5], flow[5], E[9], D[9], plastic[3];
    EACH (i, 3) w[i] = set(0.0);
    EACH (a, law->systems)
        EACH (i, 3) w[i] += law->S[a][i] * slip[a];
    EACH (i, 5) {
        strain[i] = u[i] * (1.0 / law->root_c[i]);
        flow[i] = y[i] * (1.0 / law->root_c[i]);
    }
    EACH (i, 3) plastic[i] = -w[i];
    LANE(commutator)(strain, plastic, turned);
    EACH (i, 5) turned[i] *= law->root_c[i];
    LANE(matrix)(strain, E);
    LANE(matrix)(flow, D);
    /* E D - D E is a spin, too */
    w[0] += (D[6] * E[1] + D[7] * E[4] + D[8] * E[7]) - (E[6] * D[1] + E[7] * D[4] + E[8] * D[7]);
    w[1] += (D[0] * E[2] + D[1] * E[5] + D[2] * E[8]) - (E[0] * D[2] + E[1] * D[5] + E[2] * D[8]);
    w[2] += (D[3] * E[0] + D[4] * E[3] + D[5] * E[6]) - (E[3] * D[0] + E[4] * D[3] + E[5] * D[6]);
}

FN void LANE(strain_in_lattice)(const skmerge_grain_law *law, const load *f, const vd *q, vd *R, vd *d) {
    LANE(rotation)(q, R);
    LANE(rotate)(R, f->D, 0, d);
    EACH (i, 5) d[i] *= law->root_c[i];
}
