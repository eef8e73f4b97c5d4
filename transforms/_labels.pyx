# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""What logging sets before a message, compiled. The readable reference is roles.LINE_LABEL; the same place for every line."""

include "_chars.pxi"


cdef inline at_t _number(const uint8_t *s, at_t i) noexcept nogil:
    r"""\d[\d.:,\-/]*; what follows it is never one of these."""
    if not _is(s[i], DIGIT):
        return -1
    while _is(s[i], NUMBER):
        i += 1
    return i


cdef at_t _level(const uint8_t *s, at_t i) noexcept nogil:
    """Name of a level. WARNING is tried before WARN, behind which nothing that follows a level begins with I."""
    if _starts(s + i, b"INFO", 4):
        return i + 4
    if _starts(s + i, b"WARN", 4):
        return i + 7 if _starts(s + i + 4, b"ING", 3) else i + 4
    if _starts(s + i, b"ERROR", 5) or _starts(s + i, b"DEBUG", 5) or _starts(s + i, b"TRACE", 5) or _starts(s + i, b"FATAL", 5):
        return i + 5
    if _starts(s + i, b"NOTICE", 6):
        return i + 6
    if _starts(s + i, b"CRITICAL", 8):
        return i + 8
    return i + 6 if _starts(s + i, b"SEVERE", 6) else -1


cdef at_t _placed(const uint8_t *s, at_t i, at_t most) noexcept nogil:
    r"""[\w./*\-]{1,most}:NUMBER\]"""
    cdef at_t k = i
    while _is(s[k], PLACE):
        k += 1
    if not 1 <= k - i <= most or s[k] != 58:
        return -1
    k = _number(s, k + 1)
    return k + 1 if k >= 0 and s[k] == 93 else -1


cdef at_t _label(const uint8_t *s, at_t n) noexcept nogil:
    """End of what logging sets before a message, 0 where nothing is."""
    cdef at_t i, k, end, level, best = -1
    end = _level(s, 0)
    k = 0
    while k <= 60 and (_is(s[k], WORD) or s[k] == 46):
        k += 1
    if 1 <= k <= 60 and _starts(s + k, b" - ", 3):  # name - LEVEL -
        i = _level(s, k + 3)
        if i >= 0 and _starts(s + i, b" - ", 3):
            return i + 3
    if end >= 0:
        level = end
        # LEVEL, dates and times, file:line]. Of the numbers as many are taken as leave a place behind them.
        i = level
        while s[i] == 32:
            k = _placed(s, i + 2 if s[i + 1] == 91 else i + 1, 80)
            if k >= 0:
                k = k + 1 if s[k] == 58 else k
                if s[k] == 32:
                    best = k + 1
            i = _number(s, i + 1)
            if i < 0:
                break
        if best >= 0:
            return best
        i = level
        while _is(s[i], SPACE):
            i += 1
        if s[i] == 124 and s[i + 1] == 32:  # LEVEL | caller -
            k = i + 2
            while k <= i + 122 and _is(s[k], CALLER):
                k += 1
            return k + 3 if 1 <= k - i - 2 <= 120 and _starts(s + k, b" - ", 3) else i + 2
        if s[level] == 58:  # LEVEL:name:
            k = level + 1
            while k <= level + 61 and (_is(s[k], WORD) or s[k] == 46):
                k += 1
            if 1 <= k - level - 1 <= 60 and s[k] == 58:
                return k + 1
            if s[level + 1] == 32:
                return level + 2
        elif s[level] == 32:
            return level + 1
    if s[0] == 73 or s[0] == 87 or s[0] == 69 or s[0] == 70:  # I0102 10:00:00.1 42 file:line]
        k = _number(s, 1)
        best = -1
        if s[1] == 32:
            best = 2
        elif k >= 0 and s[k] == 32:
            k = _number(s, k + 1)
            if k >= 0 and s[k] == 32:
                while s[k] == 32:
                    k += 1
                best = k
                i = _number(s, k)
                if i >= 0 and s[i] == 32:
                    end = _placed(s, i + 1, 120)
                    if end >= 0 and s[end] == 32:
                        return end + 1
        if best >= 0:
            end = _placed(s, best, 120)
            if end >= 0 and s[end] == 32:
                return end + 1
    if s[0] == 91:
        k = 1
        while k <= 81 and _is(s[k], BRACKETED):
            k += 1
        if 1 <= k - 1 <= 80 and s[k] == 93 and s[k + 1] == 32:
            return k + 2
    if s[0] == 123:  # {file:line} LEVEL -
        k = 1
        while k <= 61 and (_is(s[k], WORD) or s[k] == 46):
            k += 1
        if 1 <= k - 1 <= 60 and s[k] == 58:
            k = _number(s, k + 1)
            if k >= 0 and s[k] == 125 and s[k + 1] == 32:
                k = _level(s, k + 2)
                if k >= 0 and _starts(s + k, b" - ", 3):
                    return k + 3
    if _starts(s, b"stderr: ", 8):
        return 8
    return 2 if s[0] == 43 and s[1] == 32 else 0


def without_label(list lines not None, match) -> list:
    """The lines without what logging sets before a message. match: of roles.LINE_LABEL."""
    return _behind(lines, _label, match)
