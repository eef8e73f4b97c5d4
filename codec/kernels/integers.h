/* What several of the kernels ask of an integer. */
#ifndef TRACEWINNOW_INTEGERS_H
#define TRACEWINNOW_INTEGERS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int tw_bit_length(uint64_t v) { return v ? 64 - __builtin_clzll(v) : 0; }

static inline int tw_first_bit(uint64_t v) { return __builtin_ctzll(v); }

/* The next eight of n bytes, zeros beyond the end; the first bit of the first byte, its highest, becomes the lowest of all. */
static inline uint64_t tw_bits_in_order(const uint8_t* data, ptrdiff_t n) {
    uint64_t v = 0;
    memcpy(&v, data, n < 8 ? (size_t)n : 8);
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    return (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
}

#endif
