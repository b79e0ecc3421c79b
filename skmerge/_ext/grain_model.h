/* A law of slip from a file, without Python: PlasticityPropagator.save_grain_law writes it, skmerge_grain_load reads it.
 *
 * Compile grain_model.c and grain_step.c beside your program. doc/finite_elements.md has the commands.
 *
 * The file, version 1. All numbers are little endian; each double lies at a multiple of 8.
 *
 *     byte  what
 *        0  "SKMGRAIN"
 *        8  version, unsigned, 4 bytes
 *       12  CRC-32 (that of zlib) of all bytes from 16 on, unsigned, 4 bytes
 *       16  size of the file in bytes, unsigned, 8 bytes
 *       24  number of slip systems, unsigned, 4 bytes
 *       28  number of nodes of the tables, unsigned, 4 bytes
 *       32  doubles: n; slip rate, 1/s; C11 - C12, 2 C44, bulk modulus, MPa; tol; newton_tol; s at the first node;
 *           distance of nodes; least and greatest trained s; 0
 *      128  doubles: schmid, 5 rows of one number for each system; spin, 3 rows; g, dg/ds, k = ds/dGamma, dk/ds, one
 *           number for each node
 *
 * s is the square root of the dislocation density in 1/m^2. All systems share it: a state has 12 numbers.
 */
#ifndef SKMERGE_GRAIN_MODEL_H
#define SKMERGE_GRAIN_MODEL_H
#include "grain_step.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SKMERGE_GRAIN_ROW = 12 }; /* numbers of a state of a law that comes from a file */

enum { /* what may be wrong with a file */
    SKMERGE_MODEL_GOOD = 0,
    SKMERGE_MODEL_FOREIGN = 1,
    SKMERGE_MODEL_VERSION = 2,
    SKMERGE_MODEL_SIZE = 3,
    SKMERGE_MODEL_CHECKSUM = 4,
    SKMERGE_MODEL_CONTENT = 5,
    SKMERGE_MODEL_ALIGNMENT = 6,
    SKMERGE_MODEL_UNREADABLE = 7,
    SKMERGE_MODEL_MEMORY = 8
};

/* Make a law of the bytes of a file, and prepare it. `bytes` begin at a multiple of 8, as mapped and allocated memory
 * does; the law points into them, so they must live as long as it. Allocates nothing. Returns one of the codes above;
 * the law is of use only with SKMERGE_MODEL_GOOD. */
int skmerge_grain_load(const void *bytes, size_t size, skmerge_grain_law *law);

/* A code as words. */
const char *skmerge_grain_problem(int code);

/* The law of a file, in memory of its own until skmerge_grain_close; or NULL, and the code in `problem`, which may be
 * NULL. */
skmerge_grain_law *skmerge_grain_open(const char *path, int *problem);
void skmerge_grain_close(skmerge_grain_law *law);

/* States (n x 12) at rest without stress, of one density in 1/m^2: with Bunge angles phi1, Phi, phi2 in rad (n x 3), or
 * with random orientations, equally likely all. The same seed gives the same ones on every machine, but for rounding. */
void skmerge_grain_start(ptrdiff_t n, const double *angles, double density, double *state);
void skmerge_grain_random(unsigned long long seed, ptrdiff_t n, double density, double *state);

/* L that leads from F to F_new in time dt > 0 if it is constant: log(F_new F^-1) / dt, row by row. A rotation is met
 * exactly. 0, or 1 if F or F_new turns space inside out, or the step is no small one: a stretch to the tenfold, a turn
 * by 60 degrees. */
int skmerge_grain_gradient(const double F[9], const double F_new[9], double dt, double L[9]);

/* By what to multiply the next time step, by the flags of all grains: 0.25 if a grain failed (repeat the step), less
 * than 1 but 0.25 at least if one took more than 16 pieces, 1.5 if none took more than two, 1 else. */
double skmerge_grain_time_factor(ptrdiff_t n, const int *flags);

#ifdef __cplusplus
}
#endif
#endif
