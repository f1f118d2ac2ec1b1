"""Sentinel-2-like files for the benchmarks of reading: textured ground as COGs that compress about as real ones do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

EPSG, WEST, NORTH = 32633, 499_980, 5_200_020
BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20}
ASSETS = {**BANDS, "SCL": 20}
CORES = len(os.sched_getaffinity(0))
DISTINCT = 4
"""Dates whose files differ; further ones are links."""


def make_pixels(side: int, gsd: int, seed: int) -> np.ndarray:
    """Textured ground (side, side) uint16 that compresses about as real reflectance does."""
    rng = np.random.default_rng(seed)
    ground = np.full((side, side), 1400, np.float32)
    for metres, amplitude in ((2560, 350), (640, 200), (160, 100)):
        cells = -(-side * gsd // metres) + 1
        coarse = rng.normal(0, amplitude, (cells, cells)).astype(np.float32)
        at = np.arange(side) * gsd // metres
        ground += coarse[np.ix_(at, at)]
    ground += rng.standard_normal((side, side), np.float32) * 26
    return np.clip(ground, 1, 9000).astype(np.uint16)


def write_files(folder: Path, side: int, dates: int) -> float:
    """Write all dates' files; returns compressed bytes over raw ones."""
    raw = 0
    for band, gsd in ASSETS.items():
        own = side * 10 // gsd
        ground = make_pixels(own, gsd, seed=sum(map(ord, band)))
        if band == "SCL":
            ground = np.array([4, 5, 6, 2], np.uint8)[ground // 64 % 4]
        block = 1024 if gsd == 10 else 512
        profile = {"driver": "COG", "blocksize": block, "compress": "DEFLATE", "predictor": "YES", "num_threads": CORES}
        size = {"width": own, "height": own, "count": 1, "dtype": ground.dtype, "crs": EPSG, "nodata": 0}
        where = Affine(gsd, 0, WEST, 0, -gsd, NORTH)
        for day in range(dates):
            path = folder / f"{day}_{band}.tif"
            raw += ground.nbytes
            if day >= DISTINCT:
                path.hardlink_to(folder / f"{day % DISTINCT}_{band}.tif")
                continue
            ground = np.roll(ground, 97, axis=0)  # other bytes for each date
            with rasterio.open(path, "w", transform=where, **size, **profile, overviews="NONE") as out:
                out.write(ground, 1)
    return sum(path.stat().st_size for path in folder.iterdir()) / raw
