/* A UMAT, the material routine of Abaqus/Standard and CalculiX, of grains that share the strain of a point.
 *
 * Everything is in this file and what it includes: cc -O3 -fno-math-errno -fno-trapping-math -fPIC -c grain_umat.c
 * The law comes from the file that the environment variable SKMERGE_GRAIN_MODEL names, or that skmerge_umat_load was
 * given. doc/finite_elements.md says how to set up a material.
 *
 *     PROPS(1)  grains at a point, N, of equal volume
 *     PROPS(2)  density of dislocations at the start, 1/m^2
 *     PROPS(3)  seed of the orientations, a whole number; each integration point draws its own
 *     PROPS(4)  0, or none: components of stress along fixed axes, as Abaqus has them without *ORIENTATION;
 *               1: along axes that turn with R of F = R U, as CalculiX has them for names with ABAQUSNL;
 *               2: the same, with the stiffness that CalculiX until 2.21 needs
 *     STATEV    12 N numbers, a row of grain_step.h for each grain. A grain whose quaternion (6 to 9) is 0 at the
 *               start is drawn; whose s (12) is 0, has the density of PROPS(2).
 *
 * MPa, s; engineering shear; xx, yy, zz, xy, xz, yz. DDSDDE is that of the Jaumann rate of Kirchhoff stress over J, by
 * the strain of the end of the increment, or with PROPS(4) = 1 of Cauchy stress in those axes, to which CalculiX adds
 * the rest itself; with 2 of Truesdell's rate, since CalculiX until 2.21 adds nothing. It is not symmetric.
 */
#include "grain_model.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grain_model.c"
#include "grain_step.c"

#ifdef _WIN32
#define umat_ UMAT
#endif

enum { UMAT_BLOCK = 32 }; /* grains whose tangents are on the stack */
static const int ROW_OF[6] = {0, 1, 2, 0, 0, 1}, COLUMN_OF[6] = {0, 1, 2, 1, 2, 2}, OURS[6] = {0, 1, 2, 5, 4, 3};

static _Atomic(skmerge_grain_law *) umat_law;

/* Code of grain_model.h. Several threads may call it; the first law stays. */
int skmerge_umat_load(const char *path) {
    skmerge_grain_law *none = NULL, *law;
    int problem = SKMERGE_MODEL_GOOD;
    if (atomic_load(&umat_law)) return problem;
    law = skmerge_grain_open(path, &problem);
    if (law && !atomic_compare_exchange_strong(&umat_law, &none, law)) skmerge_grain_close(law);
    return problem;
}

/* Wrong input would give wrong results in silence where a solver does not know PNEWDT. */
static void umat_stop(const char *why, const char *more) {
    fprintf(stderr, "skmerge UMAT: %s%s\n", why, more);
    fflush(stderr);
    exit(1);
}

static const skmerge_grain_law *umat_prepared(void) {
    const skmerge_grain_law *law = atomic_load(&umat_law);
    const char *path;
    int problem;
    if (law) return law;
    path = getenv("SKMERGE_GRAIN_MODEL");
    if (!path) umat_stop("the environment variable SKMERGE_GRAIN_MODEL must name a model file", "");
    problem = skmerge_umat_load(path);
    if (problem) umat_stop(skmerge_grain_problem(problem), ": SKMERGE_GRAIN_MODEL");
    return atomic_load(&umat_law);
}

static void umat_start(ptrdiff_t n, double density, double seed, int element, int point, double *state) {
    /* Grains are drawn one by one, so that a point's first grains are the same with more of them. */
    unsigned long long at = (unsigned long long)(long long)seed * 0x9e3779b97f4a7c15u;
    at ^= ((unsigned long long)(unsigned)element << 32 | (unsigned)point) * 0xd1342543de82ef95u;
    for (ptrdiff_t r = 0; r < n; r++, state += SKMERGE_GRAIN_ROW) {
        double *q = state + SKMERGE_GRAIN_ORIENTATION, drawn[SKMERGE_GRAIN_ROW];
        double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
        if (state[SKMERGE_GRAIN_HARDENING] == 0.0) {
            if (!(density > 0.0)) umat_stop("PROPS(2), the density of dislocations in 1/m^2, must be positive", "");
            state[SKMERGE_GRAIN_HARDENING] = sqrt(density);
        }
        if (length != 0.0) { /* not a number either: the step says so */
            for (int i = 0; i < 4; i++) q[i] = fabs(length - 1.0) > 1e-9 ? q[i] / length : q[i];
            continue;
        }
        skmerge_grain_random(at + (unsigned long long)r * 0xa0761d6478bd642fu, 1, density, drawn);
        memcpy(q, drawn + SKMERGE_GRAIN_ORIENTATION, 4 * sizeof *q);
    }
}

/* R of F = R U, by Newton's iteration for the polar decomposition; 1 if there is none. */
static int umat_rotation(const double F[9], double R[9]) {
    memcpy(R, F, 9 * sizeof *R);
    for (int round = 0; round < 50; round++) {
        double C[9], change = 0.0, det;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                const int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
                C[3 * i + j] = R[3 * a + c] * R[3 * b + d] - R[3 * a + d] * R[3 * b + c];
            }
        det = R[0] * C[0] + R[1] * C[1] + R[2] * C[2];
        if (!(det > 0.0)) return 1;
        for (int i = 0; i < 9; i++) {
            const double next = 0.5 * (R[i] + C[i] / det);
            change = fmax(change, fabs(next - R[i]));
            R[i] = next;
        }
        if (change < 1e-15) return 0;
    }
    return !(fabs(determinant(R) - 1.0) < 1e-9); /* rounding errors went on */
}

/* The quaternion of R times those of all grains: the largest of its four components first. */
static void umat_turn_grains(const double R[9], ptrdiff_t n, double *state) {
    double r[4] = {1 + R[0] - R[4] - R[8], 1 - R[0] + R[4] - R[8], 1 - R[0] - R[4] + R[8], 1 + R[0] + R[4] + R[8]};
    const double xy = R[1] + R[3], xz = R[2] + R[6], yz = R[5] + R[7];
    const double x = R[7] - R[5], y = R[2] - R[6], z = R[3] - R[1];
    int m = 0;
    double length;
    for (int i = 1; i < 4; i++) m = r[i] > r[m] ? i : m;
    if (m == 0) r[1] = xy, r[2] = xz, r[3] = x;
    if (m == 1) r[0] = xy, r[2] = yz, r[3] = y;
    if (m == 2) r[0] = xz, r[1] = yz, r[3] = z;
    if (m == 3) r[0] = x, r[1] = y, r[2] = z;
    length = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2] + r[3] * r[3]);
    for (int i = 0; i < 4; i++) r[i] /= length;
    for (ptrdiff_t g = 0; g < n; g++) {
        double *at = state + g * SKMERGE_GRAIN_ROW + SKMERGE_GRAIN_ORIENTATION;
        const double q[4] = {at[0], at[1], at[2], at[3]};
        at[0] = r[3] * q[0] + r[0] * q[3] + r[1] * q[2] - r[2] * q[1];
        at[1] = r[3] * q[1] - r[0] * q[2] + r[1] * q[3] + r[2] * q[0];
        at[2] = r[3] * q[2] + r[0] * q[1] - r[1] * q[0] + r[2] * q[3];
        at[3] = r[3] * q[3] - r[0] * q[0] - r[1] * q[1] - r[2] * q[2];
    }
}

/* R^T stress R, and the tangent of that. */
static void umat_turn(const double R[9], double stress[6], double tangent[6][6]) {
    double M[6][6], old[6], half[6][6];
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 6; c++) {
            const int i = ROW_OF[r], j = COLUMN_OF[r], a = ROW_OF[c], b = COLUMN_OF[c];
            M[r][c] = R[3 * a + i] * R[3 * b + j] + (a != b ? R[3 * b + i] * R[3 * a + j] : 0.0);
        }
    memcpy(old, stress, sizeof old);
    for (int r = 0; r < 6; r++) {
        stress[r] = 0.0;
        for (int c = 0; c < 6; c++) {
            stress[r] += M[r][c] * old[c];
            half[r][c] = 0.0;
            for (int k = 0; k < 6; k++) half[r][c] += M[r][k] * tangent[k][c];
        }
    }
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 6; c++) {
            tangent[r][c] = 0.0;
            for (int k = 0; k < 6; k++) tangent[r][c] += half[r][k] * M[c][k];
        }
}

/* Step the grains: means of stress and of d stress / d (D dt), in Abaqus' order. The flags of all, together. */
static int umat_step(const skmerge_grain_law *law, ptrdiff_t n, const double L[9], double dt, double *state,
                     double mean[6], double tangent[6][6]) {
    int bad = 0;
    memset(mean, 0, 6 * sizeof *mean);
    memset(tangent, 0, 36 * sizeof **tangent);
    for (ptrdiff_t first = 0; first < n; first += UMAT_BLOCK) {
        const int count = n - first < UMAT_BLOCK ? (int)(n - first) : UMAT_BLOCK;
        double stress[6 * UMAT_BLOCK], part[36 * UMAT_BLOCK];
        bad |= skmerge_grain_steps(law, count, L, 0, &dt, 0, state + first * SKMERGE_GRAIN_ROW, stress, 6, part, NULL);
        for (int g = 0; g < count; g++)
            for (int i = 0; i < 6; i++) {
                mean[i] += stress[6 * g + OURS[i]] / (double)n;
                for (int j = 0; j < 6; j++) tangent[i][j] += part[36 * g + 6 * OURS[i] + OURS[j]] / (double)n;
            }
    }
    return bad;
}

static void transposed(const double R[9], double T[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) T[3 * i + j] = R[3 * j + i];
}

/* A = F_new F^-1; 1 if either turns space inside out. */
static int umat_increment(const double F[9], const double F_new[9], double A[9]) {
    const double det = determinant(F);
    double inverse[9];
    if (!(det > 0.0 && determinant(F_new) > 0.0)) return 1;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            const int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
            inverse[3 * i + j] = (F[3 * a + c] * F[3 * b + d] - F[3 * a + d] * F[3 * b + c]) / det;
        }
    multiply(F_new, inverse, A);
    return 0;
}

/* The tangent of Truesdell's rate of Kirchhoff stress over J, from that of Cauchy stress. */
static void umat_truesdell(const double stress[6], double tangent[6][6]) {
    static const int AT[3][3] = {{0, 3, 4}, {3, 1, 5}, {4, 5, 2}};
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 6; c++) {
            const int i = ROW_OF[r], j = COLUMN_OF[r], k = ROW_OF[c], l = COLUMN_OF[c];
            tangent[r][c] += (c < 3 ? stress[r] : 0.0) -
                             0.5 * ((i == k) * stress[AT[j][l]] + (i == l) * stress[AT[j][k]] +
                                    (j == l) * stress[AT[i][k]] + (j == k) * stress[AT[i][l]]);
        }
}

/* Behind the arguments Fortran passes the length of CMNAME, which is not read. */
void umat_(double *STRESS, double *STATEV, double *DDSDDE, double *SSE, double *SPD, double *SCD, double *RPL,
           double *DDSDDT, double *DRPLDE, double *DRPLDT, const double *STRAN, const double *DSTRAN,
           const double *TIME, const double *DTIME, const double *TEMP, const double *DTEMP, const double *PREDEF,
           const double *DPRED, const char *CMNAME, const int *NDI, const int *NSHR, const int *NTENS,
           const int *NSTATV, const double *PROPS, const int *NPROPS, const double *COORDS, const double *DROT,
           double *PNEWDT, const double *CELENT, const double *DFGRD0, const double *DFGRD1, const int *NOEL,
           const int *NPT, const int *LAYER, const int *KSPT, const int *KSTEP, const int *KINC) {
    const skmerge_grain_law *law = umat_prepared();
    const int size = *NTENS;
    /* An increment without time, which solvers ask for an elastic stiffness, becomes too short for slip. */
    const double dt = *DTIME > 0.0 ? *DTIME : 1e-12;
    double F[9], F_new[9], A[9], R[9], U[9], L[9], back[9], axes[9], stress[6], tangent[6][6];
    const double none[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    (void)SSE, (void)SPD, (void)SCD, (void)RPL, (void)DDSDDT, (void)DRPLDE, (void)DRPLDT, (void)STRAN;
    (void)TIME, (void)TEMP, (void)DTEMP, (void)PREDEF, (void)DPRED, (void)CMNAME, (void)COORDS, (void)DROT;
    (void)CELENT, (void)LAYER, (void)KSPT, (void)KSTEP, (void)KINC;

    if (*NDI != 3 || !(size == 6 || (size == 4 && *NSHR == 1)))
        umat_stop("elements must be solid, plane strain or axisymmetric: NDI 3, NTENS 6 or 4", "");
    if (*NPROPS < 3) umat_stop("PROPS must hold the number of grains, the density and a seed", "");
    if (!(PROPS[0] >= 1.0 && PROPS[0] <= 1e6 && SKMERGE_GRAIN_ROW * PROPS[0] <= *NSTATV))
        umat_stop("PROPS(1), the number of grains, must be 1 or more, and STATEV 12 times as long (*DEPVAR)", "");
    if (PROPS[0] != floor(PROPS[0])) umat_stop("PROPS(1), the number of grains, must be a whole number", "");
    if (!(fabs(PROPS[2]) <= 9e15) || PROPS[2] != floor(PROPS[2]))
        umat_stop("PROPS(3), the seed, must be a whole number", "");
    if (*NPROPS > 3 && PROPS[3] != 0.0 && PROPS[3] != 1.0 && PROPS[3] != 2.0)
        umat_stop("PROPS(4) must be 0 for Abaqus, 1 for CalculiX, 2 for CalculiX until 2.21", "");
    const int calculix = *NPROPS > 3 && PROPS[3] != 0.0;
    if (!calculix && *PNEWDT < 0.0) umat_stop("CalculiX needs PROPS(4), 1 or 2", "");
    const ptrdiff_t n = (ptrdiff_t)PROPS[0];

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) F[3 * i + j] = DFGRD0[i + 3 * j], F_new[3 * i + j] = DFGRD1[i + 3 * j];
    double strained = 0.0, moved = 0.0;
    for (int i = 0; i < size; i++) strained = fmax(strained, fabs(DSTRAN[i]));
    for (int i = 0; i < 9; i++) moved = fmax(moved, fabs(F_new[i] - F[i]));
    if (calculix && KSTEP[2] == 0) { /* not NLGEOM; or a first stiffness, for which nodes that are told to have moved */
        if (strained > 0.0) umat_stop("ask for a geometrically nonlinear step (NLGEOM)", "");
        memcpy(F_new, F, sizeof F_new);
        moved = 0.0;
    }
    if (strained > 1e-9 && moved == 0.0)
        umat_stop("the solver strains but gives no deformation gradient: ask for a geometrically nonlinear step (NLGEOM)", "");
    umat_start(n, PROPS[1], PROPS[2], *NOEL, *NPT, STATEV);
    /* The increment is a stretch U, then a rotation R: a rotation more, of the whole, changes nothing in what a grain
     * feels. (With both at once the strain does not turn with the grains: 0.3 % of the stress at 0.04 rad.) */
    if (umat_increment(F, F_new, A) || umat_rotation(A, R) || (transposed(R, back), multiply(back, A, U), 0) ||
        skmerge_grain_gradient(none, U, dt, L) || umat_step(law, n, L, dt, STATEV, stress, tangent)) {
        if (!(*PNEWDT > 0.0 && *PNEWDT < 0.25)) *PNEWDT = 0.25; /* CalculiX comes with -1 */
        /* the solver repeats the increment, with the STATEV before it */
        for (int i = 0; i < size; i++) /* something that can be factorised, if it goes on */
            for (int j = 0; j < size; j++) {
                const double shear = 0.5 * law->root_c[4] * law->root_c[4];
                DDSDDE[i + size * j] = (i < 3 && j < 3 ? law->bulk - shear / 1.5 : 0.0) +
                                       (i == j ? (i < 3 ? 2.0 : 1.0) * shear : 0.0);
            }
        return;
    }
    umat_turn_grains(R, n, STATEV);
    if (calculix) {
        if (PROPS[3] == 2.0) umat_truesdell(stress, tangent);
        umat_rotation(F_new, axes);
        multiply(back, axes, U);
        umat_turn(U, stress, tangent);
    } else {
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 3; j++) tangent[i][j] += stress[i]; /* Kirchhoff's stress grows with the volume */
        umat_turn(back, stress, tangent);
    }
    for (int i = 0; i < size; i++) {
        STRESS[i] = stress[i];
        for (int j = 0; j < size; j++) DDSDDE[i + size * j] = tangent[i][j];
    }
}
