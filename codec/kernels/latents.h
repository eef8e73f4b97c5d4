/* Loops of latents.pyx. */
#ifndef TRACEWINNOW_LATENTS_H
#define TRACEWINNOW_LATENTS_H

#include "clones.h"

#define TW_LANES 16

/* y[i] = 2**((low + i) * step + offset), by the operations of FORMAT.md, section 6.2; c: its 14 coefficients. */
TW_CLONES static void tw_exp2(double* restrict y, ptrdiff_t n, int64_t low, double step, double offset, const double* restrict c) {
    const double nearest = 6755399441055744.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double x = (double)(int32_t)(low + i) * step + offset;
        x = x > -4096.0 ? x : -4096.0;
        x = x < 4096.0 ? x : 4096.0;
        const double whole = (x + nearest) - nearest, part = x - whole;
        double v = c[13];
        for (int k = 12; k >= 0; k--) v = v * part + c[k];
        const int32_t exponent = (int32_t)whole, half = exponent >> 1, rest = exponent - half;
        /* Each half is at most 2048 away from zero; beyond what a float holds, zero and infinity. */
        const uint64_t a = (uint64_t)(half < -1023 ? 0 : half > 1024 ? 2047 : half + 1023) << 52;
        const uint64_t b = (uint64_t)(rest < -1023 ? 0 : rest > 1024 ? 2047 : rest + 1023) << 52;
        double first, second;
        memcpy(&first, &a, 8);
        memcpy(&second, &b, 8);
        y[i] = v * first * second;
    }
}

/* Least and greatest of the ordered integers of usual floats; whether there are others (all exponent bits, or no magnitude). */
TW_CLONES static int tw_order_range(const uint32_t* bits, ptrdiff_t n, uint32_t exponent, uint32_t magnitude, int32_t* low, int32_t* high) {
    int32_t least = INT32_MAX, most = INT32_MIN, special = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        const uint32_t b = bits[k];
        const int32_t other = ((b & exponent) == exponent) | ((b & magnitude) == 0), v = (int32_t)b;
        const int32_t i = v ^ (int32_t)((uint32_t)(v >> 31) >> 1);
        const int32_t a = other ? INT32_MAX : i, z = other ? INT32_MIN : i;
        special |= other;
        least = a < least ? a : least;
        most = z > most ? z : most;
    }
    *low = least;
    *high = most;
    return special;
}

/* Bits of floats to integers in their order, shifted right: in place. */
TW_CLONES static void tw_order(int32_t* bits, ptrdiff_t n, int shift) {
    for (ptrdiff_t k = 0; k < n; k++) bits[k] = (bits[k] ^ (int32_t)((uint32_t)(bits[k] >> 31) >> 1)) >> shift;
}

/* Least and greatest of x but for INT32_MIN; whether that is among them. */
TW_CLONES static int tw_grid_range(const int32_t* x, ptrdiff_t n, int32_t* low, int32_t* high) {
    int32_t least = INT32_MAX, most = -INT32_MAX, special = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        const int32_t other = x[k] == INT32_MIN, v = other ? INT32_MAX : x[k];
        special |= other;
        least = v < least ? v : least;
        most = x[k] > most ? x[k] : most;
    }
    *low = least;
    *high = most;
    return special;
}

/* out[i] = rint(log2(v[i]) / step) for normal v[i] in [low, high]; INT32_MIN for the others. */
TW_CLONES static void tw_log_block(int32_t* out, const double* v, double low, double high, double scale) {
    const double series[] = {1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1.0};
    double x[TW_LANES], m[TW_LANES], exponent[TW_LANES];
    for (int k = 0; k < TW_LANES; k++) x[k] = v[k] >= low && v[k] <= high ? v[k] : 1.0;
    for (int k = 0; k < TW_LANES; k++) {
        uint64_t bits;
        memcpy(&bits, &x[k], 8);
        /* The mantissa is brought to [sqrt(1/2), sqrt(2)), where the series converges fast. */
        bits += 0x3ff0000000000000ULL - 0x3fe6a09e667f3bcdULL;
        uint64_t whole = 0x4330000000000000ULL + (bits >> 52);
        memcpy(&exponent[k], &whole, 8);
        bits = (bits & 0x000fffffffffffffULL) + 0x3fe6a09e667f3bcdULL;
        memcpy(&m[k], &bits, 8);
    }
    for (int k = 0; k < TW_LANES; k++) {
        double s = (m[k] - 1.0) / (m[k] + 1.0), z = s * s, y = series[0];
        for (int i = 1; i < 8; i++) y = y * z + series[i];
        y = y * s * 2.8853900817779268 + (exponent[k] - (4503599627370496.0 + 1023.0));
        y = y * scale + 6755399441055744.0; /* the sum's low bits are the integer nearest */
        uint64_t bits;
        memcpy(&bits, &y, 8);
        m[k] = y;
        out[k] = (int32_t)(uint32_t)bits;
    }
    for (int k = 0; k < TW_LANES; k++) out[k] = v[k] >= low && v[k] <= high ? out[k] : INT32_MIN;
}

#endif
