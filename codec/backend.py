"""Which implementation of the loops is used: the compiled kernels, or the readable reference (TRACEWINNOW_PURE=1)."""

from __future__ import annotations

import importlib
import os
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.signedinteger[Any]]  # (columns, steps), int32 or int64
Mask = NDArray[np.uint8] | None  # (columns, steps), 1 where a sample is stored aside; None if there is none


class Backend(Protocol):
    """What both implementations offer. The folder `reference` says what each function means."""

    NAME: str

    def crc32(self, data: bytes | memoryview, value: int = 0) -> int: ...

    def exp_table(
        self, low: int, count: int, step: float, offset: float, coefficients: NDArray[np.float64]
    ) -> NDArray[np.float64]: ...

    def order_bits(
        self, bits: NDArray[Any], shift: int, exponent: int, magnitude: int
    ) -> tuple[Latents, Mask, int, int]: ...

    def log_quantise(
        self, values: NDArray[Any], step: float, low: float, high: float
    ) -> tuple[Latents, bool, bool, int, int]: ...

    def choose(self, x: Latents, mask: Mask, candidates: NDArray[np.uint8]) -> NDArray[np.uint8]: ...

    def innovations(self, x: Latents, kinds: NDArray[np.uint8], mask: Mask) -> tuple[Latents, Latents]: ...

    def gram(self, a: NDArray[np.int16]) -> NDArray[np.int64]: ...

    def select(
        self, gram: NDArray[np.float64], noise: NDArray[np.float64], steps: float, most: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]: ...

    def read_plan(
        self, raw: bytes, columns: int, dtype: np.dtype[Any]
    ) -> tuple[NDArray[np.uint8], Latents, NDArray[np.int32], NDArray[np.int32], NDArray[np.int16]] | None: ...

    def residuals(
        self,
        e: Latents,
        starts: NDArray[np.int32],
        columns: NDArray[np.int32],
        weights: NDArray[np.float32],
        mask: Mask,
    ) -> tuple[Latents, NDArray[np.uint8], NDArray[np.uint8]]: ...

    def split(self, r: Latents, codes: NDArray[np.uint8], sizes: list[int]) -> list[Latents]: ...

    def join(
        self,
        streams: Latents,
        sizes: NDArray[np.int64],
        codes: NDArray[np.uint8],
        kinds: NDArray[np.uint8],
        firsts: Latents,
        starts: NDArray[np.int32],
        columns: NDArray[np.int32],
        weights: NDArray[np.float32],
        mask: Mask,
        needed: NDArray[np.uint8],
        table: NDArray[Any] | None,
        low: int,
        high: int,
        out: NDArray[Any],
    ) -> bool: ...

    def tokens(
        self, r: Latents, shift: int, direct: int, symbols: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], bytes, bytes]: ...

    def rans_encode(
        self, symbols: NDArray[np.uint8], sizes: NDArray[np.int64], frequencies: NDArray[np.uint16], lanes: int
    ) -> bytes: ...

    def decode_streams(
        self,
        coded: bytes | memoryview,
        sizes: NDArray[np.int64],
        models: bytes | memoryview,
        lanes: int,
        tails: bytes | memoryview,
        low: bytes | memoryview,
        out: Latents,
    ) -> bool: ...

    def collect(
        self, packed: NDArray[np.uint8], array: NDArray[Any], out: NDArray[Any], size: int, inner: int
    ) -> None: ...

    def fill(
        self, packed: NDArray[np.uint8], values: NDArray[Any], out: NDArray[Any], size: int, inner: int
    ) -> bool: ...


def load(name: str) -> Backend:
    """The implementation called "kernels" or "reference"; ImportError with what to do if the kernels were not built."""
    if name == "reference":
        return cast(Backend, importlib.import_module(".reference", __package__))
    try:
        return cast(Backend, importlib.import_module(".kernels", __package__))
    except ModuleNotFoundError as missing:
        raise ImportError(
            "the compiled kernels of tracewinnow.codec are missing. Build them with `pip install .` or, in a checkout, "
            "`python setup.py build_ext --inplace`; TRACEWINNOW_PURE=1 uses the slow reference instead."
        ) from missing


_loaded: Backend | None = None


def backend() -> Backend:
    """The implementation in use; read from the environment once."""
    global _loaded
    if _loaded is None:
        _loaded = load("reference" if os.environ.get("TRACEWINNOW_PURE") == "1" else "kernels")
    return _loaded


def use(name: str) -> None:
    """Choose the implementation for this process: "kernels" or "reference". For tests and comparisons."""
    global _loaded
    _loaded = load(name)
