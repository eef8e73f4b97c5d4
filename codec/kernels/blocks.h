/* Loops of blocks.pyx and join.pyx. */
#ifndef TRACEWINNOW_BLOCKS_H
#define TRACEWINNOW_BLOCKS_H

#include "clones.h"
#include "integers.h"

#define TW_BLOCK 256

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define TW_SHUFFLES 1
#endif
#endif

/* Eight lanes: two registers without AVX2. */
typedef float tw_floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t tw_words __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t tw_ints __attribute__((vector_size(32), aligned(4), may_alias));

/* What other columns tell: sum of weights[r] * e[columns[r]][i], one product after the other; a half away from zero, cut at limit. */
static inline __attribute__((always_inline)) void tw_told(tw_floats* sum, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit, int i) {
    const tw_words sign = (tw_words){0} + 0x80000000u, half = (tw_words){0} + 0x3f000000u;
    for (int k = 0; k < 4; k++) sum[k] = (tw_floats){0};
    for (ptrdiff_t r = 0; r < refs; r++) {
        const tw_floats* from = (const tw_floats*)(e + (ptrdiff_t)columns[r] * TW_BLOCK + i);
        const float w = weights[r];
        sum[0] += w * from[0];
        sum[1] += w * from[1];
        sum[2] += w * from[2];
        sum[3] += w * from[3];
    }
    for (int k = 0; k < 4; k++) {
        const tw_floats v = sum[k] + (tw_floats)(((tw_words)sum[k] & sign) | half), most = (tw_floats){0} + limit;
        const tw_words above = (tw_words)(v > most), below = (tw_words)(v < -most);
        sum[k] = (tw_floats)(((tw_words)v & ~(above | below)) | ((tw_words)most & above) | ((tw_words)(-most) & below));
    }
}

TW_CLONES TW_SOME static void tw_expected(float* told, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) {
    for (int i = 0; i < TW_BLOCK; i += 32) {
        tw_floats sum[4];
        tw_told(sum, e, columns, weights, refs, limit, i);
        for (int k = 0; k < 4; k++) *(tw_floats*)(told + i + 8 * k) = sum[k];
    }
}

/* to = r + what the other columns tell, and the same as floats: a whole block. */
TW_CLONES TW_SOME static void tw_innovations_32(int32_t* to, float* floats, const int32_t* r, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) {
    for (int i = 0; i < TW_BLOCK; i += 32) {
        tw_floats sum[4];
        tw_told(sum, e, columns, weights, refs, limit, i);
        for (int k = 0; k < 4; k++) {
            const tw_words v = (tw_words) * (const tw_ints*)(r + i + 8 * k) + (tw_words)__builtin_convertvector(sum[k], tw_ints);
            *(tw_words*)(to + i + 8 * k) = v;
            *(tw_floats*)(floats + i + 8 * k) = __builtin_convertvector((tw_ints)v, tw_floats);
        }
    }
}

TW_CLONES TW_SOME static void tw_sub_expected_32(int32_t* r, const int32_t* e, const float* total, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) r[i] = (int32_t)((uint32_t)e[i] - (uint32_t)(int32_t)total[i]);
}

TW_CLONES TW_SOME static void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) out[i] = (float)e[i];
}

TW_CLONES TW_SOME static uint64_t tw_size_32(const int32_t* r, ptrdiff_t n) {
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

#if TW_SHUFFLES
/* Lane i: the sum of lanes 0 to i. */
static inline __attribute__((always_inline)) tw_ints tw_sums(tw_ints v) {
    const tw_ints zero = {0};
    v += __builtin_shufflevector(zero, v, 0, 8, 9, 10, 11, 12, 13, 14);
    v += __builtin_shufflevector(zero, v, 0, 1, 8, 9, 10, 11, 12, 13);
    return v + __builtin_shufflevector(zero, v, 0, 1, 2, 3, 8, 9, 10, 11);
}

static inline __attribute__((always_inline)) tw_ints tw_last(tw_ints v) { return __builtin_shufflevector(v, v, 7, 7, 7, 7, 7, 7, 7, 7); }
#endif

/* The same where no state leaves 32 bits. */
TW_CLONES TW_SOME static int32_t tw_level_narrow(int32_t* x, const int32_t* e, int32_t base, int32_t state, int k, ptrdiff_t n) {
    ptrdiff_t i = 0;
#if TW_SHUFFLES
    const tw_ints zero = {0}, start = zero + base;
    tw_ints carry = zero + state;
    for (; i + 8 <= n; i += 8) {
        const tw_ints v = *(const tw_ints*)(e + i), sum = tw_sums(v) + carry;
        *(tw_ints*)(x + i) = start + v + ((sum - v) >> k);
        carry = tw_last(sum);
    }
    state = carry[0];
#endif
    for (; i < n; i++) {
        x[i] = base + e[i] + (state >> k);
        state += e[i];
    }
    return state;
}

/* trend += e[i], then value += trend, which is x[i]. */
TW_CLONES TW_SOME static void tw_trend_32(int32_t* x, const int32_t* e, int32_t* value, int32_t* trend, ptrdiff_t n) {
    uint32_t v = (uint32_t)*value, d = (uint32_t)*trend;
    ptrdiff_t i = 0;
#if TW_SHUFFLES
    const tw_ints zero = {0};
    tw_ints values = zero + (int32_t)v, trends = zero + (int32_t)d;
    for (; i + 8 <= n; i += 8) {
        const tw_ints step = tw_sums(*(const tw_ints*)(e + i)) + trends, sum = tw_sums(step) + values;
        *(tw_ints*)(x + i) = sum;
        trends = tw_last(step);
        values = tw_last(sum);
    }
    v = (uint32_t)values[0];
    d = (uint32_t)trends[0];
#endif
    for (; i < n; i++) {
        d += (uint32_t)e[i];
        v += d;
        x[i] = (int32_t)v;
    }
    *value = (int32_t)v;
    *trend = (int32_t)d;
}

TW_CLONES TW_SOME static int tw_any(const uint8_t* mask, ptrdiff_t n) {
    int any = 0;
    for (ptrdiff_t i = 0; i < n; i++) any |= mask[i];
    return any;
}

/* to[i] = table[x[i] - low]. */
#define TW_GATHER(bits) \
    static inline void tw_gather_##bits(uint##bits##_t* restrict to, const uint##bits##_t* table, const int32_t* restrict x, int32_t low, ptrdiff_t n) { \
        _Pragma("GCC unroll 8") for (ptrdiff_t i = 0; i < n; i++) to[i] = table[(uint32_t)x[i] - (uint32_t)low]; \
    }
TW_GATHER(16)
TW_GATHER(32)
TW_GATHER(64)

/* Whether every x[i] is in [low, low + last]. */
TW_CLONES TW_SOME static int tw_inside_32(const int32_t* x, int32_t low, uint32_t last, ptrdiff_t n) {
    int outside = 0;
    for (ptrdiff_t i = 0; i < n; i++) outside |= (uint32_t)x[i] - (uint32_t)low > last;
    return !outside;
}

#endif
