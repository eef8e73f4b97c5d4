import numpy as np
import numpy.typing as npt

def columns(lines: list[str], out: npt.NDArray[np.int32]) -> None: ...
def join(
    roles: npt.NDArray[np.uint8],
    column: npt.NDArray[np.int32],
    width: npt.NDArray[np.int32],
    trouble: npt.NDArray[np.uint8],
    lane: npt.NDArray[np.int64],
    lanes: int,
    table: npt.NDArray[np.uint8],
    opens: npt.NDArray[np.uint8],
    fixed: dict[str, int],
    block: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
) -> None: ...
