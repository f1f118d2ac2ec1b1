"""How much memory reading takes, by the size of the area, of the blocks and by the number of bands.

    python bench/read_memory.py [--json FILE]

Writes whole tiles (10,980 pixels at 10 m, blocks of 1,024; three dates, two of which differ) to a temporary folder and
reads areas of several sizes with `iter_days`, each in a fresh process, chips cut. The files say nothing of where they
lie: their scenes do, so that one file stands for many tiles. Peak memory is the process's high-water mark (VmHWM), and
includes Python with its libraries, stated beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from stac.blocks import DEFAULT_BLOCK_PX, iter_blocks
from stac.buffers import Buffers
from stac.cube import gather_chips
from stac.items import Asset, Scene, nearest_first
from stac.lattice import new_polygon
from stac.read import iter_days

EPSG, PX, CHIP, DATES, BATCH = 32633, 10_980, 64, 3, 256
WEST, NORTH, SQUARE = 500_000, 5_200_000, 100_000
TENS, TWENTIES = ("B02", "B03", "B04", "B08"), ("B11", "B12", "B05", "B06", "B07", "B8A")
GSDS = dict.fromkeys(TENS, 10) | dict.fromkeys(TWENTIES, 20)
CASES = [  # bands, side of a block (pixels), side of the area (kilometres)
    (6, DEFAULT_BLOCK_PX, 50),
    (6, DEFAULT_BLOCK_PX, 100),
    (6, DEFAULT_BLOCK_PX, 200),
    (10, DEFAULT_BLOCK_PX, 100),
    (10, DEFAULT_BLOCK_PX, 200),
    (10, DEFAULT_BLOCK_PX // 4, 50),
    (10, DEFAULT_BLOCK_PX // 4, 100),
]


def write_files(folder: Path) -> None:
    """One file for each date and size of pixel; the bands share it."""
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    for day in range(2):
        rng = np.random.default_rng(day)
        for name, gsd, dtype in (("10", 10, "uint16"), ("20", 20, "uint16"), ("SCL", 20, "uint8")):
            side = PX * 10 // gsd
            pixels = np.full((side, side), 4, np.uint8)
            if name != "SCL":
                pixels = (rng.standard_normal((side, side), np.float32) * 26 + 400).astype(np.uint16)
            profile = {"driver": "COG", "blocksize": 1024 if gsd == 10 else 512, "compress": "DEFLATE"}
            size = {"width": side, "height": side, "count": 1, "dtype": dtype, "nodata": 0}
            with rasterio.open(
                folder / f"{day}_{name}.tif", "w", **size, **profile, overviews="NONE", num_threads=2
            ) as out:
                out.write(pixels, 1)


def scenes(folder: Path) -> dict[date, list[Scene]]:
    """Four tiles on each date."""
    days: dict[date, list[Scene]] = {}
    for day in range(DATES):
        when = datetime(2023, 6, 1 + day * 5, 10, tzinfo=UTC)
        for number in range(4):
            west, north = WEST + number % 2 * SQUARE - 20, NORTH - number // 2 * SQUARE + 20
            assets = {}
            for name, gsd in (GSDS | {"SCL": 20}).items():
                path = folder / f"{day % 2}_{'SCL' if name == 'SCL' else gsd}.tif"
                side = PX * 10 // gsd
                assets[name] = Asset(str(path), EPSG, Affine(gsd, 0, west, 0, -gsd, north), (side, side))
            ring = [(west, north), (west + PX * 10, north), (west + PX * 10, north - PX * 10), (west, north - PX * 10)]
            outline, name = new_polygon(EPSG, np.array(ring)), f"33T{number}"
            when += timedelta(seconds=15)
            days.setdefault(when.date(), []).append(
                Scene(f"{name}_{day}", "s2", name, when, when.date(), "05.09", -1000, EPSG, outline, assets)
            )
    return days


def peak_mb() -> float:
    """Peak resident memory of this process so far, MB (getrusage would give the parent's, where that is more)."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def read_area(folder: Path, bands: Sequence[str], block_px: int, km: int) -> dict[str, float]:
    """Read an area as a build does; peak memory before and after, MB, and the number of blocks."""
    inset = 700  # metres: else slivers of neighbouring squares come in
    ring = [
        (WEST + inset, NORTH - inset),
        (WEST + km * 1000 - inset, NORTH - inset),
        (WEST + km * 1000 - inset, NORTH - km * 1000 + inset),
        (WEST + inset, NORTH - km * 1000 + inset),
    ]
    before, days, buffers, count, read = peak_mb(), scenes(folder), Buffers(), 0, 0
    batch = np.empty((BATCH, len(bands), CHIP, CHIP), np.uint16)
    for block in iter_blocks(new_polygon(EPSG, np.array(ring)), CHIP, 10, block_px):
        count += 1
        ordered = {day: nearest_first(found, *block.centre, epsg=EPSG) for day, found in days.items()}
        for day in iter_days(block, ordered, list(bands), buffers=buffers):
            assert day.cube is not None
            rows, cols = np.nonzero(block.mask)
            read += len(rows)
            for first in range(0, len(rows), BATCH):
                part = slice(first, first + BATCH)
                gather_chips(day.cube, list(bands), CHIP, rows[part], cols[part], batch)
    return {"before_mb": before, "peak_mb": peak_mb(), "blocks": count, "chips": read}


def measure(folder: Path, bands: int, block_px: int, km: int) -> dict[str, float]:
    """`read_area` in a fresh process."""
    words = [sys.executable, __file__, "--folder", str(folder), "--case", f"{bands},{block_px},{km}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return {"bands": bands, "block_px": block_px, "area_km": km, **json.loads(done.stdout)}


def memory_table(cases: Sequence[tuple[int, int, int]] = CASES) -> list[Mapping[str, Any]]:
    """One row for each case."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        write_files(Path(name))
        return [measure(Path(name), *case) for case in cases]


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print it, with how much memory a pixel of a block takes."""
    print(f"{'bands':>6}{'block px':>10}{'area km':>9}{'blocks':>8}{'peak MB':>9}{'libraries MB':>14}")
    for row in rows:
        print(
            f"{row['bands']:6}{row['block_px']:10}{row['area_km']:9}{row['blocks']:8}{row['peak_mb']:9.0f}"
            f"{row['before_mb']:14.0f}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.case:
        bands, block_px, km = map(int, given.case.split(","))
        print(json.dumps(read_area(given.folder, list(GSDS)[:bands], block_px, km)))
        return 0
    rows = memory_table()
    print_table(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
