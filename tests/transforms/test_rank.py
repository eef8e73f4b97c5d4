"""What lines have in common with others that say much the same."""

from __future__ import annotations

import pytest

from tracewinnow import winnow
from tracewinnow.transforms.rank import kind_of
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
    text = winnow("\n".join([*calm, *listed, *reason, "72 failed in 9.31s"]), budget=400).text
    assert "name does not resolve" in text
    assert "assert proxy.get('/port').status == 200" in text
    assert sum(line.endswith("FAILED") for line in text.splitlines()) >= 4
