"""What is tried again, and what is not."""

from __future__ import annotations

import pytest

from tracewinnow.pipelines import retry
from tracewinnow.schemas.errors import BadUse, Transient


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
