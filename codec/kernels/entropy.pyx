# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Residuals to symbols and bits, and symbols to the words of range asymmetric numeral systems. FORMAT.md, section 8.2;
what each function means is in ../reference/entropy.py."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    MAX_LANES = 32
    CHUNK = 1024  # symbols that are decoded before they become residuals: a whole number of groups
    SLOTS = 4096  # frequencies of a stream add up to it
    LOW = 1 << 16  # states are at least that

cdef extern from "rans.h":
    ctypedef struct tw_rans_symbol:
        pass
    void tw_rans_init() noexcept nogil
    void tw_rans_slots(uint32_t* slots, const uint16_t* frequencies, int symbols) noexcept nogil
    const uint8_t* tw_rans_decode(uint8_t* out, ptrdiff_t count, const uint32_t* slots, uint32_t* states, int lanes, const uint8_t* words, const uint8_t* end) noexcept nogil
    void tw_rans_symbols(tw_rans_symbol* to, const uint16_t* frequencies, int symbols) noexcept nogil
    uint8_t* tw_rans_encode(const uint8_t* symbols, ptrdiff_t count, const tw_rans_symbol* table, uint32_t* states, int lanes, uint8_t* words) noexcept nogil

cdef extern from "tokens.h":
    ctypedef struct tw_writer:
        uint8_t* to
        uint64_t held
        int count
    uint8_t* tw_flush(tw_writer* w) noexcept nogil
    void tw_symbols_32(uint8_t* to, tw_writer* tails, const int32_t* r, ptrdiff_t n, int shift, int direct) noexcept nogil
    void tw_symbols_64(uint8_t* to, tw_writer* tails, const int64_t* r, ptrdiff_t n, int shift, int direct) noexcept nogil
    uint8_t* tw_pack_32(uint8_t* to, const int32_t* r, ptrdiff_t n, int shift) noexcept nogil
    uint8_t* tw_pack_64(uint8_t* to, const int64_t* r, ptrdiff_t n, int shift) noexcept nogil
    bint tw_residuals_32(int32_t* r, const uint8_t* symbols, ptrdiff_t n, int shift, int direct, const uint8_t* tails, size_t bytes, uint64_t* bit) noexcept nogil
    const uint8_t* tw_unpack_32(int32_t* r, ptrdiff_t n, int shift, const uint8_t* low) noexcept nogil
    bint tw_residuals_64(int64_t* r, const uint8_t* symbols, ptrdiff_t n, int shift, int direct, const uint8_t* tails, size_t bytes, uint64_t* bit) noexcept nogil
    const uint8_t* tw_unpack_64(int64_t* r, ptrdiff_t n, int shift, const uint8_t* low) noexcept nogil
    void tw_histogram(int64_t* counts, const uint8_t* symbols, ptrdiff_t n) noexcept nogil

ctypedef fused latent:
    int32_t
    int64_t

tw_rans_init()


def tokens(r, int shift, int direct, uint8_t[::1] symbols):
    """See reference.tokens."""
    if r.dtype == np.int32:
        return tokens_typed[int32_t](r, shift, direct, symbols)
    return tokens_typed[int64_t](r, shift, direct, symbols)


cdef tokens_typed(const latent[::1] r, int shift, int direct, uint8_t[::1] symbols):
    cdef Py_ssize_t n = r.shape[0]
    counts = np.zeros(256, np.int64)
    cdef int64_t[::1] found = counts
    cdef uint8_t[::1] tails = np.empty(8 * n + 16, np.uint8)  # pages that are not written are not there
    cdef uint8_t[::1] low = np.empty(n * shift // 8 + 16, np.uint8)
    cdef uint8_t* tails_end = &tails[0]
    cdef uint8_t* low_end = &low[0]
    cdef tw_writer writer
    if n == 0:
        return counts, b"", b""
    with nogil:
        writer.to, writer.held, writer.count = tails_end, 0, 0
        if latent is int32_t:
            tw_symbols_32(&symbols[0], &writer, &r[0], n, shift, direct)
        else:
            tw_symbols_64(&symbols[0], &writer, &r[0], n, shift, direct)
        tails_end = tw_flush(&writer)
        if shift:
            if latent is int32_t:
                low_end = tw_pack_32(low_end, &r[0], n, shift)
            else:
                low_end = tw_pack_64(low_end, &r[0], n, shift)
        tw_histogram(&found[0], &symbols[0], n)
    return counts, bytes(tails[:tails_end - &tails[0]]), bytes(low[:low_end - &low[0]])


def rans_encode(const uint8_t[::1] symbols, const int64_t[::1] sizes, const uint16_t[:, ::1] frequencies, int lanes):
    """See reference.rans_encode."""
    cdef tw_rans_symbol[256] table
    cdef uint32_t[MAX_LANES] states
    cdef uint8_t[::1] room = np.empty(2 * symbols.shape[0] + 4 * lanes, np.uint8)
    cdef uint8_t* words = &room[0] + room.shape[0]
    cdef Py_ssize_t at = symbols.shape[0], k
    with nogil:
        for k in range(lanes):
            states[k] = LOW
        for k in range(sizes.shape[0] - 1, -1, -1):
            at -= sizes[k]
            if not whole(frequencies[k]):
                tw_rans_symbols(table, &frequencies[k, 0], 256)
                words = tw_rans_encode(&symbols[0] + at, sizes[k], table, states, lanes, words)
        for k in range(lanes - 1, -1, -1):
            words -= 4
            words[0] = states[k] & 255
            words[1] = states[k] >> 8 & 255
            words[2] = states[k] >> 16 & 255
            words[3] = states[k] >> 24
    return bytes(room[words - &room[0]:])


cdef bint whole(const uint16_t[::1] frequencies) noexcept nogil:
    """Whether one symbol has all slots, and so costs nothing."""
    cdef Py_ssize_t s
    for s in range(256):
        if frequencies[s] == SLOTS:
            return True
    return False


def decode_streams(const uint8_t[::1] coded, const int64_t[::1] sizes, const uint8_t[::1] models, int lanes, const uint8_t[::1] tails,
                   const uint8_t[::1] low, out):
    """See reference.decode_streams."""
    if out.dtype == np.int32:
        return decode_typed[int32_t](coded, sizes, models, lanes, tails, low, out)
    return decode_typed[int64_t](coded, sizes, models, lanes, tails, low, out)


cdef bint decode_typed(const uint8_t[::1] coded, const int64_t[::1] sizes, const uint8_t[::1] models, int lanes, const uint8_t[::1] tails,
                       const uint8_t[::1] low, latent[::1] out) except -1:
    cdef uint32_t[SLOTS] slots
    cdef uint32_t[MAX_LANES] states
    cdef uint16_t[256] frequencies
    cdef uint8_t[CHUNK] symbols
    cdef const uint8_t* words
    cdef const uint8_t* end
    cdef const uint8_t* low_at = &low[0] if low.shape[0] else NULL
    cdef const uint8_t* tails_at = &tails[0] if tails.shape[0] else NULL
    cdef Py_ssize_t streams = sizes.shape[0], k, done, n, at = 0, used, low_left = low.shape[0], tails_left = tails.shape[0]
    cdef Py_ssize_t place = 0, planes = (models.shape[0] - 4 * streams) // 2
    cdef int shift, direct, only
    cdef uint64_t bit
    cdef bint right = True
    if coded.shape[0] < 4 * lanes or planes < 0 or models.shape[0] != 4 * streams + 2 * planes:
        return False
    with nogil:
        words = &coded[0]
        end = words + coded.shape[0]
        for k in range(lanes):
            states[k] = words[0] | words[1] << 8 | words[2] << 16 | <uint32_t>words[3] << 24
            words += 4
        for k in range(streams):
            shift, direct = models[k], models[streams + k]
            used = read_model(frequencies, models, streams, k, place, planes, &only)
            low_left -= (sizes[k] * shift + 7) // 8
            if used < 0 or shift >= 8 * <int>sizeof(latent) or low_left < 0:
                right = False
                break
            place += used
            if only < 0:
                tw_rans_slots(slots, frequencies, 256)
            else:
                memset(symbols, only, CHUNK)
            bit = 0
            for done in range(0, sizes[k], 1024):
                n = min(CHUNK, sizes[k] - done)
                if only < 0:
                    words = tw_rans_decode(symbols, n, slots, states, lanes, words, end)
                    right = words is not NULL
                if latent is int32_t:
                    right = right and tw_residuals_32(&out[at], symbols, n, shift, direct, tails_at, tails_left, &bit)
                    if shift:
                        low_at = tw_unpack_32(&out[at], n, shift, low_at)
                else:
                    right = right and tw_residuals_64(&out[at], symbols, n, shift, direct, tails_at, tails_left, &bit)
                    if shift:
                        low_at = tw_unpack_64(&out[at], n, shift, low_at)
                if not right:
                    break
                at += n
            if not right:
                break
            tails_at += (bit + 7) // 8
            tails_left -= (bit + 7) // 8
        for k in range(lanes):
            right &= states[k] == LOW
    return right and words == end and tails_left == 0 and low_left == 0 and place == planes


cdef Py_ssize_t read_model(uint16_t* frequencies, const uint8_t[::1] models, Py_ssize_t streams, Py_ssize_t k, Py_ssize_t place, Py_ssize_t planes,
                           int* whole) noexcept nogil:
    """Frequencies of stream k; how many are stored for it, or -1 if they are not what they should be. whole: the symbol
    that has all slots, or -1."""
    cdef int direct = models[streams + k], first = models[2 * streams + k], last = models[3 * streams + k], s
    cdef uint32_t total = 0
    cdef Py_ssize_t at = 4 * streams + place
    if not 1 <= direct <= 128 or first > last or last >= 2 * direct + 64 or last - first + 1 > planes - place:
        return -1
    memset(frequencies, 0, 256 * sizeof(uint16_t))
    whole[0] = -1
    for s in range(first, last + 1):
        frequencies[s] = models[at + s - first] | models[at + planes + s - first] << 8
        total += frequencies[s]
        if frequencies[s] == SLOTS:
            whole[0] = s
    return last - first + 1 if total == SLOTS else -1
