# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Residuals by blocks and streams, and back to latents. FORMAT.md, sections 7 and 8; what each function means is in
../reference/blocks.py."""

import numpy as np

from ..memory import room

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 256  # steps that share a scale class
    TREND = 255  # predictor kind: second difference
    SPAN = 2  # blocks that are decoded together, so that memory is walked in longer pieces

cdef extern from "integers.h":
    int tw_bit_length(uint64_t v) noexcept nogil

cdef extern from "blocks.h":
    bint tw_any(const uint8_t* mask, ptrdiff_t n) noexcept nogil
    void tw_trend_32(int32_t* x, const int32_t* e, int32_t* value, int32_t* trend, ptrdiff_t n) noexcept nogil
    void tw_expected(float* total, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_innovations_32(int32_t* to, float* floats, const int32_t* r, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_sub_expected_32(int32_t* r, const int32_t* e, const float* total, ptrdiff_t n) noexcept nogil
    void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) noexcept nogil
    uint64_t tw_size_32(const int32_t* r, ptrdiff_t n) noexcept nogil
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


cdef inline latent sub(latent a, latent b) noexcept nogil:
    return <latent>(<uint64_t>a - <uint64_t>b)


cdef inline uint64_t magnitude(latent a) noexcept nogil:
    return <uint64_t>a if a >= 0 else <uint64_t>0 - <uint64_t>(<int64_t>a)


cdef inline int half_octave(uint64_t m) noexcept nogil:
    """Twice the bit length of m, and one more in the upper half of its octave."""
    cdef int n = tw_bit_length(m)
    return 2 * n + <int>((m >> (n - 2)) & 1) if n >= 2 else 2 * n


def residuals(e, starts, columns, weights, mask):
    """See reference.residuals."""
    out = room("residuals", e.shape, e.dtype)
    classes = np.zeros((e.shape[0], -(-e.shape[1] // BLOCK)), np.uint8)
    alone = np.zeros_like(classes)
    if e.dtype == np.int32:
        residuals_typed[int32_t](e, starts, columns, weights, mask, out, classes, alone)
    else:
        residuals_typed[int64_t](e, starts, columns, weights, mask, out, classes, alone)
    return out, classes, alone


cdef inline uint8_t block_class(const latent* r, Py_ssize_t n) noexcept nogil:
    cdef uint64_t size = 0
    cdef Py_ssize_t i
    if latent is int32_t:
        size = tw_size_32(r, n)
    else:
        for i in range(n):
            size += magnitude(r[i]) >> 8
            size |= r[i] != 0
    if n < BLOCK:
        size = (size * BLOCK + n - 1) // n
    return half_octave(size)


cdef int residuals_typed(const latent[:, ::1] e, const int32_t[::1] starts, const int32_t[::1] columns, const float[::1] weights,
                         const uint8_t[:, ::1] mask, latent[:, ::1] out, uint8_t[:, ::1] classes, uint8_t[:, ::1] alone) except -1:
    cdef Py_ssize_t count = e.shape[0], steps = e.shape[1], t, j, i, n, refs
    cdef float[:, ::1] floats = np.zeros((max(count, 1), BLOCK), np.float32)
    cdef float[BLOCK] told
    cdef float limit = 1073741824.0 if latent is int32_t else 4611686018427387904.0
    cdef const int32_t* columns_at = &columns[0] if columns.shape[0] else NULL
    cdef const float* weights_at = &weights[0] if columns.shape[0] else NULL
    cdef float* row
    cdef latent* to
    cdef const latent* source
    cdef bint masked = mask is not None
    if count == 0 or steps == 0:
        return 0
    with nogil:
        for t in range(0, steps, 256):
            n = min(BLOCK, steps - t)
            for j in range(count):
                source = &e[j, t]
                to = &out[j, t]
                row = &floats[j, 0]
                alone[j, t // BLOCK] = block_class(source, n)
                if latent is int32_t:
                    tw_to_float_32(row, source, n)
                else:
                    for i in range(n):
                        row[i] = <float>source[i]
                refs = starts[j + 1] - starts[j]
                if refs == 0:
                    memcpy(to, source, n * sizeof(latent))
                    classes[j, t // BLOCK] = alone[j, t // BLOCK]
                    continue
                tw_expected(told, &floats[0, 0], columns_at + starts[j], weights_at + starts[j], refs, limit)
                if latent is int32_t:
                    tw_sub_expected_32(to, source, told, n)
                else:
                    for i in range(n):
                        to[i] = sub(source[i], <latent>told[i])
                if masked:
                    for i in range(n):
                        if mask[j, t + i]:
                            to[i] = 0
                classes[j, t // BLOCK] = block_class(<const latent*>to, n)
    return 0


def split(r, codes, sizes):
    """See reference.split."""
    every = room("streams", (sum(sizes),), r.dtype)
    out = np.split(every, np.cumsum(sizes[:len(sizes) - 1])) if sizes else []
    cdef uint64_t[::1] at = np.array([0] + [a.ctypes.data for a in out], np.uint64)
    if r.dtype == np.int32:
        split_typed[int32_t](r, codes, at)
    else:
        split_typed[int64_t](r, codes, at)
    return out


cdef int split_typed(const latent[:, ::1] r, const uint8_t[:, ::1] codes, uint64_t[::1] at) except -1:
    cdef Py_ssize_t columns = r.shape[0], steps = r.shape[1], j, t, n
    cdef int c
    with nogil:
        for j in range(columns):
            for t in range(0, steps, 256):
                c = codes[j, t // BLOCK]
                if c:
                    n = min(BLOCK, steps - t)
                    memcpy(<void*>at[c], &r[j, t], n * sizeof(latent))
                    at[c] += n * sizeof(latent)
    return 0


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
