"""Profiles of healthy runs."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.schemas.errors import BadInput
from tracewinnow.transforms import reference
from tracewinnow.transforms.reference import FORMAT, Reference
from tracewinnow.transforms.winnow import names_of, profile

RUNS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=5)
NAMED = "00000000000000ab"


def of(runs: list[list[str]]) -> Reference:
    profile = Reference()
    for names in runs:
        profile.add(names)
    return profile


@settings(max_examples=100, deadline=None)
@given(RUNS, RUNS)
def test_merging_is_counting_together(first: list[list[str]], second: list[list[str]]) -> None:
    both = of(first + second)
    assert of(first).merge(of(second)) == both == of(second).merge(of(first))
    assert Reference.load(both.save()) == both
    assert pickle.loads(pickle.dumps(both)) == both


@settings(max_examples=100, deadline=None)
@given(RUNS)
def test_share_is_of_all_runs(runs: list[list[str]]) -> None:
    share = of(runs).share(np.arange(9, 17, dtype=np.uint64))
    assert share.dtype == np.float32
    for letter, found in zip(["9", *"abcdef", "10"], share.tolist(), strict=True):
        assert found == pytest.approx(sum(letter in names for names in runs) / max(1, len(runs)))


def test_the_rarest_are_left_out_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MOST", 3)
    found = of([["b", "f"], ["f", "e", "c", "a"]])
    assert found.runs == 2
    assert found.names.tolist() == [0xA, 0xB, 0xF]
    assert found.counts.tolist() == [1, 1, 2]


def test_a_log_in_chunks_gives_the_names_of_the_whole() -> None:
    text = "".join(f"step {i}: shard {'abcdefgh'[i % 8]} read\n" for i in range(100)) + "last"
    whole = profile(text)
    assert whole is not None
    assert len(whole.names) == 9
    data = text.encode()
    assert names_of(data[i : i + 7] for i in range(0, len(data), 7)).tolist() == whole.names.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "x"}',
        '{"format": "other", "runs": 1, "templates": {}}',
        "\x00",
        "[" * 100_000,
        '{"format": ' + "[" * 100_000,
        *(
            json.dumps({"format": FORMAT, "runs": runs, "templates": templates})
            for runs, templates in (
                (-1, {}),
                (1.5, {}),
                (True, {}),
                (1 << 40, {}),
                (1, []),
                (1, {NAMED: 2}),
                (1, {NAMED: 0}),
                (1, {NAMED: -1}),
                (1, {NAMED: True}),
                (1, {NAMED: 1.0}),
                (1, {NAMED: 10**30}),
                (1, {"ab": 1}),
                (1, {NAMED.upper(): 1}),
                (1, {"0x000000000000ab": 1}),
                (1, {"0000_0000_0000ab": 1}),
                (1, {"²²²²²²²²²²²²²²²²": 1}),
            )
        ),
        f'{{"format": "{FORMAT}", "runs": 1e999, "templates": {{}}}}',
        f'{{"format": "{FORMAT}", "runs": {"9" * 10_000}, "templates": {{}}}}',
    ],
    ids=lambda text: text[:70],
)
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not-a-reference"):
        Reference.load(text)


def test_too_much_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = of([["a", "b"], ["c"]]).save()
    monkeypatch.setattr(reference, "MOST", 2)
    with pytest.raises(BadInput, match=r"reference-too-large.*3 templates"):
        Reference.load(saved)
    monkeypatch.setattr(reference, "LARGEST", len(saved) - 1)
    with pytest.raises(BadInput, match="reference-too-large"):
        Reference.load(saved)


def test_the_digest_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = of([["a"]])
    first = found.digest()
    found.add(["b"])
    second = found.digest()
    assert first != second
    monkeypatch.setattr(Reference, "save", lambda self: pytest.fail("a trace asks for it each time"))
    assert found.digest() == second


def test_a_profile_without_a_checksum_is_read_as_it_was_written_once() -> None:
    profile = of([["ab", "cd"], ["ab"]])
    old = json.loads(profile.save())
    assert old.pop("sha256") == profile.digest()
    assert Reference.load(json.dumps(old)) == profile
    assert profile.digest() == hashlib.sha256(json.dumps(old).encode()).hexdigest()


def test_a_changed_profile_is_refused() -> None:
    saved = of([["ab", "cd"], ["ab"]]).save()
    for changed in (saved.replace('"runs": 2', '"runs": 3'), saved.replace("sha256", "sha257")):
        with pytest.raises(BadInput, match="its checksum is wrong"):
            Reference.load(changed)
