/* The step of many grains (grain_step.h): its body once for each vector unit, picked where the program runs. */
#include "grain_step.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define SKMERGE_INLINE __forceinline
#define SKMERGE_APART __declspec(noinline)
#elif defined(__GNUC__)
#define SKMERGE_INLINE inline __attribute__((always_inline))
#define SKMERGE_APART __attribute__((noinline))
#else
#define SKMERGE_INLINE inline
#define SKMERGE_APART
#endif

#if defined(__GNUC__) && !defined(SKMERGE_PLAIN) /* SKMERGE_PLAIN: as for a compiler without vectors */
#define SKMERGE_VECTORS 1
#endif
#if defined(__x86_64__) && defined(SKMERGE_VECTORS)
#define SKMERGE_X86 1
#include <immintrin.h>
#endif

#define GAMMA 0.29289321881345254 /* 1 - 1/sqrt 2: with it the second stage is of second order, and damps */
#define ROOT_1_2 0.70710678118654752
#define ROOT_1_6 0.40824829046386302
enum { MOST_ROUNDS = 30 };

#ifdef SKMERGE_X86
#define LANES 8
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx512cd,avx2,fma,bmi,bmi2")))
#define LANE(name) name##_8
#include "grain_vector.h"
#include "grain_lanes.h"
#include "grain_systems.h"
#include "grain_attempt.h"

#define LANES 4
#define TARGET __attribute__((target("avx2,fma,bmi,bmi2")))
#define LANE(name) name##_4
#include "grain_vector.h"
#include "grain_lanes.h"
#include "grain_systems.h"
#include "grain_attempt.h"
#endif

/* What every machine of the kind can do: two lanes where the compiler has vectors, or one. */
#define TARGET
#if defined(SKMERGE_VECTORS)
#define LANES 2
#define LANE(name) name##_2
#define LEAST(name) name##_2
enum { LEAST_LANES = 2 };
#else
#define LANES 1
#define LANE(name) name##_1
#define LEAST(name) name##_1
enum { LEAST_LANES = 1 };
#endif
#include "grain_vector.h"
#include "grain_lanes.h"
#include "grain_systems.h"
#include "grain_attempt.h"

int skmerge_grain_lanes(void) {
#ifdef SKMERGE_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
        return 8;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return 4;
#endif
    return LEAST_LANES;
}

#define BATCH {L, dt, L_stride, dt_stride, state, stress, tangent, stress_stride, flags}

int skmerge_grain_steps(const skmerge_grain_law *law, ptrdiff_t n, const double *L, ptrdiff_t L_stride,
                        const double *dt, ptrdiff_t dt_stride, double *state, double *stress, ptrdiff_t stress_stride,
                        double *tangent, int *flags) {
#ifdef SKMERGE_X86
    const int lanes = law->lanes;
    if (lanes == 8) {
        const batch_8 all = BATCH;
        return steps_8(law, n, &all);
    }
    if (lanes == 4) {
        const batch_4 all = BATCH;
        return steps_4(law, n, &all);
    }
#endif
    {
        const LEAST(batch) all = BATCH;
        return LEAST(steps)(law, n, &all);
    }
}

void skmerge_grain_stress(const skmerge_grain_law *law, ptrdiff_t n, const double *state, double *stress,
                          ptrdiff_t stress_stride) {
    const LEAST(batch) all = {NULL, NULL, 0, 0, (double *)state, stress, NULL, stress_stride, NULL}; /* state is read */
    LEAST(stress_of)(law, n, &all);
}

static int is_finite(double x) { return x - x == 0.0; }

const char *skmerge_grain_prepare(skmerge_grain_law *law) {
    double M[5][5] = {{0.0}}, most = 0.0;
    const double *tables[4] = {law->g, law->dg, law->k, law->dk};
    if (law->systems < 1 || law->systems > SKMERGE_MOST_SYSTEMS) return "systems";
    law->row = SKMERGE_GRAIN_HARDENING + (law->per_system ? law->systems : 1);
    if (!(law->back_storage >= 0.0 && law->back_recovery >= 0.0 && is_finite(law->back_storage + law->back_recovery)))
        return "back_storage or back_recovery";
    if (law->back_storage + law->back_recovery > 0.0) {
        if (!law->per_system) return "per_system, which back stress needs";
        law->row += law->systems;
    }
    if (law->per_system)
        for (int a = 0; a < law->systems; a++)
            for (int b = 0; b < law->systems; b++)
                if (!is_finite(law->interaction[a][b])) return "interaction";
    if (!(law->n >= 1.0 && is_finite(law->n))) return "n";
    if (!(law->slip_rate > 0.0 && is_finite(law->slip_rate))) return "slip_rate";
    if (!is_finite(law->bulk)) return "bulk";
    if (!(law->newton_tol > 0.0 && law->newton_tol <= 0.1)) return "newton_tol";
    if (!(law->tol > 0.0)) return "tol";
    if (law->most_halvings < 0 || law->most_halvings > 30) return "most_halvings";
    if (law->lanes == 0) law->lanes = skmerge_grain_lanes();
    if (!(law->lanes == LEAST_LANES || ((law->lanes == 4 || law->lanes == 8) && law->lanes <= skmerge_grain_lanes())))
        return "lanes";
    if (law->hardening == SKMERGE_LINEAR_HARDENING) {
        if (!(is_finite(law->tau0) && is_finite(law->c) && is_finite(law->storage) && is_finite(law->recovery)))
            return "tau0, c, storage or recovery";
    } else if (law->hardening == SKMERGE_TABLE_HARDENING) {
        if (law->nodes < 2) return "nodes";
        if (!(law->width > 0.0 && is_finite(law->first) && is_finite(law->width * law->nodes))) return "first or width";
        for (int j = 0; j < 4; j++) {
            if (!tables[j]) return "g, dg, k or dk";
            for (int i = 0; i < law->nodes; i++)
                if (!is_finite(tables[j][i]) || (j == 0 && !(tables[j][i] > 0.0))) return "g, dg, k or dk";
        }
    } else {
        return "hardening";
    }
    for (int i = 0; i < 5; i++)
        if (!(law->root_c[i] > 0.0 && is_finite(law->root_c[i]))) return "root_c";
    for (int a = 0; a < law->systems; a++) {
        for (int i = 0; i < 5; i++) {
            law->P[a][i] = law->root_c[i] * law->schmid[i][a];
            if (!is_finite(law->P[a][i])) return "schmid";
        }
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++) {
                M[i][j] += law->P[a][i] * law->P[a][j];
                if (j <= i) law->PP[a][i * (i + 1) / 2 + j] = law->P[a][i] * law->P[a][j];
            }
        for (int i = 0; i < 3; i++) {
            law->S[a][i] = law->spin[i][a];
            if (!is_finite(law->S[a][i])) return "spin";
        }
    }
    /* |v|^2 <= sum x^2 / (least eigenvalue of P' P) <= systems times a norm of its inverse. */
    double inverse[5][5] = {
        {1.0, 0, 0, 0, 0}, {0, 1.0, 0, 0, 0}, {0, 0, 1.0, 0, 0}, {0, 0, 0, 1.0, 0}, {0, 0, 0, 0, 1.0}};
    for (int i = 0; i < 5; i++) most = fmax(most, M[i][i]);
    law->widest = 1e100;
    if (!(most > 0.0)) return "schmid";
    for (int i = 0; i < 5; i++) { /* Gauss and Jordan; M is symmetric and not negative */
        double pivot = M[i][i];
        if (!(pivot > 1e-10 * most)) return NULL; /* stresses that no system feels are not bounded */
        for (int j = 0; j < 5; j++) M[i][j] /= pivot, inverse[i][j] /= pivot;
        for (int r = 0; r < 5; r++) {
            double factor = M[r][i];
            if (r == i) continue;
            for (int j = 0; j < 5; j++) M[r][j] -= factor * M[i][j], inverse[r][j] -= factor * inverse[i][j];
        }
    }
    most = 0.0;
    for (int i = 0; i < 5; i++) {
        double row = 0.0;
        for (int j = 0; j < 5; j++) row += fabs(inverse[i][j]);
        most = fmax(most, row);
    }
    law->widest = sqrt(law->systems * most);
    return NULL;
}

int skmerge_gradient_of(const double F[9], const double F_new[9], double dt, double L[9]) {
    double m[9], inverse[9], det;
    for (int i = 0; i < 9; i++) m[i] = 0.5 * (F[i] + F_new[i]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            const int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
            inverse[3 * i + j] = m[3 * a + c] * m[3 * b + d] - m[3 * a + d] * m[3 * b + c];
        }
    det = m[0] * inverse[0] + m[1] * inverse[3] + m[2] * inverse[6];
    if (!(det > 0.0 && dt > 0.0 && is_finite(det) && is_finite(dt))) return 1;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double sum = 0.0;
            for (int k = 0; k < 3; k++) sum += (F_new[3 * i + k] - F[3 * i + k]) * inverse[3 * k + j];
            L[3 * i + j] = sum / (det * dt);
        }
    return 0;
}
