"""Limits of the format, and of what a reader is willing to allocate. FORMAT.md states the same numbers."""

MAX_COLUMNS = 1 << 20  # names of a series
MAX_NAME_BYTES = 1 << 16
MAX_NAMES_BYTES = 1 << 28  # of a series, all together with their lengths: they are in memory at once
MAX_TILE_SAMPLES = 1 << 22  # samples of one data chunk: what must be in memory at once
MAX_TILE_STEPS = 1 << 20
MAX_TILE_COLUMNS = 1 << 12
MAX_REFS = 12  # other columns that predict one column
MAX_TABLE = 1 << 22  # distinct values of a log-quantised tile
MAX_BYTES = 1 << 33  # default bound on the decoded size

TILE_SAMPLES = 1 << 19  # what the encoder aims at
TILE_COLUMNS = 256
BLOCK = 256  # steps that share a scale class
