# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Which earlier columns tell of a column. FORMAT.md, section 7; what each function means is in ../reference/prediction.py."""

import numpy as np

from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int16_t, int32_t, int64_t

cdef enum:
    MAX_REFS = 12

cdef extern from "across.h":
    int32_t tw_dot(const int16_t* a, const int16_t* b, ptrdiff_t n) noexcept nogil


def select(const double[:, ::1] gram, const double[::1] noise, double steps, int most):
    """See reference.select."""
    cdef Py_ssize_t n = gram.shape[0], j, c, i, m, best, count
    columns_, weights_, starts_ = [], [], [0]
    cdef double[:, ::1] basis = np.zeros((MAX_REFS, n))
    cdef double[::1] cov = np.zeros(n), var = np.zeros(n)
    cdef double[MAX_REFS] y, solved
    cdef Py_ssize_t[MAX_REFS] chosen
    cdef double left, after, gain, top, root, v
    for j in range(n):
        count = 0
        left = gram[j, j] + noise[j]
        with nogil:
            for c in range(j):
                cov[c] = gram[j, c]
                var[c] = gram[c, c]
            while count < most:
                best, top = -1, 0.0
                for c in range(j):
                    # A column that others already explain adds nothing but rounding.
                    if var[c] > gram[c, c] * 1e-4 and var[c] > 0.0:
                        gain = cov[c] * cov[c] / var[c]
                        if gain > top:
                            best, top = c, gain
                if best < 0:
                    break
                after = left - top
                # A reference costs about 24 bits; it saves half a bit a step for each factor of two in variance.
                if after > 0.0 and left < after * (1.0 + 33.0 / steps):
                    break
                if after <= 0.0:
                    break
                root = sqrt(var[best])
                for c in range(j):
                    v = gram[best, c]
                    for i in range(count):
                        v = v - basis[i, c] * basis[i, best]
                    basis[count, c] = v / root
                y[count] = cov[best] / root
                for c in range(j):
                    v = basis[count, c]
                    cov[c] = cov[c] - y[count] * v
                    var[c] = var[c] - v * v
                var[best] = 0.0
                left = after
                chosen[count] = best
                count += 1
            # Back substitution: basis restricted to the chosen columns is triangular.
            for m in range(count - 1, -1, -1):
                v = y[m]
                for i in range(m + 1, count):
                    v = v - basis[m, chosen[i]] * solved[i]
                solved[m] = v / basis[m, chosen[m]]
        for m in range(count):
            columns_.append(chosen[m])
            weights_.append(solved[m])
        starts_.append(len(columns_))
    return np.array(starts_, np.int32), np.array(columns_, np.int32), np.array(weights_, np.float64)


def gram(const int16_t[:, ::1] a):
    """See reference.gram."""
    cdef Py_ssize_t n = a.shape[0], rows = a.shape[1], i, j, t
    out = np.zeros((n, n), np.int64)
    cdef int64_t[:, ::1] g = out
    cdef int64_t v
    with nogil:
        for i in range(n):
            for j in range(i + 1):
                v = 0
                for t in range(0, rows, 1024):
                    v += tw_dot(&a[i, t], &a[j, t], min(1024, rows - t))
                g[i, j] = v
                g[j, i] = v
    return out
