# cython: boundscheck=False, wraparound=False, cdivision=True
"""The kernel of ngrams.py; the reference there says what it does."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    BITS = 17
    MASK = (1 << 17) - 1
    LONGEST_WORD = 40
    MOST = 4096

cdef uint32_t BASE = 0x811C9DC5U
cdef uint32_t PRIME = 0x01000193U


cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    return byte + 32 if 65 <= byte <= 90 else byte


cdef inline bint is_letter(uint8_t byte) noexcept nogil:
    return 97 <= byte <= 122 or byte == 95 or byte > 127


cdef inline bint is_blank(uint8_t byte) noexcept nogil:
    return byte == 32 or 9 <= byte <= 13


cdef inline int32_t fold(uint32_t h) noexcept nogil:
    return <int32_t>(((h >> BITS) ^ h) & MASK)


cdef Py_ssize_t one(const uint8_t* text, Py_ssize_t size, int32_t* out) noexcept nogil:
    """Grams of one text. out: room for 5 grams a byte. -> how many."""
    cdef Py_ssize_t i = 0, start, end, k, n = 0, last_start = 0, last_end = 0, length, run
    cdef uint32_t h, pair
    cdef uint8_t marked[LONGEST_WORD + 2]
    while i < size:
        if is_blank(text[i]):
            i += 1
            continue
        start = i
        i += 1
        if is_letter(lower(text[start])):
            while i < size and is_letter(lower(text[i])):
                i += 1
        end = i
        h = BASE
        pair = BASE
        for k in range(last_start, last_end):
            pair = (pair ^ lower(text[k])) * PRIME
        pair = (pair ^ 32) * PRIME
        for k in range(start, end):
            h = (h ^ lower(text[k])) * PRIME
            pair = (pair ^ lower(text[k])) * PRIME
        out[n] = fold(h)
        out[n + 1] = fold(pair)
        n += 2
        last_start = start
        last_end = end
        if is_letter(lower(text[start])):
            length = end - start
            if length > LONGEST_WORD:
                length = LONGEST_WORD
            marked[0] = 60
            for k in range(length):
                marked[k + 1] = lower(text[start + k])
            marked[length + 1] = 62
            length += 2
            for run in range(3, 6):
                for start in range(length - run + 1):
                    h = (BASE ^ 1) * PRIME
                    for k in range(run):
                        h = (h ^ marked[start + k]) * PRIME
                    out[n] = fold(h)
                    n += 1
    return n


def grams(texts):
    """See ngrams.Hasher."""
    cdef Py_ssize_t total = 0, used = 0, i = 0, size
    cdef const uint8_t* data
    cdef bytes text
    starts = np.zeros(len(texts) + 1, np.int64)
    cdef int64_t[::1] begins = starts
    for text in texts:
        size = len(text)
        total += size if size < MOST else MOST
    # A byte gives at most its word, its pair and three runs.
    numbers = np.empty(5 * total + 1, np.int32)
    cdef int32_t[::1] out = numbers
    for text in texts:
        data = text
        size = len(text)
        if size > MOST:
            size = MOST
        with nogil:
            used += one(data, size, &out[used])
        i += 1
        begins[i] = used
    return numbers[:used].copy(), starts


def sums(texts, const float[:, ::1] weights):
    """See ngrams.sums."""
    cdef Py_ssize_t most = 0, i = 0, size, k, n
    cdef const uint8_t* data
    cdef const float* row
    cdef double a, b, c, d  # one after the other, so that the reference gives the same bits
    cdef bytes text
    if weights.shape[0] != 1 << BITS or weights.shape[1] != 4:
        raise ValueError(f"weights have the shape {weights.shape[0]}, {weights.shape[1]}, not {1 << BITS}, 4")
    for text in texts:
        most = max(most, min(len(text), <Py_ssize_t>MOST))
    numbers = np.empty(5 * most + 1, np.int32)
    cdef int32_t[::1] found = numbers
    total, counts = np.zeros((len(texts), 4), np.float32), np.zeros(len(texts), np.int64)
    cdef float[:, ::1] out = total
    cdef int64_t[::1] many = counts
    for text in texts:
        data = text
        size = min(len(text), <Py_ssize_t>MOST)
        with nogil:
            n = one(data, size, &found[0])
            a = b = c = d = 0
            for k in range(n):
                row = &weights[found[k], 0]
                a += row[0]
                b += row[1]
                c += row[2]
                d += row[3]
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = <float>a, <float>b, <float>c, <float>d
            many[i] = n
        i += 1
    return total, counts
