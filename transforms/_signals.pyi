from typing import Any

import numpy as np
import numpy.typing as npt

def words(text: str, known: dict[str, int]) -> int: ...
def version(text: str) -> bool: ...
def shape(text: str, most: int, tail: int) -> bytes: ...
def recall(
    known: dict[bytes, Any],
    templates: list[bytes],
    lines: list[str],
    most: int,
    tail: int,
    signals: npt.NDArray[np.uint64],
    roles: npt.NDArray[np.uint8],
    names: npt.NDArray[np.uint64],
    varies: npt.NDArray[np.uint8],
) -> list[int]: ...
