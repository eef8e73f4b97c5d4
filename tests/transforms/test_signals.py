"""What lines say by themselves."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.transforms import reading
from tracewinnow.transforms.signals import COUNTED, hangs, look
from tracewinnow.transforms.words import BIT, NAMES


def said(text: str) -> set[str]:
    bits = look(text)
    return {name for name in NAMES if bits & BIT[name]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ValueError: bad shape", {"exception", "raised"}),
        ("torch.OutOfMemoryError: CUDA out of memory.", {"exception", "raised", "fatal"}),
        ("java.lang.IllegalStateException: no leader", {"exception", "raised"}),
        ("Caused by: java.lang.IllegalStateException: no leader", {"exception", "raised", "traceback"}),
        ('Exception in thread "main" java.lang.IllegalStateException: no leader', {"exception", "raised", "traceback"}),
        ("\tSuppressed: org.h2.JdbcException: closed", {"exception", "raised"}),
        ("    at com.example.Main.main(Main.java:12)", {"frame", "place", "indented"}),
        ('  File "/opt/a.py", line 3, in f', {"frame", "place"}),
        ("Traceback (most recent call last):", {"traceback"}),
        ("a.cc:3:10: error: expected ';'", {"error", "error_label", "place", "assertion"}),
        ("ERROR could not open shard 4", {"error", "error_label", "refusal"}),
        ("E0314 21:38:56.414000 9 api.py:869] failed (exitcode: 1)", {"error", "failed", "exit"}),
        ("Segmentation fault (core dumped)", {"fatal"}),
        ("# A fatal error has been detected by the Java Runtime Environment:", {"fatal", "raised"}),
        ("#  SIGSEGV (0xb) at pc=0x00007ff9d6cd430c, pid=29975, tid=29976", {"fatal", "raised"}),
        ("Fatal Python error: Segmentation fault", {"fatal", "raised"}),
        ("Out of memory: Killed process 12 (python)", {"fatal"}),
        ("--- FAIL: TestOpen (0.00s)", {"failed", "failed_loud", "failed_test"}),
        ("3 failed, 20 passed in 4.5s", {"failed", "summary", "passed"}),
        ("command exited with 1.", {"exit"}),
        ("##[error]Bash exited with code '1'.", {"exit", "error_label"}),
        ("[1]+  Exit 1   python train.py", {"exit"}),
        ("docs: exit 1 (11.95 seconds) /home/ci> sphinx-build", {"exit"}),
        ("gcc failed: (Exit 1): gcc failed: error executing command", {"exit"}),
        ("Exit code is 137", {"exit"}),
        ("+ exit 1", {"exit"}),  # of a shell that shows what it does
        ("exit code = [ 1 ]", {"exit"}),
        ("Exit value: 2", {"exit"}),
        ("ended with status 1", {"exit"}),
        ("ExitCode=0:9", {"exit"}),
        ("died with <Signals.SIGKILL: 9>.", {"exit"}),
        ("MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD with errorcode 1.", {"exit"}),
        ('{"event": "finished", "exit_code": 1, "error": null}', {"exit"}),
        ("process exited with code 1 (0 warnings)", {"exit"}),
        ("1 of 40 shards failed", {"summary"}),
        ("failed tasks: 3", {"summary"}),
        ("# fail 1", {"summary"}),
        ("Executed 3 out of 5 tests: 2 tests pass, 1 fails locally", {"summary"}),
        ("kept 0 of 100 rows", {"summary"}),
        ("/opt/run.sh: line 12: 48213 Killed                  python train.py", {"fatal", "exit"}),
        ("[1]+  Segmentation fault      (core dumped) ./train", {"fatal", "exit"}),
        ("srun: error: node01: task 3: Killed", {"fatal", "exit", "error_label"}),
        ("  exitcode  : -9 (pid: 1234)", {"exit"}),
        ("ptxas exited with non-zero error code 2", {"error", "exit"}),
        ("1 failure / 0 errors", {"failed", "summary"}),
        ("Non-zero status code returned while running Conv", {"exit"}),
        ("size of results (1024.3 MiB) is bigger than the limit", {"refusal"}),
        ("exiting at iteration 2500 due to the duration limit", {"refusal"}),
        ("The dataset contains no examples", {"refusal"}),
        ("Found 0 images belonging to 0 classes.", {"summary"}),
        ("a.go:12:8: ineffectual assignment", {"error_label", "place"}),
        ("service did not complete its start", {"refusal"}),
        ("[E] trainer: 12 tensors in the checkpoint", {"error_label"}),
        ("F external/xla/xla/service/hlo_verifier.cc:12] Check: x == y", {"error_label"}),
        ("Requested 8 GPUs but only 7 are visible", {"refusal"}),
        ("Node ip-10-0-0-1 status is now: NodeNotReady", {"refusal"}),
        ("straggler detected: rank 5 is 3.2x slower than the median", {"refusal"}),
        ('{"event": "job_end", "exit_code": 137}', {"exit"}),
        ("worker exit codes: {0: 0, 1: -9}", {"exit"}),
        ("StopIteration", {"exception", "raised"}),
        ("google.api_core.exceptions.NotFound: 404 GET", {"exception", "raised"}),
        ("socket.gaierror: [Errno -2] Name or service not known", {"raised", "refusal"}),
        ("terminate called after throwing an instance of 'std::bad_alloc'", {"raised", "fatal"}),
        ("bind: Address already in use", {"refusal"}),
        ("no CUDA-capable device is detected", {"refusal"}),
        ("rank 3 failed with exit code 137", {"failed", "exit"}),
        ("Task exited with return code Negsignal.SIGKILL", {"exit"}),
        ("worker exited with code 3221225477", {"exit"}),
        ("exit code 0xC0000005", {"exit"}),
        ("State=OUT_OF_MEMORY ExitCode=0:125", {"exit", "fatal"}),
        ("Abort trap: 6", {"exit"}),
        ("caught signal 11", {"exit"}),
        ("Allocator (GPU_0_bfc) ran out of pages", {"refusal"}),
        ("ZeroDivisionError: division by zero", {"raised", "refusal"}),
        ("make: *** No rule to make target 'x'.  Stop.", {"refusal"}),
        ("watchdog timeout on rank 3, heartbeat OK", {"timeout"}),
        ("number of nan iterations:   0", {"none"}),
        ("missing values: 0", {"none"}),
        ("0 Error(s)", {"none"}),
        ("3 passed, 0 failed", {"none"}),
        ("Can't locate Test/Fatal.pm in @INC", {"refusal"}),
        ("the file doesn't exist", {"refusal"}),
        ("make: *** [all] Error 2", {"verdict"}),
        ("collective operation timed out", {"timeout"}),
        ("step 812 loss nan grad_norm nan", {"nonfinite", "nan_value", "step"}),
        ("RESOURCE_EXHAUSTED: ran past the limit", {"status", "refusal"}),
        ("worker 3 sending SIGTERM, shutting down", {"teardown"}),
        ("E       assert 1 == 2", {"assertion", "caret"}),
    ],
)
def test_trouble(text: str, says: set[str]) -> None:
    assert says <= said(text)


@pytest.mark.parametrize(
    ("text", "not_said"),
    [
        ("compiling src/errors.js", {"error", "error_label"}),
        ("worker exit codes: {0: 0, 1: 0}", {"exit"}),
        ("rank 0 failed with exit code 1", {"none"}),
        ("ERROR TaskSetManager: Task 3 in stage 2.0 failed 4 times", {"none"}),
        ("AssertionError: False is not true", {"none"}),
        ("failed: 0/8 replicas ready", {"none"}),
        ("finished training with 8 GPUs", {"exit"}),
        ("HTTP status code: 200", {"exit"}),
        ("functions: line 524:  6340 Terminated              keep_alive", {"exit"}),
        ("val_loss improved from inf to 0.53421", {"nonfinite", "nan_value"}),
        ("train.loss: 2.31", {"place"}),
        ("validation error: 0.12", {"error", "error_label"}),
        ('return nil, errors.New("closed")', {"exception", "raised"}),
        ("● nginx.service - a web server", {"failed_test"}),
        ("$ export REPORT_EXIT_STATUS=1", {"exit"}),
        ("test_error_handling ... ok", {"error"}),
        ("0 failures, 0 errors", {"summary"}),
        ("process finished with exit code 0", {"exit"}),
        ("exit 5 workers", {"exit"}),
        ("    exit 1", {"exit"}),  # of a script that is shown
        ("+exit 1", {"exit"}),  # of a patch
        ("calls back with the return value: 19.45 ms", {"exit"}),
        ("finished with status '200'", {"exit"}),
        ('{"event": "finished", "exit_code": 1, "error": null}', {"none"}),
        ("process exited with code 1 (0 warnings)", {"none"}),
        ("40 succeeded, 0/40 failed", {"summary"}),
        ("0 of 40 failed", {"summary"}),
        ("0 out of 40 shards failed", {"summary"}),
        ("Retry attempt 1 of 1 after error: quota", {"summary"}),
        ("kept 5 of 100 rows", {"summary", "refusal"}),
        ("don't forget to push", {"refusal"}),
        ("number of nan iterations: 0", {"nan_value"}),
        ("loading info.txt", {"error", "failed", "fatal", "exception"}),
        ("gcc -Werror -c a.c", {"error"}),
        ("timeout: 1800", {"timeout"}),
        ("export TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC=600", {"timeout"}),
        ("max_errors: 10", {"summary"}),
        ("restartPolicy: OnFailure", {"exception"}),
        ("-- Performing Test HAVE_FLAG - Failed", {"failed"}),
        ("HEAD is now at 1a2b3c4 Fix crash on timeout error", {"fatal", "timeout", "error"}),
    ],
)
def test_what_only_looks_like_trouble(text: str, not_said: set[str]) -> None:
    assert not (not_said & said(text))


@pytest.mark.parametrize(
    "text",
    [
        "0/40 failed", "failed tasks: 0", "Number of failed shards: 0", "failed_tests=0", "error_count=0", "error(s): 0",
        "# fail 0", "exit value 0", "Exit value is 0", "exited with zero", "exited normally", "ExitCode=0:0",
        "returncode was 0", "exit code = [ 0 ]",
    ],
)  # fmt: skip
def test_that_nothing_went_wrong_is_seen(text: str) -> None:
    assert "none" in said(text)
    assert not {"exit", "summary"} & said(text)


NUMBERED = (
    "kept of rows exit code exited with status failed tests errors returned = : ( ) out of signal rc found images warnings"
    " 1 0 5 12 0.0 -9 /"
)


@given(st.lists(st.sampled_from(NUMBERED.split()), min_size=1, max_size=9), st.data())
@settings(max_examples=300)
def test_what_hangs_on_a_number_is_among_what_is_looked_at_again(words: list[str], data: st.DataObject) -> None:
    """What is remembered of a line is used for others of its shape, in which other digits stand."""
    line = " ".join(words)
    other = re.sub(r"\d", lambda _: str(data.draw(st.integers(0, 9))), line)
    if reading.shape_of(line) == reading.shape_of(other):
        assert look(line) & ~COUNTED == look(other) & ~COUNTED


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("kept 5 of 100 rows", "kept 0 of 100 rows"),
        ("process exited with code 0x0", "process exited with code 0x5"),
        ("2 found, 0 failed", "2 found, 3 failed"),
        ("max_failed=0.02 x=1", "max_failed=0.00 x=1"),
    ],
)
def test_that_a_line_hangs_on_its_numbers_is_known(line: str, other: str) -> None:
    assert look(line) != look(other)
    assert hangs(line, look(line))
    assert hangs(other, look(other))


@pytest.mark.parametrize(
    "part",
    [
        "a$",
        "A.",
        "a_",
        "x1.",
        "$",
        "exit ",
        "failed ",
        "(",
        "'",
        '"',
        "0 of ",
        "=",
        ": ",
        "[",
        "::",
        "\\",
        "a/",
        "-",
        "0x",
    ],
)
def test_no_line_takes_long(part: str) -> None:
    begun = time.process_time()
    look(part * (600 // len(part)))
    look("x" + part * (598 // len(part)) + "Error")
    assert time.process_time() - begun < 0.5


WRONG = set(NAMES[: NAMES.index("summary")])


@pytest.mark.parametrize(
    "text",
    [
        "  ✓ adds two numbers",
        "    [+] fails if the parameter is missing 119ms",
        "  ✓ unknown op throws error",
        "    √ fails on bad input",
        "ok 5 - right error",
        "[ RUN      ] errors: fails on zero: 7.38 ms OK",
        "[       OK ] Foo.FailsOnError (3 ms)",
        "--- PASS: TestError (0.00s)",
        "PASS test/error.test.js",
        "test_x.py::test_failed PASSED   [ 5%]",
        "test parser::fails_on_error ... ok",
        "checking whether the compiler fails... ok",
    ],
)
def test_the_name_of_a_test_that_passed_says_nothing(text: str) -> None:
    assert not (WRONG & said(text))
    assert "passed" in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "=== RUN   TestFailsOnError",
        "[ RUN      ] Foo.FailsOnError",
        "# Subtest: fatal error",
        "--- SKIP: TestParserError (0.00s)",
        "test_x.py::test_failed SKIPPED (no error known)",
    ],
)
def test_the_name_of_a_test_that_begins_or_is_skipped_says_nothing(text: str) -> None:
    assert not (WRONG & said(text))
    assert "passed" not in said(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[ RUN      ] errors: fails on zero: 7.38 ms FAIL", "failed_loud"),
        ("not ok 5 - right error", "failed_test"),
        ("test parser::fails ... FAILED", "failed_test"),
        ("error: the checksum is not OK", "error"),
        ("error: cannot pass ... broken", "error"),
        ("okay 5 errors", "error"),
        ("AssertionError: expected 404, got 200 OK", "exception"),
        ("    handler_test.go:33: expected status 404 Not Found, got 200 OK", "assertion"),
        ("error: expected OK (got 500)", "error"),
        ("FATAL: health probe failed, last state was OK", "fatal"),
        ("database consistency check failed: NOT OK", "failed"),
        ("panic: want FAILED, got PASSED", "fatal"),
        ("PASS: 12 FAIL: 3 ERROR: 1", "failed_loud"),
        ("  ✓ 12 passed, 3 failed", "failed"),
        ("[SKIPPED] deploy: build failed", "failed"),
        ("SKIPPED: restore failed, starting from scratch", "failed"),
        ("restore of shard 3 failed ... skipped", "failed"),
    ],
)
def test_what_is_no_test_that_passed_keeps_its_words(text: str, says: str) -> None:
    assert says in said(text)


def test_counts_of_nothing_are_said() -> None:
    assert "none" in said("0 failures, 0 errors")
    assert "none" in said("process finished with exit code 0")
    assert "none" in said("worker 3 finished with code 0")


def test_blank() -> None:
    assert said("") == said(" \t ") == {"blank"}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_signals(text: str) -> None:
    assert 0 < look(text) + 1 < 1 << (len(NAMES) + 1)


@pytest.mark.parametrize(
    "char", [*" |.a1/:=-_A(\"'+#~^\t", "a.", "1:", "A::", " |", "a/b:", "Error", "_-", "exit ", "0 ", "@:", "[1] + -"]
)
def test_no_line_makes_a_pattern_run_away(char: str) -> None:
    start = time.process_time()
    look(char * 50_000)
    look(char * (599 // len(char)) + "!")  # not cut, and no pattern may match it whole
    assert time.process_time() - start < 1  # measured: under 20 ms; a pattern that backtracks takes minutes


@pytest.mark.parametrize(
    "line", [" " * 580 + "exit", " " * 590 + "1", "[1]" + " +-" * 190, "1 |" + " ." * 290, "a@" + "b:" * 290]
)
def test_blanks_and_marks_before_a_word_cost_no_more_than_their_number(line: str) -> None:
    start = time.process_time()
    for _ in range(20):
        look(line)
    assert (
        time.process_time() - start < 0.4
    )  # measured: 20 ms; what tries each place with each other takes 400 and more
