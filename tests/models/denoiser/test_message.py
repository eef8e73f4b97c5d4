"""What logging writes before a message is known for many ways of logging, and is not taken for the message."""

from __future__ import annotations

import time

import pytest

from tracewinnow.models.denoiser.message import message, shaped
from tracewinnow.transforms import lines
from tracewinnow.transforms.signals import look
from tracewinnow.transforms.words import BIT

LABELS = [
    "2026-01-02 13:56:34,806 | INFO    | trainer:8 - ",
    "[2026-01-02 14:05:04,443][INFO][train.py] ",
    "I0102 13:58:30.333156 140544628214656 train.py:16] ",
    "2026-01-02 13:47:45,617 [MainThread] INFO com.acme.Registry - ",
    "INFO trainer: ",
    "2026-01-02 13:47:45.305 | DEBUG    | __main__:<module>:12 - ",
    "2026-01-02 14:05:02,074 - root - ERROR - ",
    "2026-01-02 17:16:16.674 [179/score/10 (pid 9515)] ",
    "[W316 10:28:43.285303178 Socket.cpp:4115] ",
    "WARNING:root:",
    "[tokenise][INFO] - ",
    "ERROR [batch] ",
    "stderr: ",
    "[INFO] [config.py:748:print] ",
]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    ("said", "signal"),
    [
        ("batch_size = 32", "setting"),
        ("RuntimeError: shapes differ", "raised"),
        ('  File "a.py", line 3, in f', "frame"),
        ("================", "rule"),
    ],
)
def test_a_shape_is_known_behind_a_label(label: str, said: str, signal: str) -> None:
    (line,) = lines.judged([label + said])
    assert look(line) & BIT[signal]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ERROR RuntimeError: CUDA out of memory", "RuntimeError: CUDA out of memory"),
        ("ERROR:RuntimeError: CUDA out of memory", "RuntimeError: CUDA out of memory"),
        ("FATAL java.lang.OutOfMemoryError: heap", "java.lang.OutOfMemoryError: heap"),
        ("INFO batch_size: 32", "batch_size: 32"),
        ("INFO step: 5, loss: 0.3", "step: 5, loss: 0.3"),
        ("Debug mode: on", "mode: on"),
        ('INFO:     127.0.0.1:5 - "POST / HTTP/1.1" 200 OK', '127.0.0.1:5 - "POST / HTTP/1.1" 200 OK'),
        ("INFO  - Starting", "Starting"),
        ("INFO trainer: hello there", "hello there"),
        ("[INFO] --- maven-jar-plugin:3.1 (default) @ app ---", "[INFO] --- maven-jar-plugin:3.1 (default) @ app ---"),
    ],
)
def test_a_reason_or_a_value_is_no_part_of_a_label(line: str, said: str) -> None:
    assert shaped(line) == said


@pytest.mark.parametrize("line", ["[1] train-auc:0.4", "I am here", "error: no such file", "INFO", "[CV 1/4] END", ""])
def test_what_is_no_label_stays_in_what_is_read(line: str) -> None:
    assert message(line.encode()) == line.encode()


def test_of_a_template_the_numbers_are_masked() -> None:
    assert message(b"I# # # f#_flax.py:#] lr = #") == b"lr = #"
    assert message(b"INFO | seg:# - run.on_error = '*'") == b"run.on_error = '*'"


@pytest.mark.parametrize(
    "hostile",
    ["[a] " * 200, "INFO" + " 1:1" * 200, "INFO " + "a/" * 300, "E" + "1 " * 300, "[" * 600, "INFO" + " " * 600],
)
def test_no_label_takes_long_to_look_for(hostile: str) -> None:
    start = time.process_time()
    for _ in range(20):
        shaped(hostile)
        message(hostile.encode())
    assert time.process_time() - start < 0.5
