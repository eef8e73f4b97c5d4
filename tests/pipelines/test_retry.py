"""What is tried again, and what is not."""

from __future__ import annotations

import json

import pytest

from tracewinnow.pipelines import retry
from tracewinnow.schemas.errors import BadInput, BadUse, Transient
from tracewinnow.stores.errors import StoreError


def test_what_may_pass_is_tried_again_and_bad_use_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.0)
    answers: list[Exception | bool] = [Transient("away"), RuntimeError("of a step"), True, BadUse("another process")]

    def attempt() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry.keep_trying(attempt, lambda: False)
    with pytest.raises(BadUse, match="another process"):
        retry.keep_trying(attempt, lambda: False)


def test_the_user_may_stop_it() -> None:
    assert not retry.keep_trying(lambda: True, lambda: True)


def wrapped(inner: Exception) -> Exception:
    """As Beam gives the errors of a step."""
    outer = RuntimeError(f"{inner} [while running 'Build/ReadWindow']")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("failed", "own"),
    [
        (StoreError("No space left on device: w/traces/x."), False),
        (Transient("Cloud Storage does not answer"), False),
        (OSError(5, "Input/output error"), False),
        (ConnectionResetError(104, "Connection reset by peer"), False),
        (MemoryError(), False),
        (json.JSONDecodeError("of a library that we do not know", "", 0), False),
        (BadInput("too-large", "a batch"), True),
        (ValueError("bad"), True),
        (ZeroDivisionError("division by zero"), True),
    ],
)
def test_what_a_window_may_have_caused(failed: Exception, own: bool) -> None:
    assert retry.own_fault(failed) is own
    assert retry.own_fault(wrapped(failed)) is own
