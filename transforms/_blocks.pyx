# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Blocks of lines, compiled: one pass, with a state for each lane. The rules and the readable reference are in blocks.py; number for
number the same.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free

cdef enum:
    ANYWHERE, SAME, COLON, DEEPER, OVER, FAR  # as in roles.py
    DECORATIONS = 3

cdef struct Frame:  # a line of decoration that may open a framed report
    int64_t at, first  # the line, -1: none; first line of the report, -1: the next one
    int64_t block
    int32_t width, size, since, filled  # lines of its block before it and it; lines behind it; of them, those that are not blank
    bint trouble, banner

cdef struct Lane:
    int64_t last, text, block  # last line, last that is not blank, -1: none; number of the open block
    int32_t state, base, inner, size, gap, at  # at: column of its last line
    bint colon, listing  # listing: nothing in its first line tells of trouble
    bint labelled  # logging set something before its last line
    bint flat, framed  # frames of a traceback stand at the column of its header; its last line is one
    int64_t far, far_block  # last line of a block that a message may follow, -1: none
    int32_t far_state, far_base, far_size, far_since
    Frame frames[DECORATIONS]


def columns(list lines not None, int32_t[::1] out not None):
    """Column at which the text of each line begins, into `out`: a tab goes to the next multiple of eight; at most 255."""
    cdef Py_ssize_t i, j
    cdef int32_t at
    cdef str line
    cdef Py_UCS4 c
    for i in range(len(lines)):
        line = lines[i]
        at = 0
        for j in range(len(line)):
            c = line[j]
            if c == 32:
                at += 1
            elif c == 9:
                at += 8 - at % 8
            else:
                break
            if at >= 255:
                at = 255
                break
        out[i] = at


cdef inline int32_t _claim(int64_t *block, const int64_t *before, int64_t line, int64_t until, int64_t number) noexcept nogil:
    """Gives the lines of the lane between `until` and `line`, both left out, to block `number`; -> how many."""
    cdef int32_t many = 0
    line = before[line]
    while line > until:
        block[line] = number
        many += 1
        line = before[line]
    return many


def join(
    const uint8_t[::1] roles not None, const int32_t[::1] column not None, const int32_t[::1] width not None,
    const uint8_t[::1] trouble not None,
    const int64_t[::1] lane not None, Py_ssize_t lanes, const uint8_t[:, :, ::1] table not None, const uint8_t[::1] opens not None,
    dict fixed not None, int64_t[::1] block not None, int64_t[::1] before not None,
):
    """Number of each line's block, into `block`. before: scratch, as long. The rest as in blocks.py."""
    cdef Py_ssize_t n = roles.shape[0], i
    cdef int role, to, k, hangs, which
    cdef int BLANK = fixed["blank"], DECORATION = fixed["decoration"], HEADER = fixed["header"], SOURCE = fixed["source_frame"]
    cdef int LABELLED = fixed["LABELLED"]
    cdef int EXCEPTION = fixed["exception"], TRACE = fixed["trace"]
    cdef int LINE = fixed["line"], RAISED = fixed["raised"], DONE = fixed["done"], REPORT = fixed["report"], DIFF = fixed["diff"], DIAG = fixed["diag"]
    cdef int MOST = fixed["MOST"], REACH = fixed["REACH"], GAP = fixed["GAP"], MESSAGE = fixed["MESSAGE"]
    cdef int LISTED = fixed["LISTED"], FRAMED = fixed["FRAMED"], TITLE = fixed["TITLE"]
    cdef Lane *every
    cdef Lane *s
    cdef Frame *f
    if n == 0:
        return
    every = <Lane *>calloc(max(lanes, 1), sizeof(Lane))
    if every == NULL:
        raise MemoryError
    with nogil:
        for i in range(lanes):
            every[i].last = every[i].text = every[i].far = -1
            for k in range(DECORATIONS):
                every[i].frames[k].at = -1
        for i in range(n):
            s = &every[lane[i]]
            role = roles[i] & 63
            which = role - DECORATION
            before[i] = s.last
            s.last = i
            s.far_since += 1
            for k in range(DECORATIONS):
                f = &s.frames[k]
                if f.at < 0:
                    continue
                f.since += 1
                if f.first < 0:
                    f.first = f.block = i
                if f.size + f.since >= (MOST if f.banner else FRAMED) or i - f.at > REACH:
                    f.at = -1
                elif role != BLANK and not 0 <= which < DECORATIONS:
                    f.filled += 1
                    if f.filled <= TITLE and trouble[i] != 0:
                        f.trouble = True
            if role == BLANK:
                block[i] = i
                s.gap += 1
                continue
            if s.far >= 0 and (s.far_since > MESSAGE or s.far_size + s.far_since >= MOST or i - s.far > REACH):
                s.far = -1
            to = 0
            if 0 <= which < DECORATIONS:
                f = &s.frames[which]
                if f.at >= 0 and f.trouble and f.width == width[i]:  # it closes a framed report, and may open the next
                    s.block, s.size = f.block, f.size + 1
                    s.size += _claim(&block[0], &before[0], i, f.at, s.block)
                    block[i] = s.block
                    s.state, s.text, s.far = LINE, i, -1
                    s.base = s.inner = column[i]
                    s.gap = s.colon = 0
                    for k in range(DECORATIONS):
                        if s.frames[k].at > f.at:
                            s.frames[k].at = -1
                    s.at, s.listing, s.flat, s.framed = column[i], False, False, False
                    f.at, f.first = i, -1
                    f.size = f.since = f.filled = f.trouble = f.banner = 0
                    continue
                for k in range(DECORATIONS):
                    if k != which and s.frames[k].filled == 1:
                        s.frames[k].banner = True
            if s.far >= 0 and (s.state == LINE or s.gap):
                to = table[FAR, role, s.far_state]
                if to:
                    s.block, s.text, s.size, s.base, s.inner = s.far_block, s.far, s.far_size, s.far_base, s.far_base
            if not to and s.text >= 0 and s.size + s.gap < MOST and i - s.text <= REACH:
                hangs = s.base + (1 if s.state == DIFF else 2)
                if s.gap == 0:
                    if s.flat and role == SOURCE and s.state == DONE:
                        to = TRACE
                    elif s.framed and role != HEADER and role != SOURCE and role != EXCEPTION:  # its source
                        to = TRACE
                    else:
                        to = table[ANYWHERE, role, s.state]
                    if not to and column[i] == s.inner:
                        to = table[SAME, role, s.state]
                    if not to and s.colon and (s.labelled or not roles[i] & LABELLED):
                        to = table[COLON, role, s.state]
                    if not to and column[i] >= hangs:
                        to = table[DEEPER, role, s.state]
                        if s.listing and s.state == LINE and to == LINE and (column[i] < s.at or s.size >= LISTED):
                            to = 0
                elif s.gap <= GAP:
                    to = table[OVER, role, s.state]
                    if not to and (s.state == REPORT or s.state == RAISED or s.state == DONE) and column[i] >= hangs:
                        to = table[DEEPER, role, s.state]
            if to:
                s.size += 1 + _claim(&block[0], &before[0], i, s.text, s.block)
                block[i] = s.block
                if role == HEADER:
                    s.inner, s.flat = column[i], False
                elif role == SOURCE and s.state == TRACE and column[i] == s.inner:
                    s.flat = True
                s.state = to
                s.far = -1
                s.framed = s.flat and role == SOURCE
            else:
                if opens[role] != LINE:
                    s.far = -1
                elif s.state == RAISED or s.state == DONE or s.state == DIAG:
                    s.far, s.far_block, s.far_state, s.far_base, s.far_size = s.text, s.block, s.state, s.base, s.size
                    s.far_since = s.gap + 1
                block[i] = s.block = i
                s.size = 1
                s.state = opens[role]
                s.base = s.inner = column[i]
                s.listing = trouble[i] == 0
                s.flat = s.framed = False
                if role == SOURCE:  # the exception of a syntax error stands two columns before it
                    s.inner = max(0, column[i] - 2)
            if 0 <= which < DECORATIONS and width[i]:
                f = &s.frames[which]
                f.at, f.first, f.block, f.size, f.width = i, i, s.block, s.size, width[i]
                f.since = f.filled = f.trouble = f.banner = 0
            s.colon = roles[i] >= 128
            s.labelled = roles[i] & LABELLED
            s.gap = 0
            s.text = i
            s.at = column[i]
    free(every)
