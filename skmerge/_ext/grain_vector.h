/* Vectors of LANES doubles: included once for each vector unit, with LANES, TARGET and LANE(name) defined.
 *
 * gcc's and clang's vector types; elsewhere, and for LANES 1, plain doubles. Masks are all ones or zeros, as
 * comparisons of these types give them.
 */
#if LANES > 1
typedef double LANE(vd) __attribute__((vector_size(8 * LANES)));
typedef int64_t LANE(vm) __attribute__((vector_size(8 * LANES)));
typedef uint64_t LANE(vu) __attribute__((vector_size(8 * LANES)));
#else
typedef double LANE(vd);
typedef int64_t LANE(vm);
typedef uint64_t LANE(vu);
#endif
#define vd LANE(vd)
#define vm LANE(vm)
#define vu LANE(vu)
#define FN static SKMERGE_INLINE TARGET
#define PART static SKMERGE_APART TARGET /* larger parts, so that compilers do not take minutes */

#if LANES > 1
FN vd LANE(set)(double c) { return c - (vd){0}; }
FN vu LANE(bits)(vd x) { return (vu)x; }
FN vd LANE(floats)(vu x) { return (vd)x; }
FN vm LANE(less)(vd a, vd b) { return (vm)(a < b); }
FN vd LANE(select)(vm m, vd a, vd b) { return (vd)(((vu)a & (vu)m) | ((vu)b & ~(vu)m)); }
FN vd LANE(size)(vd x) { return (vd)((vu)x & 0x7fffffffffffffffULL); }
FN vd LANE(signed_as)(vd size, vd x) { return (vd)((vu)size | ((vu)x & 0x8000000000000000ULL)); }
#define GET(x, l) ((x)[l])
#define PUT(x, l, value) ((x)[l] = (value))
#else
FN vd LANE(set)(double c) { return c; }
FN vu LANE(bits)(vd x) {
    vu b;
    memcpy(&b, &x, 8);
    return b;
}
FN vd LANE(floats)(vu x) {
    vd d;
    memcpy(&d, &x, 8);
    return d;
}
FN vm LANE(less)(vd a, vd b) { return -(vm)(a < b); }
FN vd LANE(select)(vm m, vd a, vd b) { return m ? a : b; }
FN vd LANE(size)(vd x) { return fabs(x); }
FN vd LANE(signed_as)(vd size, vd x) { return copysign(size, x); }
#define GET(x, l) (x)
#define PUT(x, l, value) ((x) = (value))
#endif
#define set LANE(set)
#define less LANE(less)
#define select LANE(select)
#define size LANE(size)

/* The second one where the first is not a number. */
#if LANES == 8
FN vd LANE(greater)(vd a, vd b) { return (vd)_mm512_max_pd((__m512d)a, (__m512d)b); }
FN int LANE(any)(vm m) { return _mm512_movepi64_mask((__m512i)m) != 0; }
#elif LANES == 4
FN vd LANE(greater)(vd a, vd b) { return (vd)_mm256_max_pd((__m256d)a, (__m256d)b); }
FN int LANE(any)(vm m) { return _mm256_movemask_pd((__m256d)m) != 0; }
#elif LANES == 2 && defined(SKMERGE_X86)
FN vd LANE(greater)(vd a, vd b) { return (vd)_mm_max_pd((__m128d)a, (__m128d)b); }
FN int LANE(any)(vm m) { return _mm_movemask_pd((__m128d)m) != 0; }
#else
FN vd LANE(greater)(vd a, vd b) { return select(less(b, a), a, b); }
FN int LANE(any)(vm m) {
    int64_t found = 0;
    for (int l = 0; l < LANES; l++) found |= GET(m, l);
    return found != 0;
}
#endif
#define greater LANE(greater)
#define any LANE(any)

/* Both to 1e-11, which is far below the error of a step: |x| <= 700, and x >= 2^-1022. */
FN vd LANE(exponential)(vd x) {
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer, which the low bits hold */
    vd z = x * 1.4426950408889634 + shift, e = z - shift, p;
    vd r = (x - e * 6.93147180369123816490e-01) - e * 1.90821492927058770002e-10;
    p = set(2.7557319223985893e-06);
    p = p * r + 2.48015873015873e-05;
    p = p * r + 1.984126984126984e-04;
    p = p * r + 1.3888888888888889e-03;
    p = p * r + 8.333333333333333e-03;
    p = p * r + 4.1666666666666664e-02;
    p = p * r + 1.6666666666666666e-01;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    return p * LANE(floats)((LANE(bits)(z) + 1023) << 52);
}

FN vd LANE(logarithm)(vd x) {
    vu b = LANE(bits)(x), top = (b + 0x00095f619980c433ULL) >> 52; /* carries from the mantissa of sqrt(2) on */
    vd e = LANE(floats)(top | 0x4330000000000000ULL) - (4503599627370496.0 + 1023.0); /* 2^52 and an integer below it */
    vd m = LANE(floats)(b - ((top - 1023) << 52)), s = (m - 1.0) / (m + 1.0), t = s * s, p;
    p = set(1.0 / 13);
    p = p * t + 1.0 / 11;
    p = p * t + 1.0 / 9;
    p = p * t + 1.0 / 7;
    p = p * t + 0.2;
    p = p * t + 1.0 / 3;
    return e * 6.931471805599453e-01 + (s + s) * (t * p + 1.0);
}
#define exponential LANE(exponential)
#define logarithm LANE(logarithm)
