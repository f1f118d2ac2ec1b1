"""One solar day of a block: its scenes merged into one cube, and the chips whose pixels could not be had.

The classification says where a scene has data, the first one in the order given supplies the pixel, all its bands, and
a scene that adds nothing is not read. A remote file that cannot be read costs the chips that its scene supplies, or may
supply, and no others: what is left is exactly what a reader without a failure gives for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .bands import SCL
from .blocks import Block
from .buffers import Buffers
from .coverage import may_supply
from .cube import chip_scenes, clear_fraction, new_cube, view_chips
from .pixels import repeat_pixels
from .raster import ReadOptions, UnreachableError, enter_env, is_remote
from .window import Fill, Grid

if TYPE_CHECKING:
    from .items import Scene

_MOST_SCENES, _BLANK_ROWS = 255, 64


@dataclass
class Day:
    """One solar day of a block."""

    day: date
    """The solar day."""
    scenes: tuple[Scene, ...]
    """Scenes that supplied pixels, in the order of the cube's `source` values. One whose classification could not be
    read is among them where it may have supplied some: no later scene stands in for it."""
    clear: NDArray[np.float32]
    """(nrows, ncols) fraction of clear pixels in each chip; NaN where it is missing."""
    seen: NDArray[np.bool_]
    """(S, nrows, ncols) which of `scenes` supplied a pixel of which chip, or may have."""
    cube: xr.Dataset | None
    """One time. None when there is no chip to read, or none could be read. Bands and `source` are 0 in chips outside
    the area, in those not clear enough and in those missing."""
    missing: NDArray[np.bool_]
    """(nrows, ncols) chips of the area whose pixels could not be had: a scene's file could not be read, and the scene
    supplies a pixel of the chip, or may. All other chips are as if every file had been read."""
    reason: str | None
    """Why the first of them could not be had, in one line; None when none is missing."""


class DayReader:
    """Reads the days of one block, with its own threads."""

    def __init__(
        self,
        block: Block,
        bands: tuple[str, ...],
        min_clear: float | None,
        options: ReadOptions,
        buffers: Buffers | None = None,
    ) -> None:
        """Make the reader.

        Args:
            block: What to read.
            bands: Canonical names.
            min_clear: Least clear fraction (0–1) of a chip worth reading; None reads every pixel, the block's mask
                disregarded.
            options: How to fetch.
            buffers: Memory to use again; None takes its own.
        """
        self.block, self.bands, self.min_clear, self.options = block, bands, min_clear, options
        self.buffers = buffers or Buffers()
        self.pool = ThreadPoolExecutor(options.threads, "read", enter_env, (options,))

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown(wait=True)

    def read(self, day: date, scenes: Sequence[Scene]) -> Day:
        """Read one day.

        Args:
            day: The solar day.
            scenes: At least one, in the order in which they are to supply pixels.

        Raises:
            ReadError: A local file cannot be read.
        """
        step = _scl_step(self.block, scenes)
        size = self.block.lattice.chip_size // step
        scl, source, used, lost = self._read_scl(scenes, Grid.of_block(self.block, step))
        clear, seen = clear_fraction(scl, size), chip_scenes(source, size, len(used))
        area = np.ones_like(self.block.mask) if self.min_clear is None else self.block.mask
        lost = {number: reason for number, reason in lost.items() if (area & seen[number - 1]).any()}
        missing = area & _any_of(seen, lost)
        want = area & ~missing if self.min_clear is None else area & ~missing & (clear >= self.min_clear)
        cube = None
        if used and want.any():
            cube, failed = self._read_bands(used, want, seen, *(self._finer(a, step) for a in (scl, source)))
            missing |= want & _any_of(seen, failed)
            lost |= failed
        clear[missing] = np.nan
        return Day(day, tuple(used), clear, seen, cube, missing, next(iter(lost.values()), None))

    def _read_scl(
        self, scenes: Sequence[Scene], grid: Grid
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[Scene], dict[int, str]]:
        """Classes (h, w), sources (h, w) and the scenes that supplied them, merged on a grid.

        Last, by source number, why a scene could not be read: it is the source of every pixel that it may have had.
        """
        scl, source = (self.buffers.zeros(grid.shape, np.uint8) for _ in range(2))
        used: list[Scene] = []
        lost: dict[int, str] = {}
        for scene in scenes:
            number = len(used) + 1
            if number > _MOST_SCENES or (used and source.all()):
                break
            why = self._run([Fill(scene.assets[SCL], grid, scl, source, wanted=0, mark=number)]).get(0)
            if why is not None:
                source[may_supply(self.block, scene, grid) & (source == 0)] = number
                scl[source == number] = 0  # what was read before the failure
            if (source == number).any():
                used.append(scene)
                lost |= {} if why is None else {number: why}
        return scl, source, used, lost

    def _read_bands(
        self,
        scenes: Sequence[Scene],
        want: NDArray[np.bool_],
        seen: NDArray[np.bool_],
        scl: NDArray[np.uint8],
        source: NDArray[np.uint8],
    ) -> tuple[xr.Dataset | None, dict[int, str]]:
        """The cube (one time) with pixels in the chips that are wanted (nrows, ncols), and who could not be read.

        The latter by source number; chips that they supply have no pixels then. None when that is every chip.
        """
        size = self.block.lattice.chip_size
        if not want.all():
            view_chips(source, size)[~want] = 0
        grid = Grid.of_block(self.block)
        image = self.buffers.take((len(self.bands), *grid.shape), np.uint16)
        _blank(image, source)
        least, most = int(source.min()), int(source.max())
        failed = self._run(
            [
                Fill(scene.assets[band], grid, image[index], source, number, offset=scene.offset, whole=least == most)
                for number, scene in enumerate(scenes, start=1)
                if number == most or (source == number).any()
                for index, band in enumerate(self.bands)
            ]
        )
        if failed:
            gone = want & _any_of(seen, failed)
            if (gone == want).all():
                return None, failed
            view_chips(source, size)[gone] = 0
            view_chips(image, size)[gone] = 0  # memory that is used again holds another day's pixels
        cube = new_cube(
            {band: image[index][np.newaxis] for index, band in enumerate(self.bands)},
            scl[np.newaxis],
            source[np.newaxis],
            times=[min(scene.time for scene in scenes)],
            item_ids=[" ".join(scene.item_id for scene in scenes)],
            baselines=[" ".join(sorted({scene.baseline for scene in scenes}))],
            transform=grid.transform,
            epsg=grid.epsg,
        )
        return cube, failed

    def _finer(self, coarse: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
        """Pixels (h, w) repeated `step` × `step` times."""
        if step == 1:
            return coarse
        fine = self.buffers.take((coarse.shape[0] * step, coarse.shape[1] * step), coarse.dtype)
        repeat_pixels(coarse, step, (0, 0), fine)
        return fine

    def _run(self, fills: Sequence[Fill]) -> dict[int, str]:
        """Run fills in the pool, each in as many parts as keep it busy.

        Returns:
            `wanted` of those that could not be read → why. The first failure ends the fills with the same `wanted`.

        Raises:
            ReadError: A local file cannot be read.
        """
        # Each part opens the file: local files keep the processor busy, remote ones all the connections.
        remote = any(is_remote(fill.asset.href) for fill in fills)
        busy = self.options.threads if remote else min(self.options.threads, os.cpu_count() or 1)
        parts = max(1, -(-2 * busy // max(1, len(fills))))
        futures = [
            (fill.wanted, self.pool.submit(fill.run, part, parts, self.options))
            for fill in fills
            for part in range(parts)
        ]
        failed: dict[int, str] = {}
        try:
            for number, future in futures:
                if number in failed:
                    future.cancel()
                    continue
                err = future.exception()  # to raise it here would tie it, and so the pixels, to this call
                if isinstance(err, UnreachableError):
                    failed[number] = err.reason
                elif err is not None:
                    raise err
        finally:
            for _, future in futures:
                future.cancel()
            wait([future for _, future in futures])
        return failed


def _any_of(seen: NDArray[np.bool_], numbers: Iterable[int]) -> NDArray[np.bool_]:
    """Chips (nrows, ncols) that one of the scenes with these source numbers supplies; `seen` is (S, nrows, ncols)."""
    return np.asarray(seen[[number - 1 for number in numbers]].any(axis=0))


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
    size = 2 * block.lattice.gsd
    where = [scene.assets[SCL].transform for scene in scenes]
    on_edges = all(at is not None and (at.a, at.c % size, at.f % size) == (size, 0, 0) for at in where)
    return 2 if on_edges and block.lattice.chip_size % 2 == 0 else 1
