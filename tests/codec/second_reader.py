"""A reader written from FORMAT.md alone: it imports nothing of the codec, and asserts what must be."""

import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from pcodec import standalone

DTYPES = {1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<f2"), 4: np.dtype("<i8")}
COEFFICIENTS = [math.pow(0.6931471805599453, i) / math.factorial(i) for i in range(14)]


class Bytes:
    """Section 1."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, n: int) -> bytes:
        assert self.at + n <= len(self.data)
        self.at += n
        return self.data[self.at - n : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def f64(self) -> float:
        return struct.unpack("<d", self.take(8))[0]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self) -> int:
        u = self.varint()
        return -(u + 1) // 2 if u % 2 else u // 2

    def section(self) -> "Bytes":
        return Bytes(self.take(self.varint()))

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def numbers(self, dtype: Any, n: int) -> np.ndarray:
        dtype = np.dtype(dtype)
        return np.frombuffer(self.take(n * dtype.itemsize), dtype.newbyteorder("<")).astype(dtype)


def unzstd(data: bytes, words: bytes = b"") -> Bytes:
    prefix = zstandard.ZstdCompressionDict(words, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if words else None
    return Bytes(zstandard.ZstdDecompressor(dict_data=prefix).decompress(data))


def unpco(part: Bytes, n: int, dtype: Any) -> np.ndarray:
    numbers = standalone.simple_decompress(part.rest())
    numbers = np.zeros(0, dtype) if numbers is None else np.asarray(numbers)
    assert len(numbers) == n
    assert n == 0 or numbers.dtype == np.dtype(dtype)
    return numbers


def chunks(data: bytes) -> tuple[int, list[tuple[int, Bytes]]]:
    """Sections 2 to 4: (content, (kind, payload) of each chunk)."""
    magic, version, content, flags = struct.unpack_from("<4sBBH", data)
    assert (magic, version, flags) == (b"\x93TWC", 1, 0)
    size, end = struct.unpack("<I4s", data[-8:])
    assert end == b"TWCE"
    table = frame(data, len(data) - 8 - size)[1]
    out, expected = [], 8
    for _ in range(table.varint()):
        kind, offset, length, _things = table.u8(), table.varint(), table.varint(), table.varint()
        table.signed(), table.varint()
        assert offset == expected
        expected += length
        found, payload = frame(data, offset)
        assert found == kind
        out.append((kind, payload))
    assert expected == len(data) - 8 - size
    return content, out


def frame(data: bytes, at: int) -> tuple[int, Bytes]:
    cursor = Bytes(data)
    cursor.at = at
    kind, payload = cursor.u8(), cursor.section()
    (crc,) = struct.unpack("<I", cursor.take(4))
    assert crc == zlib.crc32(data[at : cursor.at - 4])
    return kind, payload


def exp2(a: np.ndarray) -> np.ndarray:
    n = np.rint(a)
    f = a - n
    y = np.full_like(f, COEFFICIENTS[13])
    for i in range(12, -1, -1):
        y = y * f + COEFFICIENTS[i]
    return np.ldexp(y, n.astype(int))


def wrap(value: int, bits: int) -> int:
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def string(data: bytes) -> int:
    """A string of bits, the first one lowest."""
    return int.from_bytes(data, "little")


def residuals(part: Bytes, sizes: list[int], bits: int) -> list[list[int]]:
    """Section 8.2."""
    lanes = part.u8()
    assert lanes in (4, 32)
    models, coded, tails, low = unzstd(part.section().rest()), part.section(), part.section(), part.section()
    rows = [list(models.take(len(sizes))) for _ in range(4)]
    spans = [last - first + 1 for first, last in zip(rows[2], rows[3], strict=True)]
    lower, upper = models.take(sum(spans)), models.take(sum(spans))
    every = [a + 256 * b for a, b in zip(lower, upper, strict=True)]
    assert models.at == len(models.data)
    states = coded.numbers("u4", lanes).tolist()
    words = iter(coded.numbers("u2", (len(coded.data) - coded.at) // 2).tolist())
    out = []
    for size, shift, direct, first, span in zip(sizes, *rows[:3], spans, strict=True):
        assert shift < bits
        assert 1 <= direct <= 128
        assert first + span <= 2 * direct + 64
        frequencies, every = every[:span], every[span:]
        assert sum(frequencies) == 4096
        slots = [(first + i, f, place) for i, f in enumerate(frequencies) for place in range(f)]
        cells = low_bits(low, size, shift, bits)
        bits_of_tails, used = string(tails.data[tails.at :]), 0
        values = []
        for i in range(size):
            x = states[i % lanes]
            symbol, f, place = slots[x % 4096]
            if f < 4096:
                x = f * (x >> 12) + place
                states[i % lanes] = x if x >= 65536 else 65536 * x + next(words)
            q = symbol - direct
            if symbol >= 2 * direct:
                n = symbol - 2 * direct
                m = 2**n + (bits_of_tails >> used + 1) % 2**n + direct - 1
                q = -1 - m if bits_of_tails >> used & 1 else m
                used += n + 1
            values.append(wrap((q << shift) + cells[i], bits))
        tails.take((used + 7) // 8)
        out.append(values)
    assert states == [65536] * lanes
    assert next(words, None) is None
    assert tails.at == len(tails.data)
    assert low.at == len(low.data)
    return out


def low_bits(low: Bytes, size: int, shift: int, bits: int) -> list[int]:
    out: list[int] = []
    columns, word = 128 // bits, bits // 8
    while shift and size - len(out) >= 128:
        lattice = [low.take(word) for _ in range(columns * shift)]
        strings = [string(b"".join(lattice[c::columns])) for c in range(columns)]
        out += [(strings[i % columns] >> shift * (i // columns)) % 2**shift for i in range(128)]
    rest = string(low.take(((size - len(out)) * shift + 7) // 8)) if shift else 0
    return out + [(rest >> shift * i) % 2**shift for i in range(size - len(out))]


def tile(part: Bytes, dtype: np.dtype) -> np.ndarray:
    """Sections 5 to 8: samples (columns, steps)."""
    steps, columns = part.varint(), part.varint()
    if steps * columns == 0:
        return np.zeros((columns, steps), dtype)
    coding = part.u8()
    if coding == 0:
        return unpco(part.section(), steps * columns, dtype).reshape(columns, steps)
    bits = 64 if coding == 1 and dtype.itemsize == 8 else 32
    low = part.signed()
    high = low + part.varint()
    shift = part.u8() if coding == 1 else 0
    step = part.f64() if coding > 1 else 0.0
    offset = part.f64() if coding == 2 else 0.0
    signs = part.section() if coding == 2 else Bytes(b"")
    aside = part.section()
    plan = unzstd(part.section().rest())
    blocks = -(-steps // 256)
    codes = unpco(part.section(), columns * blocks, np.uint16).reshape(columns, blocks)
    lengths = [min(256, steps - 256 * b) for b in range(blocks)]
    count = part.varint()
    sizes = [sum(lengths[b] for row in codes for b in range(blocks) if row[b] == s + 1) for s in range(count)]
    streams = residuals(part, sizes, bits) if count else []

    marked = np.zeros(columns * steps, bool)
    words = np.zeros(columns * steps, f"u{dtype.itemsize}")
    if aside.data:
        runs = aside.varint()
        raw = unzstd(aside.rest())
        at = 0
        gaps, longs = raw.numbers("u4", runs).tolist(), raw.numbers("u4", runs).tolist()
        for gap, long, word in zip(gaps, longs, raw.numbers(words.dtype, runs), strict=True):
            at += gap
            marked[at : at + long], words[at : at + long] = True, word
            at += long
    marked = marked.reshape(columns, steps)

    kinds = list(plan.take(columns))
    firsts = plan.numbers(f"i{bits // 8}", columns).tolist()
    counts = list(plan.take(columns))
    total = sum(counts)
    lower, upper = plan.take(total), plan.take(total)
    references = [a + 256 * b for a, b in zip(lower, upper, strict=True)]
    lower, upper = plan.take(total), plan.take(total)
    weights = [wrap(a + 256 * b, 16) for a, b in zip(lower, upper, strict=True)]

    latents = np.zeros((columns, steps), np.int64)
    floats = np.zeros((columns, steps), np.float32)
    limit = np.float32(2.0**30 if bits == 32 else 2.0**62)
    used = 0
    places = [0] * count
    for j in range(columns):
        told = np.zeros(steps, np.float32)
        for c, w in zip(references[used : used + counts[j]], weights[used : used + counts[j]], strict=True):
            told = told + (np.float32(w) / np.float32(256)) * floats[c]
        if counts[j]:
            told = np.minimum(np.maximum(told + np.copysign(np.float32(0.5), told), -limit), limit)
        used += counts[j]
        r: list[int] = []
        for b in range(blocks):
            s = int(codes[j, b]) - 1
            r += [0] * lengths[b] if s < 0 else streams[s][places[s] : places[s] + lengths[b]]
            if s >= 0:
                places[s] += lengths[b]
        state = trend = 0
        value = firsts[j]
        innovations = np.zeros(steps, np.int64)
        for t in range(steps):
            e = 0 if marked[j, t] else wrap(r[t] + int(told[t]), bits)
            innovations[t] = e
            if kinds[j] == 255:
                if not marked[j, t]:
                    trend = wrap(trend + e, bits)
                    value = wrap(value + trend, bits)
                x = value
            else:
                x = wrap(firsts[j] + (state >> kinds[j]) + e, bits)
                state = wrap(state + e, 64)
            assert low <= x <= high
            latents[j, t] = x
        floats[j] = innovations.astype(np.float32)

    if coding == 1:
        out = []
        for x in latents.ravel().tolist():
            i = (x << shift) % (1 << bits)
            if x < 0 and dtype.kind == "f":
                i ^= (1 << bits - 1) - (1 << shift)
            out.append(i >> (16 if dtype.itemsize == 2 else 0))
        samples = np.array(out, f"u{dtype.itemsize}").view(dtype).reshape(columns, steps)
    elif coding == 2:
        samples = exp2(latents.astype(np.float64) * step + offset).astype(dtype)
        if signs.data:
            negative = np.unpackbits(np.frombuffer(unzstd(signs.rest()).data, np.uint8))[: samples.size]
            samples = np.where(negative.reshape(samples.shape), -samples, samples)
    else:
        samples = (latents.astype(np.float64) * step).astype(dtype)
    return np.where(marked, words.view(dtype).reshape(columns, steps), samples)


def text_names(raw: Bytes, count: int) -> list[str]:
    sizes = [raw.varint() for _ in range(count)]
    return [raw.take(size).decode("utf-8", "surrogateescape") for size in sizes]


def series(parts: list[tuple[int, Bytes]]) -> dict[str, Any]:
    assert parts[0][0] == 2
    meta = parts[0][1]
    dtype, columns, bound = DTYPES[meta.u8()], meta.varint(), meta.u8()
    error = meta.f64() if bound else None
    names = text_names(unzstd(meta.section().rest()), columns) if meta.u8() else None
    rows: list[np.ndarray] = []
    steps: list[np.ndarray] = []
    for kind, part in parts[1:]:
        if kind >= 64:
            continue
        assert kind == 3
        assert part.varint() == sum(map(len, steps))
        count = part.varint()
        how = part.u8()
        if how == 1:
            first, stride = part.signed(), part.signed()
            steps.append(np.array([first + stride * i for i in range(count)], np.int64))
        else:
            steps.append(unpco(part.section(), count, np.int64) if how == 2 else np.zeros(0, np.int64))
        tiles = [tile(part.section(), dtype) for _ in range(0, columns, 256)]
        rows.append(np.concatenate(tiles) if tiles else np.zeros((0, count), dtype))
    values = np.concatenate(rows, axis=1).T if rows else np.zeros((0, columns), dtype)
    return {
        "values": values,
        "names": names,
        "steps": [int(s) for part in steps for s in part],
        "bound": [bound, error],
    }


def sparse(part: Bytes) -> np.ndarray:
    code = part.u8()
    dtype = DTYPES[code] if code else np.dtype(bool)
    shape = [part.varint() for _ in range(part.varint())]
    entries, axis, total = part.varint(), part.u8(), math.prod(shape)
    kind = part.u8()
    if kind == 0:
        index = np.arange(total)
    elif kind == 1:
        size = part.u8()
        index = np.cumsum(unpco(part.section(), entries, f"u{size}").astype(np.int64) + 1) - 1
    else:
        bitmap = unzstd(part.section().rest()).data if kind == 2 else blocks_of_bytes(part, -(-total // 8))
        index = np.flatnonzero(np.unpackbits(np.frombuffer(bitmap, np.uint8)))
        assert len(index) == entries
        assert all(index < total)
    values: Any = True
    if code:
        tiles = [tile(part.section(), dtype)[0] for _ in range(0, entries, 1 << 19)]
        values = np.concatenate(tiles) if tiles else np.zeros(0, dtype)
    moved = shape[:axis] + shape[axis + 1 :] + shape[axis : axis + 1]
    flat = np.zeros(total, dtype)
    flat[index] = values
    return np.moveaxis(flat.reshape(moved), -1, axis) if shape else flat.reshape(())


def blocks_of_bytes(part: Bytes, size: int) -> bytes:
    blocks = -(-size // 32)
    codes = unpco(part.section(), blocks, np.uint16).tolist()
    count = part.varint()
    sizes = [32 * codes.count(s + 1) for s in range(count)]
    streams = [iter(stream) for stream in residuals(part, sizes, 32)] if count else []
    rows = [bytes(next(streams[c - 1]) + 128 for _ in range(32)) if c else bytes(32) for c in codes]
    return b"".join(rows)[:size]


def text(parts: list[tuple[int, Bytes]], dictionary: bytes) -> dict[str, Any]:
    lines, times, ranks = [], [], []
    for _, part in parts:
        count, flags = part.varint(), part.u8()
        assert part.u8() == 1
        templates = part.varint()
        raw = unzstd(part.section().rest(), dictionary)
        sizes = [[raw.varint() for _ in range(raw.varint())] for _ in range(templates)]
        pieces = [[raw.take(size) for size in row] for row in sizes]
        which = unpco(part.section(), count, np.uint32).tolist()
        integers = unzstd(part.section().rest())
        slots = []
        for at, row in enumerate(pieces):
            own = []
            for _ in row[1:]:
                value, column = 0, []
                for _ in range(which.count(at)):
                    value += integers.signed()
                    column.append(str(value)[1:].encode())
                own.append(iter(column))
            slots.append(own)
        for at in which:
            line = pieces[at][0]
            for column, piece in zip(slots[at], pieces[at][1:], strict=True):
                line += next(column) + piece
            lines.append(line)
        times += unpco(part.section(), count, np.int64).tolist() if flags & 1 else []
        ranks += unpco(part.section(), count, np.int64).tolist() if flags & 2 else []
    return {"text": b"".join(lines).decode("latin-1"), "times": times, "ranks": ranks}


def spans(parts: list[tuple[int, Bytes]]) -> list[list[Any]]:
    out = []
    for _, part in parts:
        count, words = part.varint(), part.varint()
        names = text_names(unzstd(part.section().rest()), words)
        name, track = (unpco(part.section(), count, np.uint32).tolist() for _ in range(2))
        start, duration = (unpco(part.section(), count, np.int64).tolist() for _ in range(2))
        out += [[names[n], s, d, names[t]] for n, s, d, t in zip(name, start, duration, track, strict=True)]
    return out


def bundle(parts: list[tuple[int, Bytes]], dictionary: bytes) -> list[list[Any]]:
    out = []
    for _, part in parts:
        pairs = [
            [part.section().rest().decode("utf-8", "surrogateescape") for _ in range(2)] for _ in range(part.varint())
        ]
        assert [key for key, _ in pairs] == sorted({key for key, _ in pairs})
        out.append([dict(pairs), json.loads(plain(part.rest(), dictionary))])
    return out


def plain(data: bytes, dictionary: bytes) -> str:
    """What a container holds, as canonical JSON: samples by the bits of their words."""
    content, parts = chunks(data)
    if content == 1:
        found = series(parts)
        values = found.pop("values")
        found |= {"shape": list(values.shape), "dtype": values.dtype.name, "words": words(values)}
        return json.dumps(found)
    if content == 2:
        tensor = sparse(parts[0][1])
        return json.dumps({"shape": list(tensor.shape), "dtype": tensor.dtype.name, "words": words(tensor)})
    if content == 5:
        return json.dumps(bundle(parts, dictionary))
    return json.dumps(text(parts, dictionary) if content == 3 else spans(parts))


def words(values: np.ndarray) -> list[int]:
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(f"u{flat.itemsize}").tolist()


if __name__ == "__main__":
    import sys

    print(plain(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else b""))
