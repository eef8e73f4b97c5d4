from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

def grams(texts: Sequence[bytes], /) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...
def sums(
    texts: Sequence[bytes], weights: npt.NDArray[np.float32], /
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]: ...
