"""Reading: a block's days as cubes, one large window per asset and date.

`iter_days` is the way in. For each solar day it reads the scene classification, counts how much of each chip is clear,
and reads the bands only where a chip of the area is clear enough; the next day is read while the caller works on this
one, so at most two days are in memory, however many there are. Several scenes of a day are merged: the classification
says where a scene has data, the first one in the order given supplies the pixel, all its bands, and a scene that adds
nothing is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from shapely.affinity import translate

from .bands import SCL
from .blocks import Block
from .buffers import Buffers
from .cube import chip_scenes, clear_fraction, new_cube, view_chips
from .errors import ReadError
from .lattice import Lattice, Location
from .raster import ReadOptions, UnreachableError, enter_env, gdal_env, is_remote, quiet_georeference
from .window import Fill, Grid, repeat_pixels

if TYPE_CHECKING:
    from .items import Scene

__all__ = ["Day", "ReadOptions", "UnreachableError", "gdal_env", "iter_days", "read_cube", "read_location"]

_FOOTPRINT_MARGIN = 0.05
"""assumed: degrees by which an item's footprint may fall short of its pixels (its edges are straight in degrees)."""
_MOST_SCENES, _BLANK_ROWS = 255, 64


@dataclass
class Day:
    """One solar day of a block."""

    day: date
    """The solar day."""
    scenes: tuple[Scene, ...]
    """Scenes that supplied pixels, in the order of the cube's `source` values."""
    clear: NDArray[np.float32] | None
    """(nrows, ncols) fraction of clear pixels in each chip; None when the classification could not be read."""
    seen: NDArray[np.bool_] | None
    """(S, nrows, ncols) which of `scenes` supplied a pixel of which chip; None like `clear`."""
    cube: xr.Dataset | None
    """One time. None when no chip is clear enough, or the read failed. Bands and `source` are 0 in chips outside the
    area and in those not clear enough: they are not read."""
    missing: str | None
    """Why the day's pixels could not be had, in one line; None when they could."""


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
    reader = _Reader(block, tuple(bands), min_clear, options or ReadOptions(), buffers)
    yield from reader.iter_days(days)


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
        A cube; `missing_days` among its attributes says, one a line, which days could not be had and why.

    Raises:
        ReadError: A local file cannot be read, or no day has any pixel.
    """
    reader = _Reader(block, tuple(bands), None, options or ReadOptions())
    read = list(reader.iter_days(days))
    cubes = [day.cube for day in read if day.cube is not None]
    missing = [f"{day.day}: {day.missing}" for day in read if day.missing]
    if not cubes:
        raise ReadError(
            f"block {block.block_id} has no pixel on {len(days)} days" + (f" ({missing[0]})" if missing else ""),
            "at least one scene that covers it",
            "choose other dates or another place",
        )
    cube = xr.concat(cubes, dim="time", data_vars="all", coords="minimal", compat="override", join="override")
    cube.attrs["missing_days"] = "\n".join(missing)
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
        ReadError: A file cannot be read, or no scene covers the location.
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


class _Reader:
    """A block with its threads."""

    def __init__(
        self,
        block: Block,
        bands: tuple[str, ...],
        min_clear: float | None,
        options: ReadOptions,
        buffers: Buffers | None = None,
    ) -> None:
        """Make the reader; `min_clear` None reads every pixel."""
        self.block, self.bands, self.min_clear, self.options = block, bands, min_clear, options
        self.buffers = buffers or Buffers()
        self.pool = ThreadPoolExecutor(options.threads, "read", enter_env, (options,))

    def iter_days(self, days: Mapping[date, Sequence[Scene]]) -> Iterator[Day]:
        """Yield the days, reading one ahead; threads end with the iteration."""
        quiet_georeference()
        over = ((day, _covering(self.block, scenes)) for day, scenes in days.items())
        todo = iter([(day, scenes) for day, scenes in over if scenes])
        conductor = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

        def start() -> Future[Day] | None:
            following = next(todo, None)
            return None if following is None else conductor.submit(self.read_day, *following)

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
            self.pool.shutdown(wait=True)

    def read_day(self, day: date, scenes: Sequence[Scene]) -> Day:
        """Read one day; a remote failure becomes its `missing`."""
        clear = seen = None
        used: list[Scene] = []
        try:
            step = _scl_step(self.block, scenes)
            scl, source, used = self._read_scl(scenes, Grid.of_block(self.block, step))
            clear = clear_fraction(scl, self.block.lattice.chip_size // step)
            seen = chip_scenes(source, self.block.lattice.chip_size // step, len(used))
            want = np.full_like(self.block.mask, True)
            if self.min_clear is not None:
                want = self.block.mask & (clear >= self.min_clear)
            if not used or not want.any():
                return Day(day, tuple(used), clear, seen, None, None)
            cube = self._read_bands(used, want, *(self._finer(a, step) for a in (scl, source)))
            return Day(day, tuple(used), clear, seen, cube, None)
        except UnreachableError as err:
            return Day(day, tuple(used or scenes), clear, seen, None, err.reason)

    def _read_scl(
        self, scenes: Sequence[Scene], grid: Grid
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Scene]]:
        """Classes (h, w), sources (h, w) and the scenes that supplied them, merged on a grid."""
        scl, source = (self.buffers.zeros(grid.shape, np.uint8) for _ in range(2))
        used: list[Scene] = []
        for scene in scenes:
            number = len(used) + 1
            if number > _MOST_SCENES or (used and source.all()):
                break
            self._run([Fill(scene.assets[SCL], grid, scl, source, wanted=0, mark=number)])
            if (source == number).any():
                used.append(scene)
        return scl, source, used

    def _read_bands(
        self, scenes: Sequence[Scene], want: NDArray[np.bool_], scl: NDArray[np.uint8], source: NDArray[np.uint8]
    ) -> xr.Dataset:
        """The cube (one time) with pixels in the chips that are wanted (nrows, ncols)."""
        if not want.all():
            view_chips(source, self.block.lattice.chip_size)[~want] = 0
        grid = Grid.of_block(self.block)
        image = self.buffers.take((len(self.bands), *grid.shape), np.uint16)
        _blank(image, source)
        least, most = int(source.min()), int(source.max())
        self._run(
            [
                Fill(scene.assets[band], grid, image[index], source, number, offset=scene.offset, whole=least == most)
                for number, scene in enumerate(scenes, start=1)
                if number == most or (source == number).any()
                for index, band in enumerate(self.bands)
            ]
        )
        return new_cube(
            {band: image[index][np.newaxis] for index, band in enumerate(self.bands)},
            scl[np.newaxis],
            source[np.newaxis],
            times=[min(scene.time for scene in scenes)],
            item_ids=[" ".join(scene.item_id for scene in scenes)],
            baselines=[" ".join(sorted({scene.baseline for scene in scenes}))],
            transform=grid.transform,
            epsg=grid.epsg,
        )

    def _finer(self, coarse: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
        """Pixels (h, w) repeated `step` × `step` times."""
        if step == 1:
            return coarse
        fine = self.buffers.take((coarse.shape[0] * step, coarse.shape[1] * step), coarse.dtype)
        repeat_pixels(coarse, step, (0, 0), fine)
        return fine

    def _run(self, fills: Sequence[Fill]) -> None:
        """Run fills in the pool, each in as many parts as keep it busy; the first failure ends them."""
        # Each part opens the file: local files keep the processor busy, remote ones all the connections.
        remote = any(is_remote(fill.asset.href) for fill in fills)
        busy = self.options.threads if remote else min(self.options.threads, os.cpu_count() or 1)
        parts = max(1, -(-2 * busy // max(1, len(fills))))
        futures = [self.pool.submit(fill.run, part, parts, self.options) for fill in fills for part in range(parts)]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


def _blank(image: NDArray[np.uint16], source: NDArray[np.uint8]) -> None:
    """Write 0 (no data) to the rows of an image (C, H, W) in which some pixel has no source (H, W)."""
    for first in range(0, source.shape[0], _BLANK_ROWS):
        rows = slice(first, first + _BLANK_ROWS)
        if source[rows].min() == 0:
            image[:, rows] = 0


def _scl_step(block: Block, scenes: Sequence[Scene]) -> int:
    """Lattice pixels along a side of the classification's own pixel, where chips hold whole ones; else 1.

    Counting clear pixels in the classification's own 20 m then gives the same fractions for a quarter of the work.
    """
    sizes = {asset.transform.a if (asset := scene.assets[SCL]).transform is not None else None for scene in scenes}
    even = block.lattice.chip_size % 2 == 0
    return 2 if even and sizes == {2 * block.lattice.gsd} else 1


def _covering(block: Block, scenes: Sequence[Scene]) -> list[Scene]:
    """Scenes that may have pixels in a block; those in another CRS last, so that they only fill what is left."""
    over = [scene for scene in scenes if meets(block, scene)]
    return sorted(over, key=lambda scene: scene.epsg not in (None, block.lattice.epsg))


def meets(block: Block, scene: Scene) -> bool:
    """Whether a scene may have pixels in a block."""
    asset = scene.assets[SCL]
    if asset.epsg == block.lattice.epsg and asset.transform is not None and asset.shape is not None:
        west, north = asset.transform.c, asset.transform.f
        east, south = asset.transform * (asset.shape[1], asset.shape[0])
        left, bottom, right, top = block.bounds
        if west >= right or east <= left or south >= top or north <= bottom:
            return False
    near = scene.footprint.buffer(_FOOTPRINT_MARGIN)
    # Outlines that cross the antimeridian go beyond ±180°, footprints may come from either side.
    return any(near.intersects(translate(block.footprint, xoff=turn)) for turn in (0, -360, 360))
