"""Bytes to lines, lines to what is shown and what is judged."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracewinnow
from tracewinnow.transforms import lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_encodings_are_known(encoding: str) -> None:
    text = "first line\nError: größer als 5\n" * 20
    assert lines.decode(text.encode(encoding))[0] == text


def test_an_encoding_that_is_not_utf8_is_said() -> None:
    assert lines.decode("x\n".encode("utf-16"))[1] == "decoded from UTF-16"
    assert lines.decode(b"plain")[1] == ""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_decode(data: bytes) -> None:
    text, note = lines.decode(data)
    if not note and not data.startswith(b"\xef\xbb\xbf"):
        assert text.encode("utf8", "surrogateescape") == data


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("\n", 1), ("a", 1), ("a\n", 1), ("a\r\nb", 2), ("a\n\nb\n", 3), ("a\rb\n", 1)]
)
def test_line_numbers(text: str, count: int) -> None:
    assert len(lines.split(text)) == count


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="ab \r\n\x1b[0mK2;:T-Z]\t", max_size=30), max_size=8))
def test_as_many_lines_are_shown_and_judged_as_came(raw: list[str]) -> None:
    shown = lines.visible(raw)
    if raw:
        assert len(shown) == len(raw) == len(lines.judged(shown))
    assert not any("\n" in line for line in shown)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b(Bplain\x1b[m", "plain"),
        ("2024-05-01T10:11:12.1234567Z Error: x", "Error: x"),
        ("build\trun\t2024-05-01T10:11:12Z Error: x", "Error: x"),
        ("2024-05-01 10:11:12,123 ERROR x", "2024-05-01 10:11:12,123 ERROR x"),  # the program's own, so evidence
        ("  5%|#   |\r 50%|##  |\r100%|####|", "100%|####|"),
        ("section:12\r\x1b[0KERROR: job failed", "ERROR: job failed"),
        ("old\x1b[2K\rnew", "new"),
        ("downloading\rError: refused", "downloading Error: refused"),
        ("ends in one\r", "ends in one"),
        ("2024-05-01T10:11:12.123456789Z stdout F Error: x", "Error: x"),
        ("2024-05-01T10:11:12.123456789+02:00 stderr P   indented", "  indented"),
        ("2024-05-01T10:11:12.123456Z 00O+Error: x", "Error: x"),
        ("2024-05-01T10:11:12.123456Z 01E Error: x", "Error: x"),
        ('{"log":"Error: \\"x\\" \\u00e9\\n","stream":"stderr","time":"2024-05-01T10:11:12.1Z"}', 'Error: "x" é'),
        ('{"log":"cut', '{"log":"cut'),
        ("section_start:1714558272:step[collapsed=true]\r\x1b[0K$ make", "$ make"),
        ("section_end:1714558272:step\r\x1b[0K", "section_end:1714558272:step"),
        ("travis_fold:start:install\r\x1b[0Ktravis_time:start:0a1b\r\x1b[0K$ make", "$ make"),
        ("\x1b_bk;t=1714558272123\x07Error: x", "Error: x"),
        ("Ошибка: нет памяти\rПрогресс 50%", "Ошибка: нет памяти Прогресс 50%"),
        ("\x1b]0;build\x07ok", "ok"),
        ("\x1b]ERROR: no end", "ERROR: no end"),
        (" 1/9 [>..]\x08\x08\x08\x08 2/9 [=>.]\x08\x08\x08\x08 9/9 [===]", " 9/9 [===]"),
    ],
)
def test_what_is_shown(raw: str, shown: str) -> None:
    assert lines.visible([raw]) == [shown]


@pytest.mark.parametrize(
    "stamp",
    [
        "2024-05-01 10:11:12,123 ", "2024-05-01T10:11:12+02:00 ", "[2024-05-01 10:11:12] ", "[rank7]: ", "[default3]:", "10:11:12 ",
        "[1,3]<stderr>: ", "3: ", "May  1 10:11:12 ", "(worker pid=12, ip=10.0.0.1) ", "[2024-05-01 10:11:12][rank2]: ",
        "[2024-05-01T10:11:12.123Z] ", "10:11:12  ", "May  1 10:11:12 node7 trainer[41]: ", "<34>May  1 10:11:12 n trainer[41]: ",
        "<165>1 2024-05-01T10:11:12.003Z node7 trainer 41 ID47 - ", "May  1 10:11:12 node7 kernel: ", "[  12.345678] ", "[3] ",
        "12: ", "web-1  | ", "[pod/trainer-0/main] ", "2024-05-01 10:11:12 - ",
    ],
)  # fmt: skip
def test_stamps_and_ranks_are_shown_but_not_judged(stamp: str) -> None:
    line = stamp + "ValueError: bad"
    assert lines.visible([line]) == [line]
    assert lines.judged([line]) == ["ValueError: bad"]


def test_a_long_line_keeps_head_and_tail_and_says_how_much_is_gone() -> None:
    shown = lines.visible(["a" * 100_000 + "END"])[0]
    assert len(shown) < lines.LONGEST + 100
    assert shown.startswith("aaa")
    assert shown.endswith("END")
    assert f"{100_003 - lines.LONGEST} characters" in shown


def test_a_line_end_inside_a_line_moves_no_number() -> None:
    assert lines.visible(["a\nb", "c"]) == ["a b", "c"]


def test_what_was_shortened_before_is_counted_once_more_it_is_shortened() -> None:
    line = "ERROR blob: " + " ".join(f"w{i}" for i in range(20_000))
    once = lines.visible([line])[0]
    twice = lines.shorten(once, 200, 120)
    mark = re.search(r" …\[(\d+) characters\]… ", twice)
    assert mark is not None
    assert int(mark[1]) == len(line) - (len(twice) - len(mark[0]))


@pytest.mark.parametrize("half", ["\\ud83d", "\\udce9", "\\ud83d\\ude00 \\ude00"])
def test_half_a_pair_in_a_record_of_docker_does_no_harm(half: str) -> None:
    record = '{"log":"ERROR ' + half + ' boom\\n","stream":"stderr","time":"2024-05-01T10:11:12.1Z"}'
    text = tracewinnow.winnow(f"start\n{record}\n", budget=100).text
    assert "ERROR" in text
    assert "boom" in text


def test_text_and_a_query_with_half_a_pair_are_read() -> None:
    assert "boom" in tracewinnow.winnow("ERROR \ud83d boom\n", budget=100, query="caf\udce9 \ud83d").text


STAMP = "2026-01-02T03:04:05Z "


def test_job_and_step_are_a_carriers_where_most_lines_have_them() -> None:
    rows = [f"build\trun\t{STAMP}Error: {i}" for i in range(5)]
    other = ["plain", "also plain", "", " "]
    assert lines.visible([*rows, *other]) == [*(f"Error: {i}" for i in range(5)), *other]
    few = [*rows, *["plain"] * 5]
    assert lines.visible(few) == few


def test_a_message_with_tabs_before_a_time_stamp_is_shown_whole() -> None:
    said = f"CUDA out of memory on rank 3\tdevice 0\t{STAMP}giving up"
    for before in ("INFO\ttrainer", "trainer\tmain", f"{STAMP}x\ty"):
        assert lines.visible([*(f"{before}\t{STAMP}epoch {i}" for i in range(5)), said])[-1] == said
    levels = [f"{level}\ttrainer\t{STAMP}epoch" for level in ("INFO", "Error", "warning")]
    assert lines.visible(levels) == levels


@pytest.mark.parametrize("length", [100_000, 1_000_000])
def test_a_mark_is_not_cut_in_two_where_a_line_is_shortened_again(length: int) -> None:
    line = "error: " + " ".join(f"w{i}" for i in range(length // 4))
    once = lines.visible([line])[0]
    place = once.index(" …[")
    for head in range(place - 4, place + 44):
        for tail in (200, len(once) - head - 45, min(len(once) - place - 20, len(once) - head - 1)):
            twice = lines.shorten(once, head + tail, head)
            marks = re.findall(r" …\[(\d+) characters\]… ", twice)
            rest = re.sub(r" …\[\d+ characters\]… ", "", twice)
            assert "characters" not in rest
            assert len(rest) + sum(map(int, marks)) == len(line)
