"""Files that this version of the format wrote are read for ever, by the codec and by a reader made from FORMAT.md."""

import hashlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tracewinnow import codec

HERE = Path(__file__).parent
DICTIONARY_SHA256 = "3854455960a22c312a2e80496e8f6f65769093a6a3c34a13a64a682b00a63d81"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader, golden = load("second_reader"), load("golden")
DICTIONARY = (Path(codec.__file__).parent / "dictionaries" / "v1.bin").read_bytes()


def ours(data: bytes) -> str:
    """What the codec reads, in the words of the second reader."""
    content = data[5]
    if content == 1:
        series = codec.decode_series(data)
        bound = 1 if series.rel_error else 2 if series.abs_error else 0
        found: Any = {
            "names": series.names,
            "steps": series.steps.tolist(),
            "bound": [bound, series.rel_error or series.abs_error],
            "shape": list(series.values.shape),
            "dtype": series.values.dtype.name,
            "words": reader.words(series.values),
        }
    elif content == 2:
        tensor = codec.decode_sparse(data)
        found = {"shape": list(tensor.shape), "dtype": tensor.dtype.name, "words": reader.words(tensor)}
    elif content == 3:
        parts = list(codec.segments.read_chunks(data, 1 << 20))
        found = {
            "text": codec.decode_text(data).decode("latin-1"),
            "times": [int(t) for part in parts if part.times is not None for t in part.times],
            "ranks": [int(r) for part in parts if part.ranks is not None for r in part.ranks],
        }
    elif content == 5:
        found = [[part.labels, json.loads(ours(bytes(part.data)))] for part in codec.decode_bundle(data)]
    else:
        found = [[s.name, s.start_ns, s.duration_ns, s.track] for s in codec.decode_spans(data)]
    return json.dumps(found)


@pytest.mark.parametrize("name", golden.FILES)
def test_golden_files_are_read_alike_by_both_readers(name: str, implementation: str) -> None:
    data = (golden.FOLDER / f"{name}.twc").read_bytes()
    assert ours(data) == reader.plain(data, DICTIONARY)


@pytest.mark.parametrize("name", golden.FILES)
def test_golden_files_hold_what_they_were_made_from(name: str) -> None:
    data = (golden.FOLDER / f"{name}.twc").read_bytes()
    # What is written now may be smaller than what was, but says the same.
    assert ours(golden.FILES[name]()) == ours(data)


def test_the_golden_values_themselves() -> None:
    values = codec.decode_series((golden.FOLDER / "series_diverging.twc").read_bytes()).values
    assert values.tobytes("C") == golden.diverging().tobytes("C")
    assert codec.decode_text((golden.FOLDER / "text.twc").read_bytes()) == golden.LOG


def test_the_dictionary_is_the_one_that_was_published() -> None:
    assert hashlib.sha256(DICTIONARY).hexdigest() == DICTIONARY_SHA256


def test_the_example_of_the_specification() -> None:
    page = (Path(codec.__file__).parent / "FORMAT.md").read_text()
    listing = page[page.index("137 bytes:") :].split("```")[1]
    words = [re.match(r"((?:\s*(?:[0-9a-f]{2})+(?=\s|$))*)", line) for line in listing.splitlines()]
    written = bytes.fromhex("".join(word[0] for word in words if word))
    assert written == codec.encode_series(
        np.array([[1.5], [1.5], [np.nan]], np.float32), names=["a"], steps=[0, 10, 20]
    )
    assert len(written) == 137
