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
    cdef word* values_at = <word*>&values[0] if values.shape[0] else NULL
    return visit(packed, values_at, values.shape[0], &out[0] if out.shape[0] else NULL, out.shape[0], size, inner, True)


def collect(const uint8_t[::1] packed, const word[::1] array, word[::1] out, Py_ssize_t size, Py_ssize_t inner):
    """See reference.collect."""
    cdef word* array_at = <word*>&array[0] if array.shape[0] else NULL
    visit(packed, &out[0] if out.shape[0] else NULL, out.shape[0], array_at, array.shape[0], size, inner, False)


cdef bint visit(const uint8_t[::1] packed, word* values, Py_ssize_t count, word* dense, Py_ssize_t total, Py_ssize_t size, Py_ssize_t inner,
                bint fills):
    """Goes over the bits, each with its value: to dense if fills, else from there. False if there are not as many bits as values,
    or some beyond dense."""
    cdef Py_ssize_t at, k = 0, first = 0, row = 0, place
    cdef uint64_t bits
    cdef bint wrong = False
    cdef word* begin = dense  # of the row
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
                    begin = dense + (row // inner * size * inner + row % inner)
                if fills:
                    begin[(place - first) * inner] = values[k]
                else:
                    values[k] = begin[(place - first) * inner]
                k += 1
    return k == count and not wrong
