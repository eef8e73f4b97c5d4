# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Residuals by blocks and streams. FORMAT.md, sections 7 and 8; what each function means is in
../reference/blocks.py."""

import numpy as np

from ..memory import room

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    BLOCK = 256  # steps that share a scale class

cdef extern from "integers.h":
    int tw_bit_length(uint64_t v) noexcept nogil

cdef extern from "blocks.h":
    void tw_expected(float* total, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_sub_expected_32(int32_t* r, const int32_t* e, const float* total, ptrdiff_t n) noexcept nogil
    void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) noexcept nogil
    uint64_t tw_size_32(const int32_t* r, ptrdiff_t n) noexcept nogil

ctypedef fused latent:
    int32_t
    int64_t


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
