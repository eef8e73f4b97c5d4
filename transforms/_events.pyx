# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Events straight from the bytes of a TelemetryBatch. The readable reference is events.py.

Only what every sender writes is understood: each field of an event and of its log line once at most, one kind for each event.
For anything else the answer is None, and the reference reads the message: so no rule of protobuf for odd messages is repeated here.
https://protobuf.dev/programming-guides/encoding/
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memchr

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *s, Py_ssize_t size, const char *errors)

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5
    EVENTS = 15  # field of TelemetryBatch
    TIME = 1  # fields of Event
    LOG = 2
    LAST_KIND = 10

cdef struct Cursor:
    const uint8_t *at
    const uint8_t *end

cdef struct Field:
    uint64_t number
    int wire
    uint64_t value  # of a varint
    Cursor inside  # of bytes

cdef struct Seen:
    int64_t time_ns
    int kind  # field number, 0 for none
    Cursor inside  # of the kind's message


cdef bint _varint(Cursor *c, uint64_t *value) noexcept nogil:
    cdef int shift = 0
    cdef uint8_t byte
    value[0] = 0
    while c.at < c.end and shift < 64:
        byte = c.at[0]
        c.at += 1
        value[0] |= <uint64_t>(byte & 127) << shift
        if byte < 128:
            return True
        shift += 7
    return False


cdef bint _field(Cursor *c, Field *f) noexcept nogil:
    """The next field; False where there is none that can be read. c.at < c.end."""
    cdef uint64_t tag
    if not _varint(c, &tag):
        return False
    f.number, f.wire = tag >> 3, tag & 7
    if f.number == 0:
        return False
    if f.wire == VARINT:
        return _varint(c, &f.value)
    if f.wire == BYTES:
        if not _varint(c, &f.value) or f.value > <uint64_t>(c.end - c.at):
            return False
        f.inside.at = c.at
        c.at += f.value
        f.inside.end = c.at
        return True
    if f.wire == FIXED64 or f.wire == FIXED32:
        f.value = 8 if f.wire == FIXED64 else 4
        if f.value > <uint64_t>(c.end - c.at):
            return False
        c.at += f.value
        return True
    return False


cdef bint _event(Cursor c, Seen *seen) noexcept nogil:
    cdef Field f
    cdef bint timed = False
    seen.time_ns = 0
    seen.kind = 0
    while c.at < c.end:
        if not _field(&c, &f):
            return False
        if f.number == TIME:
            if timed or f.wire != VARINT:
                return False
            timed = True
            seen.time_ns = <int64_t>f.value
        elif f.number <= LAST_KIND:
            if seen.kind or f.wire != BYTES:
                return False
            seen.kind = <int>f.number
            seen.inside = f.inside
    return True


cdef bint _next(Cursor *c, Seen *seen, bint *found) noexcept nogil:
    """The next event of a batch; found: whether there is one more. False: not understood."""
    cdef Field f
    found[0] = False
    while c.at < c.end:
        if not _field(c, &f):
            return False
        if f.number == EVENTS:
            if f.wire != BYTES:
                return False
            found[0] = True
            return _event(f.inside, seen)
    return True


cdef Cursor _whole(bytes data):
    cdef Cursor c
    c.at = <const uint8_t *>PyBytes_AS_STRING(data)
    c.end = c.at + PyBytes_GET_SIZE(data)
    return c


def survey(bytes data not None):
    """(events, earliest and latest time_ns, kinds as bits by field number), or None. Of no events the times are 0."""
    cdef Cursor c = _whole(data)
    cdef Seen seen
    cdef bint found = True
    cdef Py_ssize_t count = 0
    cdef int64_t low = INT64_MAX, high = INT64_MIN
    cdef int kinds = 0
    while True:
        if not _next(&c, &seen, &found):
            return None
        if not found:
            break
        count += 1
        low = min(low, seen.time_ns)
        high = max(high, seen.time_ns)
        kinds |= 1 << seen.kind
    if not count:
        low = high = 0
    return count, low, high, kinds


cdef bint _log(Cursor c, Cursor *text, int32_t *level, int32_t *rank) noexcept nogil:
    """A log line: text, level and rank, each left as it is where it is not said. False: not understood."""
    cdef Field f
    cdef int said = 0
    while c.at < c.end:
        if not _field(&c, &f):
            return False
        if f.number > 5:
            continue
        if said & (1 << f.number) or f.wire != (BYTES if f.number == 1 or f.number == 3 else VARINT):
            return False
        said |= 1 << f.number
        if f.number == 1:
            text[0] = f.inside
        elif f.number == 4:
            level[0] = <int32_t>f.value
        elif f.number == 5:
            rank[0] = <int32_t>f.value
    return True


def logs(bytes data not None, int batch_rank):
    """(texts, times_ns, ranks, levels, bytes of text) of a batch of log lines of one line each, or None."""
    cdef Cursor c = _whole(data)
    cdef Cursor text
    cdef Seen seen
    cdef bint found = True
    cdef int32_t level, rank
    cdef Py_ssize_t length, size = 0
    cdef list texts = [], times = [], ranks = [], levels = []
    while True:
        if not _next(&c, &seen, &found):
            return None
        if not found:
            return texts, times, ranks, levels, size
        level, rank = 0, batch_rank
        text.at = text.end = c.end
        if seen.kind != LOG or not _log(seen.inside, &text, &level, &rank):
            return None
        length = text.end - text.at
        if length and memchr(text.at, 10, length) != NULL:
            return None
        size += length
        texts.append(PyUnicode_DecodeUTF8(<const char *>text.at, length, "surrogateescape"))
        times.append(seen.time_ns)
        ranks.append(rank)
        levels.append(level)
