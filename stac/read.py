"""Reading: a block's days as cubes, one large window per asset and date.

`iter_days` is the way in. For each solar day it reads the scene classification, counts how much of each chip is clear,
and reads the bands only where a chip of the area is clear enough; the next day is read while the caller works on this
one, so at most two days are in memory, however many there are. How a day is read stands in `stac/day.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .blocks import Block
from .buffers import Buffers
from .coverage import covering, meets
from .day import Day, DayReader
from .errors import ReadError
from .lattice import Lattice, Location
from .raster import ReadOptions, UnreachableError, gdal_env, quiet_rasterio

if TYPE_CHECKING:
    from .items import Scene

__all__ = ["Day", "ReadOptions", "UnreachableError", "gdal_env", "iter_days", "meets", "read_cube", "read_location"]


def iter_days(
    block: Block,
    days: Mapping[date, Sequence[Scene]],
    bands: Sequence[str],
    *,
    min_clear: float = 0.8,
    options: ReadOptions | None = None,
    buffers: Buffers | None = None,
) -> Iterator[Day]:
    """Read a block's days, one after the other, the next one ahead.

    Args:
        block: What to read; only chips in its mask count.
        days: Solar day → scenes, in the order in which they are to supply pixels. Days come in this order; those
            without a scene over the block are left out.
        bands: Canonical names.
        min_clear: Least clear fraction (0–1) of a chip worth reading.
        options: How to fetch; never changes a pixel.
        buffers: Memory to use again, as from an earlier block of the same size; None keeps it to this call.

    Yields:
        Days, `cube` dropped as soon as the caller drops it.

    Raises:
        ReadError: A local file cannot be read.
    """
    yield from _days(block, days, bands, min_clear, options, buffers)


def read_cube(
    block: Block, days: Mapping[date, Sequence[Scene]], bands: Sequence[str], *, options: ReadOptions | None = None
) -> xr.Dataset:
    """Read all of a block's days, clear or not, every pixel.

    Args:
        block: What to read, its mask disregarded.
        days: Solar day → scenes.
        bands: Canonical names.
        options: How to fetch.

    Returns:
        A cube of the days of which no pixel is missing; `missing_days` among its attributes says, one a line, which
        others there are and why.

    Raises:
        ReadError: A local file cannot be read, or no day has any pixel.
        UnreachableError: There is no day of which no pixel is missing.
    """
    read = list(_days(block, days, bands, None, options))
    cubes = [day.cube for day in read if day.cube is not None and day.reason is None]
    missing = {day.day: day.reason for day in read if day.reason is not None}
    if not cubes and missing:
        raise UnreachableError(next(iter(missing.values())))
    if not cubes:
        raise ReadError(
            f"block {block.block_id} has no pixel on {len(days)} days",
            "at least one scene that covers it",
            "choose other dates or another place",
        )
    cube = xr.concat(cubes, dim="time", data_vars="all", coords="minimal", compat="override", join="override")
    cube.attrs["missing_days"] = "\n".join(f"{day}: {reason}" for day, reason in missing.items())
    return cube


def read_location(
    location: Location,
    scenes: Sequence[Scene],
    bands: Sequence[str],
    *,
    margin: int = 0,
    options: ReadOptions | None = None,
) -> xr.Dataset:
    """Read one chip on one day.

    Args:
        location: Which chip.
        scenes: Scenes of one solar day, in the order in which they are to supply pixels.
        bands: Canonical names.
        margin: Pixels to add on each side.
        options: How to fetch.

    Returns:
        A cube with one time.

    Raises:
        ReadError: A local file cannot be read, or no scene covers the location.
        UnreachableError: A remote file cannot be read.
    """
    lattice, size = location.lattice, location.lattice.chip_size
    side = size + 2 * margin
    pixels = Block(
        Lattice(lattice.epsg, 1, lattice.gsd),
        location.location_id,
        location.col * size - margin,
        location.row * size - margin,
        np.ones((side, side), dtype=bool),
    )
    return read_cube(pixels, {scene.solar_day: scenes for scene in scenes[:1]}, bands, options=options)


def _days(
    block: Block,
    days: Mapping[date, Sequence[Scene]],
    bands: Sequence[str],
    min_clear: float | None,
    options: ReadOptions | None,
    buffers: Buffers | None = None,
) -> Iterator[Day]:
    """Yield the days, reading one ahead; threads end with the iteration. `min_clear` None reads every pixel."""
    quiet_rasterio()
    over = ((day, covering(block, scenes)) for day, scenes in days.items())
    todo = iter([(day, scenes) for day, scenes in over if scenes])
    reader = DayReader(block, tuple(bands), min_clear, options or ReadOptions(), buffers)
    conductor = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

    def start() -> Future[Day] | None:
        following = next(todo, None)
        return None if following is None else conductor.submit(reader.read, *following)

    try:
        ahead = start()
        while ahead is not None:
            day, ahead = ahead.result(), None
            ahead = start()
            yield day
            del day  # else the caller's day would stay in memory while the next but one is read
    finally:
        # First the reader ahead: a pool shut down under it cancels its parts without waking it. It would never end.
        conductor.shutdown(wait=True, cancel_futures=True)
        reader.close()
