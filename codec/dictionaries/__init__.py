"""The versioned dictionaries of log text; build.py writes them."""

from __future__ import annotations

import functools
from importlib.resources import files

import zstandard

LATEST = 1


@functools.cache
def dictionary(version: int) -> zstandard.ZstdCompressionDict:
    """The dictionary of a version. KeyError if this release has none of that version."""
    if not 1 <= version <= LATEST:
        raise KeyError(version)
    data = files(__package__).joinpath(f"v{version}.bin").read_bytes()
    return zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
