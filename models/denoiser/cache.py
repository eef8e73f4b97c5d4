"""What the text model says of templates, saved: for another process with the same model.

One line of JSON (format, model, how many, SHA-256 of what follows), then for each template its length (uint32, little-endian), for
each its log-odds (4 float32), then the texts, end to end. Nothing in it is run, and a file of another model, or a damaged one, is
not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from itertools import accumulate, islice, pairwise
from pathlib import Path

import numpy as np

from tracewinnow.models.denoiser.text_model import REMEMBERED, Known

FORMAT = "tracewinnow-templates-1"
LARGEST = 128 << 20  # bytes of a file
HEADER = 1000  # bytes


def save(known: Known, model: str, path: Path) -> int:
    """Write what is known, REMEMBERED templates at most, whole or not at all. -> templates written. Raises OSError.

    model: version of the model that said it.
    """
    some = list(islice(known.items(), REMEMBERED))
    lengths = np.array([len(template) for template, _ in some], "<u4")
    odds = np.array([odds for _, odds in some], "<f4").reshape(len(some), 4)
    body = lengths.tobytes() + odds.tobytes() + b"".join(template for template, _ in some)
    if len(body) > LARGEST - HEADER:
        raise OSError(f"the cache of templates has {len(body)} bytes; at most {LARGEST} are written")
    head = {"format": FORMAT, "model": model, "templates": len(some), "sha256": hashlib.sha256(body).hexdigest()}
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + body)
            file.flush()
            os.fsync(number)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return len(some)


def load(path: Path, model: str) -> Known | str:
    """What save() wrote for this model, or why it is not used."""
    try:
        with path.open("rb") as file:
            head = file.readline(HEADER)
            body = file.read(LARGEST + 1)
        told = json.loads(head)
        format, of, count, digest = (told[name] for name in ("format", "model", "templates", "sha256"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as wrong:
        return f"{path.name} is no cache of templates: {type(wrong).__name__}"
    if (format, of) != (FORMAT, model):
        return f"{path.name} is of model {of!r:.40}, this is {model!r}: it is made anew"
    if type(count) is not int or not 0 <= count <= REMEMBERED or 20 * count > len(body):
        return f"{path.name} is damaged: it cannot hold what it says"
    if hashlib.sha256(body).hexdigest() != digest:
        return f"{path.name} is damaged: its checksum differs"
    lengths = np.frombuffer(body, "<u4", count)
    odds = np.frombuffer(body, "<f4", 4 * count, 4 * count).reshape(count, 4).astype(np.float32)
    if int(lengths.sum(dtype=np.uint64)) != len(body) - 20 * count:
        return f"{path.name} is damaged: its texts are not as long as it says"
    ends = accumulate(lengths.tolist(), initial=20 * count)
    return {body[start:end]: row for (start, end), row in zip(pairwise(ends), odds, strict=True)}
