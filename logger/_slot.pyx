# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
"""A place in a segment of the spool; spool_writer.ReferenceSlot is the same to read. CRC-32 as in zlib, eight bytes at a time.

Kounavis and Berry 2008, "Novel table lookup-based algorithms for high-performance CRC generation", doi 10.1109/TC.2008.85.
"""

from cpython.buffer cimport Py_buffer, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from *:
    void fence "__atomic_thread_fence"(int) nogil
    int RELEASE "__ATOMIC_RELEASE"

cdef enum:
    HEAD = 8  # length and crc32
    BODY = 9  # time and kind

cdef uint32_t TABLE[8][256]


cdef void _fill() noexcept:
    cdef uint32_t i, c
    cdef int k
    for i in range(256):
        c = i
        for k in range(8):
            c = (c >> 1) ^ 0xEDB88320U if c & 1 else c >> 1
        TABLE[0][i] = c
    for i in range(256):
        for k in range(1, 8):
            TABLE[k][i] = (TABLE[k - 1][i] >> 8) ^ TABLE[0][TABLE[k - 1][i] & 255]

_fill()


cdef inline uint32_t _little(const uint8_t *s) noexcept nogil:
    return s[0] | <uint32_t>s[1] << 8 | <uint32_t>s[2] << 16 | <uint32_t>s[3] << 24


cdef inline void _put(uint8_t *s, uint32_t value) noexcept nogil:
    s[0], s[1], s[2], s[3] = value & 255, (value >> 8) & 255, (value >> 16) & 255, value >> 24


cdef uint32_t _crc32(const uint8_t *s, Py_ssize_t n) noexcept nogil:
    cdef uint32_t c = 0xFFFFFFFFU, d
    while n >= 8:
        c ^= _little(s)
        d = _little(s + 4)
        c = (
            TABLE[7][c & 255] ^ TABLE[6][(c >> 8) & 255] ^ TABLE[5][(c >> 16) & 255] ^ TABLE[4][c >> 24]
            ^ TABLE[3][d & 255] ^ TABLE[2][(d >> 8) & 255] ^ TABLE[1][(d >> 16) & 255] ^ TABLE[0][d >> 24]
        )
        s += 8
        n -= 8
    while n > 0:
        c = TABLE[0][(c ^ s[0]) & 255] ^ (c >> 8)
        s += 1
        n -= 1
    return c ^ 0xFFFFFFFFU


cdef class Slot:
    """The same as spool_writer.ReferenceSlot, of which nothing can come between two steps: a record is written in one call."""

    cdef Py_buffer buffer
    cdef readonly Py_ssize_t at
    cdef Py_ssize_t usable

    def __cinit__(self, memory not None, Py_ssize_t at, Py_ssize_t usable) -> None:
        PyObject_GetBuffer(memory, &self.buffer, PyBUF_WRITABLE)
        if not 0 <= at <= usable <= self.buffer.len:
            PyBuffer_Release(&self.buffer)
            raise ValueError(f"{at} and {usable} are no places in {self.buffer.len} bytes")
        self.at, self.usable = at, usable

    def __dealloc__(self) -> None:
        PyBuffer_Release(&self.buffer)

    def close(self) -> None:
        """Nothing is written any more."""
        self.usable = 0

    def open(self, Py_ssize_t usable) -> None:
        """Let it be written to, up to `usable`."""
        if usable > self.buffer.len:
            raise ValueError(f"{usable} is no place in {self.buffer.len} bytes")
        self.usable = usable

    def put(self, uint8_t kind, bytes payload not None, int64_t time_ns) -> bool:
        """Write a record; False where there is no room for it."""
        return self._put(kind, payload, time_ns, self.usable)

    def put_last(self, uint8_t kind, bytes payload not None, int64_t time_ns) -> bool:
        """The same up to the end of the memory, whatever is usable, also when it is closed."""
        return self._put(kind, payload, time_ns, self.buffer.len)

    cdef bint _put(self, uint8_t kind, bytes payload, int64_t time_ns, Py_ssize_t usable):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
        cdef uint8_t *s
        if size > usable - self.at - HEAD - BODY:
            return False
        s = <uint8_t *>self.buffer.buf + self.at
        _put(s + HEAD, <uint32_t>(time_ns & 0xFFFFFFFF))
        _put(s + HEAD + 4, <uint32_t>((time_ns >> 32) & 0xFFFFFFFF))
        s[HEAD + 8] = kind
        memcpy(s + HEAD + BODY, PyBytes_AS_STRING(payload), size)
        _put(s + 4, _crc32(s + HEAD, BODY + size))
        fence(RELEASE)  # a process killed before this leaves a length of 0: no record
        _put(s, <uint32_t>(BODY + size))
        self.at += HEAD + BODY + size
        return True
