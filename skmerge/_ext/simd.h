/* What Cython cannot say: function multiversioning, and exp and log that a compiler vectorises.
 *
 * SKMERGE_CLONES before a function makes the compiler emit it once for each vector unit and the
 * loader pick the widest of the machine it runs on (GCC and Clang, glibc); elsewhere it is empty.
 */
#ifndef SKMERGE_SIMD_H
#define SKMERGE_SIMD_H
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && (defined(__clang__) ? __clang_major__ >= 16 : __GNUC__ >= 12)
#define SKMERGE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SKMERGE_CLONES
#endif

/* exp(x) for |x| <= 700 (the caller clips), 1 ulp or so: 2^n times a polynomial on |r| <= ln(2)/2. */
static inline double skmerge_exp(double x) {
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer */
    double z = x * 1.4426950408889634 + shift, n = z - shift, p;
    double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    uint64_t bits;
    p = 1.6059043836821613e-10;
    p = p * r + 2.08767569878681e-09;
    p = p * r + 2.505210838544172e-08;
    p = p * r + 2.755731922398589e-07;
    p = p * r + 2.7557319223985893e-06;
    p = p * r + 2.48015873015873e-05;
    p = p * r + 1.984126984126984e-04;
    p = p * r + 1.3888888888888889e-03;
    p = p * r + 8.333333333333333e-03;
    p = p * r + 4.1666666666666664e-02;
    p = p * r + 1.6666666666666666e-01;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    memcpy(&bits, &z, 8);
    bits = (bits + 1023) << 52; /* the low bits of z hold n */
    memcpy(&z, &bits, 8);
    return p * z;
}

/* log(x) for finite x >= 2^-1022 (the caller clips): exponent, then atanh series on [sqrt(1/2), sqrt(2)]. */
static inline double skmerge_log(double x) {
    uint64_t bits, top;
    double m, e, s, t, p;
    memcpy(&bits, &x, 8);
    top = bits + 0x00095f619980c433ULL; /* 2^52 minus the mantissa of sqrt(2): carries from there on */
    e = (double)((int64_t)(top >> 52) - 1023);
    bits -= ((top >> 52) - 1023) << 52;
    memcpy(&m, &bits, 8);
    s = (m - 1.0) / (m + 1.0);
    t = s * s;
    p = 1.0 / 21;
    p = p * t + 1.0 / 19;
    p = p * t + 1.0 / 17;
    p = p * t + 1.0 / 15;
    p = p * t + 1.0 / 13;
    p = p * t + 1.0 / 11;
    p = p * t + 1.0 / 9;
    p = p * t + 1.0 / 7;
    p = p * t + 0.2;
    p = p * t + 1.0 / 3;
    return e * 6.93147180369123816490e-01 + (2.0 * s + (2.0 * s * t * p + e * 1.90821492927058770002e-10));
}
#endif
