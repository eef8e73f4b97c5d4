# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Samples to latents. FORMAT.md, section 6; what each function means is in ../reference/latents.py."""

import numpy as np

from ..memory import room

from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "latents.h":
    bint tw_order_range(const uint32_t* bits, ptrdiff_t n, uint32_t exponent, uint32_t magnitude, int32_t* low, int32_t* high) noexcept nogil
    void tw_exp2(double* y, ptrdiff_t n, int64_t low, double step, double offset, const double* c) noexcept nogil
    void tw_order(int32_t* bits, ptrdiff_t n, int shift) noexcept nogil
    bint tw_grid_range(const int32_t* x, ptrdiff_t n, int32_t* low, int32_t* high) noexcept nogil
    void tw_log_block(int32_t* out, const double* v, double low, double high, double scale) noexcept nogil

ctypedef fused real:
    float
    double


def exp_table(Py_ssize_t low, Py_ssize_t count, double step, double offset, const double[::1] coefficients):
    """See reference.exp_table."""
    out = np.empty(count, np.float64)
    cdef double[::1] y = out
    if count:
        with nogil:
            tw_exp2(&y[0], count, low, step, offset, &coefficients[0])
    return out


def order_bits(bits, int shift, exponent, magnitude):
    """See reference.order_bits."""
    if bits.dtype == np.uint32:
        return order_bits_32(bits, shift, exponent, magnitude)
    return order_bits_64(bits, shift, exponent, magnitude)


def order_bits_32(bits, int shift, uint32_t exponent, uint32_t magnitude):
    words = room("latents", bits.T.shape, np.uint32)
    np.copyto(words, bits.T)
    cdef uint32_t[::1] b = words.reshape(-1)
    cdef Py_ssize_t n = b.shape[0], k
    cdef int32_t low = INT32_MAX, high = INT32_MIN
    cdef uint8_t[::1] m
    cdef bint special
    if n == 0:
        return words.view(np.int32), None, low, high
    with nogil:
        special = tw_order_range(&b[0], n, exponent, magnitude, &low, &high)
    mask = None
    if special:
        mask = np.empty(words.shape, np.uint8)
        m = mask.reshape(-1)
        with nogil:
            for k in range(n):
                m[k] = ((b[k] & exponent) == exponent) | ((b[k] & magnitude) == 0)
    with nogil:
        tw_order(<int32_t*>&b[0], n, shift)
    return words.view(np.int32), mask, low >> shift, high >> shift


def order_bits_64(const uint64_t[:, :] bits, int shift, uint64_t exponent, uint64_t magnitude):
    cdef Py_ssize_t steps = bits.shape[0], columns = bits.shape[1], t, j, j0, j1, found = 0
    out = np.empty((columns, steps), np.int64)
    mask = np.empty((columns, steps), np.uint8)
    cdef int64_t[:, ::1] x = out
    cdef uint8_t[:, ::1] m = mask
    cdef uint64_t b
    cdef int64_t i, low = INT64_MAX, high = INT64_MIN
    cdef uint8_t s
    with nogil:
        for j0 in range(0, columns, 16):
            j1 = min(j0 + 16, columns)
            for t in range(steps):
                for j in range(j0, j1):
                    b = bits[t, j]
                    s = ((b & exponent) == exponent) | ((b & magnitude) == 0)
                    i = <int64_t>b
                    i ^= <int64_t>(<uint64_t>(i >> 63) >> 1)
                    i >>= shift
                    x[j, t] = i
                    m[j, t] = s
                    found += s
                    if not s:
                        low = i if i < low else low
                        high = i if i > high else high
    return out, (mask if found else None), low, high


def log_quantise(values, double step, double low, double high):
    """See reference.log_quantise."""
    columns = room("columns", values.T.shape, values.dtype)
    np.copyto(columns, values.T)
    if columns.dtype == np.float32:
        return log_quantise_typed[float](columns.reshape(-1), columns.shape, step, low, high)
    return log_quantise_typed[double](columns.reshape(-1), columns.shape, step, low, high)


cdef log_quantise_typed(const real[::1] values, shape, double step, double low, double high):
    out = room("latents", tuple(shape), np.int32)
    cdef int32_t[::1] x = out.reshape(-1)
    cdef Py_ssize_t count = values.shape[0], k, j, n
    cdef double scale = 1.0 / step
    cdef double[16] v
    cdef int32_t[16] q
    cdef bint negative = False, special = False
    cdef int32_t least = 2147483647, most = -2147483647
    with nogil:
        for j in range(16):
            v[j] = 1.0
        for k in range(0, count, 16):
            n = min(16, count - k)
            for j in range(n):
                v[j] = values[k + j]
            for j in range(n):
                negative |= v[j] < 0
                v[j] = fabs(v[j])
            if n == 16:
                tw_log_block(&x[k], v, low, high, scale)
            else:
                tw_log_block(q, v, low, high, scale)
                for j in range(n):
                    x[k + j] = q[j]
        if count:
            special = tw_grid_range(&x[0], count, &least, &most)
    return out, special, negative, least, most
