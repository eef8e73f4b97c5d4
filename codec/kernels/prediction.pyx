# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What the past of a column tells, and the plan that says so. FORMAT.md, section 7; what each function means is
in ../reference/prediction.py.

All arithmetic is on integers that wrap, or on floats in a stated order without fused operations, so that every machine
computes the same bits. Latents are C-contiguous, (columns, steps).
"""

import numpy as np

from libc.stdint cimport UINT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    TREND = 255  # predictor kind: second difference
    WINDOW = 128  # steps of a window in which predictors are tried
    LONG_WINDOW = 2048  # the same, where there are few columns
    FEW = 4
    WINDOWS = 8
    MAX_KIND = 16
    MAX_REFS = 12

cdef extern from "integers.h":
    int tw_bit_length(uint64_t v) noexcept nogil

ctypedef fused latent:
    int32_t
    int64_t


cdef inline latent add(latent a, latent b) noexcept nogil:
    return <latent>(<uint64_t>a + <uint64_t>b)


cdef inline latent sub(latent a, latent b) noexcept nogil:
    return <latent>(<uint64_t>a - <uint64_t>b)


cdef inline uint64_t magnitude(latent a) noexcept nogil:
    return <uint64_t>a if a >= 0 else <uint64_t>0 - <uint64_t>(<int64_t>a)


cdef inline uint64_t fine_log(uint64_t m) noexcept nogil:
    """Sixteen times the logarithm of m + 16 to base two, by straight lines between powers of two."""
    m = m + 16 if m < UINT64_MAX - 16 else UINT64_MAX
    cdef int n = tw_bit_length(m)
    return 16 * n + ((m >> (n - 5)) & 15)


def choose(x, mask, candidates):
    """See reference.choose."""
    cdef uint8_t[::1] kinds = np.empty(x.shape[0], np.uint8)
    if x.dtype == np.int32:
        choose_typed[int32_t](x, mask, candidates, kinds)
    else:
        choose_typed[int64_t](x, mask, candidates, kinds)
    return np.asarray(kinds)


cdef int choose_typed(latent[:, ::1] x, const uint8_t[:, ::1] mask, const uint8_t[::1] candidates, uint8_t[::1] kinds) except -1:
    cdef Py_ssize_t columns = x.shape[0], steps = x.shape[1], t, j, c, w, start, stop, window, windows
    cdef int64_t state
    cdef latent value, before, first, trend, e
    cdef uint64_t cost, least, size
    cdef bint masked = mask is not None
    cdef int k
    window = WINDOW if columns > FEW else LONG_WINDOW
    windows = max(min((steps + window - 1) // window, WINDOWS), 1)
    with nogil:
        for j in range(columns):
            least = UINT64_MAX
            for c in range(candidates.shape[0]):
                k = candidates[c]
                cost = 0
                for w in range(windows):
                    start = 0 if windows == 1 else w * (steps - window) // (windows - 1)
                    stop = min(start + window, steps)
                    while masked and start < stop and mask[j, start]:
                        start += 1
                    if start >= stop:
                        continue
                    before = x[j, start]
                    first = before
                    trend = 0
                    state = 0
                    size = 0
                    for t in range(start, stop):
                        if masked and mask[j, t]:
                            continue
                        value = x[j, t]
                        if k == TREND:
                            e = sub(sub(value, before), trend)
                            trend = add(trend, e)
                            before = value
                        else:
                            e = sub(sub(value, first), <latent>(state >> k))
                            state = add(state, <int64_t>e)
                        if latent is int32_t:
                            size += magnitude(e)
                        else:
                            size += magnitude(e) >> 12
                    cost += fine_log(size)
                if cost < least:
                    least = cost
                    kinds[j] = k
    return 0


def innovations(x, kinds, mask):
    """See reference.innovations."""
    firsts = np.zeros(x.shape[0], x.dtype)
    if x.dtype == np.int32:
        innovations_typed[int32_t](x, kinds, mask, x, firsts)
    else:
        innovations_typed[int64_t](x, kinds, mask, x, firsts)
    return x, firsts


cdef int innovations_typed(latent[:, ::1] x, const uint8_t[::1] kinds, const uint8_t[:, ::1] mask, latent[:, ::1] out, latent[::1] firsts) except -1:
    cdef Py_ssize_t columns = x.shape[0], steps = x.shape[1], t, j, start
    cdef int64_t state
    cdef latent value, before, first, trend, e
    cdef bint masked = mask is not None
    cdef int k
    with nogil:
        for j in range(columns):
            k = kinds[j]
            start = 0
            while masked and start < steps and mask[j, start]:
                start += 1
            before = x[j, start] if start < steps else 0
            firsts[j] = before
            trend = 0
            first = before
            state = 0
            for t in range(steps):
                if masked and mask[j, t]:
                    out[j, t] = 0
                    continue
                value = x[j, t]
                if k == TREND:
                    e = sub(sub(value, before), trend)
                    trend = add(trend, e)
                    before = value
                else:
                    e = sub(sub(value, first), <latent>(state >> k))
                    state = add(state, <int64_t>e)
                out[j, t] = e
    return 0


def read_plan(const uint8_t[::1] raw, Py_ssize_t columns, dtype):
    """See reference.read_plan."""
    cdef Py_ssize_t size = dtype.itemsize, fixed = columns * (2 + size), total, place = 0, i, j, known
    cdef const uint8_t* at = &raw[0] if raw.shape[0] else NULL
    if raw.shape[0] < fixed or (raw.shape[0] - fixed) % 4:
        return None
    total = (raw.shape[0] - fixed) // 4
    kinds, firsts, starts = np.empty(columns, np.uint8), np.empty(columns, dtype), np.zeros(columns + 1, np.int32)
    references, weights = np.empty(total, np.int32), np.empty(total, np.int16)
    cdef uint8_t[::1] kind = kinds
    cdef uint8_t[::1] first = firsts.view(np.uint8)
    cdef int32_t[::1] start = starts, reference = references
    cdef int16_t[::1] weight = weights
    cdef bint right = True
    with nogil:
        for i in range(size * columns):
            first[i] = at[columns + i]
        for j in range(columns):
            kind[j] = at[j]
            known = at[fixed - columns + j]
            right &= (kind[j] <= MAX_KIND or kind[j] == TREND) and known <= MAX_REFS and known <= total - place
            if not right:
                break
            for i in range(place, place + known):
                reference[i] = at[fixed + i] | at[fixed + total + i] << 8
                weight[i] = <int16_t>(at[fixed + 2 * total + i] | at[fixed + 3 * total + i] << 8)
                right &= reference[i] < j
            place += known
            start[j + 1] = place
    return (kinds, firsts, starts, references, weights) if right and place == total else None
