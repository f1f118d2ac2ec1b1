"""Land and ocean: the mask of the package `global-land-mask` (MIT), cells of 1/120° of the GLOBE elevation model.

A cell is ocean where the model has no elevation (https://www.ngdc.noaa.gov/mgg/topo/globe.html); inland waters, the
Caspian Sea among them, are land. CACo rejects what lies "entirely in ocean" by a land-mass map (section 3.5) without
naming the map.

The package itself keeps 933 MB in memory from its import on. So its file is read here, once, into one bit a cell:
117 MB, two seconds.
"""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

PER_DEGREE = 120
"""Cells in a degree."""
ROWS, COLS = 180 * PER_DEGREE, 360 * PER_DEGREE

_PACKAGE, _FILE = "global-land-mask", "global_land_mask/globe_combined_mask_compressed.npz"
_ROWS_AT_ONCE = 270


def has_land(west: float, south: float, east: float, north: float) -> bool:
    """Whether a box holds, or touches, a cell of land.

    Args:
        west: Degrees; any turn of the globe.
        south: Degrees, -90 to 90.
        east: Degrees, at least `west`: across the antimeridian it goes on beyond 180.
        north: Degrees, at least `south`.

    Raises:
        DataError: The package of the mask is not installed, or another version of it.
    """
    rows, cols = _cells(west, south, east, north)
    bits = _ocean_bits()[rows[:, np.newaxis], cols >> 3]
    ocean = (bits >> (7 - (cols & 7)).astype(np.uint8)) & 1
    return not bool(ocean.all())


def land_share(step: int, box: tuple[int, int, int, int] = (-180, -90, 180, 90)) -> NDArray[np.float32]:
    """How much of each square of `step` × `step` cells is land, for maps.

    Args:
        step: Cells along a side; divides `PER_DEGREE`.
        box: West, south, east, north, whole degrees within ±180 and ±90.

    Returns:
        (rows, columns) float32, 0 to 1; row 0 lies in the north, column 0 in the west.
    """
    west, south, east, north = box
    cols = slice((west + 180) * PER_DEGREE // 8, (east + 180) * PER_DEGREE // 8)
    rows = range((90 - north) * PER_DEGREE, (90 - south) * PER_DEGREE, step)
    ocean = (np.unpackbits(_ocean_bits()[row : row + step, cols], axis=1).reshape(step, -1, step) for row in rows)
    return np.stack([1 - part.mean(axis=(0, 2), dtype=np.float32) for part in ocean])


def _cells(west: float, south: float, east: float, north: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the cells that a box holds or touches. Cell (0, 0) has its corner at 180° west, 90° north."""
    first, last = ((90 - lat) * PER_DEGREE for lat in (north, south))
    left, right = ((lon + 180) * PER_DEGREE for lon in (west, east))
    rows = np.arange(np.floor(first), np.floor(last) + 1, dtype=np.int64)
    cols = np.arange(np.floor(left), np.floor(right) + 1, dtype=np.int64)
    return rows.clip(0, ROWS - 1), cols % COLS


@cache
def _ocean_bits() -> NDArray[np.uint8]:
    """(ROWS, COLS / 8) uint8, a bit for each cell, 1 = ocean, the first cell's highest."""
    try:
        path = distribution(_PACKAGE).locate_file(_FILE)
    except PackageNotFoundError as err:
        raise DataError(
            f"the package {_PACKAGE} is not installed", "its land mask", f"run pip install {_PACKAGE}"
        ) from err
    bits = np.empty((ROWS, COLS // 8), dtype=np.uint8)
    try:
        with zipfile.ZipFile(str(path)) as archive, archive.open("mask.npy") as file:
            _check_head(file)
            for row in range(0, ROWS, _ROWS_AT_ONCE):
                cells = np.frombuffer(file.read(COLS * _ROWS_AT_ONCE), dtype=np.uint8)
                bits[row : row + _ROWS_AT_ONCE] = np.packbits(cells.reshape(_ROWS_AT_ONCE, COLS), axis=1)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as err:
        raise DataError(
            f"the file of the package {_PACKAGE} cannot be read", "version 1.0.0's", "install the package anew"
        ) from err
    return bits


def _check_head(file: IO[bytes]) -> None:
    """Read the head of a NumPy file, and refuse another array than the mask."""
    np.lib.format.read_magic(file)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if (shape, by_columns, dtype) != ((ROWS, COLS), False, np.dtype(bool)):
        raise ValueError(f"a mask of {shape} {dtype}")
