"""What the layout of blocks costs: two whole, overlapping tiles read by different grids of blocks, in one run.

    python bench/blocks.py [--repeats N] [--json FILE]

One date of blue (10 m) and SCL (20 m) over the tiles 33TWM and 33TWL, 10,980 pixels a side, as COGs in a temporary
folder. Read are the two 100 km squares that the tiles stand for. `needed` is the pixels under the area over the time
taken; the ceiling decodes both tiles' files whole, overlap and all. The first round, in which each layout takes its
memory, is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import numpy as np
import rasterio
import shapely
from affine import Affine

from stac.blocks import DEFAULT_BLOCK_PX, Block, iter_blocks
from stac.buffers import Buffers
from stac.items import Asset, Scene, nearest_first
from stac.lattice import Lattice, new_polygon
from stac.read import iter_days

EPSG, PX, CHIP = 32633, 10_980, 64
TILES = {"33TWL": (499_980, 5_100_000), "33TWM": (499_980, 5_200_020)}
SQUARES = (500_000, 5_000_000, 600_000, 5_200_000)
DAY = date(2023, 8, 15)


def write_tile(folder: Path, name: str, west: int, north: int) -> Scene:
    """A tile's two files, textured noise, and its scene."""
    random, assets = np.random.default_rng(len(name) + north), {}
    for band, gsd in (("B02", 10), ("SCL", 20)):
        side = PX * 10 // gsd
        pixels = (random.standard_normal((side, side), np.float32) * 26 + 400).astype(np.uint16)
        pixels = np.full((side, side), 4, np.uint8) if band == "SCL" else pixels
        path, where = folder / f"{name}_{band}.tif", Affine(gsd, 0, west, 0, -gsd, north)
        profile = {"driver": "COG", "blocksize": 1024, "compress": "DEFLATE", "overviews": "NONE", "num_threads": 2}
        size = {"width": side, "height": side, "count": 1, "dtype": pixels.dtype, "crs": EPSG, "nodata": 0}
        with rasterio.open(path, "w", transform=where, **size, **profile) as out:
            out.write(pixels, 1)
        assets[band] = Asset(str(path), EPSG, where, (side, side))
    metres = PX * 10
    ring = [(west, north - metres), (west + metres, north - metres), (west + metres, north), (west, north)]
    footprint = new_polygon(EPSG, np.array(ring))
    moment = datetime(2023, 8, 15, 10, tzinfo=UTC)
    return Scene(name, "bench", name, moment, DAY, "05.09", 0, EPSG, footprint, assets)


def plain_blocks(block_px: int) -> Iterator[Block]:
    """Blocks by a grid anchored at 0, as wide as they may be, wherever tiles lie."""
    lattice, count = Lattice(EPSG, CHIP, 10), block_px // CHIP
    west, south, east, north = (edge // lattice.side for edge in SQUARES)
    for row in range(south // count, north // count + 1):
        for col in range(west // count, east // count + 1):
            col0, row0 = max(west, col * count), max(south, row * count)
            shape = min(north, (row + 1) * count) - row0, min(east, (col + 1) * count) - col0
            if min(shape) > 0:
                yield Block(lattice, f"{col}_{row}", col0, row0, np.ones(shape, bool))


def read(blocks: list[Block], scenes: list[Scene], buffers: Buffers, *, nearest: bool) -> None:
    """Read every block."""
    for block in blocks:
        order = nearest_first(scenes, *block.centre, epsg=EPSG) if nearest else scenes
        for day in iter_days(block, {DAY: order}, ["B02"], buffers=buffers):
            assert day.reason is None


def decode(scenes: list[Scene]) -> None:
    """Every file, whole, in two threads."""

    def one(href: str) -> None:
        with rasterio.Env(GDAL_CACHEMAX=64 << 20), rasterio.open(href) as file:
            file.read(1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, [asset.href for scene in scenes for asset in scene.assets.values()]))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scenes = [write_tile(Path(folder), name, *corner) for name, corner in TILES.items()]
        inset = shapely.box(*SQUARES).buffer(-700)
        area = new_polygon(EPSG, np.asarray(inset.exterior.coords))
        squares = list(iter_blocks(area, CHIP, 10, DEFAULT_BLOCK_PX))
        halves = list(iter_blocks(area, CHIP, 10, DEFAULT_BLOCK_PX // 2))
        plain, kept = list(plain_blocks(8192)), [Buffers() for _ in range(4)]
        layouts: dict[str, Callable[[], None]] = {
            "ceiling: both tiles decoded whole": lambda: decode(scenes),
            "squares, nearest tile first": lambda: read(squares, scenes, kept[0], nearest=True),
            "squares, tiles by name": lambda: read(squares, scenes, kept[1], nearest=False),
            "quarters of squares, nearest first": lambda: read(halves, scenes, kept[2], nearest=True),
            "8192 px grid, tiles by name": lambda: read(plain, scenes, kept[3], nearest=False),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in layouts}
        for _ in range(args.repeats + 1):
            for name, work in layouts.items():
                wall, cpu = time.perf_counter(), time.process_time()
                work()
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    needed = 2 * 1e8 * 1.25 / 1e6
    rows = []
    for name, runs in taken.items():
        wall, cpu = (median(column) for column in zip(*runs[1:], strict=True))
        rows.append({"layout": name, "needed_mpix_s": needed / wall, "needed_mpix_cpu_s": needed / cpu})
        print(json.dumps(rows[-1]))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
