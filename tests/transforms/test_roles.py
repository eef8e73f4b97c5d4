"""What part a line plays in a block."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracewinnow.transforms.mask import reference
from tracewinnow.transforms.roles import ENDS_IN_COLON, LABELLED, OPENS, ROLE, ROLES, STATES, TABLE, role_of


def named(line: str) -> str:
    return ROLES[role_of(reference(line.encode())) & 63][0]


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("", "blank"), ("==========", "rule="), ("step 4 loss 1.2", "text"), ("Traceback (most recent call last):", "header"),
        ('  File "/opt/app/my files/a.py", line 3, in f', "source_frame"), ("java.io.IOException: closed", "raised"),
        ("    at com.example.Main.main(Main.java:12)", "weak_frame"), ("#1  0x0000555 in main () at a.c:9", "frame"),
        ("goroutine 7 [running]:", "goroutine"), ("panic: closed", "panic"), ("thread 'main' panicked at src/a.rs:1:2:", "panic"),
        ("src/a/b.cc:3:10: error: expected ';'", "diag"), ("error[E0308]: mismatched types", "diag"), ("     |      ^", "caret"),
        ("  --> src/main.rs:4:18", "source"), (" 4 |     let x", "source"), ("E       assert 3 == 4", "assert"),
        ("--- FAIL: TestTotal (0.00s)", "test"), ("not ok 3 - adds", "test"), ("  Expected: 4", "expect"),
        ("@@ -1,4 +1,4 @@", "diff_head"),
        ("------ arguments ------", "text"), ("Caused by: java.net.ConnectException: refused", "caused"),
        ("at first it worked", "weak_frame"),
        ("srun: error: node1: task 3: Killed", "launcher"), ("RESOURCE_EXHAUSTED: out of memory", "raised"),
        ("==12==ERROR: AddressSanitizer: x", "crash"), ("Fatal Python error: Aborted", "crash"),
        ("node1:41:42 [3] net.cc:4 NCCL WARN connect failed", "collective"), ("}", "closer"), ("KeyboardInterrupt", "raised"),
    ],
)  # fmt: skip
def test_roles(line: str, role: str) -> None:
    assert named(line) == role


def test_what_logging_sets_before_a_message_is_told() -> None:
    role = role_of(reference(b"ERROR 05-01 10:11:12 [core.py:12] ValueError: bad:"))
    assert ROLES[role & 63][0] == "raised"
    assert role & LABELLED
    assert role & ENDS_IN_COLON
    assert not role_of(b"ValueError: bad") & LABELLED


def test_the_tables_fit() -> None:
    assert len(ROLES) <= LABELLED
    assert TABLE.max() < len(STATES)
    assert OPENS.max() < len(STATES)
    assert not TABLE[:, ROLE["blank"]].any()


@given(st.binary(max_size=300))
def test_any_template_has_a_role(template: bytes) -> None:
    assert role_of(template) & 63 < len(ROLES)


@pytest.mark.parametrize(
    "piece", [*" |.a1/:=-_A(\"'+#~^>@[", "a.", "A::", " |", "a/b:", "Error", "a - ", "x: ", "in ", "[a ", "E# ", "#:"]
)
def test_no_template_makes_a_pattern_run_away(piece: str) -> None:
    start = time.process_time()
    role_of((piece * 4000).encode())
    assert time.process_time() - start < 0.5


def test_patterns_name_no_group() -> None:
    assert all(not re.compile(pattern).groups for _, _, pattern in ROLES)
