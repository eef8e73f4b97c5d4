"""Names of jobs as people type them."""

from __future__ import annotations

import pytest

from tracewinnow.serving.names import UnknownJob, meant, nearest


def test_nearest_prefers_what_contains_the_name() -> None:
    assert nearest("7b", ["llama-7b", "opt"]) == ["llama-7b"]


@pytest.mark.parametrize("job", ["\u202eabc1", "abc\x9b31m", "abc\x851"])
def test_what_a_job_calls_itself_cannot_steer_the_terminal(job: str) -> None:
    for name in ("abd", job[:2]):
        with pytest.raises(UnknownJob) as told:
            meant(name, [job, job + "2"], "warehouse")
        assert str(told.value).isprintable()
