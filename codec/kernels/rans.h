/* Range asymmetric numeral systems (Duda, arXiv 1311.2540) over bytes: FORMAT.md, section 8.2.
 *
 * Frequencies have 12 bits, states 32, words 16. Symbol i belongs to lane i % lanes; the lanes are independent but for
 * the words, which they share, so that a processor works on many at once. On x86-64 with AVX2 thirty-two lanes are decoded
 * in four vectors (after Giesen, "Interleaved entropy coders", arXiv 1402.3392).
 */
#ifndef TRACEWINNOW_RANS_H
#define TRACEWINNOW_RANS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TW_RANS_BITS 12
#define TW_RANS_SLOTS (1 << TW_RANS_BITS)
#define TW_RANS_LOW (1u << 16)

/* Little-endian words at any address. */
static inline uint32_t tw_word(const uint8_t* p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }

/* One entry for each slot: symbol | place in the symbol's slots << 8 | its frequency << 20; frequencies below 4096. */
static void tw_rans_slots(uint32_t* slots, const uint16_t* frequencies, int symbols) {
    uint32_t at = 0;
    for (int s = 0; s < symbols; s++)
        for (uint32_t i = 0; i < frequencies[s]; i++) slots[at++] = (uint32_t)s | i << 8 | (uint32_t)frequencies[s] << 20;
}

static inline uint32_t tw_rans_next(uint32_t x, uint32_t entry) { return (entry >> 20) * (x >> TW_RANS_BITS) + ((entry >> 8) & 0xfff); }

/* count symbols by the scalar way; returns where the words stand, or NULL if there are too few. */
static const uint8_t* tw_rans_decode_some(uint8_t* restrict out, ptrdiff_t count, const uint32_t* restrict slots, uint32_t* restrict states, int lanes, const uint8_t* words, const uint8_t* end) {
    for (ptrdiff_t i = 0; i < count; i += lanes) {
        const int n = count - i < lanes ? (int)(count - i) : lanes;
        if (end - words >= 2 * n) { /* no branch that depends on the data */
            for (int k = 0; k < n; k++) {
                const uint32_t entry = slots[states[k] & (TW_RANS_SLOTS - 1)], x = tw_rans_next(states[k], entry), low = x < TW_RANS_LOW;
                out[i + k] = (uint8_t)entry;
                states[k] = x << 16 * low | (tw_word(words) & (0u - low));
                words += 2 * low;
            }
            continue;
        }
        for (int k = 0; k < n; k++) {
            const uint32_t entry = slots[states[k] & (TW_RANS_SLOTS - 1)];
            uint32_t x = tw_rans_next(states[k], entry);
            out[i + k] = (uint8_t)entry;
            if (x < TW_RANS_LOW) {
                if (end - words < 2) return NULL;
                x = x << 16 | tw_word(words);
                words += 2;
            }
            states[k] = x;
        }
    }
    return words;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

static uint64_t tw_rans_spread[256]; /* for each set of lanes that take a word, which of the next eight words each takes */

__attribute__((target("avx2,bmi2,popcnt"))) static const uint8_t* tw_rans_decode_avx2(uint8_t* out, ptrdiff_t count, const uint32_t* slots, uint32_t* states, const uint8_t* words, const uint8_t* end, ptrdiff_t* done) {
    const __m256i slot = _mm256_set1_epi32(TW_RANS_SLOTS - 1), byte = _mm256_set1_epi32(255);
    __m256i x[4];
    ptrdiff_t i = 0;
    for (int v = 0; v < 4; v++) x[v] = _mm256_loadu_si256((const __m256i*)(states + 8 * v));
    for (; i + 32 <= count && end - words >= 80; i += 32) { /* a round takes at most 64 bytes, and looks at 16 more */
        __m256i entry[4];
        for (int v = 0; v < 4; v++) {
            entry[v] = _mm256_i32gather_epi32((const int*)slots, _mm256_and_si256(x[v], slot), 4);
            x[v] = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_srli_epi32(entry[v], 20), _mm256_srli_epi32(x[v], TW_RANS_BITS)),
                                    _mm256_and_si256(_mm256_srli_epi32(entry[v], 8), slot));
        }
        for (int v = 0; v < 4; v++) {
            const __m256i low = _mm256_cmpeq_epi32(_mm256_srli_epi32(x[v], 16), _mm256_setzero_si256());
            const unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(low));
            const __m256i next = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)words));
            const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(tw_rans_spread + mask)));
            const __m256i more = _mm256_or_si256(_mm256_slli_epi32(x[v], 16), _mm256_permutevar8x32_epi32(next, order));
            x[v] = _mm256_blendv_epi8(x[v], more, low);
            words += 2 * __builtin_popcount(mask);
        }
        const __m256i a = _mm256_packus_epi32(_mm256_and_si256(entry[0], byte), _mm256_and_si256(entry[1], byte));
        const __m256i b = _mm256_packus_epi32(_mm256_and_si256(entry[2], byte), _mm256_and_si256(entry[3], byte));
        const __m256i all = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256((__m256i*)(out + i), all);
    }
    for (int v = 0; v < 4; v++) _mm256_storeu_si256((__m256i*)(states + 8 * v), x[v]);
    *done = i;
    return words;
}

static int tw_rans_vectors(void) { return __builtin_cpu_supports("avx2"); }

static void tw_rans_init(void) {
    for (int mask = 0; mask < 256; mask++) {
        uint64_t order = 0;
        for (int lane = 0, taken = 0; lane < 8; lane++) {
            order |= (uint64_t)taken << 8 * lane;
            taken += mask >> lane & 1;
        }
        tw_rans_spread[mask] = order;
    }
}
#else
static int tw_rans_vectors(void) { return 0; }
static void tw_rans_init(void) {}
static const uint8_t* tw_rans_decode_avx2(uint8_t* out, ptrdiff_t count, const uint32_t* slots, uint32_t* states, const uint8_t* words, const uint8_t* end, ptrdiff_t* done) {
    *done = 0;
    return words;
}
#endif

/* count symbols of one stream; returns where the words stand, or NULL if there are too few. */
static const uint8_t* tw_rans_decode(uint8_t* out, ptrdiff_t count, const uint32_t* slots, uint32_t* states, int lanes, const uint8_t* words, const uint8_t* end) {
    ptrdiff_t done = 0;
    if (lanes == 32 && tw_rans_vectors()) words = tw_rans_decode_avx2(out, count, slots, states, words, end, &done);
    return tw_rans_decode_some(out + done, count - done, slots, states, lanes, words, end);
}

typedef struct {
    uint64_t reciprocal; /* ceil(2**43 / frequency): a quotient of states below the limit is right, or one too much */
    uint32_t limit;      /* a state at or above it gives up a word first */
    uint32_t frequency, start;
} tw_rans_symbol;

static void tw_rans_symbols(tw_rans_symbol* to, const uint16_t* frequencies, int symbols) {
    uint32_t at = 0;
    for (int s = 0; s < symbols; s++) {
        const uint32_t f = frequencies[s];
        if (!f) continue;
        to[s].reciprocal = (((uint64_t)1 << 43) + f - 1) / f;
        to[s].limit = f << 20;
        to[s].frequency = f;
        to[s].start = at;
        at += f;
    }
}

/* Symbols from the last to the first; words are written downwards from `words`. Returns where they begin. */
static uint8_t* tw_rans_encode(const uint8_t* restrict in, ptrdiff_t count, const tw_rans_symbol* restrict table, uint32_t* restrict states, int lanes, uint8_t* restrict words) {
    for (ptrdiff_t i = (count + lanes - 1) / lanes * lanes - lanes; i >= 0; i -= lanes) {
        const int n = count - i < lanes ? (int)(count - i) : lanes;
        for (int k = n - 1; k >= 0; k--) {
            const tw_rans_symbol* s = table + in[i + k];
            uint32_t x = states[k];
            words[-1] = (uint8_t)(x >> 8);
            words[-2] = (uint8_t)x;
            const uint32_t full = x >= s->limit;
            words -= 2 * full;
            x >>= 16 * full;
            uint32_t q = (uint32_t)((x * s->reciprocal) >> 43);
            q -= q * s->frequency > x;
            states[k] = (q << TW_RANS_BITS) + (x - q * s->frequency) + s->start;
        }
    }
    return words;
}

#endif
