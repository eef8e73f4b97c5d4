from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

def grams(texts: Sequence[bytes], /) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...
