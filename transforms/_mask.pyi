import numpy as np
import numpy.typing as npt

def number(lines: list[str], index: dict[bytes, int], numbers: npt.NDArray[np.int64]) -> None: ...
