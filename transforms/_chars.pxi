"""Included by _lines.pyx and _labels.pyx: kinds of characters, and what both do with a list of lines.

Lines are read as bytes that end in a 0, as all strings of Python in ASCII do; `n` is where. No pattern takes a 0, so what is compared
byte by byte needs no bound of its own. A 0 inside a line is no end: `$` compares with n.
"""

from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_Substring
from libc.stdint cimport int32_t, uint8_t, uint16_t

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

ctypedef Py_ssize_t at_t  # a place in a line; -1: the pattern does not fit

cdef enum:
    DIGIT = 1
    UPPER = 2
    LOWER = 4
    WORD = 8  # \w
    SPACE = 16  # \s
    HOST = 32  # [\w.-]
    PROGRAM = 64  # [\w./()@-]
    NAME = 128  # [\w./-]
    NUMBER = 256  # [\d.:,\-/]
    PLACE = 512  # [\w./*\-]
    CALLER = 1024  # [\w.<>:]
    BRACKETED = 2048  # [\w.:#,/*@=()| \-]
    LETTER = 6

cdef uint16_t KIND[256]


cdef void _fill() noexcept:
    cdef int c
    cdef bint word
    for c in range(256):
        word = 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 95
        KIND[c] = WORD | HOST | PROGRAM | NAME | PLACE | CALLER | BRACKETED if word else 0
        if 48 <= c <= 57:
            KIND[c] |= DIGIT | NUMBER
        elif 65 <= c <= 90:
            KIND[c] |= UPPER
        elif 97 <= c <= 122:
            KIND[c] |= LOWER
        if c == 32 or 9 <= c <= 13 or 28 <= c <= 31:
            KIND[c] |= SPACE
    for kind, some in (
        (HOST, b".-"), (PROGRAM, b"./()@-"), (NAME, b"./-"), (NUMBER, b".:,-/"), (PLACE, b"./*-"), (CALLER, b".<>:"),
        (BRACKETED, b".:#,/*@=()| -"),
    ):
        for c in some:
            KIND[c] |= kind

_fill()


cdef inline bint _is(uint8_t c, int kind) noexcept nogil:
    return (KIND[c] & kind) != 0


cdef inline at_t _many(const uint8_t *s, at_t i, int kind, at_t most) noexcept nogil:
    """End of at most `most` characters of a kind from i on."""
    cdef at_t end = i + most
    while i < end and _is(s[i], kind):
        i += 1
    return i


cdef inline bint _digits(const uint8_t *s, int count) noexcept nogil:
    cdef int k
    for k in range(count):
        if not _is(s[k], DIGIT):
            return False
    return True


cdef inline bint _starts(const uint8_t *s, const char *text, size_t size) noexcept nogil:
    cdef size_t k
    for k in range(size):
        if s[k] != <uint8_t>text[k]:
            return False
    return True


ctypedef at_t (*finds)(const uint8_t *, at_t) noexcept nogil


cdef list _behind(list lines, finds find, match):
    """The lines, each from where `find` says. match: of the pattern, for lines that are not ASCII."""
    cdef list found = []
    cdef str line
    cdef at_t end
    for line in lines:
        if PyUnicode_IS_ASCII(line):
            end = find(<const uint8_t *>PyUnicode_DATA(line), PyUnicode_GET_LENGTH(line))
        else:
            met = match(line)
            end = met.end() if met is not None else 0
        found.append(PyUnicode_Substring(line, end, PyUnicode_GET_LENGTH(line)) if end else line)
    return found
