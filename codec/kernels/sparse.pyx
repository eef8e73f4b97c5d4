# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Values to their places in a dense array. FORMAT.md, section 9; see ../reference/sparse.py."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

ctypedef fused word:
    uint16_t
    uint32_t
    uint64_t

cdef extern from "integers.h":
    int tw_first_bit(uint64_t v) noexcept nogil
    uint64_t tw_bits_in_order(const uint8_t* data, ptrdiff_t n) noexcept nogil


def fill(const uint8_t[::1] packed, const word[::1] values, word[::1] out, Py_ssize_t size, Py_ssize_t inner):
    """See reference.fill. Nothing is written beyond out or read beyond values, whatever the bits are."""
    cdef Py_ssize_t at, k = 0, count = values.shape[0], first = 0, row = 0, place, total = out.shape[0]
    cdef uint64_t bits
    cdef bint wrong = False
    cdef word* to = &out[0] if total else NULL  # where the row begins
    with nogil:
        for at in range(0, packed.shape[0], 8):
            bits = tw_bits_in_order(&packed[at], packed.shape[0] - at)
            while bits:
                place = 8 * at + tw_first_bit(bits)
                bits &= bits - 1
                if k == count or place >= total:
                    wrong = True
                    break
                if place - first >= size:
                    row += (place - first) // size
                    first = row * size
                    to = &out[0] + (row // inner * size * inner + row % inner)
                to[(place - first) * inner] = values[k]
                k += 1
    return k == count and not wrong
