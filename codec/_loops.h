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

typedef int32_t tw_ints __attribute__((vector_size(16), aligned(4), may_alias));

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define TW_SHUFFLES 1
#endif
#endif

static inline int tw_bit_length(uint64_t v) { return v ? 64 - __builtin_clzll(v) : 0; }

static inline float tw_clip(float v, float limit) {
    v = v > -limit ? v : -limit;
    return v < limit ? v : limit;
}

/* total[i] = sum of weights[r] * e[columns[r]][i], one product after the other, a half away from zero, cut at limit. */
TW_CLONES static void tw_expected(float* total, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) {
    for (int i = 0; i < TW_BLOCK; i += 32) {
        tw_floats a = {0}, b = {0}, c = {0}, d = {0};
        for (ptrdiff_t r = 0; r < refs; r++) {
            const tw_floats* from = (const tw_floats*)(e + (ptrdiff_t)columns[r] * TW_BLOCK + i);
            const float w = weights[r];
            a += w * from[0];
            b += w * from[1];
            c += w * from[2];
            d += w * from[3];
        }
        tw_floats* to = (tw_floats*)(total + i);
        to[0] = a, to[1] = b, to[2] = c, to[3] = d;
    }
    for (int i = 0; i < TW_BLOCK; i++) total[i] = tw_clip(total[i] + __builtin_copysignf(0.5f, total[i]), limit);
}

TW_CLONES static void tw_add_expected_32(int32_t* e, const int32_t* r, const float* total, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) e[i] = (int32_t)((uint32_t)r[i] + (uint32_t)(int32_t)total[i]);
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
static inline int64_t tw_level_32(int32_t* restrict x, const int32_t* restrict e, int32_t base, int64_t state, int k, ptrdiff_t n) {
#pragma GCC unroll 8
    for (ptrdiff_t i = 0; i < n; i++) {
        const int64_t v = e[i];
        x[i] = (int32_t)((uint32_t)base + (uint32_t)v + (uint32_t)(state >> k));
        state = (int64_t)((uint64_t)state + (uint64_t)v);
    }
    return state;
}

/* The same where no state leaves 32 bits. */
static inline int32_t tw_level_narrow(int32_t* restrict x, const int32_t* restrict e, int32_t base, int32_t state, int k, ptrdiff_t n) {
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

/* Whether every x[i] is in [low, low + last]. */
TW_CLONES static int tw_inside_32(const int32_t* x, int32_t low, uint32_t last, ptrdiff_t n) {
    int outside = 0;
    for (ptrdiff_t i = 0; i < n; i++) outside |= (uint32_t)x[i] - (uint32_t)low > last;
    return !outside;
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
