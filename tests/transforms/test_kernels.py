"""The compiled kernels against the patterns that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import (
    _blocks,
    _labels,
    _lines,
    _mask,
    _signals,
    blocks,
    lines,
    patterns,
    reading,
    roles,
    signals,
    words,
)


def parts(joined: str) -> list[str]:
    return joined.split("~")


# What the patterns are made of, whole and in parts, at and beyond their limits, so that random lines meet every turn of them.
CLOCKS = parts(
    "10:00:00~2026-01-05~,~, ~2026/01/05~2026.01.05~01-05-2026~01/05/26~01-05~Jan ~Mon ~5~15~110:00:00~01-05-202610:00:00~"
    "01-05-2610:00:00~2026-01-05T10:00:00.123Z~Fri Jan 15 10:00:00 2026~.123~,123456~.1234567890~:12~Z~UTC~+01:00~"
    "-0800~ 2026~T~_~123.123456] ~[   12.123456] ~1234567890.5: ~1234567890 ~12345678901~<13>~<1>1 ~<13>1"
)
SENDERS = parts("host.a-b ~kernel: ~kernel:~sshd[123]: ~a/b(c)@d[1]:~app 123 ID47 - ~app 1 x [a b]")
SENDERS += [
    "h" * 64 + " p[1]: ",
    "h" * 65 + " p[1]: ",
    "h p 1 " + "s" * 32 + " - ",
    "h p 1 " + "s" * 33 + " - ",
    "h p 1 x [" + "s" * 200 + "]",
    "h p 1 x [" + "s" * 201 + "]",
]
RANKS = parts(
    "[rank 0]: ~[rank12]~[RANK 3] ~[default0]:~[rank123456]~[3]~[3]:x~[3]: ~[3]::~[1,0]<stdout>: ~[1,12345]<stderr>:~"
    "0: ~12345: ~123456: ~#12 3.456 ~#1 2.3~#12345 1.2 ~"
    "(main pid=12) ~(pid=1, ip=2)~(ip=)~(_a1 ip=x) ~[pod/a/b] ~[pod/]~[pod/a b] ~worker-0  | x~"
    "worker_1 |~web-12 ||~a.b/c-9999 | ~trainer_123456 | "
)
RANKS += [
    "a" * 100 + "-1 | ",
    "a" * 101 + "-1 | ",
    "(pid=" + "b" * 60 + ") ",
    "(pid=" + "b" * 61 + ") ",
    "[pod/" + "c" * 200 + "] ",
    "[pod/" + "c" * 201 + "]",
]
MARKS = parts(" ~  ~\t~-~ - ~|~ | ~:~: ~[~]~(~)~<~>~\x00~\x0b~\x1f~\xe9~\u0663~\u2003~INFO~word~A~a~0~12")
LABELS = parts(
    "a.b~trainer~INFO~WARN~WARNING~ERROR~DEBUG~TRACE~NOTICE~FATAL~CRITICAL~SEVERE~ 01-05~ 10:00:00~ 2026-01-05,1~ [~"
    "a/b*c.py~:12~]: ~] ~ | ~\t| ~x.<y>:z~:a.b:~I0102~W12~ 10:00:00.1~ 42~file.py:1] ~[main,x #1] ~[~stderr: ~stderr:~"
    "{a.py:12} ~{~:12}~"
    "+ ~+~INFO - ~I ~E ~12:3~:12] ~:12]: "
)
LABELS += [
    "n" * 60 + " - INFO - ",
    "n" * 61 + " - INFO - ",
    "c" * 80 + ":1] ",
    "c" * 81 + ":1] ",
    "c" * 120 + ":1] ",
    "c" * 121 + ":1] ",
    "[" + "d" * 80 + "] ",
    "[" + "d" * 81 + "] ",
    "e" * 120 + " - ",
    "e" * 121 + " - ",
    "INFO:" + "f" * 60 + ":",
    "INFO:" + "f" * 61 + ":",
]
WORDS = parts("error~Failed!~FOO_BAR~E0101~nan~CUDA_ERROR_X~/a/b.c~1.2.3~v1.2~1..2.3~.~..~=~\\~#~+~-1.5~\n")
WORDS += ["x" * 450, "7" * 200]


COMPILED = {
    "transforms._blocks": _blocks,
    "transforms._labels": _labels,
    "transforms._lines": _lines,
    "transforms._mask": _mask,
    "transforms._signals": _signals,
}


def made_of(*parts: list[str]) -> st.SearchStrategy[str]:
    """Lines of these parts, some with a character changed."""
    joined = st.lists(st.sampled_from([part for some in parts for part in some]), max_size=9).map("".join)
    changed = st.tuples(joined, st.integers(0, 200), st.sampled_from(" 019-:.,[]()<>|TZa\t/\x00")).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
    )
    return st.one_of(joined, changed)


def behind(line: str, pattern: re.Pattern[str]) -> str:
    found = pattern.match(line)
    return line[found.end() :] if found else line


@settings(max_examples=600, deadline=None)
@given(made_of(CLOCKS, SENDERS, RANKS, MARKS))
def test_what_stands_before_a_line(line: str) -> None:
    assert _lines.without_own([line], lines.OWN.match) == [behind(line, lines.OWN)]


@settings(max_examples=600, deadline=None)
@given(made_of(LABELS, MARKS))
def test_what_logging_sets_before_a_message(line: str) -> None:
    assert _labels.without_label([line], roles.LINE_LABEL.match) == [behind(line, roles.LINE_LABEL)]


@settings(max_examples=300, deadline=None)
@given(made_of(WORDS, MARKS, CLOCKS).map(lambda text: "".join(c for c in text if c.isascii())))
def test_words_and_shapes(text: str) -> None:
    bits = 0
    for word in words.WORD.findall(text):
        bits |= words._words[word]
    assert _signals.words(text, words._words) == bits
    assert _signals.version(text) == (patterns.VERSION.search(text) is not None)
    shape = signals.ends(text).encode().translate(reading.DIGITS)
    assert _signals.shape(text, signals.LOOKED_AT, signals.TAIL) == shape


RAW = st.lists(
    st.one_of(
        st.text(alphabet="ab \r\n\x1b[0mK2;:T-Z]\t\x08", max_size=30),
        made_of(
            CLOCKS,
            RANKS,
            [
                "\t",
                "\ufeff",
                "a\tb\t2026-01-05T10:00:00Z ",
                "Z stdout F ",
                '{"log":"a\\u001b[1mb\\n","stream":"stdout","time":"x"}',
                "x" * 4100,
            ],
        ),
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(RAW)
def test_lines_that_are_shown_as_they_came_need_no_look(raw: list[str]) -> None:
    assert lines.visible(raw) == lines.cleaned(raw)


@settings(max_examples=300, deadline=None)
@given(st.lists(made_of(WORDS, LABELS, RANKS), max_size=12))
def test_a_log_is_read_alike_by_both(raw: list[str]) -> None:
    raw = [line.replace("\n", " ") for line in raw]
    with pytest.MonkeyPatch.context() as patch:
        found = read_with(patch, raw, COMPILED.__getitem__)
        assert found == read_with(patch, raw, lambda name: None)


def read_with(patch: pytest.MonkeyPatch, raw: list[str], kernel: Callable[[str], object]) -> tuple[object, ...]:
    """What is read of a log where `kernel` says what is compiled."""
    for module, name in (
        (lines, "kernel"),
        (signals, "kernel"),
        (words, "kernel"),
        (reading, "kernel"),
        (blocks, "compiled_kernel"),
    ):
        patch.setattr(module, name, kernel)
    reading._known.clear()
    one = reading.read(raw)
    return (
        one.shown,
        one.templates,
        one.names.tolist(),
        one.view.bits.tolist(),
        one.view.block.tolist(),
        one.view.rank.tolist(),
    )


INTRO = parts(
    "a.h: required from here~x: In instantiation of 'f'~instantiated from here~x <<< FAILURE!~<<< ERROR~required~"
    "required by substitution of~test <<< ERROR"
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from([part.encode() for part in INTRO]), st.binary(max_size=12)), max_size=5).map(
        b" ".join
    )
)
def test_the_shorter_pattern_of_roles_gives_the_same(template: bytes) -> None:
    found = roles._PATTERN.match(template[:600])
    number = int(found.lastgroup[1:]) if found and found.lastgroup else 0
    assert roles.role_of(template) & 63 == number
