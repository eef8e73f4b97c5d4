"""The rules for the four classes."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms.classify import CONTEXT, LABELS, METADATA, classify, went_on
from tracewinnow.transforms.reading import read
from tracewinnow.transforms.score import score

RUN = """sieve version 1.4.2
hidden_size: 4096
$ python train.py --config base.yaml
downloading tokenizer 50%
downloading tokenizer 100%
step 1 loss 9.12
step 2 loss 8.95
step 3 loss 8.80
saving checkpoint to ckpt/3
step 4 loss 8.71
Traceback (most recent call last):
  File "/opt/app/train.py", line 88, in <module>
    main()
  File "/opt/app/train.py", line 61, in main
    loss.backward()
RuntimeError: CUDA error: an illegal memory access was encountered
process exited with code 1"""


def labels(text: str) -> dict[str, str]:
    lines = text.split("\n")
    reading = read(lines)
    n = len(lines)
    found, confidence = classify(reading.view, score(reading.view), np.zeros(n, np.float32), np.full(n, -1, np.int8))
    assert ((confidence > 0) & (confidence < 1)).all()
    return dict(zip(lines, (LABELS[label] for label in found), strict=True))


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "actionable"),
        ("Traceback (most recent call last):", "actionable"),
        ("    loss.backward()", "actionable"),
        ("process exited with code 1", "actionable"),
        ("step 4 loss 8.71", "context"),
        ("saving checkpoint to ckpt/3", "context"),
        ("hidden_size: 4096", "metadata"),
        ("sieve version 1.4.2", "metadata"),
        ("downloading tokenizer 100%", "noise"),
    ],
)
def test_classes(line: str, label: str) -> None:
    assert labels(RUN)[line] == label


def test_no_lines() -> None:
    reading = read([])
    found, _ = classify(reading.view, score(reading.view), np.zeros(0, np.float32), np.zeros(0, np.int8))
    assert len(found) == 0


def test_of_long_progress_all_but_the_first_and_the_last_lines_only_say_that_it_went_on() -> None:
    reading = read([f"step {i} loss {i}.5" for i in range(200)] + ["seen once"])
    context = np.full(201, CONTEXT, np.int8)
    assert np.flatnonzero(~went_on(context, reading.view, reading.repeats)).tolist() == [
        0,
        195,
        196,
        197,
        198,
        199,
        200,
    ]
    assert not went_on(np.full(201, METADATA, np.int8), reading.view, reading.repeats).any()


def test_what_speaks_of_trouble_is_no_progress() -> None:
    reading = read([f"ERROR heartbeat: timeout of node {i}" for i in range(100)])
    assert not went_on(np.full(100, CONTEXT, np.int8), reading.view, reading.repeats).any()
