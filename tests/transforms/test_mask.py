"""The kernel against the reference, and what the grammar promises."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import mask
from tracewinnow.transforms._mask import number

Masker = Callable[[bytes], bytes]


def kernel(data: bytes) -> bytes:
    """What the kernel makes of these bytes, be they one line or several."""
    index = dict[bytes, int]()
    number([data.decode("utf8", "surrogateescape")], index, np.empty(1, np.int64))
    [template] = index
    return template


MASKERS = [pytest.param(kernel, id="kernel"), pytest.param(mask.reference, id="reference")]

# Bytes around which the rules turn, so that random text meets them.
PIECES = st.sampled_from(
    [b"0x1f", b"/tmp/", b"deadbee1", b"550e8400-e29b-41d4-a716-446655440000", b"'a-1'", b'"', b"'", b"`", b"====", b"\n", b"\r",
     b"\t", b" ", b"\xc3\xa9", b"\x85", b"\x1c", b"a", b"f", b"g", b"_", b"Z9", b"7", b"1.5", b":", b"/", b",", b"-", b"+", b".",
     b"(", b"#####", b"x" * 23 + b"1", b"\x00", b"/usr/lib/", b"fe80::", b"::1", b"0a:1b:2c:3d:4e:5f", b"a1:", b"e-5", b"-1", b"E+"]
)  # fmt: skip
LOGS = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join))


@settings(max_examples=600, deadline=None)
@given(LOGS)
def test_kernel_and_reference_agree(data: bytes) -> None:
    assert kernel(data) == mask.reference(data)


@settings(max_examples=200, deadline=None)
@given(LOGS)
def test_lines_stay_lines_and_nothing_grows(data: bytes) -> None:
    masked = kernel(data)
    assert masked.count(b"\n") == data.count(b"\n")
    assert len(masked) <= len(data)


@pytest.mark.parametrize("masker", MASKERS)
@pytest.mark.parametrize(
    ("line", "template"),
    [
        (b"step 12 loss 0.25", b"step # loss #"),
        (b"2024-03-01T10:00:00.123Z up", b"#T#Z up"),
        (b"10.0.0.17:8080 refused", b"# refused"),
        (b"at 0x7fff12ab in f", b"at # in f"),
        (b"id 550e8400-e29b-41d4-a716-446655440000 gone", b"id # gone"),
        (b"commit deadbee1 of main", b"commit # of main"),
        (b"facade", b"facade"),  # hexadecimal letters alone are a word
        (b"open('/data/a-1.bin')", b"open('*')"),
        (b"KeyError: 'weight'", b"KeyError: 'weight'"),
        (b"don't do 'x y' 3", b"don't do 'x y' #"),
        (b'msg="connection refused"', b'msg="connection refused"'),
        (b"/tmp/tmpab12/x: gone", b"/tmp/*: gone"),
        (b"==========", b"==="),
        (b"  a \t b  ", b"a b"),
        (b"rank7 v100 sha256", b"rank# v# sha#"),
        (b"[rank3]: loss -0.5 lr 1e-05 scale 65536.0", b"[rank#]: loss # lr # scale #"),
        (b"range 3-5, node-7, a -4", b"range #, node-#, a #"),
        (b"1e5x 2.5e+3", b"#e#x #"),
        (b"fe80::42:acff:fe11:2 up", b"# up"),
        (b"[2001:db8::1]:8080", b"[#]:#"),
        (b"2001:db8:85a3:8d3:1319:8a2e:370:7348", b"#"),
        (b"ether 0a:1b:2c:3d:4e:5f", b"ether #"),
        (b"std::vector a1::of cafe::Bean", b"std::vector a#::of cafe::Bean"),
        (b"/home/ann/run4/train.py:12: bad", b"*/train.py:#: bad"),
        (b"/home/ann/run4/ckpt-900.pt", b"*/ckpt-#.pt"),
        (b"get https://example.com/a/b/c.whl", b"get https:*/c.whl"),
        (b"--out=../x/y/z and/or 5 tokens/s 3/4", b"--out=*/z and/or # tokens/s #"),
        (b"03/14/2024 21:38:56.123", b"# #"),
        (b"at Object.f (/srv/app/index.js:4:7)", b"at Object.f (*/index.js:#)"),
        (b"main.go:8 +0x1d -0x1 +deadbee1", b"main.go:# +# -# +#"),
        (b"", b""),
    ],
)
def test_templates(masker: Masker, line: bytes, template: bytes) -> None:
    assert masker(line) == template


@pytest.mark.parametrize("masker", MASKERS)
def test_masking_again_changes_nothing(masker: Masker) -> None:
    once = masker(b"rank 3: step 1,024 of 0xff at /tmp/a1/b 'x-9' ==== done in 3.5s\n\n  end ")
    assert masker(once) == once


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(LOGS.map(lambda data: data.decode("utf8", "surrogateescape")), st.text()), max_size=20))
def test_lines_are_numbered_by_their_templates(lines: list[str]) -> None:
    lines = [line.replace("\n", " ") for line in lines]
    try:
        raw = [line.encode("utf8", "surrogateescape") for line in lines]
    except UnicodeEncodeError:  # half a pair of surrogates, which no line of a log holds
        return
    index, numbers = {b"known": 0}, np.empty(len(lines), np.int64)
    number(lines, index, numbers)
    templates = [mask.reference(line) for line in raw]
    assert list(index) == list(dict.fromkeys([b"known", *templates]))
    assert numbers.tolist() == [index[template] for template in templates]


def test_as_many_numbers_as_lines() -> None:
    with pytest.raises(ValueError, match="places"):
        number(["a", "b"], {}, np.empty(1, np.int64))


@pytest.mark.parametrize("piece", [b"a::", b"a-", b"/a", b"-1a", b"0x", b"'", b"1.", b"ab:", b"e+1e"])
def test_time_is_linear(piece: bytes) -> None:
    def seconds(size: int) -> float:
        data = piece * (size // len(piece))
        start = time.process_time()
        kernel(data)
        return time.process_time() - start

    seconds(1 << 20)
    assert min(seconds(1 << 22) for _ in range(3)) < 40 * max(min(seconds(1 << 20) for _ in range(3)), 1e-3)
