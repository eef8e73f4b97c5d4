/* Loops of entropy.pyx: residuals to symbols and bits, and back. FORMAT.md, section 8.2. */
#ifndef TRACEWINNOW_TOKENS_H
#define TRACEWINNOW_TOKENS_H

#include "clones.h"
#include "integers.h"

#define TW_GROUP 128 /* residuals whose low bits are packed together, in rows of 16 bytes */

typedef uint32_t tw_row_32 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t tw_row_64 __attribute__((vector_size(16), aligned(1), may_alias));

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the kernels want a little-endian machine; TRACEWINNOW_PURE=1 uses the reference"
#endif

static inline uint64_t tw_low_mask(int bits) { return bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits) - 1; }

/* Bits are written from the lowest of the first byte on. */
typedef struct {
    uint8_t* to;
    uint64_t held;
    int count; /* bits that are held: below 64 */
} tw_writer;

static inline void tw_put(tw_writer* w, uint64_t v, int bits) {
    w->held |= v << w->count;
    if (w->count + bits >= 64) {
        memcpy(w->to, &w->held, 8);
        w->to += 8;
        w->held = w->count ? v >> (64 - w->count) : 0;
        w->count -= 64;
    }
    w->count += bits;
}

static inline uint8_t* tw_flush(tw_writer* w) {
    for (; w->count > 0; w->count -= 8) {
        *w->to++ = (uint8_t)w->held;
        w->held >>= 8;
    }
    return w->to;
}

/* So many bits (at most 63) at a bit of data[:size]; beyond the end they are 0. */
static inline uint64_t tw_get(const uint8_t* data, size_t size, uint64_t bit, int bits) {
    const int skip = bit & 7;
    uint64_t v = 0;
    for (int i = 0; 8 * i < skip + bits && (bit >> 3) + (uint64_t)i < size; i++) {
        const uint64_t byte = data[(bit >> 3) + (uint64_t)i];
        v |= i == 0 ? byte >> skip : byte << (8 * i - skip);
    }
    return v & tw_low_mask(bits);
}

#define TW_TOKENS(size) \
    /* The symbol of each residual; the bits of those beyond the direct cells go to the writer. */ \
    TW_CLONES static void tw_symbols_##size(uint8_t* restrict to, tw_writer* tails, const int##size##_t* restrict r, ptrdiff_t n, int shift, int direct) { \
        for (ptrdiff_t at = 0; at < n; at += 32) { \
            const ptrdiff_t stop = n - at < 32 ? n : at + 32; \
            uint##size##_t outside = 0; \
            for (ptrdiff_t i = at; i < stop; i++) { \
                const uint##size##_t q = (uint##size##_t)(r[i] >> shift) + (uint##size##_t)direct; \
                to[i] = (uint8_t)q; \
                outside |= q >= 2 * (uint##size##_t)direct; \
            } \
            if (!outside) continue; \
            for (ptrdiff_t i = at; i < stop; i++) { \
                const int64_t q = r[i] >> shift; \
                const uint64_t magnitude = (uint64_t)(q ^ (q >> 63)); \
                if (magnitude < (uint64_t)direct) continue; \
                const uint64_t m = magnitude - (uint64_t)direct + 1; \
                const int length = tw_bit_length(m) - 1; \
                to[i] = (uint8_t)(2 * direct + length); \
                tw_put(tails, q < 0, 1); \
                tw_put(tails, m & tw_low_mask(length), length); \
            } \
        } \
    } \
    /* The low bits: whole groups in rows, the rest one after the other. Returns where they end. */ \
    static uint8_t* tw_pack_##size(uint8_t* to, const int##size##_t* r, ptrdiff_t n, int shift) { \
        const uint64_t mask = tw_low_mask(shift); \
        ptrdiff_t at = 0; \
        for (; at + TW_GROUP <= n; at += TW_GROUP) { \
            tw_row_##size held = {0}; \
            int count = 0; \
            for (int row = 0; row < size; row++) { \
                const tw_row_##size v = *(const tw_row_##size*)(r + at + (ptrdiff_t)row * (TW_GROUP / size)) & (uint##size##_t)mask; \
                held |= v << count; \
                if (count + shift >= size) { \
                    *(tw_row_##size*)to = held; \
                    to += 16; \
                    held = count ? v >> (size - count) : (tw_row_##size){0}; \
                    count -= size; \
                } \
                count += shift; \
            } \
        } \
        tw_writer w = {to, 0, 0}; \
        for (; at < n; at++) tw_put(&w, (uint64_t)r[at] & mask, shift); \
        return tw_flush(&w); \
    } \
    /* Adds low bits, which tw_pack wrote: those of a part of a stream that begins with a group. Returns where they end. */ \
    static const uint8_t* tw_unpack_##size(int##size##_t* r, ptrdiff_t n, int shift, const uint8_t* from) { \
        const uint##size##_t mask = (uint##size##_t)tw_low_mask(shift); \
        ptrdiff_t at = 0; \
        for (; at + TW_GROUP <= n; at += TW_GROUP) { \
            int count = 0; \
            for (int row = 0; row < size; row++) { \
                tw_row_##size v = *(const tw_row_##size*)from >> count; \
                count += shift; \
                if (count >= size) { \
                    from += 16; \
                    count -= size; \
                    if (count) v |= *(const tw_row_##size*)from << (shift - count); \
                } \
                *(tw_row_##size*)(r + at + (ptrdiff_t)row * (TW_GROUP / size)) |= v & mask; \
            } \
        } \
        const size_t bytes = ((size_t)(n - at) * (size_t)shift + 7) >> 3; \
        for (uint64_t bit = 0; at < n; at++, bit += (uint64_t)shift) r[at] |= (int##size##_t)tw_get(from, bytes, bit, shift); \
        return from + bytes; \
    } \
    TW_CLONES static void tw_cells_##size(int##size##_t* restrict r, const uint8_t* restrict symbols, ptrdiff_t n, int shift, int direct) { \
        for (ptrdiff_t i = 0; i < n; i++) r[i] = (int##size##_t)((uint##size##_t)(int##size##_t)(symbols[i] - direct) << shift); \
    } \
    /* The residual of a symbol beyond the direct cells, without low bits; false if the tails have too few bits. */ \
    static int tw_tail_##size(int##size##_t* r, int length, int shift, int direct, const uint8_t* tails, size_t bytes, uint64_t* bit) { \
        if (*bit + 1 + (uint64_t)length > 8 * (uint64_t)bytes) return 0; \
        const uint64_t negative = tw_get(tails, bytes, *bit, 1); \
        const uint64_t m = ((uint64_t)1 << length | tw_get(tails, bytes, *bit + 1, length)) + (uint64_t)direct - 1; \
        *bit += 1 + (uint64_t)length; \
        *r = (int##size##_t)((m ^ (0 - negative)) << shift); \
        return 1; \
    } \
    /* Residuals of some symbols, but for their low bits. bit: where the tails stand. False if there are too few of them. */ \
    static int tw_residuals_##size(int##size##_t* r, const uint8_t* symbols, ptrdiff_t n, int shift, int direct, const uint8_t* tails, size_t bytes, uint64_t* bit) { \
        ptrdiff_t i = 0; \
        tw_cells_##size(r, symbols, n, shift, direct); \
        for (; i + 8 <= n; i += 8) { \
            /* Eight symbols at once: the highest bit of a byte is set where half of the symbol, plus 128 - direct, reaches 128. */ \
            uint64_t eight; \
            memcpy(&eight, symbols + i, 8); \
            uint64_t found = ((eight >> 1 & 0x7f7f7f7f7f7f7f7f) + (uint64_t)(128 - direct) * 0x0101010101010101) & 0x8080808080808080; \
            for (; found; found &= found - 1) { \
                const ptrdiff_t at = i + (__builtin_ctzll(found) >> 3); \
                if (!tw_tail_##size(r + at, symbols[at] - 2 * direct, shift, direct, tails, bytes, bit)) return 0; \
            } \
        } \
        for (; i < n; i++) \
            if (symbols[i] >= 2 * direct && !tw_tail_##size(r + i, symbols[i] - 2 * direct, shift, direct, tails, bytes, bit)) return 0; \
        return 1; \
    }

TW_TOKENS(32)
TW_TOKENS(64)

/* How often each symbol occurs. Four tables, so that equal neighbours need not wait for each other. */
static void tw_histogram(int64_t* counts, const uint8_t* symbols, ptrdiff_t n) {
    uint32_t part[4][256];
    memset(part, 0, sizeof part);
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) part[k][symbols[i + k]]++;
    for (; i < n; i++) part[0][symbols[i]]++;
    for (int s = 0; s < 256; s++) counts[s] = (int64_t)part[0][s] + part[1][s] + part[2][s] + part[3][s];
}

#endif
