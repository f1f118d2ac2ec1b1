"""The per-pixel encoder: a chip's own reflectance on a small grid, so that a change vector is the per-pixel difference.

It learns nothing and knows no invariance: two changes are alike when the same cells of the chip change by the same
reflectance in the same bands (change vector analysis: Malila, "Change vector analysis: an approach for detecting forest
changes with Landsat", Machine Processing of Remotely Sensed Data, Purdue, 1980, pp. 326–335). Whatever reads more than
pixels must beat it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stac.bands import norm_bands

from .spectral import DEFAULT_BANDS, check_chips
from .weights import computed_spec

GRID = 8
"""assumed: cells along a side of a chip; 40 m of a chip of 32 px, fine enough for a road, and 64 numbers a band."""

_CHIPS_AT_ONCE = 256


class PixelsEncoder:
    """Mean reflectance of `GRID` × `GRID` cells, band by band. The same chip gives the same bits in any batch."""

    def __init__(self, bands: Sequence[str] | None = None) -> None:
        """Make the encoder.

        Args:
            bands: Band names in the order of the chips' axis C; the spectral encoder's when None.
        """
        self.name = "pixels"
        self.bands = norm_bands(DEFAULT_BANDS if bands is None else bands)
        self.dim = len(self.bands) * GRID * GRID
        self.sha256 = hashlib.sha256(f"pixels {' '.join(self.bands)} {GRID}".encode()).hexdigest()
        self.spec = computed_spec(self.name, self.bands, self.dim, "mean reflectance of cells", self.sha256)

    def embed(self, chips: NDArray[np.uint16], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Cells of chips.

        Args:
            chips: uint16 (B, C, H, W), harmonised reflectance × 10,000, 0 = no data, bands as in `self.bands`.
            valid: bool (B, H, W); False pixels count for nothing. A pixel in which any band is 0 counts for nothing.

        Returns:
            float32 (B, D), reflectance by band, then row, then column of the grid. A cell without a valid pixel gets
            its chip's mean; zeros for a chip without any.

        Raises:
            WeightsError: The chips are not of this shape.
        """
        check_chips(chips, self.bands, valid)
        out = np.empty((len(chips), self.dim), np.float32)
        for start in range(0, len(chips), _CHIPS_AT_ONCE):
            part = slice(start, start + _CHIPS_AT_ONCE)
            seen = chips[part].min(axis=1) > 0
            out[part] = _cells(chips[part], seen if valid is None else seen & valid[part])
        return out


def _cells(chips: NDArray[np.uint16], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(B, C · GRID²) mean reflectance of the cells of chips (B, C, H, W) over the pixels that are seen (B, H, W).

    Sums are of whole numbers below 2⁵³, so they are exact in any order.
    """
    sums = _sums(np.where(seen[:, None], chips, 0))  # (B, C, GRID, GRID)
    counts = _sums(seen[:, None])  # (B, 1, GRID, GRID)
    total = np.maximum(seen.sum(axis=(1, 2), dtype=np.int64), 1)[:, None, None, None]
    level = np.where(seen[:, None], chips, 0).sum(axis=(2, 3), dtype=np.int64, keepdims=True) / total
    means = np.where(counts > 0, sums / np.maximum(counts, 1), level)
    return (means / 10_000).astype(np.float32).reshape(len(chips), -1)


def _sums(planes: NDArray[np.generic]) -> NDArray[np.int64]:
    """(B, K, GRID, GRID) sums over cells; a chip of fewer pixels than cells gives a pixel to each of several cells."""
    rows, cols = (np.arange(GRID) * size // GRID for size in planes.shape[2:])
    tall = np.add.reduceat(planes, rows, axis=2, dtype=np.int64)
    sums: NDArray[np.int64] = np.add.reduceat(tall, cols, axis=3, dtype=np.int64)
    return sums
