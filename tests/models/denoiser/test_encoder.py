"""The shipped encoder, run for real: what it says hangs on the passage alone, and its memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.models.denoiser import encoder as encoding
from tracewinnow.models.denoiser.encoder import BEFORE, BEHIND, OWN, TAIL, Encoder, Pieces
from tracewinnow.transforms.passages import known_names
from tracewinnow.transforms.reread import encoder

PASSAGES = [
    ("RuntimeError: CUDA out of memory. Tried to allocate # GiB", "step # loss #", "[rank#] exiting"),
    ("Downloading # packages", "", ""),
    ("", "", ""),
    ("\ufffd\x00 日本語 " * 300, "x" * 5000, "\t"),
]


@pytest.fixture(scope="module")
def shipped() -> Encoder:
    found = encoder()
    assert isinstance(found, Encoder), found
    return found


def known(count: int) -> np.ndarray:
    return np.tile(np.linspace(-1, 1, len(known_names()), dtype=np.float32), (count, 1))


def test_others_in_the_batch_change_nothing(shipped: Encoder) -> None:
    together = shipped.logits(PASSAGES, known(4))
    assert together.shape == (4, 4)
    assert np.isfinite(together).all()
    shipped.known.clear()
    alone = np.concatenate([shipped.logits([one], known(1)) for one in PASSAGES[::-1]])[::-1]
    np.testing.assert_array_equal(together, alone)


def test_what_is_known_is_not_asked_again(shipped: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shipped.logits(PASSAGES, known(4))
    monkeypatch.setattr(shipped, "session", None)
    np.testing.assert_array_equal(shipped.logits(PASSAGES[::-1], known(4))[::-1], before)


def test_the_memory_is_bounded(shipped: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "REMEMBERED", 3)
    shipped.logits([(f"line {n}", "", "") for n in range(8)], known(8))
    assert len(shipped.known) == 3


def test_nothing_to_read(shipped: Encoder) -> None:
    assert shipped.logits([], known(0)).shape == (0, 4)


def test_a_passage_has_bounded_pieces(shipped: Encoder) -> None:
    long = Pieces(shipped.words, " ".join(["error"] * 500 + ["last"]), "before " * 500, "behind " * 500)
    assert len(long.ids) == OWN + BEFORE + BEHIND + 4
    assert long.own == OWN + 2
    assert long.ids[OWN] == shipped.words("last")[0]
    assert TAIL < OWN
    np.testing.assert_array_equal(long.types, [0] * long.own + [1] * (BEFORE + BEHIND + 2))
