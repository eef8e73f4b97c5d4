# cython: language_level=3, boundscheck=False, wraparound=False
"""The checksum of chunks. FORMAT.md, section 3."""

import zlib

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "crc.h":
    bint tw_crc_available() noexcept nogil
    uint32_t tw_crc_fold(const uint8_t* data, size_t size, uint32_t crc) noexcept nogil


def crc32(const uint8_t[::1] data, uint32_t value=0):
    """See reference.crc32."""
    cdef size_t whole = data.shape[0] // 16 * 16
    if whole < 64 or not tw_crc_available():
        return zlib.crc32(data, value)
    with nogil:
        value = ~tw_crc_fold(&data[0], whole, ~value)
    return zlib.crc32(data[whole:], value)
