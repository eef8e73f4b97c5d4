# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Words and shape of a line, compiled: what signals.py and reading.py say, for text in ASCII."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_Substring
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

cdef enum:
    OPENS = 1  # a word
    GOES_ON = 2

cdef uint8_t KIND[128]


cdef void _fill() noexcept:
    cdef int c
    for c in range(128):
        KIND[c] = 0 if c == 32 or 9 <= c <= 13 or 28 <= c <= 31 else GOES_ON
        if 65 <= c <= 90 or 97 <= c <= 122 or c == 43 or c == 45:
            KIND[c] |= OPENS
    for c in b"\"'`(),;:=[]{}<>|\\*#":
        KIND[c] = 0

_fill()


def words(str text not None, known) -> int:
    """The bits of all words, OR of known[word] for each match of words.WORD. text: ASCII. known: gives 0 or more for any word."""
    cdef const uint8_t *s = <const uint8_t *>PyUnicode_DATA(text)
    cdef Py_ssize_t n = PyUnicode_GET_LENGTH(text), i = 0, start
    cdef unsigned long long bits = 0
    while i < n:
        if not KIND[s[i]] & OPENS:
            i += 1
            continue
        start = i
        i += 1
        while i < n and KIND[s[i]] & GOES_ON:
            i += 1
        bits |= <unsigned long long>known[PyUnicode_Substring(text, start, i)]
    return bits


def version(str text not None) -> bool:
    """Whether patterns.VERSION is found: a digit, a dot, digits, a dot, a digit. text: ASCII."""
    cdef const uint8_t *s = <const uint8_t *>PyUnicode_DATA(text)
    cdef Py_ssize_t n = PyUnicode_GET_LENGTH(text), i
    cdef int dots = 0  # of the run of digits and dots so far, each behind a digit
    for i in range(1, n):
        if 48 <= s[i] <= 57:
            if dots == 2 and s[i - 1] == 46:
                return True
            if s[i - 1] != 46 and not 48 <= s[i - 1] <= 57:
                dots = 0
        elif s[i] == 46 and 48 <= s[i - 1] <= 57:
            dots = min(dots + 1, 2)
        else:
            dots = 0
    return False


def shape(str text not None, Py_ssize_t most, Py_ssize_t tail) -> bytes:
    """The text with every digit as 0, of more than `most` characters the first most - tail, a blank and the last `tail`. ASCII."""
    cdef const uint8_t *s = <const uint8_t *>PyUnicode_DATA(text)
    cdef Py_ssize_t n = PyUnicode_GET_LENGTH(text), i, head = n
    cdef bytes found
    cdef uint8_t *out
    if n <= most:
        found = PyBytes_FromStringAndSize(NULL, n)
    else:
        head = most - tail
        found = PyBytes_FromStringAndSize(NULL, most + 1)
    out = <uint8_t *>PyBytes_AS_STRING(found)
    for i in range(head):
        out[i] = 48 if 48 <= s[i] <= 57 else s[i]
    if head < n:
        out[head] = 32
        for i in range(tail):
            out[head + 1 + i] = 48 if 48 <= s[n - tail + i] <= 57 else s[n - tail + i]
    return found


cdef bint _digits_apart(const uint8_t *s, const uint8_t *shape, Py_ssize_t n) noexcept nogil:
    """Whether a text has this shape."""
    cdef Py_ssize_t i
    for i in range(n):
        if (48 if 48 <= s[i] <= 57 else s[i]) != shape[i]:
            return False
    return True


cdef bint _shaped(str text, bytes known, Py_ssize_t most, Py_ssize_t tail):
    """shape(text, most, tail) == known, without making it. text: ASCII."""
    cdef const uint8_t *s = <const uint8_t *>PyUnicode_DATA(text)
    cdef const uint8_t *k = <const uint8_t *>PyBytes_AS_STRING(known)
    cdef Py_ssize_t n = PyUnicode_GET_LENGTH(text), head
    if n <= most:
        return PyBytes_GET_SIZE(known) == n and _digits_apart(s, k, n)
    head = most - tail
    return (
        PyBytes_GET_SIZE(known) == most + 1 and k[head] == 32 and _digits_apart(s, k, head)
        and _digits_apart(s + n - tail, k + head + 1, tail)
    )


def recall(
    dict known not None, list templates not None, list lines not None, Py_ssize_t most, Py_ssize_t tail,
    uint64_t[::1] signals not None, uint8_t[::1] roles not None, uint64_t[::1] names not None, uint8_t[::1] varies not None,
) -> list:
    """Fill in what is known of each template, where its line has the shape that was seen; -> places of the others."""
    cdef list strange = []
    cdef object kind  # a tuple, by name
    cdef Py_ssize_t i
    if not len(templates) == len(lines) == signals.shape[0] == roles.shape[0] == names.shape[0] == varies.shape[0]:
        raise ValueError("as many templates as lines and places for what is known of them")
    for i in range(len(templates)):
        kind = known.get(templates[i])
        if kind is None or not PyUnicode_IS_ASCII(lines[i]) or not _shaped(<str?>lines[i], <bytes?>kind[4], most, tail):
            strange.append(i)
            continue
        signals[i], roles[i], names[i], varies[i] = kind[0], kind[1], kind[2], kind[3]
    return strange
