/* The inner loops of _kernels.pyx that want vector registers. What they compute is in _reference.py.
 *
 * Each is compiled twice on x86-64 with glibc, with and without AVX2, and the processor chooses when the module is loaded. Lanes are independent and no
 * products are fused with sums (-ffp-contract=off), so both give the same bits.
 */
#ifndef TRACEWINNOW_LOOPS_H
#define TRACEWINNOW_LOOPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__)
#define TW_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define TW_CLONES
#endif

#define TW_BLOCK 128
#define TW_LANES 16

typedef float tw_floats __attribute__((vector_size(32), aligned(4), may_alias)); /* two registers without AVX2 */

typedef uint32_t tw_words __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t tw_ints __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define TW_SHUFFLES 1
#endif
#endif

static inline int tw_bit_length(uint64_t v) { return v ? 64 - __builtin_clzll(v) : 0; }

/* told[i] = sum of weights[r] * e[columns[r]][i], one product after the other; a half away from zero, cut at limit. */
TW_CLONES static void tw_expected(float* told, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) {
    const tw_words sign = (tw_words){0} + 0x80000000u, half = (tw_words){0} + 0x3f000000u;
    for (int i = 0; i < TW_BLOCK; i += 32) {
        tw_floats sum[4] = {{0}, {0}, {0}, {0}};
        for (ptrdiff_t r = 0; r < refs; r++) {
            const tw_floats* from = (const tw_floats*)(e + (ptrdiff_t)columns[r] * TW_BLOCK + i);
            const float w = weights[r];
            sum[0] += w * from[0];
            sum[1] += w * from[1];
            sum[2] += w * from[2];
            sum[3] += w * from[3];
        }
        for (int k = 0; k < 4; k++) {
            tw_floats v = sum[k] + (tw_floats)(((tw_words)sum[k] & sign) | half);
            const tw_floats most = (tw_floats){0} + limit;
            tw_words above = (tw_words)(v > most), below = (tw_words)(v < -most);
            v = (tw_floats)(((tw_words)v & ~(above | below)) | ((tw_words)most & above) | ((tw_words)(-most) & below));
            *(tw_floats*)(told + i + 8 * k) = v;
        }
    }
}

/* e = r + told, and the same as floats: a whole block. */
TW_CLONES static void tw_innovations_32(int32_t* restrict e, float* restrict floats, const int32_t* restrict r, const float* restrict told) {
    for (int i = 0; i < TW_BLOCK; i++) {
        const int32_t v = (int32_t)((uint32_t)r[i] + (uint32_t)(int32_t)told[i]);
        e[i] = v;
        floats[i] = (float)v;
    }
}

TW_CLONES static void tw_sub_expected_32(int32_t* r, const int32_t* e, const float* total, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) r[i] = (int32_t)((uint32_t)e[i] - (uint32_t)(int32_t)total[i]);
}

TW_CLONES static void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) out[i] = (float)e[i];
}

TW_CLONES static uint64_t tw_size_32(const int32_t* r, ptrdiff_t n) {
    uint64_t size = 0;
    for (ptrdiff_t i = 0; i < n; i++) size += r[i] < 0 ? 0u - (uint32_t)r[i] : (uint32_t)r[i];
    return size;
}

/* x[i] = base + (state >> k) + e[i], then state += e[i]; returns the state after n. The state is the sum of the e, so blocks of four are summed at once. */
static inline int64_t tw_level_32(int32_t* x, const int32_t* e, int32_t base, int64_t state, int k, ptrdiff_t n) {
#pragma GCC unroll 8
    for (ptrdiff_t i = 0; i < n; i++) {
        const int64_t v = e[i];
        x[i] = (int32_t)((uint32_t)base + (uint32_t)v + (uint32_t)(state >> k));
        state = (int64_t)((uint64_t)state + (uint64_t)v);
    }
    return state;
}

/* The same where no state leaves 32 bits. */
static inline int32_t tw_level_narrow(int32_t* x, const int32_t* e, int32_t base, int32_t state, int k, ptrdiff_t n) {
    ptrdiff_t i = 0;
#if TW_SHUFFLES
    tw_ints carry = {state, state, state, state};
    const tw_ints zero = {0}, start = {base, base, base, base};
    for (; i + 4 <= n; i += 4) {
        const tw_ints v = *(const tw_ints*)(e + i);
        tw_ints sum = v + __builtin_shufflevector(zero, v, 0, 4, 5, 6);
        sum += __builtin_shufflevector(zero, sum, 0, 1, 4, 5);
        sum += carry;
        *(tw_ints*)(x + i) = start + v + ((sum - v) >> k);
        carry = __builtin_shufflevector(sum, sum, 3, 3, 3, 3);
    }
    state = carry[0];
#endif
    for (; i < n; i++) {
        x[i] = base + e[i] + (state >> k);
        state += e[i];
    }
    return state;
}

/* to[i] = table[x[i] - low]. */
#define TW_GATHER(bits) \
    static inline void tw_gather_##bits(uint##bits##_t* restrict to, const uint##bits##_t* table, const int32_t* restrict x, int32_t low, ptrdiff_t n) { \
        _Pragma("GCC unroll 8") for (ptrdiff_t i = 0; i < n; i++) to[i] = table[(uint32_t)x[i] - (uint32_t)low]; \
    }
TW_GATHER(16)
TW_GATHER(32)
TW_GATHER(64)

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

/* Whether every x[i] is in [low, low + last]. */
TW_CLONES static int tw_inside_32(const int32_t* x, int32_t low, uint32_t last, ptrdiff_t n) {
    int outside = 0;
    for (ptrdiff_t i = 0; i < n; i++) outside |= (uint32_t)x[i] - (uint32_t)low > last;
    return !outside;
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

/* sum of a[i] * b[i]; |a|, |b| <= 1024 and n <= 1024, so that 32 bits hold it. */
TW_CLONES static int32_t tw_dot(const int16_t* a, const int16_t* b, ptrdiff_t n) {
    int32_t sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += (int32_t)a[i] * b[i];
    return sum;
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
