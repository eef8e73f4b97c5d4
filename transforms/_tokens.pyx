# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Counts tokens of ASCII text: cut into pieces as the vocabulary's pattern does, each piece looked up. See tokens.py.

For ASCII the pattern says, at each place the first that fits:

    letters      capitals, then small letters; with one character before them that is no letter, digit, \\r or \\n
    digit        one
    signs        what is no letter, digit or white space; with one space before and any of \\r \\n / behind
    line end     white space up to the last \\r or \\n of its run
    space        a run of white space, less its last character where something follows that is none
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    UPPER = 1
    LOWER = 2
    DIGIT = 4
    SPACE = 8
    END = 16  # \r \n
    LETTER = 3

cdef uint8_t KIND[128]


cdef void _fill() noexcept:
    cdef int c
    for c in range(128):
        KIND[c] = 0
        if 65 <= c <= 90:
            KIND[c] = UPPER
        elif 97 <= c <= 122:
            KIND[c] = LOWER
        elif 48 <= c <= 57:
            KIND[c] = DIGIT
        elif c == 32 or 9 <= c <= 13:
            KIND[c] = SPACE
        if c == 10 or c == 13:
            KIND[c] |= END

_fill()


cdef Py_ssize_t _piece(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of the piece that starts at i."""
    cdef Py_ssize_t j = i, last = 0
    cdef uint8_t kind = KIND[s[i]]
    if kind & DIGIT:
        return i + 1
    if not kind & (LETTER | END) and i + 1 < n and KIND[s[i + 1]] & LETTER:
        j = i + 1
    if KIND[s[j]] & LETTER:
        while j < n and KIND[s[j]] & UPPER:
            j += 1
        while j < n and KIND[s[j]] & LOWER:
            j += 1
        return j
    if s[i] == 32 and i + 1 < n and KIND[s[i + 1]] == 0:
        j = i + 1
    if KIND[s[j]] == 0:
        while j < n and KIND[s[j]] == 0:
            j += 1
        while j < n and (KIND[s[j]] & END or s[j] == 47):
            j += 1
        return j
    while j < n and KIND[s[j]] & SPACE:
        j += 1
        if KIND[s[j - 1]] & END:
            last = j
    if last:
        return last
    return j - 1 if j < n and j - i > 1 else j


def count(str text not None, dict known not None, look_up) -> int:
    """Tokens of a text, which must be ASCII. known: tokens of pieces (bytes); look_up(piece) gives what is not in it."""
    cdef Py_ssize_t n = 0, i = 0, j
    cdef const char *start = PyUnicode_AsUTF8AndSize(text, &n)
    cdef const uint8_t *s = <const uint8_t *>start
    cdef long total = 0
    cdef PyObject *found
    if not text.isascii():
        raise ValueError("the text is not ASCII")
    while i < n:
        j = _piece(s, i, n)
        if j - i == 1:
            total += 1  # every byte is a token
        else:
            piece = PyBytes_FromStringAndSize(start + i, j - i)
            found = PyDict_GetItem(known, piece)
            if found is not NULL:
                total += <object>found
            else:
                total += look_up(piece)
        i = j
    return total


def pieces(str text not None) -> list[bytes]:
    """The pieces that `count` looks up, for tests."""
    cdef bytes data = text.encode("ascii")
    cdef const uint8_t *s = data
    cdef Py_ssize_t n = len(data), i = 0, j
    found = []
    while i < n:
        j = _piece(s, i, n)
        found.append(data[i:j])
        i = j
    return found
