"""Residuals to symbols and bits, and symbols to the words of range asymmetric numeral systems. FORMAT.md, section 8.2."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ..backend import Latents
from .prediction import wrap

BITS = 12  # of a frequency
LOW = 1 << 16  # states are in [LOW, LOW << 16)
MAX_DIRECT = 128
TAILS = 64


def bits_of(values: list[int], lengths: list[int]) -> bytes:
    """So many low bits of each value, from the lowest bit of the first byte on."""
    packed = place = 0
    for value, length in zip(values, lengths, strict=True):
        packed |= (value & ((1 << length) - 1)) << place
        place += length
    return packed.to_bytes((place + 7) // 8, "little")


def packed(values: list[int], shift: int, word: int) -> bytes:
    """The low bits of residuals of so many bits. Of each 128, the first word has rows of the residuals 0, n, 2 n, ..., the
    next one those of 1, n + 1, ..., where n is how many words there are in 16 bytes; words of equal rank follow each other.
    The rest, less than 128, are one string of bits."""
    out = b""
    lanes = 128 // word
    whole = len(values) // 128 * 128
    for at in range(0, whole, 128):
        strings = [bits_of(values[at + lane : at + 128 : lanes], [shift] * word) for lane in range(lanes)]
        size = word // 8
        out += b"".join(s[i : i + size] for i in range(0, shift * size, size) for s in strings)
    return out + bits_of(values[whole:], [shift] * (len(values) - whole))


def unpacked(low: bytes, count: int, shift: int, word: int) -> list[int]:
    """Undoes `packed`."""
    values = []
    lanes, size = 128 // word, word // 8
    for at in range(0, count, 128):
        part = low[at // 128 * 16 * shift :]
        if count - at >= 128:
            part = part[: 16 * shift]
            strings = [
                b"".join(part[i + lane * size : i + lane * size + size] for i in range(0, len(part), 16))
                for lane in range(lanes)
            ]
            columns = [split_bits(string, word, shift) for string in strings]
            values += [columns[i % lanes][i // lanes] for i in range(128)]
        else:
            values += split_bits(part, count - at, shift)
    return values


def split_bits(data: bytes, count: int, size: int) -> list[int]:
    """So many integers of `size` bits, from the lowest bit of the first byte on."""
    string = int.from_bytes(data, "little")
    return [string >> size * i & ((1 << size) - 1) for i in range(count)]


def tokens(r: Latents, shift: int, direct: int, symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int64], bytes, bytes]:
    """Writes the symbol of each residual of a stream. Returns (how often each of 256 occurs, bits of the tails, low bits).

    The residual less its `shift` low bits is q. -direct <= q < direct has the symbol q + direct. Beyond, with
    m = 1, 2, ... outwards, it is 2 * direct + bit length of m - 1, and the tail has the sign and m less its first bit.
    """
    values = r.tolist()
    tails: list[int] = []
    lengths: list[int] = []
    for i, value in enumerate(values):
        q = value >> shift
        if -direct <= q < direct:
            symbols[i] = q + direct
            continue
        m = (q if q >= 0 else -1 - q) - direct + 1
        length = m.bit_length() - 1
        symbols[i] = 2 * direct + length
        tails += [int(q < 0), m]
        lengths += [1, length]
    low = packed(values, shift, 8 * r.itemsize) if shift else b""
    return np.bincount(symbols, minlength=256), bits_of(tails, lengths), low


def residuals_of(symbols: list[int], shift: int, direct: int, tails: bytes, low: bytes, out: Latents) -> int:
    """Undoes `tokens`: writes the residuals, and returns how many bytes of the tails they took; -1 if there are too few.

    low: exactly the low bits of these residuals.
    """
    word = 8 * out.itemsize
    lows = unpacked(low, len(symbols), shift, word) if shift else [0] * len(symbols)
    tail_bits, place = int.from_bytes(tails, "little"), 0
    for i, symbol in enumerate(symbols):
        if symbol < 2 * direct:
            q = symbol - direct
        else:
            length = symbol - 2 * direct
            if place + 1 + length > 8 * len(tails):
                return -1
            m = 1 << length | tail_bits >> place + 1 & ((1 << length) - 1)
            q = m - 1 + direct
            if tail_bits >> place & 1:
                q = -1 - q
            place += 1 + length
        out[i] = wrap(q << shift | lows[i], word)
    return (place + 7) // 8


def rans_encode(
    symbols: NDArray[np.uint8], sizes: NDArray[np.int64], frequencies: NDArray[np.uint16], lanes: int
) -> bytes:
    """Symbols of all streams, one after the other, by the frequencies (streams, 256) of their stream: states, then words.

    A decoder reads forwards, so the encoder goes from the last symbol to the first.
    """
    states = [LOW] * lanes
    words: list[int] = []
    stop = len(symbols)
    for size, row in reversed(list(zip(sizes.tolist(), frequencies.tolist(), strict=True))):
        first = np.concatenate([[0], np.cumsum(row)]).tolist()
        for i in range(size - 1, -1, -1):
            symbol = int(symbols[stop - size + i])
            lane, frequency = i % lanes, row[symbol]
            if states[lane] >= frequency << 32 - BITS:
                words.append(states[lane] & 0xFFFF)
                states[lane] >>= 16
            whole, rest = divmod(states[lane], frequency)
            states[lane] = (whole << BITS) + first[symbol] + rest
        stop -= size
    return struct.pack(f"<{lanes}I{len(words)}H", *states, *reversed(words))


def rans_decode(words: list[int], states: list[int], size: int, row: list[int]) -> list[int]:
    """So many symbols of one stream with the frequencies of row, from the words (in reverse order, taken from the end)
    and the states of the lanes, which move on. IndexError if there are too few words."""
    if 1 << BITS in row:
        return [row.index(1 << BITS)] * size
    slots = [s for s, frequency in enumerate(row) for _ in range(frequency)]
    first = np.concatenate([[0], np.cumsum(row)]).tolist()
    symbols = []
    for i in range(size):
        lane = i % len(states)
        slot = states[lane] & ((1 << BITS) - 1)
        symbols.append(slots[slot])
        states[lane] = row[slots[slot]] * (states[lane] >> BITS) + slot - first[slots[slot]]
        if states[lane] < LOW:
            states[lane] = states[lane] << 16 | words.pop()
    return symbols


def read_models(models: bytes, count: int, word: int) -> list[tuple[int, int, list[int]]]:
    """(shift, direct cells, frequencies of 256 symbols) of each stream; ValueError if one is not what it should be."""
    shifts, directs, firsts, lasts = (models[i * count : (i + 1) * count] for i in range(4))
    if len(models) < 4 * count:
        raise ValueError("models of fewer streams than there are")
    planes = models[4 * count :]
    low, high = planes[: len(planes) // 2], planes[len(planes) // 2 :]
    found = []
    at = 0
    for shift, direct, first, last in zip(shifts, directs, firsts, lasts, strict=True):
        size = last - first + 1
        row = [0] * first + [a + 256 * b for a, b in zip(low[at : at + size], high[at : at + size], strict=True)]
        if shift >= word or not 1 <= direct <= MAX_DIRECT or size < 1 or last >= 2 * direct + TAILS:
            raise ValueError("a model out of range")
        if len(row) != last + 1 or sum(row) != 1 << BITS:
            raise ValueError("frequencies that do not add up")
        found.append((shift, direct, row + [0] * (255 - last)))
        at += size
    if at != len(low) or len(low) != len(high):
        raise ValueError("frequencies of no stream")
    return found


def decode_streams(
    coded: bytes | memoryview,
    sizes: NDArray[np.int64],
    models: bytes | memoryview,
    lanes: int,
    tails: bytes | memoryview,
    low: bytes | memoryview,
    out: Latents,
) -> bool:
    """Writes the residuals of all streams, one after the other: undoes `tokens` and `rans_encode`.

    False unless the models are right, all words, tails and low bits were used, and all states are as they were in the
    beginning.
    """
    if len(coded) < 4 * lanes or len(coded) % 2:
        return False
    states = list(struct.unpack_from(f"<{lanes}I", coded))
    words = list(struct.unpack_from(f"<{(len(coded) - 4 * lanes) // 2}H", coded, 4 * lanes))[::-1]
    at = 0
    try:
        for size, (shift, direct, row) in zip(
            sizes.tolist(), read_models(bytes(models), len(sizes), 8 * out.itemsize), strict=True
        ):
            symbols = rans_decode(words, states, size, row)
            needed = (size * shift + 7) // 8
            took = residuals_of(symbols, shift, direct, bytes(tails), bytes(low[:needed]), out[at : at + size])
            if needed > len(low) or took < 0:
                return False
            at += size
            tails, low = tails[took:], low[needed:]
    except (IndexError, ValueError):
        return False
    return not (words or len(tails) or len(low)) and states == [LOW] * lanes
