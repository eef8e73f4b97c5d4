# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Residuals of streams back to latents, and latents to words. FORMAT.md, sections 7 and 8; what it means is in
../reference/blocks.py."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 256  # steps that share a scale class
    TREND = 255  # predictor kind: second difference
    SPAN = 2  # blocks that are decoded together, so that memory is walked in longer pieces

cdef extern from "blocks.h":
    bint tw_any(const uint8_t* mask, ptrdiff_t n) noexcept nogil
    void tw_trend_32(int32_t* x, const int32_t* e, int32_t* value, int32_t* trend, ptrdiff_t n) noexcept nogil
    void tw_expected(float* total, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_innovations_32(int32_t* to, float* floats, const int32_t* r, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) noexcept nogil
    int64_t tw_level_32(int32_t* x, const int32_t* e, int32_t base, int64_t state, int k, ptrdiff_t n) noexcept nogil
    int32_t tw_level_narrow(int32_t* x, const int32_t* e, int32_t base, int32_t state, int k, ptrdiff_t n) noexcept nogil
    bint tw_inside_32(const int32_t* x, int32_t low, uint32_t last, ptrdiff_t n) noexcept nogil
    void tw_gather_16(uint16_t* to, const uint16_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil
    void tw_gather_32(uint32_t* to, const uint32_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil
    void tw_gather_64(uint64_t* to, const uint64_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil

ctypedef fused latent:
    int32_t
    int64_t

ctypedef fused word:
    uint16_t
    uint32_t
    uint64_t


cdef inline latent add(latent a, latent b) noexcept nogil:
    return <latent>(<uint64_t>a + <uint64_t>b)


def join(streams, const int64_t[::1] sizes, codes, kinds, firsts, starts, columns, weights, mask, needed, table, int64_t low, int64_t high, out):
    """See reference.join."""
    if firsts.dtype == np.int64:
        return not join_typed[int64_t, uint64_t](streams, sizes, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint64), None, low, high)
    if out.itemsize == 2:
        return not join_typed[int32_t, uint16_t](streams, sizes, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint16), table.view(np.uint16), low, high)
    if out.itemsize == 4:
        words = None if table is None else table.view(np.uint32)
        return not join_typed[int32_t, uint32_t](streams, sizes, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint32), words, low, high)
    return not join_typed[int32_t, uint64_t](streams, sizes, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint64), table.view(np.uint64), low, high)


cdef int join_typed(const latent[::1] streams, const int64_t[::1] sizes, const uint8_t[:, ::1] codes, const uint8_t[::1] kinds, const latent[::1] firsts,
                    const int32_t[::1] starts, const int32_t[::1] columns, const float[::1] weights, const uint8_t[:, ::1] mask,
                    const uint8_t[::1] needed, word[:, :] out, const word[::1] table, int64_t low, int64_t high) except -1:
    cdef Py_ssize_t count = out.shape[0], steps = out.shape[1], t, j, i, b, b0, n, refs, blocks = codes.shape[1]
    cdef float[:, :, ::1] floats = np.zeros((SPAN, max(count, 1), BLOCK), np.float32)
    cdef float[BLOCK] total
    cdef float limit = 1073741824.0 if latent is int32_t else 4611686018427387904.0
    # Where each block of residuals begins: blocks lie column after column in their stream.
    cdef int32_t[:, ::1] where = np.empty((max(count, 1), max(blocks, 1)), np.int32)
    cdef Py_ssize_t[256] at
    cdef int64_t[::1] states = np.zeros(max(count, 1), np.int64)
    cdef latent[::1] before = np.array(firsts)
    cdef latent[BLOCK] zeros
    cdef latent[BLOCK] block
    cdef latent[BLOCK] padded
    cdef latent[BLOCK] padded_latents
    cdef latent* latents
    cdef bint outside = False, narrow
    cdef uint8_t[::1] asked = np.zeros(max(count, 1), np.uint8)
    cdef const latent* source
    cdef const word* entries = &table[0] if table is not None else NULL
    cdef uint64_t span = <uint64_t>high - <uint64_t>low
    cdef word* to
    cdef float* row
    cdef const int32_t* columns_at = &columns[0] if columns.shape[0] else NULL
    cdef const float* weights_at = &weights[0] if columns.shape[0] else NULL
    cdef int64_t state
    cdef latent value, trend, e
    cdef int k, c
    cdef bint masked = mask is not None, marked
    if count == 0 or steps == 0:
        return 0
    with nogil:
        memset(zeros, 0, sizeof(zeros))
        memset(padded, 0, sizeof(padded))
        for i in range(columns.shape[0]):
            asked[columns[i]] = 1
        n = 0
        for i in range(sizes.shape[0]):
            at[i + 1] = n
            n += sizes[i]
        for j in range(count):
            for b in range(blocks):
                c = codes[j, b]
                if c:
                    where[j, b] = at[c]
                    at[c] += min(BLOCK, steps - b * BLOCK)
        for b0 in range(0, blocks, 2):
            for j in range(count):
                if not needed[j]:
                    continue
                for b in range(b0, min(b0 + SPAN, blocks)):
                    t = b * BLOCK
                    n = min(BLOCK, steps - t)
                    source = &streams[where[j, b]] if codes[j, b] else zeros
                    row = &floats[b - b0, j, 0]
                    refs = starts[j + 1] - starts[j]
                    marked = masked and tw_any(&mask[j, t], n)
                    # First the innovations, e = r + what the other columns tell.
                    if refs:
                        if latent is int32_t:
                            if n < BLOCK:
                                memcpy(padded, source, n * sizeof(latent))
                                source = padded
                            tw_innovations_32(block, row, source, &floats[b - b0, 0, 0], columns_at + starts[j], weights_at + starts[j], refs, limit)
                        else:
                            tw_expected(total, &floats[b - b0, 0, 0], columns_at + starts[j], weights_at + starts[j], refs, limit)
                            for i in range(n):
                                block[i] = add(source[i], <latent>total[i])
                                row[i] = <float>block[i]
                        source = block
                    elif marked:
                        memcpy(block, source, n * sizeof(latent))
                        source = block
                    if marked:
                        for i in range(n):
                            if mask[j, t + i]:
                                block[i] = 0
                                row[i] = 0
                    if not refs and asked[j]:
                        if latent is int32_t:
                            tw_to_float_32(row, source, n)
                        else:
                            for i in range(n):
                                row[i] = <float>source[i]
                    # Then the latents, e + what the past tells.
                    k = kinds[j]
                    to = &out[j, t]
                    latents = padded_latents
                    if latent is int32_t:
                        if entries is NULL:
                            latents = <latent*>to
                    narrow = span < <uint64_t>1 << (30 - min(k, 30))
                    if k == TREND:
                        trend = <latent>states[j]
                        if latent is int32_t:
                            if not marked:
                                tw_trend_32(latents, source, &before[j], &trend, n)
                        if latent is int64_t or marked:
                            value = before[j]
                            for i in range(n):
                                if not (marked and mask[j, t + i]):
                                    trend = add(trend, source[i])
                                    value = add(value, trend)
                                latents[i] = value
                            before[j] = value
                        states[j] = trend
                    elif latent is int32_t:
                        if narrow:
                            states[j] = tw_level_narrow(latents, source, firsts[j], <int32_t>states[j], k, n)
                        else:
                            states[j] = tw_level_32(latents, source, firsts[j], states[j], k, n)
                    else:
                        state = states[j]
                        for i in range(n):
                            e = source[i]
                            latents[i] = add(add(e, firsts[j]), <latent>(state >> k))
                            state = add(state, <int64_t>e)
                        states[j] = state
                    # A hostile file may leave the range that it states: nothing is read beyond the table.
                    if latent is int32_t:
                        if not tw_inside_32(latents, <int32_t>low, <uint32_t>span, n):
                            outside = True
                            continue
                    else:
                        for i in range(n):
                            outside |= <uint64_t>latents[i] - <uint64_t>low > span
                    if latent is int32_t:
                        if entries is not NULL:
                            if word is uint16_t:
                                tw_gather_16(to, entries, latents, <int32_t>low, n)
                            elif word is uint32_t:
                                tw_gather_32(to, entries, latents, <int32_t>low, n)
                            else:
                                tw_gather_64(to, entries, latents, <int32_t>low, n)
                    else:
                        for i in range(n):
                            to[i] = <word>latents[i]
    return outside
