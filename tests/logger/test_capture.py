"""What a job prints, by whatever way, is passed on unchanged and recorded; also when shippers are killed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tracewinnow.logger import session
from tracewinnow.logger import spool as segments
from tracewinnow.logger.sync import sync
from tracewinnow.schemas import telemetry_pb2 as pb

Job = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_every_way_of_printing(job: Job, spool: Any) -> None:
    done = job(
        """
import ctypes, os, subprocess, sys
print("by print")
sys.stderr.write("by stderr\\n")
sys.stdout.flush()
os.write(1, b"by write\\n")
ctypes.CDLL(None).puts(b"by puts")
subprocess.run(["sh", "-c", "echo by a child; echo by its stderr >&2"])
os.write(2, b"not utf-8: \\xff\\xfe\\n")
print("no line end", end="")
"""
    )
    assert done.returncode == 0
    assert set(done.stdout.split(b"\n")) == {b"by print", b"by write", b"by puts", b"by a child", b"no line end"}
    assert done.stderr == b"by stderr\nby its stderr\nnot utf-8: \xff\xfe\n"
    assert set(spool.lines(pb.STREAM_STDOUT)) == {b"by print", b"by write", b"by puts", b"by a child", b"no line end"}
    assert spool.lines(pb.STREAM_STDERR) == [b"by stderr", b"by its stderr", b"not utf-8: \xff\xfe"]


def test_megabytes_pass_unchanged(job: Job, spool: Any) -> None:
    done = job("for n in range(100_000): print(n, 'x' * 50)")
    expected = b"".join(b"%d %b\n" % (n, b"x" * 50) for n in range(100_000))
    assert done.stdout == expected
    assert b"\n".join(spool.lines(pb.STREAM_STDOUT)) + b"\n" == expected


@pytest.mark.parametrize(
    ("setup", "streams"),
    [
        # A handler prints to stderr: once, as the printed line.
        ("logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')", [pb.STREAM_STDERR]),
        # A handler writes to a file: from the record.
        ("logging.basicConfig(level=logging.INFO, filename='/dev/null')", [pb.STREAM_LOGGING]),
        # No handler: INFO is printed by nobody; the record is kept, and logging is as it was.
        ("logging.getLogger().setLevel(logging.INFO)", [pb.STREAM_LOGGING]),
        # A filter may drop what the handler prints: rather twice than not at all.
        (
            "h = logging.StreamHandler(); h.addFilter(lambda r: False); logging.basicConfig(level=logging.INFO, handlers=[h])",
            [pb.STREAM_LOGGING],
        ),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_log_record_is_recorded_once(job: Job, spool: Any, setup: str, streams: list[int], late: bool) -> None:
    code = "import logging\nlogging.getLogger('my.module').info('the %s message', 'only')"
    if late:
        job(f"import logging\n{setup}\n{code}")
    else:
        job(code, setup=f"import logging\n{setup}")
    found = [event.log for event in spool.events("log") if b"only message" in event.log.text]
    assert [log.stream for log in found] == streams
    if streams == [pb.STREAM_LOGGING]:
        assert (found[0].level, found[0].logger, found[0].text) == (20, "my.module", b"the only message")


@pytest.mark.parametrize("capture", [False, True])
def test_a_log_record_that_nobody_can_print(job: Job, spool: Any, capture: bool) -> None:
    """Arguments that do not fit, and a handler that is given a record and keeps it: both are told from here."""
    done = job(
        """
import logging
class FirstRank(logging.StreamHandler):
    def emit(self, record): pass
log = logging.getLogger("my.module")
log.propagate = False
log.addHandler(logging.NullHandler())
log.error("loss is %d at %s", "nan")
log.addHandler(FirstRank())
log.error("rank 1 has no peer")
print("dropped", run.dropped)
""",
        capture=capture,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"dropped 0\n", b"")
    assert spool.lines(pb.STREAM_LOGGING) == [b"loss is %d at %s ('nan',)", b"rank 1 has no peer"]


def test_a_warning_without_handlers_is_printed_as_before(job: Job, spool: Any) -> None:
    done = job("import logging; logging.getLogger('x').warning('last resort')")
    assert done.stderr == b"last resort\n"
    assert spool.lines() == [b"last resort"]


def test_without_capture_records_and_exceptions_are_kept(job: Job, spool: Any) -> None:
    done = job(
        """
import logging, threading
logging.warning("a warning")
def work(): raise ValueError("in a thread")
thread = threading.Thread(target=work); thread.start(); thread.join()
print("not recorded")
""",
        capture=False,
    )
    assert done.stdout == b"not recorded\n"
    lines = spool.lines(pb.STREAM_LOGGING)
    assert lines[0] == b"a warning"
    assert b"ValueError: in a thread" in lines[1]
    assert len(lines) == 2
    assert spool.events("crash") == []


def test_the_output_is_restored(job: Job, spool: Any) -> None:
    done = job(
        "print('before', flush=True); run.finish(); print('after', flush=True); import os; os.system('echo child')"
    )
    assert done.stdout == b"before\nafter\nchild\n"
    assert spool.lines(pb.STREAM_STDOUT) == [b"before"]


def test_a_process_inside_does_not_capture_again(job: Job, spool: Any) -> None:
    start = f"import tracewinnow.logger as l; run = l.start(job='inner', spool={str(spool.path)!r})"
    inner = f"{start}; print('inner print'); run.log('inner log')"
    done = job(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])")
    assert done.stdout == b"inner print\n"
    assert sorted(spool.lines()) == [b"inner log", b"inner print"]


def test_a_child_that_outlives_the_job_keeps_its_output(job: Job, spool: Any) -> None:
    began = time.monotonic()
    done = job("import subprocess; subprocess.Popen(['sh', '-c', 'sleep 3; echo late; echo later'])\nprint('job')")
    assert done.stdout == b"job\nlate\nlater\n"  # no SIGPIPE
    assert time.monotonic() - began > 3
    assert b"later" in spool.lines(pb.STREAM_STDOUT)


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_a_closed_standard_output(job: Job, spool: Any, closed: tuple[int, ...], capture: bool) -> None:
    """No file of ours gets its number: native code would print into it."""
    code = """
run.log("before")
for fd in (1, 2): os.write(fd, b"printed\\n")
run.log("after")
for name in os.listdir("/proc/self/fd"):
    assert int(name) > 2 or run.job and "spool" not in os.readlink(f"/proc/self/fd/{name}")
"""
    done = job(code, setup=f"import os\nfor fd in {closed}: os.close(fd)", capture=capture)
    assert done.returncode == 0
    printed = b"printed\n"
    assert (done.stdout, done.stderr) == (b"" if 1 in closed else printed, b"" if 2 in closed else printed)
    assert spool.lines(pb.STREAM_API) == [b"before", b"after"]
    assert len(spool.lines()) == (4 if capture else 2)
    assert len(spool.events("stop")) == 1


@pytest.mark.parametrize("times", [1, 5])
def test_killed_shippers_harm_nobody(start_job: Callable[..., Any], spool: Any, times: int) -> None:
    """The job prints and logs through the death of its shipper: no EPIPE, no stop, every line on its way and recorded."""
    lines = 3000
    process = start_job(
        f"""
import sys, time
for number in range({lines}):
    print("printed", number); run.log(f"logged {{number}}")
    if not number % 10: time.sleep(0.005)
sys.stdout.flush()
"""
    )
    os.set_blocking(process.stdout.fileno(), True)
    killed: set[int] = set()
    until = time.monotonic() + 20
    while len(killed) < times and process.poll() is None and time.monotonic() < until:
        for pid in set(spool.shippers(begun=True)) - killed:
            time.sleep(0.3)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.02)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert killed
    spool.settle()
    list(sync(spool.path))
    assert spool.lines(pb.STREAM_API) == [b"logged %d" % number for number in range(lines)]
    printed = stdout.split(b"\n")[:-1]
    # A shipper may be killed between recording a chunk and passing it on: at most that chunk is not on the terminal.
    assert len(printed) >= lines - 2000 * len(killed)
    whole = (re.fullmatch(rb"printed (\d+)", line) for line in spool.lines(pb.STREAM_STDOUT))
    recorded = [int(line[1]) for line in whole if line]
    # Or between reading a chunk and recording it, which is a matter of microseconds: that chunk alone is lost, nothing is doubled.
    assert all(a < b for a, b in itertools.pairwise(recorded))
    reached = lines if times == 1 else recorded[-1] + 1  # replaced once, capturing goes on; after the last one it ends
    assert len(recorded) >= reached - 2000 * len(killed)
    assert sum(b - a > 1 for a, b in zip([-1, *recorded], [*recorded, reached], strict=True)) <= len(killed)
    assert len(spool.events("stop")) == 1
    assert spool.events("crash") == []


# A native thread that waits for a person at the keyboard, and one that keeps a stream for itself.
IN_GETCHAR = "os.dup2(os.pipe()[0], 0); hold = libc.getchar"
HOLDS_STDERR = """
def hold():
    libc.flockfile(ctypes.c_void_p.in_dll(libc, "stderr"))
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("hold", "end"),
    [
        (IN_GETCHAR, ""),  # at the exit, where no thread can be started
        (HOLDS_STDERR, "run.finish(); os._exit(0)"),  # Python's own end waits for the lock, with and without us
    ],
)
def test_locked_streams_of_native_code(job: Job, spool: Any, hold: str, end: str) -> None:
    """A run's end waits for no lock, and what stands in other streams is recorded."""
    done = job(
        f"""
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
{hold}
threading.Thread(target=hold, daemon=True).start()
time.sleep(0.2)
libc.puts(b"by puts")
{end}
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"by puts\n", b"")
    assert spool.lines() == [b"by puts"]


def test_a_shipper_that_lets_go_early_is_let_go(job: Job, spool: Any) -> None:
    """It has read the run's end and lives on, for the output is open; nobody waits for it, with or without a lock."""
    done = job(
        """
import os, select, time
from tracewinnow.logger import spool
companion = run._companion
while not companion._shipper.pid: time.sleep(0.001)
companion.ending()
run._lane.append(spool.END, b"", time.time_ns())
select.select([companion._done.fd], [], [])
assert os.path.exists(f"/proc/{companion._shipper.pid}") and not companion._lock.locked()
print("let go", companion.leave(0.0), flush=True)
run._finished = True
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"let go True\n", b"")


def test_a_shipper_that_is_gone_before_the_run_has_left(job: Job, spool: Any) -> None:
    done = job(
        """
import threading, time
from tracewinnow.logger import spool, wire
watch = next(thread for thread in threading.enumerate() if thread.name == "tracewinnow-watch")
run._companion.ending()
run.crash("finish", "exit code 3", exit_code=3)
run._lane.append(spool.END, b"", time.time_ns())
watch.join()
assert run._companion.leave(5.0)
run._finished = True
""",
        capture=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [event.crash.exit_code for event in spool.events("crash")] == [3]


def test_a_shipper_that_is_killed_at_the_end_is_replaced(job: Job, spool: Any) -> None:
    done = job(
        """
import os, time
companion = run._companion
while not companion._shipper.pid: time.sleep(0.001)
companion.ending()
os.kill(companion._shipper.pid, 9)
while companion._started < 2: time.sleep(0.001)
for _ in range(2000): os.write(1, b"x" * 999 + b"\\n")  # a larger one is cut short when a child ends meanwhile
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, (b"x" * 999 + b"\n") * 2000, b"")
    assert len(spool.lines(pb.STREAM_STDOUT)) == 2000


def test_a_fork_while_a_shipper_is_started(job: Job, spool: Any) -> None:
    """The child lets go of what tells the shipper's end, for which this process waits."""
    done = job(
        """
import os, signal, subprocess, threading, time
companion, real, children, left = run._companion, subprocess.Popen, [], []
def fork():
    child = os.fork()
    if not child: time.sleep(1000)
    children.append(child)
def popen(*arguments, **named):
    process = real(*arguments, **named)
    thread = threading.Thread(target=fork); thread.start(); thread.join()
    return process
subprocess.Popen = popen
for started in (2, 3):
    while not companion._shipper.pid: time.sleep(0.001)
    os.kill(companion._shipper.pid, signal.SIGKILL)
    while len(children) < started - 1 or companion._done_write.fd >= 0: time.sleep(0.001)
for _ in range(2000): os.write(1, b"x" * 999 + b"\\n")  # a larger one is cut short when a child ends meanwhile
leave = companion.leave
companion.leave = lambda timeout: left.append(leave(timeout))
run.finish(timeout=30)
for child in children: os.kill(child, signal.SIGKILL)
print("left", left)
"""
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"x" * 999 + b"\n") * 2000 + b"left [True]\n"
    assert len(spool.lines(pb.STREAM_STDOUT)) == 2000


def test_when_no_shipper_is_left_the_output_has_a_lane_of_its_own(job: Job, spool: Any) -> None:
    done = job(
        """
import contextlib, os, signal, subprocess, threading, time
watch = next(thread for thread in threading.enumerate() if thread.name == "tracewinnow-watch")
companion, child = run._companion, subprocess.Popen(["sh", "-c", "read x; echo late"], stdin=subprocess.PIPE)
while companion._shipper:
    with contextlib.suppress(AttributeError, TypeError, ProcessLookupError): os.kill(companion._shipper.pid, signal.SIGKILL)
    time.sleep(0.01)
child.communicate(b"\\n")
watch.join()
"""
    )
    assert (done.returncode, done.stdout) == (0, b"late\n")
    assert b"the shipper was killed" in done.stderr
    (uuid,) = session.sessions(spool.path)
    assert segments.lanes(spool.path, uuid) == ["tee4", "job"]
    assert [record.payload for record in segments.Reader(spool.path, uuid, "tee4").read()] == [b"late\n"]
    list(sync(spool.path))
    assert spool.lines(pb.STREAM_STDOUT) == [b"late"]
