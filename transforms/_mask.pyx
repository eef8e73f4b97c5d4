# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Masking of lines to templates, compiled. The grammar and the readable reference are in mask.py; byte for byte the same."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memchr, memcmp, memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

# One byte of flags for each byte value.
cdef enum:
    DIGIT = 1
    LETTER = 2
    HEX = 4  # 0-9 a-f A-F
    WORD = 8  # letters, digits, _, and every byte of a character beyond ASCII
    BLANK = 16  # white space within a line
    JOINS = 32  # between digits: part of the number
    RULE = 64  # decoration when repeated
    ENDS = 128  # ends a path
    PATH = 256  # part of a path; the slash is not

cdef enum:
    QUOTED = 200  # longest quoted value that is looked for
    LONG = 24  # a word of letters and digits of this length is an identifier

cdef uint16_t KIND[256]


cdef void _fill() noexcept:
    cdef int c
    for c in range(256):
        KIND[c] = 0
        if 48 <= c <= 57:
            KIND[c] |= DIGIT | HEX | WORD
        elif 65 <= c <= 90 or 97 <= c <= 122:
            KIND[c] |= LETTER | WORD
            if c <= 70 or 97 <= c <= 102:
                KIND[c] |= HEX
        elif c == 95 or c >= 128:
            KIND[c] |= WORD
        if c == 32 or c == 9 or 11 <= c <= 13:
            KIND[c] |= BLANK | ENDS
        if c == 10:
            KIND[c] |= ENDS
        if c < 128 and KIND[c] & WORD:
            KIND[c] |= PATH
        for other in b".+@%~-":
            if c == other:
                KIND[c] |= PATH
        for other in b".:,/+-":
            if c == other:
                KIND[c] |= JOINS
        for other in b".=-_*~+>#":
            if c == other:
                KIND[c] |= RULE
        for other in b"\"'`,;:()[]{}<>":
            if c == other:
                KIND[c] |= ENDS

_fill()


cdef inline bint _is(uint8_t c, int kind) noexcept nogil:
    return (KIND[c] & kind) != 0


cdef Py_ssize_t _uuid(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of 8-4-4-4-12 hexadecimal digits that start at i, or 0."""
    cdef Py_ssize_t k
    if i + 36 > n:
        return 0
    for k in range(36):
        if k == 8 or k == 13 or k == 18 or k == 23:
            if s[i + k] != 45:
                return 0
        elif not _is(s[i + k], HEX):
            return 0
    if i + 36 < n and _is(s[i + 36], WORD):
        return 0
    return i + 36


cdef inline bint _identifier(const uint8_t *s, Py_ssize_t i, Py_ssize_t j, bint hexadecimal) noexcept nogil:
    """Whether the letters and digits from i to j, with some of both, are hexadecimal or a long identifier."""
    cdef Py_ssize_t k
    if s[i] == 48 and (s[i + 1] == 120 or s[i + 1] == 88) and j > i + 2:
        k = i + 2
        while k < j and _is(s[k], HEX):
            k += 1
        if k == j:
            return True
    return (hexadecimal and j - i >= 7) or j - i >= LONG


cdef inline Py_ssize_t _next(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, int c) noexcept nogil:
    """Where c stands next, from i on, or n."""
    cdef const uint8_t *found = <const uint8_t *>memchr(s + i, c, n - i)
    return found - s if found is not NULL else n


cdef inline Py_ssize_t _group(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of a word of one to four hexadecimal digits that starts at i, or 0."""
    cdef Py_ssize_t j = i
    while j < n and j < i + 4 and _is(s[j], HEX):
        j += 1
    return j if j > i and not (j < n and _is(s[j], WORD)) else 0


cdef Py_ssize_t _address(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of a MAC or IPv6 address that starts at i, or 0."""
    cdef Py_ssize_t j = _group(s, i, n), k, sixth = 0
    cdef int groups = 1, more
    cdef bint pairs
    if not j or j + 1 >= n or s[j] != 58:
        return 0
    pairs = j - i == 2
    while groups < 8 and j + 1 < n and s[j] == 58:
        k = _group(s, j + 1, n)
        if not k:
            break
        pairs &= k - j == 3 or groups >= 6
        j = k
        groups += 1
        if groups == 6:
            sixth = j
        if groups == 7 and j + 1 < n and s[j] == 58 and s[j + 1] == 58:
            break
    if groups == 8:
        return j
    if j + 1 < n and s[j] == 58 and s[j + 1] == 58:
        k = i
        while k < n and k < i + 40 and (_is(s[k], HEX) or s[k] == 58) and not _is(s[k], DIGIT):
            k += 1
        if k < n and _is(s[k], DIGIT):
            k = _group(s, j + 2, n)
            if k:
                more = 0
                while k and more < 7:
                    j = k
                    more += 1
                    k = _group(s, j + 1, n) if j < n and s[j] == 58 else 0
                return j
            if not (j + 2 < n and _is(s[j + 2], WORD)):
                return j + 2
    return sixth if pairs else 0


cdef inline Py_ssize_t _name(const uint8_t *s, Py_ssize_t i, Py_ssize_t n, uint16_t *any_of, Py_ssize_t *end) noexcept nogil:
    """End of an identifier that starts at i, or 0. any_of, end: kinds of the letters and digits from i, and where they end."""
    cdef uint16_t some = 0, every = 0xFFFF
    cdef Py_ssize_t j = i, k = 0
    while j < n and _is(s[j], DIGIT | LETTER):
        some |= KIND[s[j]]
        every &= KIND[s[j]]
        j += 1
    any_of[0] = some
    end[0] = j
    if every & HEX and j < n:
        if j - i == 8 and s[j] == 45:
            k = _uuid(s, i, n)
        elif j - i <= 4 and s[j] == 58:
            k = _address(s, i, n)
        if k:
            return k
    if some & DIGIT and some & LETTER and not (j < n and _is(s[j], WORD)) and _identifier(s, i, j, (every & HEX) != 0):
        return j
    return 0


cdef Py_ssize_t _directories(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of the directories of a path that starts at i, behind their last slash, or 0."""
    cdef Py_ssize_t j = i, last = 0
    cdef int slashes = 0
    cdef bint letter = False, found = False
    while j < n and (_is(s[j], PATH) or s[j] == 47):
        if s[j] == 47:
            slashes += 1
            last = j + 1
            found = letter
        else:
            letter |= _is(s[j], LETTER)
        j += 1
    return last if slashes >= 2 and found else 0


cdef Py_ssize_t _quoted(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of a quoted value without white space that is no plain word, or 0. s[i] is the quote."""
    cdef Py_ssize_t j = i + 1
    cdef bint plain = True
    while j < n and j - i <= QUOTED and s[j] != s[i] and s[j] != 10 and not _is(s[j], BLANK):
        plain &= _is(s[j], LETTER) or s[j] == 95
        j += 1
    if j < n and s[j] == s[i] and j > i + 1 and not plain:
        return j + 1
    return 0


cdef inline Py_ssize_t _number(const uint8_t *s, Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    """End of a number, with its exponent. s[i] is a digit of it."""
    cdef Py_ssize_t j
    while True:
        i += 1
        while i < n and _is(s[i], DIGIT):
            i += 1
        if not (i + 1 < n and _is(s[i], JOINS) and _is(s[i + 1], DIGIT)):
            break
        i += 1
    if i + 1 < n and (s[i] == 101 or s[i] == 69):
        j = i + 1
        if s[j] == 43 or s[j] == 45:
            j += 1
        if j < n and _is(s[j], DIGIT):
            while j < n and _is(s[j], DIGIT):
                j += 1
            if not (j < n and _is(s[j], WORD)):
                i = j
    return i


cdef Py_ssize_t _mask(const uint8_t *s, Py_ssize_t n, uint8_t *out) noexcept nogil:
    cdef Py_ssize_t i = 0, j, k, o = 0, line = 0  # line: where the line starts in out
    cdef Py_ssize_t slash = -1, end = -1  # the next slash and the next line end
    cdef uint8_t c, before
    cdef uint16_t any_of
    cdef bint inside  # the byte before belongs to a word
    while i < n:
        c = s[i]
        before = s[i - 1] if i > 0 else 10
        inside = _is(before, WORD)
        if c == 47 and not inside and i + 5 < n and memcmp(s + i, b"/tmp/", 5) == 0 and not _is(s[i + 5], ENDS):
            j = i + 5
            while j < n and not _is(s[j], ENDS):
                j += 1
            for c in b"/tmp/*":
                out[o] = c
                o += 1
            i = j
            continue
        if (c == 47 or _is(c, PATH)) and before != 47 and not _is(before, PATH):
            if slash < i:
                slash = _next(s, i, n, 47)
            if end < i:
                end = _next(s, i, n, 10)
            j = _directories(s, i, n) if slash < end else 0
            if j:
                out[o] = 42
                out[o + 1] = 47
                o += 2
                i = j
                continue
        if _is(c, DIGIT | LETTER) and not inside:
            k = _name(s, i, n, &any_of, &j)
            if k:
                out[o] = 35
                o += 1
                i = k
                continue
            if not any_of & DIGIT:  # a plain word goes over in one go
                memcpy(out + o, s + i, j - i)
                o += j - i
                i = j
                continue
            if not any_of & LETTER:
                i = _number(s, j - 1, n)
                out[o] = 35
                o += 1
                continue
        if c == 10:
            while o > line and out[o - 1] == 32:
                o -= 1
            out[o] = 10
            o += 1
            line = o
            i += 1
            continue
        if _is(c, BLANK):
            while i < n and _is(s[i], BLANK):
                i += 1
            if o > line:
                out[o] = 32
                o += 1
            continue
        if (c == 34 or c == 39 or c == 96) and not inside:
            j = _quoted(s, i, n)
            if j:
                out[o] = c
                out[o + 1] = 42
                out[o + 2] = c
                o += 3
                i = j
                continue
        if (
            (c == 43 or c == 45) and not inside and i + 1 < n and _is(s[i + 1], DIGIT) and before != 43 and before != 45
            and before != 46 and not _name(s, i + 1, n, &any_of, &j)
        ):
            i += 1
            c = s[i]
        if _is(c, DIGIT):
            i = _number(s, i, n)
            out[o] = 35
            o += 1
            continue
        if _is(c, RULE):
            j = i
            while j < n and s[j] == c:
                j += 1
            if j - i > 3:
                out[o] = c
                out[o + 1] = c
                out[o + 2] = c
                o += 3
                i = j
                continue
        # The rest of a word goes over in one go; its digits are seen again above.
        out[o] = c
        o += 1
        i += 1
        if _is(c, LETTER):
            while i < n and _is(s[i], LETTER):
                out[o] = s[i]
                o += 1
                i += 1
    while o > line and out[o - 1] == 32:
        o -= 1
    return o


def number(list lines not None, dict index not None, int64_t[::1] numbers not None) -> None:
    """Number of each line's template: its place in `index`, to which new ones are added. lines: of one line each."""
    cdef Py_ssize_t i, n, room = 0, length
    cdef const uint8_t *source
    cdef uint8_t *target = NULL
    cdef object line, template, found
    cdef bytes data
    if len(lines) != numbers.shape[0]:
        raise ValueError("as many places as lines")
    try:
        for i in range(len(lines)):
            line = <str?>lines[i]
            if PyUnicode_IS_ASCII(line):
                source, n = <const uint8_t *>PyUnicode_DATA(line), PyUnicode_GET_LENGTH(line)
            else:
                data = line.encode("utf8", "surrogateescape")
                source, n = <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
            if n > room:
                target = <uint8_t *>_grown(target, n)
                room = n
            length = _mask(source, n, target)
            template = PyBytes_FromStringAndSize(<char *>target, length)
            found = index.get(template)
            if found is None:
                found = len(index)
                index[template] = found
            numbers[i] = found
    finally:
        PyMem_Free(target)


cdef void *_grown(void *memory, Py_ssize_t size) except NULL:
    cdef void *found = PyMem_Realloc(memory, size)
    if found is NULL:
        raise MemoryError(f"{size} bytes for the template of a line")
    return found
