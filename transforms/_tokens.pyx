# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Counts tokens of text in ASCII and some signs: cut into pieces as the vocabulary's pattern does, each piece looked up.

For such text the pattern says, at each place the first that fits:

    letters      capitals, then small letters; with one character before them that is no letter, digit, \\r or \\n
    digit        one
    signs        what is no letter, digit or white space; with one space before and any of \\r \\n / behind
    line end     white space up to the last \\r or \\n of its run
    space        a run of white space, less its last character where something follows that is none

Also reads the vocabulary, see tokens.py.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cdef extern from "string.h":
    void *memmem(const void *haystack, size_t size, const char *needle, size_t length) nogil

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    UPPER = 1
    LOWER = 2
    DIGIT = 4
    SPACE = 8
    END = 16  # \r \n
    LETTER = 3

cdef uint8_t KIND[256]  # 0: a sign
cdef uint8_t BASE64[256]


cdef void _fill() noexcept:
    cdef int c
    for c in range(256):
        KIND[c] = 0
        BASE64[c] = 255
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
    cdef const char *digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for c in range(64):
        BASE64[<uint8_t>digits[c]] = <uint8_t>c

_fill()


cdef Py_ssize_t _sign(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """Bytes of the character at i if it is a sign beyond ASCII that is known to be none of letter, mark, digit and white space; else 0.

    s: UTF-8. These are what terminals draw with and texts are set with: dashes, quotes, dots, arrows, operators, boxes, blocks, ticks.
    """
    cdef int point
    if s[i] == 0xC3 and i + 1 < n and s[i + 1] == 0x97:
        return 2  # ×
    if s[i] != 0xE2 or i + 2 >= n:
        return 0
    point = 0x2000 | (s[i + 1] & 0x3F) << 6 | (s[i + 2] & 0x3F)
    if 0x2010 <= point <= 0x2027 or 0x2030 <= point <= 0x205E or 0x2190 <= point <= 0x23FF or 0x2500 <= point <= 0x2775:
        return 3
    return 0


cdef bint _known_text(const uint8_t *s, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, width
    while i < n:
        if s[i] < 128:
            i += 1
            continue
        width = _sign(s, i, n)
        if not width:
            return False
        i += width
    return True


cdef Py_ssize_t _piece(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of the piece that starts at i."""
    cdef Py_ssize_t j = i, last = 0, width = 1 if s[i] < 128 else 2 if s[i] == 0xC3 else 3
    cdef uint8_t kind = KIND[s[i]]
    if kind & DIGIT:
        return i + 1
    if not kind & (LETTER | END) and i + width < n and KIND[s[i + width]] & LETTER:
        j = i + width
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
    """Tokens of a text; -1 where there is a character in it that is neither ASCII nor one of the signs.

    known: tokens of pieces (bytes); look_up(piece) gives what is not in it. Raises UnicodeEncodeError for half a surrogate pair.
    """
    cdef Py_ssize_t n = 0, i = 0, j
    cdef const char *start = PyUnicode_AsUTF8AndSize(text, &n)
    cdef const uint8_t *s = <const uint8_t *>start
    cdef long total = 0
    cdef PyObject *found
    if not text.isascii() and not _known_text(s, n):
        return -1
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
    cdef bytes data = text.encode()
    cdef const uint8_t *s = data
    cdef Py_ssize_t n = len(data), i = 0, j
    if not _known_text(s, n):
        raise ValueError("a character that is neither ASCII nor one of the signs")
    found = []
    while i < n:
        j = _piece(s, i, n)
        found.append(data[i:j])
        i = j
    return found


def vocabulary(bytes data not None, bytes key not None, Py_ssize_t most) -> dict[bytes, int]:
    """The first `most` values of `key` in JSON text, which are base64, decoded, each with its place. key: with its quotes.

    Raises ValueError for what is no base64.
    """
    cdef const uint8_t *s = data
    cdef Py_ssize_t n = len(data), i = 0, o, place = 0
    cdef const uint8_t *found
    cdef unsigned int bits
    cdef int held
    cdef uint8_t value
    cdef uint8_t out[512]
    ranks = {}
    while place < most:
        found = <const uint8_t *>memmem(s + i, n - i, <const char *>key, len(key))
        if found is NULL:
            break
        i = found - s + len(key)
        while i < n and (s[i] == 58 or KIND[s[i]] & SPACE):  # :
            i += 1
        i += 1  # the quote
        bits = held = o = 0
        while i < n and s[i] != 34 and s[i] != 61:  # " =
            value = BASE64[s[i]]
            if value == 255 or o >= 512:
                raise ValueError(f"no base64 at byte {i}")
            bits = bits << 6 | value
            held += 6
            if held >= 8:
                held -= 8
                out[o] = bits >> held & 255
                o += 1
            i += 1
        ranks[PyBytes_FromStringAndSize(<const char *>out, o)] = place
        place += 1
    return ranks
