/* One step of many grains at once: crystal plasticity under any velocity gradient, implicit, with its tangent.
 *
 * Plain C, without Python: compile grain_step.c, which holds everything, beside your program,
 *
 *     cc -O3 -fno-math-errno -fno-trapping-math -c grain_step.c
 *
 * fill a skmerge_grain_law, call skmerge_grain_prepare once, then skmerge_grain_steps. Nothing is allocated and nothing
 * written but the results: threads may share a law. What a grain does depends neither on the others nor on their order,
 * to the last bit. doc/crystal.md has the mathematics.
 */
#ifndef SKMERGE_GRAIN_STEP_H
#define SKMERGE_GRAIN_STEP_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SKMERGE_MOST_SYSTEMS 48

/* The state of a grain, a row of numbers. Stress coordinates are components of the deviator in the lattice, each
 * divided by root_c: (xx - yy)/sqrt 2, (2 zz - xx - yy)/sqrt 6, sqrt 2 (yz, xz, xy). */
enum {
    SKMERGE_GRAIN_STRESS = 0,      /* 5 coordinates, sqrt(MPa) */
    SKMERGE_GRAIN_ORIENTATION = 5, /* quaternion x, y, z, w of length one, crystal to sample */
    SKMERGE_GRAIN_MEAN_STRESS = 9, /* a third of the trace, MPa */
    SKMERGE_GRAIN_SLIP = 10,       /* integral of the sum of all slip rates, so far */
    SKMERGE_GRAIN_HARDENING = 11   /* s; with per_system one for each system, then the back stresses, if any, MPa */
};

/* Flags of a step. With one of the first two the state is what it was, and the stress belongs to it: shorten the step.
 * From the third byte on: how many pieces more than one the step was cut into (32767 at most). */
enum {
    SKMERGE_GRAIN_NOT_CONVERGED = 1, /* pieces of 2^-most_halvings of the step did not suffice */
    SKMERGE_GRAIN_NOT_FINITE = 2,    /* state, velocity gradient or time, or they overflow */
    SKMERGE_GRAIN_PIECES = 1 << 16
};

enum { SKMERGE_LINEAR_HARDENING = 0, SKMERGE_TABLE_HARDENING = 1 };

/* Slip on system a: rate_a = slip_rate |x|^n sign(x), x = tau_a / g (less the back stress, if any). Hardening has a
 * variable s:
 *     linear: g = tau0 + c s, ds/dGamma = storage - recovery s (Kocks and Mecking with s = sqrt(rho), or Voce)
 *     table: g and k = ds/dGamma at s = first + i width, i < nodes, with their derivatives by s: cubic between nodes,
 *            beyond the last ones g is straight, and k is constant.
 * All systems share g and s, Gamma being the sum of all slip; or, with per_system, each has its own, and
 * Gamma_a = sum_b interaction[a][b] |slip_b|. The latter takes some three times as long with 12 systems, and 600 kB of
 * stack. */
typedef struct {
    int systems;      /* 1 to 48 */
    int hardening;    /* SKMERGE_LINEAR_HARDENING or SKMERGE_TABLE_HARDENING */
    int per_system;   /* 0 or 1 */
    double n;         /* >= 1 */
    double slip_rate; /* 1/s, above 0 */
    double root_c[5]; /* square roots of the elastic constants C11 - C12 (twice), 2 C44 (three times), MPa */
    double bulk;      /* mean stress per change of volume, MPa */
    double schmid[5][SKMERGE_MOST_SYSTEMS]; /* symmetric part of direction x normal, in the basis of the coordinates */
    double spin[3][SKMERGE_MOST_SYSTEMS];   /* half of the vector product of direction and normal */
    double tau0, c, storage, recovery;      /* linear */
    int nodes;                              /* table: at least 2; the arrays must live as long as the law */
    double first, width;
    const double *g, *dg, *k, *dk;
    double interaction[SKMERGE_MOST_SYSTEMS][SKMERGE_MOST_SYSTEMS]; /* with per_system */
    /* With per_system, Armstrong and Frederick: tau - chi drives slip, dchi = back_storage dslip - back_recovery chi
     * |dslip|, exact for slip of one sign in a step. Both 0: there is none, and no chi in a state. */
    double back_storage, back_recovery; /* MPa, no unit */
    double newton_tol;                  /* a stage ends when a change of all tau/g, times n, is below: 1e-2 */
    double tol;        /* greatest estimate of the error of a step, of tau/g and in rad; infinity: none is asked for */
    int most_halvings; /* 0 to 30 */
    int lanes; /* grains of one vector: 0 for the most that skmerge_grain_lanes tells, or fewer for a comparison */
    /* What skmerge_grain_prepare makes of it. */
    double P[SKMERGE_MOST_SYSTEMS][5], PP[SKMERGE_MOST_SYSTEMS][15], S[SKMERGE_MOST_SYSTEMS][3];
    double widest; /* greatest length of the coordinates, over g, with all |tau| <= g */
    int row;       /* numbers of a state: SKMERGE_GRAIN_HARDENING and what follows */
    /* Range of s that was trained; what lies beyond is stepped, too. Of a model file (grain_model.h), for the caller. */
    double least_trained, most_trained;
} skmerge_grain_law;

/* NULL, or which member of the law is wrong, as text. */
const char *skmerge_grain_prepare(skmerge_grain_law *law);

/* Step n grains, each by its own time and velocity gradient, which is constant during the step.
 *
 *     L, L_stride            9 numbers a grain, row by row, dv_i/dx_j in 1/s; the next grain's are L_stride numbers on,
 *                            0: the same for all
 *     dt, dt_stride          s, likewise
 *     state                  n rows of law->row numbers, which change in place
 *     stress, stress_stride  6 numbers a grain: Cauchy stress in the sample, xx, yy, zz, yz, xz, xy, MPa; or NULL
 *     tangent                n x 36, d stress / d (D dt), row by row; columns xx, yy, zz, yz, xz, xy with engineering
 *                            shear (2 D_yz dt and so on), at the same spin; or NULL
 *     flags                  n, or NULL
 *
 * Returns all flags together but the pieces. */
int skmerge_grain_steps(const skmerge_grain_law *law, ptrdiff_t n, const double *L, ptrdiff_t L_stride,
                        const double *dt, ptrdiff_t dt_stride, double *state, double *stress, ptrdiff_t stress_stride,
                        double *tangent, int *flags);

/* Stress of states at rest, without a step. */
void skmerge_grain_stress(const skmerge_grain_law *law, ptrdiff_t n, const double *state, double *stress,
                          ptrdiff_t stress_stride);

/* L of a step from deformation gradient F to F_new, row by row, in time dt > 0: (F_new - F) ((F + F_new) / 2)^-1 / dt,
 * to second order. 0, or 1 if that inverse does not exist. */
int skmerge_gradient_of(const double F[9], const double F_new[9], double dt, double L[9]);

/* Grains of one vector on this machine: 8, 4, 2 or 1. */
int skmerge_grain_lanes(void);

#ifdef __cplusplus
}
#endif
#endif
