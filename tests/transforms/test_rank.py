"""What lines have in common with others that say much the same."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow import winnow
from tracewinnow.transforms.rank import CROWD, CROWDED, background, crowd, kind_of
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.signals import look


def kind(line: str) -> bytes:
    return kind_of(line.encode(), look(line))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("test_ipv6.py::test_webA FAILED", "tests/http/test_host.py::test_b FAILED"),
        ("--- FAIL: TestOpen (0.00s)", "--- FAIL: TestClose (0.10s)"),
        ("test a::b ... FAILED", "FAILED tests/test_a.py::test_c - KeyError: 1"),
        ("skip test of parsers", "skip test of writers"),
    ],
)
def test_lines_that_say_much_the_same_are_of_one_kind(one: str, other: str) -> None:
    assert kind(one) == kind(other)


def test_others_are_of_another_kind() -> None:
    lines = ["KeyError: 'name'", "error: no such file", "test_ipv6.py::test_webA FAILED", "skip test of parsers", ""]
    assert len({kind(line) for line in lines}) == len(lines)


def test_a_long_line_has_a_short_kind() -> None:
    assert len(kind("x" * 100_000)) <= 200


def test_a_list_of_failed_tests_leaves_room_for_why_they_failed() -> None:
    listed = [f"tests/{name}/test_{name}.py::test_{name}_{n} FAILED" for name in "abcdefgh" for n in range(9)]
    reason = [
        "    def test_a_1(proxy):",
        ">       assert proxy.get('/port').status == 200",
        "E       ConnectionError: web1.local: name does not resolve",
        "tests/a/test_a.py:14: ConnectionError",
    ]
    calm = [f"collected module {n} of the project in {n * 7} ms" for n in range(300)]
    text = winnow("\n".join([*calm, *listed, *reason, "72 failed in 9.31s"]), budget=450).text
    assert "name does not resolve" in text
    assert "assert proxy.get('/port').status == 200" in text
    assert sum(line.endswith("FAILED") for line in text.splitlines()) >= 4


def traceback(frames: list[str]) -> list[str]:
    return [
        line for frame in frames for line in (f'  File "{frame}", line 12, in call', "    return fn(x)", "    ^^^^^")
    ]


def test_frames_of_libraries_are_told_with_their_source() -> None:
    here, there = "/home/me/train.py", "/opt/venv/lib/python3.11/site-packages/torch/nn/modules/module.py"
    lines = ["Traceback (most recent call last):", *traceback([here, there, here]), "ValueError: bad shape", "step 12"]
    assert np.flatnonzero(background(read(lines))).tolist() == [4, 5, 6]
    lines = ["Traceback (most recent call last):", f'  File "{there}", line 1, in f', *traceback([here]), "KeyError: 1"]
    assert np.flatnonzero(background(read(lines))).tolist() == [1]


@pytest.mark.parametrize(
    ("line", "library"),
    [
        ("\tat java.base/java.util.ArrayList.forEach(ArrayList.java:1511)", True),
        ("\tat org.junit.platform.launcher.Main.main(Main.java:12)", True),
        ("\tat com.example.Train.main(Train.java:12)", False),
        ("    at Module._compile (node:internal/modules/cjs/loader:1554:14)", True),
        ("    at add (/home/me/app/index.js:3:9)", False),
        ("\t/usr/local/go/src/testing/testing.go:2802 +0x354", True),
        ("\t/home/me/cron/cron.go:263 +0x4df", False),
    ],
)
def test_frames_of_libraries_in_other_languages(line: str, library: bool) -> None:
    assert background(read([line])).tolist() == [library]


def test_amid_a_deep_stack_frames_say_little() -> None:
    deep = [f"\tat com.example.Step{n}.run(Step{n}.java:{n})" for n in range(11)]
    lines = ["java.io.IOException: gone", *deep, "Caused by: java.net.SocketException: reset", *deep[:5]]
    assert np.flatnonzero(background(read(lines))).tolist() == [5, 6, 7]
    lines = [
        "Traceback (most recent call last):",
        *traceback([f"/home/me/{name}.py" for name in "abcdefghi"]),
        "KeyError: 1",
    ]
    assert np.flatnonzero(background(read(lines))).tolist() == [13, 14, 15]


def test_no_frames() -> None:
    assert not background(read(["a", "b"])).any()
    assert len(background(read([]))) == 0


def test_of_a_deep_traceback_the_own_frames_and_the_reason_stand() -> None:
    library = [f"/opt/venv/lib/python3.11/site-packages/frame_{n}/loop.py" for n in range(30)]
    own = ["/home/me/train.py", "/home/me/model.py"]
    calm = [f"read part {n} of the table in {n * 7} ms" for n in range(300)]
    lines = [
        *calm,
        "Traceback (most recent call last):",
        *traceback([*own[:1], *library, *own[1:]]),
        "KeyError: 'income'",
    ]
    text = winnow("\n".join(lines), budget=250).text
    assert all(f'File "{name}"' in text for name in own)
    assert "KeyError: 'income'" in text


def test_among_many_that_fail_alike_the_one_that_says_more_stands_first() -> None:
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}ek" for i in range(3000)]
    lines = [f"{word} failed" for word in words]
    lines.insert(1700, "RuntimeError: shard seven is gone")
    loss = crowd(read(lines).view)
    assert loss[1700] == 0
    assert loss[0] == pytest.approx(CROWDED * np.log2(3000 / CROWD), abs=0.01)
    assert "RuntimeError: shard seven is gone" in winnow("\n".join(lines), budget=60).text


def test_a_few_that_fail_alike_lose_nothing() -> None:
    assert not crowd(read([f"{chr(97 + i)}ek failed" for i in range(26)]).view).any()
    assert not crowd(read([f"{chr(97 + i % 26)}{chr(97 + i // 26)}ek built" for i in range(600)]).view).any()
    assert crowd(read([]).view).shape == (0,)


def test_a_long_line_that_says_the_cause_is_shown_shortened() -> None:
    cause = "ERROR CUDA out of memory: " + "tried to allocate some more of it, " * 90
    log = "\n".join([*(f"step {i} of 200" for i in range(200)), cause, "done with the cleanup"])
    for budget in (60, 120, 200):
        assert "ERROR CUDA out of memory" in winnow(log, budget).text
