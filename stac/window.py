"""One large window of one raster, laid onto a pixel grid.

When a raster's pixel edges fall on the grid's (all Sentinel-2 bands at 10 m do), pixels are copied, and 20 m and 60 m
ones repeated: never resampled. Anything else goes through GDAL's warper. A window is read in strips of the file's own
blocks: each block is decoded once, straight into the array that is asked for, and only where pixels are wanted.

Letters: H W pixels of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from .bands import SCL_CLASSES
from .pixels import harmonise, repeat_pixels
from .raster import Georeference, ReadOptions, open_raster, retrying

if TYPE_CHECKING:
    from .blocks import Block
    from .items import Asset

_STRIP_PX = 1024
"""assumed: rows of a strip at least; Sentinel-2 COGs have blocks of 512 or 1,024."""
_METRES_PER_DEGREE = 111_320
_DEFECTIVE = 1
"""The class "saturated or defective"."""


@dataclass(frozen=True)
class Grid:
    """Square pixels in one CRS, north up."""

    epsg: int
    """EPSG code of the CRS."""
    west: int
    """Left edge, metres."""
    north: int
    """Upper edge, metres."""
    gsd: int
    """Side of a pixel, metres."""
    shape: tuple[int, int]
    """Height and width, pixels."""

    @property
    def transform(self) -> Affine:
        """Pixel (column, row) → metres."""
        return Affine(self.gsd, 0, self.west, 0, -self.gsd, self.north)

    @classmethod
    def of_block(cls, block: Block, step: int = 1) -> Grid:
        """The grid of a block's pixels, or of squares of `step` × `step` of them."""
        west, _, _, north = block.bounds
        height, width = block.shape
        return cls(block.lattice.epsg, west, north, block.lattice.gsd * step, (height // step, width // step))


@dataclass(frozen=True)
class Placement:
    """How a raster's own pixels lie on a grid: edges on edges, each `step` × `step` grid pixels large."""

    step: int
    """Grid pixels along a side of a raster's pixel."""
    top: int
    """Grid row of the raster's first row; may be negative."""
    left: int
    """Grid column of the raster's first column; may be negative."""
    shape: tuple[int, int]
    """Height and width of the raster, in its own pixels."""
    block: tuple[int, int]
    """Height and width of what is decoded at once, in its own pixels."""

    def strips(self, shape: tuple[int, int]) -> list[tuple[int, int]]:
        """Rows (first, last + 1) of the raster to read for a grid of `shape`, cut where blocks end."""
        height, width = shape
        first, last = max(0, -self.top // self.step), min(self.shape[0], -((self.top - height) // self.step))
        right = self.left + self.shape[1] * self.step
        if first >= last or self.left >= width or right <= 0:
            return []
        rows = max(1, _STRIP_PX // self.block[0]) * self.block[0]
        cuts = [first, *range((first // rows + 1) * rows, last, rows), last]
        return list(pairwise(cuts))

    def columns(self, wanted: NDArray[np.bool_] | None, width: int) -> list[tuple[int, int]]:
        """Columns (first, last + 1) of the raster in which a pixel is wanted, cut where blocks end.

        Args:
            wanted: (W,) whether the grid's column is wanted; None for all.
            width: W.
        """
        first, last = max(0, -self.left // self.step), min(self.shape[1], -((self.left - width) // self.step))
        if wanted is None:
            return [(first, last)]
        spans: list[tuple[int, int]] = []
        size = self.block[1]
        for start in range(first - first % size, last, size):
            lo, hi = max(start, first), min(start + size, last)
            if not wanted[max(0, self.left + lo * self.step) : self.left + hi * self.step].any():
                continue
            if spans and spans[-1][1] == lo:
                spans[-1] = (spans[-1][0], hi)
            else:
                spans.append((lo, hi))
        return spans


def place(geo: Georeference, block: tuple[int, int], grid: Grid) -> Placement | None:
    """Lay a raster on a grid without resampling, or None where that cannot be.

    Args:
        geo: Where the raster lies.
        block: Height and width of its blocks, its own pixels.
        grid: The grid.
    """
    moved = ~grid.transform * geo.transform  # the raster's pixels → the grid's
    step = round(moved.a)
    numbers = (moved.a - step, moved.e - step, moved.b, moved.d, moved.c - round(moved.c), moved.f - round(moved.f))
    # A hundredth of a pixel: georeferences are stored as decimal numbers.
    if step < 1 or any(abs(number) > 0.01 for number in numbers) or geo.crs.to_epsg() != grid.epsg:
        return None
    return Placement(step, round(moved.f), round(moved.c), geo.shape, block)


@contextmanager
def on_grid(dataset: Any, geo: Georeference, grid: Grid, *, classes: bool) -> Iterator[tuple[Any, Placement]]:
    """A reader whose pixels lie on the grid: the dataset itself where they do, else GDAL's warper around it.

    Bilinear, or the average where the grid is at least twice as coarse; classes by the nearest pixel or by majority.
    Pixels of value 0 (no data) take no part in either.

    Args:
        dataset: An open rasterio dataset.
        geo: Where it lies.
        grid: The grid.
        classes: Whether values are classes, which must not be mixed.

    Yields:
        What to read windows from, and its placement.
    """
    placement = place(geo, tuple(dataset.block_shapes[0]), grid)
    if placement is not None:
        yield dataset, placement
        return
    size = abs(geo.transform.a) * (_METRES_PER_DEGREE if geo.crs.is_geographic else 1)
    coarser = grid.gsd >= 2 * size
    if classes:
        resampling = Resampling.mode if coarser else Resampling.nearest
    else:
        resampling = Resampling.average if coarser else Resampling.bilinear
    height, width = grid.shape
    with WarpedVRT(
        dataset,
        src_crs=geo.crs,
        src_transform=geo.transform,
        crs=CRS.from_epsg(grid.epsg),
        transform=grid.transform,
        height=height,
        width=width,
        src_nodata=0,
        nodata=0,
        resampling=resampling,
        # Else GDAL takes the kernel's width from the piece that it warps, and a pixel from the area that is read.
        **({"XSCALE": 1, "YSCALE": 1} if resampling is Resampling.bilinear else {}),
    ) as vrt:
        yield vrt, Placement(1, 0, 0, grid.shape, (_STRIP_PX, _STRIP_PX))


@dataclass(frozen=True, eq=False)
class Fill:
    """One asset to be read into one array, where `source` says so; parts of it may run in several threads."""

    asset: Asset
    grid: Grid
    out: NDArray[Any]
    """(H, W) to write to; uint16, or uint8 for classes."""
    source: NDArray[np.uint8]
    """(H, W): pixels with `wanted` are read, no others are written."""
    wanted: int
    """Value of `source` that asks for the pixel."""
    offset: int = 0
    """DN to add where DN > 0: the harmonising, once."""
    whole: bool = False
    """Whether every pixel is known to be wanted, which saves looking at `source`."""
    mark: int | None = None
    """What to write to `source` where a value above 0 was read; None leaves it. Values are then classes."""

    def run(self, part: int, parts: int, options: ReadOptions) -> None:
        """Read one of `parts` shares of the strips.

        Raises:
            ReadError: A local file cannot be read.
            UnreachableError: A remote one could not be read after all retries.
        """
        done = 0

        def attempt() -> None:
            nonlocal done
            with (
                open_raster(self.asset, options) as (dataset, geo),
                on_grid(dataset, geo, self.grid, classes=self.mark is not None) as (reader, placement),
            ):
                if part == 0 and self.mark is None:
                    self._blank_beyond(placement)
                strips = placement.strips(self.grid.shape)
                share = strips[len(strips) * part // parts : len(strips) * (part + 1) // parts]
                for strip in share[done:]:
                    self._read_strip(reader, placement, strip)
                    done += 1

        retrying(self.asset.href, attempt, options)

    def _blank_beyond(self, placement: Placement) -> None:
        """Write 0 (no data) where a pixel is wanted and the raster does not reach: `out` may be memory used before."""
        row0, row1 = _span(placement.top, placement.step, (0, placement.shape[0]), self.grid.shape[0])
        col0, col1 = _span(placement.left, placement.step, (0, placement.shape[1]), self.grid.shape[1])
        low, right = max(row0, row1), max(col0, col1)
        for part in (np.s_[:row0], np.s_[low:], np.s_[row0:low, :col0], np.s_[row0:low, right:]):
            if self.out[part].size:
                np.copyto(self.out[part], 0, where=self.source[part] == self.wanted)

    def _read_strip(self, reader: Any, placement: Placement, rows: tuple[int, int]) -> None:
        """Read rows (first, last + 1) of the raster wherever a pixel is wanted."""
        height, width = self.grid.shape
        row0, row1 = _span(placement.top, placement.step, rows, height)
        source = self.source[row0:row1]
        whole = self.whole or bool(source.min() == self.wanted == source.max())
        columns = None if whole else (source == self.wanted).any(axis=0)
        for cols in placement.columns(columns, width):
            col0, col1 = _span(placement.left, placement.step, cols, width)
            out, src = self.out[row0:row1, col0:col1], source[:, col0:col1]
            crop = row0 - placement.top - rows[0] * placement.step, col0 - placement.left - cols[0] * placement.step
            window = Window(cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0])
            wanted = None if whole else src == self.wanted
            if wanted is None or wanted.all():
                self._read_window(reader, window, placement.step, crop, out)
            else:
                fresh = np.empty_like(out)
                self._read_window(reader, window, placement.step, crop, fresh)
                np.copyto(out, fresh, where=wanted)
            if self.mark is not None:
                taken = out > 0 if wanted is None else wanted & (out > 0)
                np.copyto(src, np.uint8(self.mark), where=taken)

    def _read_window(self, reader: Any, window: Window, step: int, crop: tuple[int, int], out: NDArray[Any]) -> None:
        """Read a window of the raster's own pixels, harmonised, into the grid's."""
        own = out if step == 1 else np.empty((window.height, window.width), dtype=out.dtype)
        reader.read(1, window=window, out=own)
        if self.mark is not None:
            # Lossy copies of the classification hold a few values that are no class (seen: 12).
            own[own > max(SCL_CLASSES)] = _DEFECTIVE
        harmonise(own, self.offset)
        if step > 1:
            repeat_pixels(own, step, crop, out)


def _span(start: int, step: int, own: tuple[int, int], size: int) -> tuple[int, int]:
    """Grid pixels (first, last + 1) under raster pixels (first, last + 1), cut to the grid."""
    return max(0, start + own[0] * step), min(size, start + own[1] * step)
