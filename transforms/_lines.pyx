# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""What stands before a line, compiled. The readable reference is lines.OWN; the same place for every line.

Each function follows its part of the pattern from left to right; where the pattern goes back and tries again, a comment says why
that is not needed, or how it is done. Only ASCII is looked at here: for other lines, in which \\d and \\w are more, the pattern is
asked.
"""

include "_chars.pxi"


cdef inline bint _blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef inline at_t _clock(const uint8_t *s, at_t i) noexcept nogil:
    r"""\d\d:\d\d:\d\d"""
    return i + 8 if _digits(s + i, 2) and s[i + 2] == 58 and _digits(s + i + 3, 2) and s[i + 5] == 58 and _digits(s + i + 6, 2) else -1


cdef at_t _then_clock(const uint8_t *s, at_t i) noexcept nogil:
    r""",?[ T:_]?[ ]?\d\d:\d\d:\d\d; a clock begins with a digit, so taking fewer of the marks never helps."""
    if s[i] == 44:
        i += 1
    if s[i] == 32 or s[i] == 84 or s[i] == 58 or s[i] == 95:
        i += 1
    if s[i] == 32:
        i += 1
    return _clock(s, i)


cdef at_t _dated(const uint8_t *s, at_t i) noexcept nogil:
    """A date and a clock, up to the seconds. The forms of a date in turn, as the clock may fit behind a later one alone."""
    cdef at_t k, end, words, second
    cdef int count, days
    if _digits(s + i, 2):
        if (
            _digits(s + i + 2, 2) and (s[i + 4] == 45 or s[i + 4] == 47 or s[i + 4] == 46) and _digits(s + i + 5, 2)
            and (s[i + 7] == 45 or s[i + 7] == 47 or s[i + 7] == 46) and _digits(s + i + 8, 2)
        ):
            end = _then_clock(s, i + 10)
            if end >= 0:
                return end
        if (s[i + 2] == 45 or s[i + 2] == 47) and _digits(s + i + 3, 2):
            if (s[i + 5] == 45 or s[i + 5] == 47) and _digits(s + i + 6, 2):
                if _digits(s + i + 8, 2):
                    end = _then_clock(s, i + 10)
                    if end >= 0:
                        return end
                end = _then_clock(s, i + 8)
                if end >= 0:
                    return end
            if s[i + 2] == 45:
                return _then_clock(s, i + 5)
        return -1
    if not _is(s[i], UPPER):
        return -1
    words = second = 0
    while words < 2 and _is(s[i], UPPER) and _is(s[i + 1], LOWER) and _is(s[i + 2], LOWER) and s[i + 3] == 32:
        i += 4
        words += 1
    if not words:  # with fewer words what follows would begin with a letter
        return -1
    if s[i] == 32:
        i += 1
    for days in range(2, 0, -1):
        if _digits(s + i, days):
            end = _then_clock(s, i + days)
            if end >= 0:
                return end
    return -1


cdef inline bint _or_end(const uint8_t *s, at_t i, at_t n) noexcept nogil:
    """( |$)"""
    return s[i] == 32 or i == n


cdef at_t _sender(const uint8_t *s, at_t i, at_t n) noexcept nogil:
    """Host and program of syslog, which may be none: then i. Runs end where their class does, so none is taken shorter."""
    cdef at_t k = _many(s, i, HOST, 64), end
    if k == i or s[k] != 32:
        return i
    k += 1
    end = _many(s, k, PROGRAM, 64)
    if end > k and s[end] == 91:
        end += 1
        if _is(s[end], DIGIT):
            end = _many(s, end, DIGIT, 8)
            if s[end] == 93 and s[end + 1] == 58 and _or_end(s, end + 2, n):
                return min(end + 3, n)
    if _starts(s + k, b"kernel:", 7) and _or_end(s, k + 7, n):
        return min(k + 8, n)
    end = _many(s, k, NAME, 48)
    if end == k or s[end] != 32 or not _is(s[end + 1], DIGIT):
        return i
    end = _many(s, end + 1, DIGIT, 8)
    if s[end] != 32:
        return i
    k = end = end + 1
    while end < n and end < k + 32 and not _is(s[end], SPACE):
        end += 1
    if end == k or s[end] != 32:
        return i
    end += 1
    if s[end] == 45 and _or_end(s, end + 1, n):
        return min(end + 2, n)
    if s[end] != 91:
        return i
    k = end = end + 1
    while end < n and end < k + 200 and s[end] != 93 and s[end] != 10:
        end += 1
    return min(end + 2, n) if end > k and s[end] == 93 and _or_end(s, end + 1, n) else i


cdef at_t _stamp(const uint8_t *s, at_t i, at_t n) noexcept nogil:
    """A date with its time, and what comes with it."""
    cdef at_t k = i, start = -1, end
    if s[i] == 60 and _is(s[i + 1], DIGIT):  # a priority; what it takes behind the mark, the date may need
        k = _many(s, i + 1, DIGIT, 3)
        if s[k] == 62:
            k += 1
            if s[k] == 49:
                start = _opened(s, k + 2) if s[k + 1] == 32 else -1
                if start < 0:
                    start = _opened(s, k + 1)
            if start < 0 and s[k] == 32:
                start = _opened(s, k + 1)
            if start < 0:
                start = _opened(s, k)
    if start < 0:
        start = _opened(s, i)
    if start < 0:
        return -1
    i = start
    if (s[i] == 46 or s[i] == 44 or s[i] == 58) and _is(s[i + 1], DIGIT):
        i = _many(s, i + 1, DIGIT, 9)
    k = i + 1 if s[i] == 32 else i
    if s[k] == 90:
        i = k + 1
    elif s[k] == 85 and s[k + 1] == 84 and s[k + 2] == 67:
        i = k + 3
    elif (s[k] == 43 or s[k] == 45) and _digits(s + k + 1, 2):
        end = k + 4 if s[k + 3] == 58 else k + 3
        if _digits(s + end, 2):
            i = end + 2
    if s[i] == 32 and _digits(s + i + 1, 4):
        i += 5
    if s[i] == 93 or s[i] == 41 or s[i] == 62:
        i += 1
    k = i
    while _blank(s[k]):
        k += 1
    if (s[k] == 45 or s[k] == 124 or s[k] == 58) and (k + 1 == n or _blank(s[k + 1])):
        i = k + 1
    if _blank(s[i]):
        i += 1
    return _sender(s, i, n)


cdef inline at_t _opened(const uint8_t *s, at_t i) noexcept nogil:
    """A date behind a bracket or none; no date begins with one."""
    return _dated(s, i + 1 if s[i] == 91 or s[i] == 40 or s[i] == 60 else i)


cdef at_t _time(const uint8_t *s, at_t i, at_t n) noexcept nogil:
    """A clock, seconds since the start, or seconds of Unix, in brackets or not."""
    cdef at_t k, end, first = i
    if s[i] == 91 or s[i] == 40:
        i += 1
    end = _clock(s, i)
    if end >= 0:
        if (s[end] == 46 or s[end] == 44) and _is(s[end + 1], DIGIT):
            end = _many(s, end + 1, DIGIT, 9)
        if s[end] == 93 or s[end] == 41:
            end += 1
        k = end
        while _blank(s[k]):
            k += 1
        # A mark with a blank behind it; at the line's end there is none, and then the blanks before it are what is taken.
        if k > end and (s[k] == 45 or s[k] == 124 or s[k] == 58) and _blank(s[k + 1]):
            end = k + 1
        if _blank(s[end]):
            return end + 2 if _blank(s[end + 1]) else end + 1
        return -1
    k = i
    while k < i + 6 and s[k] == 32:
        k += 1
    end = _many(s, k, DIGIT, 10)
    if end > k and s[end] == 46 and _digits(s + end + 1, 6) and (s[end + 7] == 93 or s[end + 7] == 41) and s[end + 8] == 32:
        return end + 9
    if not _digits(s + i, 10):
        return -1
    end = i + 10
    if s[end] == 46 and _is(s[end + 1], DIGIT):
        end = _many(s, end + 1, DIGIT, 9)
    if s[end] == 93 or s[end] == 41:
        end += 1
    if s[end] == 58:
        end += 1
    return end + 1 if _blank(s[end]) else -1


cdef at_t _ranked(const uint8_t *s, at_t i, at_t n) noexcept nogil:
    """What a launcher sets before a line: a rank, a process, a pod, a service, a step of a build; one blank behind it."""
    cdef at_t k, end, dash
    if s[i] == 35:  # the step of a build, and its seconds
        k = _many(s, i + 1, DIGIT, 4)
        if k == i + 1 or s[k] != 32:
            return -1
        end = _many(s, k + 1, DIGIT, 6)
        if end == k + 1 or s[end] != 46 or not _is(s[end + 1], DIGIT):
            return -1
        end = _many(s, end + 1, DIGIT, 3)
        return min(end + 1, n) if _or_end(s, end, n) else -1
    if s[i] == 91:  # [
        k = -1
        if _starts(s + i + 1, b"rank", 4) or _starts(s + i + 1, b"RANK", 4):
            k = i + 6 if s[i + 5] == 32 else i + 5
        elif _starts(s + i + 1, b"default", 7):
            k = i + 8
        if k >= 0 and _is(s[k], DIGIT):
            end = _many(s, k, DIGIT, 5)
            if s[end] == 93:
                end += 1
                if s[end] == 58:
                    end += 1
                return end + 1 if s[end] == 32 else end
        if _is(s[i + 1], DIGIT):
            end = _many(s, i + 1, DIGIT, 5)
            if s[end] == 93:
                end += 1
                k = end + 1 if s[end] == 58 else end
                if s[k] == 32:
                    return k + 1
                return k if k < n and not _is(s[k], SPACE) and s[k] != 58 else -1
            if s[end] == 44 and _is(s[end + 1], DIGIT):
                end = _many(s, end + 1, DIGIT, 5)
                if _starts(s + end, b"]<stdout>:", 10) or _starts(s + end, b"]<stderr>:", 10):
                    return end + 11 if s[end + 10] == 32 else end + 10
            return -1
        if _starts(s + i + 1, b"pod/", 4):
            k = end = i + 5
            while end < n and end < k + 200 and s[end] != 93 and not _is(s[end], SPACE):
                end += 1
            if end > k and s[end] == 93:
                return end + 2 if s[end + 1] == 32 else end + 1
        return -1
    if _is(s[i], DIGIT):
        end = _many(s, i, DIGIT, 5)
        return end + 2 if s[end] == 58 and s[end + 1] == 32 else -1
    if s[i] == 40:  # (
        k = i + 1
        if _is(s[k], LETTER) or s[k] == 95:  # the name of an actor
            while _is(s[k], WORD):
                k += 1
            k = k + 1 if s[k] == 32 else i + 1
        if _starts(s + k, b"pid=", 4):
            k += 4
        elif _starts(s + k, b"ip=", 3):
            k += 3
        else:
            return -1
        end = k
        while end < n and end < k + 60 and s[end] != 41 and s[end] != 10:
            end += 1
        if end == k or s[end] != 41:
            return -1
        return end + 2 if s[end + 1] == 32 else end + 1
    if not _is(s[i], LETTER):
        return -1
    end = i + 1  # a service: the name goes up to the blank, and ends in a mark and its digits
    while end < n and end < i + 108 and _is(s[end], NAME):
        end += 1
    if s[end] != 32:
        return -1
    dash = end
    while dash > i and _is(s[dash - 1], DIGIT):
        dash -= 1
    if not 1 <= end - dash <= 5:
        return -1
    dash -= 1
    if dash <= i or dash - i > 101 or (s[dash] != 45 and s[dash] != 95):
        return -1
    while s[end] == 32:
        end += 1
    return min(end + 2, n) if s[end] == 124 and _or_end(s, end + 1, n) else -1


cdef at_t _own(const uint8_t *s, at_t n) noexcept nogil:
    """End of what stands before the message, 0 where nothing does."""
    cdef at_t i = 0, k
    cdef int part
    for part in range(4):
        k = _stamp(s, i, n)
        if k < 0:
            k = _time(s, i, n)
        if k < 0:
            k = _ranked(s, i, n)
        if k < 0:
            break
        i = k
    return i


def without_own(list lines not None, match) -> list:
    """The lines without what stands before their message. match: of lines.OWN. No line holds a \\n."""
    return _behind(lines, _own, match)


def uncommon(list lines not None, Py_ssize_t longest) -> list:
    """Numbers of the lines that may look other than they came: longer than `longest`, with a control character or a tab, with the
    first character of a record, or of a date.
    """
    cdef list found = []
    cdef str line
    cdef Py_ssize_t i, k, n
    cdef const uint8_t *s
    cdef uint8_t low
    cdef bint plain
    for i in range(len(lines)):
        line = lines[i]
        n = PyUnicode_GET_LENGTH(line)
        plain = n <= longest and PyUnicode_IS_ASCII(line)
        if plain and n:
            s = <const uint8_t *>PyUnicode_DATA(line)
            low = 0
            for k in range(n):  # without a way out, so that it is done 16 at a time
                low |= s[k] < 32
            plain = not low and s[0] != 123 and not (n > 10 and _digits(s, 4) and s[4] == 45 and s[7] == 45 and s[10] == 84)
        if not plain:
            found.append(i)
    return found
