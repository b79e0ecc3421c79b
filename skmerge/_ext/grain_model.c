/* Laws of slip from files, and what a finite-element program needs beside the step (grain_model.h). */
#include "grain_model.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_HEADER = 128, MODEL_VERSION = 1, MODEL_MOST_NODES = 1 << 20 };

static uint32_t crc_32(const unsigned char *bytes, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static uint64_t unsigned_at(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

const char *skmerge_grain_problem(int code) {
    static const char *const words[] = {
        "good",
        "not a model file of skmerge",
        "a model file of another version of skmerge",
        "the model file is cut off or too long",
        "the model file is damaged: its checksum is wrong",
        "the model file holds a value out of range",
        "the bytes of the model do not begin at a multiple of 8, or this machine is not little endian",
        "the model file cannot be read",
        "no memory for the model",
    };
    return code >= 0 && code < (int)(sizeof words / sizeof *words) ? words[code] : "unknown problem";
}

int skmerge_grain_load(const void *given, size_t size, skmerge_grain_law *law) {
    const unsigned char *bytes = given;
    const uint16_t one = 1;
    unsigned char low;
    memset(law, 0, sizeof *law);
    memcpy(&low, &one, 1);
    if (!bytes || size < 8 || memcmp(bytes, "SKMGRAIN", 8)) return SKMERGE_MODEL_FOREIGN;
    if (size < 12) return SKMERGE_MODEL_SIZE;
    if (unsigned_at(bytes + 8, 4) != MODEL_VERSION) return SKMERGE_MODEL_VERSION;
    if (size < MODEL_HEADER || unsigned_at(bytes + 16, 8) != size) return SKMERGE_MODEL_SIZE;
    if (unsigned_at(bytes + 12, 4) != crc_32(bytes + 16, size - 16)) return SKMERGE_MODEL_CHECKSUM;
    const uint64_t systems = unsigned_at(bytes + 24, 4), nodes = unsigned_at(bytes + 28, 4);
    if (systems < 1 || systems > SKMERGE_MOST_SYSTEMS || nodes < 2 || nodes > MODEL_MOST_NODES)
        return SKMERGE_MODEL_CONTENT;
    if (size != MODEL_HEADER + 8 * (8 * systems + 4 * nodes)) return SKMERGE_MODEL_SIZE;
    if ((uintptr_t)bytes % 8 || low != 1) return SKMERGE_MODEL_ALIGNMENT;

    const double *head = (const double *)(const void *)(bytes + 32), *body = head + 12;
    law->systems = (int)systems;
    law->hardening = SKMERGE_TABLE_HARDENING;
    law->n = head[0];
    law->slip_rate = head[1];
    for (int i = 0; i < 5; i++) law->root_c[i] = sqrt(head[i < 2 ? 2 : 3]);
    law->bulk = head[4];
    law->tol = head[5];
    law->newton_tol = head[6];
    law->most_halvings = 20;
    law->first = head[7];
    law->width = head[8];
    law->least_trained = head[9];
    law->most_trained = head[10];
    for (int i = 0; i < 5; i++) memcpy(law->schmid[i], body + i * systems, systems * sizeof(double));
    for (int i = 0; i < 3; i++) memcpy(law->spin[i], body + (5 + i) * systems, systems * sizeof(double));
    law->nodes = (int)nodes;
    law->g = body + 8 * systems;
    law->dg = law->g + nodes;
    law->k = law->dg + nodes;
    law->dk = law->k + nodes;
    if (!(law->bulk > 0.0 && law->least_trained <= law->most_trained && head[11] == 0.0)) return SKMERGE_MODEL_CONTENT;
    return skmerge_grain_prepare(law) ? SKMERGE_MODEL_CONTENT : SKMERGE_MODEL_GOOD;
}

typedef struct { /* the law first: its address is that of the whole */
    skmerge_grain_law law;
    double bytes[]; /* aligned */
} opened;

skmerge_grain_law *skmerge_grain_open(const char *path, int *problem) {
    FILE *file = path ? fopen(path, "rb") : NULL;
    opened *all = NULL;
    long size = -1;
    int code = SKMERGE_MODEL_UNREADABLE;
    if (file && !fseek(file, 0, SEEK_END)) size = ftell(file);
    if (size >= 0 && size < (1L << 30) && !fseek(file, 0, SEEK_SET)) { /* a directory has a size beyond this */
        all = malloc(sizeof *all + (size_t)size + 8);
        if (!all)
            code = SKMERGE_MODEL_MEMORY;
        else if (fread(all->bytes, 1, (size_t)size, file) == (size_t)size)
            code = skmerge_grain_load(all->bytes, (size_t)size, &all->law);
    }
    if (file) fclose(file);
    if (problem) *problem = code;
    if (code == SKMERGE_MODEL_GOOD) return &all->law;
    free(all);
    return NULL;
}

void skmerge_grain_close(skmerge_grain_law *law) { free(law); }

static void rest(double density, double *state) {
    memset(state, 0, SKMERGE_GRAIN_ROW * sizeof *state);
    state[SKMERGE_GRAIN_HARDENING] = sqrt(density);
}

void skmerge_grain_start(ptrdiff_t n, const double *angles, double density, double *state) {
    for (; n > 0; n--, angles += 3, state += SKMERGE_GRAIN_ROW) {
        const double half = 0.5 * angles[1], sum = 0.5 * (angles[0] + angles[2]), less = 0.5 * (angles[0] - angles[2]);
        double *q = state + SKMERGE_GRAIN_ORIENTATION;
        rest(density, state);
        q[0] = sin(half) * cos(less), q[1] = sin(half) * sin(less);
        q[2] = cos(half) * sin(sum), q[3] = cos(half) * cos(sum);
    }
}

/* SplitMix64 (Steele, Lea and Flood 2014), as a number from 0 to 1. */
static double uniform(uint64_t *seed) {
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

void skmerge_grain_random(unsigned long long seed, ptrdiff_t n, double density, double *state) {
    const double turn = 6.283185307179586;
    uint64_t at = seed;
    for (; n > 0; n--, state += SKMERGE_GRAIN_ROW) { /* Shoemake 1992 */
        const double u = uniform(&at), a = turn * uniform(&at), b = turn * uniform(&at);
        double *q = state + SKMERGE_GRAIN_ORIENTATION;
        rest(density, state);
        q[0] = sqrt(1.0 - u) * sin(a), q[1] = sqrt(1.0 - u) * cos(a);
        q[2] = sqrt(u) * sin(b), q[3] = sqrt(u) * cos(b);
    }
}

static double determinant(const double *F) {
    return F[0] * (F[4] * F[8] - F[5] * F[7]) - F[1] * (F[3] * F[8] - F[5] * F[6]) + F[2] * (F[3] * F[7] - F[4] * F[6]);
}

static void multiply(const double *A, const double *B, double *C) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) C[3 * i + j] = A[3 * i] * B[j] + A[3 * i + 1] * B[3 + j] + A[3 * i + 2] * B[6 + j];
}

int skmerge_grain_gradient(const double F[9], const double F_new[9], double dt, double L[9]) {
    double X[9], square[9], power[9], next[9], most = 0.0;
    if (!(determinant(F) > 0.0 && determinant(F_new) > 0.0 && dt > 0.0)) return 1;
    /* log A = 2 (X + X^3/3 + X^5/5 + ...), X = (A - 1) (A + 1)^-1: half of what the midpoint gives for dt = 1. */
    if (skmerge_gradient_of(F, F_new, 1.0, X)) return 1;
    for (int i = 0; i < 9; i++) X[i] *= 0.5, most += X[i] * X[i];
    if (!(most < 0.68)) return 1; /* a rotation by 60 degrees has 2 tan(30 degrees)^2 = 2/3 */
    multiply(X, X, square);
    for (int i = 0; i < 9; i++) power[i] = L[i] = X[i];
    for (int j = 3; j < 80; j += 2) {
        double change = 0.0;
        multiply(power, square, next);
        for (int i = 0; i < 9; i++) {
            power[i] = next[i];
            L[i] += next[i] / j;
            change = fmax(change, fabs(next[i]));
        }
        if (change < 1e-18) break;
    }
    for (int i = 0; i < 9; i++) L[i] *= 2.0 / dt;
    return 0;
}

double skmerge_grain_time_factor(ptrdiff_t n, const int *flags) {
    int most = 1;
    for (ptrdiff_t r = 0; r < n; r++) {
        const int pieces = 1 + flags[r] / SKMERGE_GRAIN_PIECES;
        if (flags[r] & (SKMERGE_GRAIN_NOT_CONVERGED | SKMERGE_GRAIN_NOT_FINITE)) return 0.25;
        most = pieces > most ? pieces : most;
    }
    return most > 16 ? fmax(16.0 / most, 0.25) : most > 2 ? 1.0 : 1.5;
}
