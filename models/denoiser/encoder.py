"""The encoder: a small transformer that reads a block with the lines around it, where the fast model is in doubt.

Run by ONNX Runtime, one passage at a time: nothing is padded, and what it says of one does not hang on which others came with it.
Several threads, one operator each.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from tracewinnow.models.denoiser.wordpiece import WordPiece

Floats = npt.NDArray[np.float32]
OWN, BEFORE, BEHIND, TAIL = (
    44,
    24,
    16,
    12,
)  # pieces of a block (the last TAIL of them from its end), and of what stands around it
REMEMBERED = 50_000  # passages; about 200 bytes each
THREADS = 2
INPUTS = ("ids", "types", "own", "known")


class Pieces:
    """A passage as numbers: ids and types int64[t], own: how many of them are the block's."""

    __slots__ = ("ids", "own", "types")

    def __init__(self, words: WordPiece, own: str, before: str, behind: str) -> None:
        pieces = words(own)
        if len(pieces) > OWN:
            pieces = pieces[: OWN - TAIL] + pieces[-TAIL:]
        first = [words.begin, *pieces, words.end]
        rest = [*words(before)[-BEFORE:], words.end, *words(behind)[:BEHIND], words.end]
        self.ids = np.array(first + rest, np.int64)
        self.types = np.array([0] * len(first) + [1] * len(rest), np.int64)
        self.own = len(first)


class Encoder:
    """model: bytes of the ONNX file. words: its vocabulary. version: 12 hex digits. Safe to use from several threads.

    Raises ImportError without ONNX Runtime, and what that raises where the bytes are no model.
    """

    def __init__(self, model: bytes, words: WordPiece, version: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.words, self.version = words, version
        self.known: OrderedDict[bytes, Floats] = OrderedDict()
        self.lock = threading.Lock()

    def logits(self, passages: Sequence[tuple[str, str, str]], known: Floats) -> Floats:
        """Log-odds of the classes up to a constant: float32[k, 4]. passages: own, before, behind; known: float32[k, numbers].

        Blocks for some 10 milliseconds a passage that is new to the process, on each of up to THREADS cores.
        """
        names = [
            hashlib.blake2b("\0".join(one).encode("utf8", "replace") + row.tobytes(), digest_size=16).digest()
            for one, row in zip(passages, known, strict=True)
        ]
        with self.lock:
            found = {name: self.known[name] for name in names if name in self.known}
        unseen = {name: at for at, name in enumerate(names) if name not in found}
        work = list(unseen.values())

        def say(at: int) -> Floats:
            return self.run(Pieces(self.words, *passages[at]), known[at])

        threads = min(THREADS, os.cpu_count() or 1, len(work))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                said = list(pool.map(say, work))
        else:
            said = [say(at) for at in work]
        found.update(zip(unseen, said, strict=True))
        with self.lock:
            for name, row in found.items():
                self.known[name] = row
                self.known.move_to_end(name)
            while len(self.known) > REMEMBERED:
                self.known.popitem(last=False)
        return np.array([found[name] for name in names], np.float32).reshape(len(names), 4)

    def run(self, pieces: Pieces, known: Floats) -> Floats:
        """Log-odds of one passage, float32[4]; not remembered. known: float32[numbers]."""
        values = (pieces.ids[None], pieces.types[None], np.array([pieces.own], np.int64), known[None])
        (found,) = self.session.run(None, dict(zip(INPUTS, values, strict=True)))
        return np.asarray(found[0], np.float32)
