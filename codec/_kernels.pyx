# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The kernels of the series codec. The same functions in plain Python, and what they mean, are in _reference.py.

All arithmetic is on integers that wrap, or on floats in a stated order without fused operations, so that every machine
computes the same bits. Latents are C-contiguous, (columns, steps). The GIL is released in every loop.
"""

import zlib

import numpy as np

from .memory import room

from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, UINT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

NAME = "kernels"

cdef enum:
    BLOCK = 128  # steps that share a scale class
    TREND = 255  # predictor kind: second difference
    WINDOW = 64  # steps of a window in which predictors are tried
    WINDOWS = 8
    SPAN = 4  # blocks that are decoded together, so that memory is walked in longer pieces
    MAX_REFS = 12

cdef extern from "_loops.h":
    int tw_bit_length(uint64_t v) noexcept nogil
    void tw_expected(float* total, const float* e, const int32_t* columns, const float* weights, ptrdiff_t refs, float limit) noexcept nogil
    void tw_innovations_32(int32_t* e, float* floats, const int32_t* r, const float* told) noexcept nogil
    void tw_sub_expected_32(int32_t* r, const int32_t* e, const float* total, ptrdiff_t n) noexcept nogil
    void tw_to_float_32(float* out, const int32_t* e, ptrdiff_t n) noexcept nogil
    uint64_t tw_size_32(const int32_t* r, ptrdiff_t n) noexcept nogil
    int64_t tw_level_32(int32_t* x, const int32_t* e, int32_t base, int64_t state, int k, ptrdiff_t n) noexcept nogil
    int32_t tw_level_narrow(int32_t* x, const int32_t* e, int32_t base, int32_t state, int k, ptrdiff_t n) noexcept nogil
    bint tw_inside_32(const int32_t* x, int32_t low, uint32_t last, ptrdiff_t n) noexcept nogil
    bint tw_order_range(const uint32_t* bits, ptrdiff_t n, uint32_t exponent, uint32_t magnitude, int32_t* low, int32_t* high) noexcept nogil
    void tw_gather_16(uint16_t* to, const uint16_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil
    void tw_gather_32(uint32_t* to, const uint32_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil
    void tw_gather_64(uint64_t* to, const uint64_t* table, const int32_t* x, int32_t low, ptrdiff_t n) noexcept nogil
    void tw_exp2(double* y, ptrdiff_t n, int64_t low, double step, double offset, const double* c) noexcept nogil
    void tw_order(int32_t* bits, ptrdiff_t n, int shift) noexcept nogil
    bint tw_grid_range(const int32_t* x, ptrdiff_t n, int32_t* low, int32_t* high) noexcept nogil
    int32_t tw_dot(const int16_t* a, const int16_t* b, ptrdiff_t n) noexcept nogil
    void tw_log_block(int32_t* out, const double* v, double low, double high, double scale) noexcept nogil

cdef extern from "_crc.h":
    bint tw_crc_available() noexcept nogil
    uint32_t tw_crc_fold(const uint8_t* data, size_t size, uint32_t crc) noexcept nogil

ctypedef fused latent:
    int32_t
    int64_t

ctypedef fused word:
    uint16_t
    uint32_t
    uint64_t

ctypedef fused real:
    float
    double


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


cdef inline uint64_t fine_log(uint64_t m) noexcept nogil:
    """Sixteen times the logarithm of m + 16 to base two, by straight lines between powers of two."""
    m = m + 16 if m < UINT64_MAX - 16 else UINT64_MAX
    cdef int n = tw_bit_length(m)
    return 16 * n + ((m >> (n - 5)) & 15)


def crc32(const uint8_t[::1] data, uint32_t value=0):
    """See _reference.crc32."""
    cdef size_t whole = data.shape[0] // 16 * 16
    if whole < 64 or not tw_crc_available():
        return zlib.crc32(data, value)
    with nogil:
        value = ~tw_crc_fold(&data[0], whole, ~value)
    return zlib.crc32(data[whole:], value)


def exp_table(Py_ssize_t low, Py_ssize_t count, double step, double offset, const double[::1] coefficients):
    """See _reference.exp_table."""
    out = np.empty(count, np.float64)
    cdef double[::1] y = out
    if count:
        with nogil:
            tw_exp2(&y[0], count, low, step, offset, &coefficients[0])
    return out


def order_bits(bits, int shift, exponent, magnitude):
    """See _reference.order_bits."""
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
    """See _reference.log_quantise."""
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


def choose(x, mask, candidates):
    """See _reference.choose."""
    cdef uint8_t[::1] kinds = np.empty(x.shape[0], np.uint8)
    if x.dtype == np.int32:
        choose_typed[int32_t](x, mask, candidates, kinds)
    else:
        choose_typed[int64_t](x, mask, candidates, kinds)
    return np.asarray(kinds)


cdef int choose_typed(latent[:, ::1] x, const uint8_t[:, ::1] mask, const uint8_t[::1] candidates, uint8_t[::1] kinds) except -1:
    cdef Py_ssize_t columns = x.shape[0], steps = x.shape[1], t, j, c, w, start, stop, windows
    cdef int64_t state
    cdef latent value, before, first, trend, e
    cdef uint64_t cost, least, size
    cdef bint masked = mask is not None
    cdef int k
    windows = max(min((steps + WINDOW - 1) // WINDOW, WINDOWS), 1)
    with nogil:
        for j in range(columns):
            least = UINT64_MAX
            for c in range(candidates.shape[0]):
                k = candidates[c]
                cost = 0
                for w in range(windows):
                    start = 0 if windows == 1 else w * (steps - WINDOW) // (windows - 1)
                    stop = min(start + WINDOW, steps)
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
                            size += magnitude(e) >> 7
                    cost += fine_log(size)
                if cost < least:
                    least = cost
                    kinds[j] = k
    return 0


def innovations(x, kinds, mask):
    """See _reference.innovations."""
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


def select(const double[:, ::1] gram, const double[::1] noise, double steps, int most):
    """See _reference.select."""
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
    """See _reference.gram."""
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


def residuals(e, starts, columns, weights, mask):
    """See _reference.residuals."""
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
            size += magnitude(r[i]) >> 7
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
        for t in range(0, steps, 128):
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
    """See _reference.split."""
    every = room("streams", (sum(sizes),), r.dtype)
    out = np.split(every, np.cumsum(sizes[:-1])) if sizes else []
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
            for t in range(0, steps, 128):
                c = codes[j, t // BLOCK]
                if c:
                    n = min(BLOCK, steps - t)
                    memcpy(<void*>at[c], &r[j, t], n * sizeof(latent))
                    at[c] += n * sizeof(latent)
    return 0


def join(list streams, codes, kinds, firsts, starts, columns, weights, mask, needed, table, int64_t low, int64_t high, out):
    """See _reference.join."""
    cdef uint64_t[::1] at = np.array([0] + [a.ctypes.data for a in streams], np.uint64)
    if firsts.dtype == np.int64:
        return not join_typed[int64_t, uint64_t](at, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint64), None, low, high)
    if out.itemsize == 2:
        return not join_typed[int32_t, uint16_t](at, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint16), table.view(np.uint16), low, high)
    if out.itemsize == 4:
        words = None if table is None else table.view(np.uint32)
        return not join_typed[int32_t, uint32_t](at, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint32), words, low, high)
    return not join_typed[int32_t, uint64_t](at, codes, kinds, firsts, starts, columns, weights, mask, needed, out.view(np.uint64), table.view(np.uint64), low, high)


cdef int join_typed(const uint64_t[::1] stream_at, const uint8_t[:, ::1] codes, const uint8_t[::1] kinds, const latent[::1] firsts,
                    const int32_t[::1] starts, const int32_t[::1] columns, const float[::1] weights, const uint8_t[:, ::1] mask,
                    const uint8_t[::1] needed, word[:, :] out, const word[::1] table, int64_t low, int64_t high) except -1:
    cdef Py_ssize_t count = out.shape[0], steps = out.shape[1], t, j, i, b, b0, n, refs, blocks = codes.shape[1]
    cdef float[:, :, ::1] floats = np.zeros((SPAN, max(count, 1), BLOCK), np.float32)
    cdef float[BLOCK] total
    cdef float limit = 1073741824.0 if latent is int32_t else 4611686018427387904.0
    # Where each block of residuals begins: blocks lie column after column in their stream.
    cdef uint64_t[:, ::1] where = np.zeros((max(count, 1), max(blocks, 1)), np.uint64)
    cdef uint64_t[::1] at = np.array(stream_at)
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
    cdef bint masked = mask is not None
    if count == 0 or steps == 0:
        return 0
    with nogil:
        memset(zeros, 0, sizeof(zeros))
        memset(padded, 0, sizeof(padded))
        for i in range(columns.shape[0]):
            asked[columns[i]] = 1
        for j in range(count):
            for b in range(blocks):
                c = codes[j, b]
                if c:
                    n = min(BLOCK, steps - b * BLOCK)
                    where[j, b] = at[c]
                    at[c] += n * sizeof(latent)
        for b0 in range(0, blocks, 4):
            for j in range(count):
                if not needed[j]:
                    continue
                for b in range(b0, min(b0 + SPAN, blocks)):
                    t = b * BLOCK
                    n = min(BLOCK, steps - t)
                    source = <const latent*>where[j, b] if codes[j, b] else zeros
                    row = &floats[b - b0, j, 0]
                    refs = starts[j + 1] - starts[j]
                    # First the innovations, e = r + what the other columns tell.
                    if refs:
                        tw_expected(total, &floats[b - b0, 0, 0], columns_at + starts[j], weights_at + starts[j], refs, limit)
                        if latent is int32_t:
                            if n < BLOCK:
                                memcpy(padded, source, n * sizeof(latent))
                                source = padded
                            tw_innovations_32(block, row, source, total)
                        else:
                            for i in range(n):
                                block[i] = add(source[i], <latent>total[i])
                                row[i] = <float>block[i]
                        if masked:
                            for i in range(n):
                                if mask[j, t + i]:
                                    block[i] = 0
                                    row[i] = 0
                        source = block
                    elif asked[j]:
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
                        value = before[j]
                        trend = <latent>states[j]
                        for i in range(n):
                            if not (masked and mask[j, t + i]):
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
