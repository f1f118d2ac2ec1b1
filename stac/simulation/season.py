"""How every cover and field looks on one day: the table from which a pass is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Season:
    """Looks of one day in one biome; M covers and fields (fields from number len(COVERS) on), C bands of `BANDS`."""

    poor: NDArray[np.float32]
    """(M, C), reflectance (0 to 1) where greenness is 0: leafless, dry, tilled, flooded."""
    rich: NDArray[np.float32]
    """(M, C), reflectance where greenness is 1."""
    green: NDArray[np.float32]
    """(M,), greenness from 0 to 1."""
    eager: NDArray[np.float32]
    """(M,), how far `Ground.moist` moves the greenness."""
    grain: NDArray[np.float32]
    """(M,), spread of `Ground.texture`, as a part of the reflectance."""
