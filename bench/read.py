"""How fast pixels are read, against other readers and against plain decoding, on the same local files in one run.

    python bench/read.py [--size PX] [--dates N] [--repeats N] [--json FILE]

Writes Sentinel-2-like COGs (DEFLATE with predictor 2; blocks of 1,024 pixels at 10 m, of 512 at 20 m; a tile origin
that lies on no chip edge) to a temporary folder and measures, interleaved, medians of the repeats:

    ours            iter_days over the area: classification, clear fraction, harmonised bands, all chips cut
    odc.stac.load   the better of plain loading with a pool of threads and dask chunks of 2,048
    stackstac       dask chunks of 2,048
    rioxarray       one window per chip, on a sample of chips, extrapolated
    ceiling         whole files decoded with rasterio and nothing else; the best of GDAL's default block cache and 64 MB

Mpix/s counts the files' own pixels that lie under the area (a 20 m pixel once), for all but the ceiling, which counts
all it decodes. Ours and the ceiling read all dates, the slower readers the first few. Ours takes its memory
once, as a build of many blocks does (`Buffers`). Four dates differ, more are links to these. Peak memory is taken in
fresh processes, over one block and over four.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import pystac
import rasterio
import shapely
import xarray as xr
from affine import Affine

from stac.blocks import DEFAULT_BLOCK_PX, Block
from stac.buffers import Buffers
from stac.cube import gather_chips
from stac.items import Asset, Scene
from stac.lattice import Lattice, to_lonlat
from stac.read import ReadOptions, iter_days

EPSG, WEST, NORTH, CHIP = 32633, 499_980, 5_200_020, 64
BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20}
ASSETS = {**BANDS, "SCL": 20}
CORES = len(os.sched_getaffinity(0))
SAMPLE = 24
DISTINCT = 4
BATCH = 256
Reader = Callable[[], float]


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


class Bench:
    """The files, and the area that all readers read."""

    def __init__(self, folder: Path, side: int, dates: int) -> None:
        self.folder, self.dates, self.buffers = folder, dates, Buffers()
        lattice = Lattice(EPSG, CHIP, 10)
        metres = lattice.side
        col0, top = -(-WEST // metres), NORTH // metres
        count = (WEST + side * 10) // metres - col0, top - -(-(NORTH - side * 10) // metres)
        self.block = Block(lattice, "bench", col0, top - count[1], np.ones((count[1], count[0]), bool))
        height, width = self.block.shape
        self.needed = dates * sum(height * width * 100 // gsd**2 for gsd in ASSETS.values()) / 1e6
        self.decoded = dates * sum((side * 10 // gsd) ** 2 for gsd in ASSETS.values()) / 1e6
        corners = [
            (WEST, NORTH),
            (WEST + side * 10, NORTH),
            (WEST + side * 10, NORTH - side * 10),
            (WEST, NORTH - side * 10),
        ]
        self.outline = shapely.Polygon([to_lonlat(EPSG).transform(*corner) for corner in corners])
        self.side = side

    def href(self, day: int, name: str) -> str:
        """Path of a file."""
        return str(self.folder / f"{day}_{name}.tif")

    def where(self, name: str) -> tuple[Affine, tuple[int, int]]:
        """A file's transform and shape."""
        gsd = ASSETS[name]
        return Affine(gsd, 0, WEST, 0, -gsd, NORTH), (self.side * 10 // gsd,) * 2

    def days(self) -> Mapping[date, Sequence[Scene]]:
        """The dates as our reader wants them, with an offset to harmonise."""
        days = {}
        for day in range(self.dates):
            assets = {name: Asset(self.href(day, name), EPSG, *self.where(name)) for name in ASSETS}
            when = datetime(2023, 6, 1, 10, tzinfo=UTC) + timedelta(days=day)
            scene = Scene(f"s{day}", "s2", "33TWM", when, when.date(), "05.09", -1000, EPSG, self.outline, assets)
            days[when.date()] = [scene]
        return days

    def items(self) -> list[pystac.Item]:
        """The first few dates as other readers want them."""
        items = []
        for day, scenes in enumerate(list(self.days().values())[:DISTINCT]):
            geometry, bbox = shapely.geometry.mapping(self.outline), list(self.outline.bounds)
            item = pystac.Item(
                f"s{day}", geometry, bbox, scenes[0].time, {"proj:code": f"EPSG:{EPSG}", "proj:epsg": EPSG}
            )
            item.stac_extensions = ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"]
            for name in ASSETS:
                transform, shape = self.where(name)
                fields = {"proj:transform": list(transform)[:6], "proj:shape": list(shape)}
                asset = pystac.Asset(
                    self.href(day, name), media_type=pystac.MediaType.COG, roles=["data"], extra_fields=fields
                )
                item.add_asset(name, asset)
            items.append(item)
        return items

    def ours(self) -> float:
        """Our reader, chips cut; returns a sum so that nothing is left out."""
        total, batch = 0.0, np.empty((BATCH, len(BANDS), CHIP, CHIP), np.uint16)
        for day in iter_days(self.block, self.days(), list(BANDS), options=ReadOptions(), buffers=self.buffers):
            assert day.cube is not None
            assert day.clear is not None
            rows, cols = np.nonzero(day.clear >= 0.8)
            for first in range(0, len(rows), BATCH):
                part = slice(first, first + BATCH)
                total += float(gather_chips(day.cube, list(BANDS), CHIP, rows[part], cols[part], batch)[-1, -1, -1, -1])
        return total

    def odc(self, chunks: dict[str, int] | None) -> float:
        """odc.stac.load, one date after the other, with threads."""
        import dask
        import odc.stac
        from odc.geo.geobox import GeoBox

        box = GeoBox(self.block.shape, self.block.transform, f"EPSG:{EPSG}")
        total = 0.0
        for item in self.items():
            pool = {"pool": CORES} if chunks is None else {}
            with dask.config.set(scheduler="threads", num_workers=CORES):
                loaded = odc.stac.load([item], bands=list(ASSETS), geobox=box, chunks=chunks, **pool).load()
            total += float(loaded["B02"].values[0, -1].mean())
        return total

    def stackstac(self) -> float:
        """stackstac, one date after the other."""
        import dask
        import stackstac

        total = 0.0
        for item in self.items():
            with dask.config.set(scheduler="threads", num_workers=CORES), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stack = stackstac.stack(
                    [item], list(ASSETS), epsg=EPSG, resolution=10, bounds=self.block.bounds, dtype="uint16",
                    fill_value=np.uint16(0), rescale=False, chunksize=2048, properties=False, band_coords=False,
                ).compute()  # fmt: skip
            total += float(stack.values[0, 0, -1].mean())
        return total

    def rioxarray(self) -> float:
        """One window per chip and file, for a sample of one date's chips."""
        import rioxarray as rx
        from rasterio.windows import Window

        rng = np.random.default_rng(0)
        rows, cols = (rng.integers(0, count, SAMPLE) for count in self.block.mask.shape)
        west, _, _, north = self.block.bounds

        def read(at: tuple[int, int]) -> float:
            total = 0.0
            for name, gsd in ASSETS.items():
                with cast("xr.DataArray", rx.open_rasterio(self.href(0, name))) as opened:
                    left, top = west - WEST + at[1] * CHIP * 10, NORTH - north + at[0] * CHIP * 10
                    window = Window(left // gsd, top // gsd, CHIP * 10 // gsd, CHIP * 10 // gsd)
                    total += float(opened.rio.isel_window(window).load().mean())
            return total

        with ThreadPoolExecutor(CORES) as pool:
            return sum(pool.map(read, zip(rows, cols, strict=True)))

    def ceiling(self, cache: int | None) -> float:
        """Whole files, decoded and dropped."""

        def read(path: Path) -> float:
            with rasterio.Env(**({} if cache is None else {"GDAL_CACHEMAX": cache})), rasterio.open(path) as opened:
                return float(opened.read(1)[-1, -1])

        with ThreadPoolExecutor(CORES) as pool:
            return sum(pool.map(read, sorted(self.folder.iterdir())))


def measure(read: Reader) -> tuple[float, float]:
    """Seconds by the clock and by the processor, user and system."""
    before, start = os.times(), time.perf_counter()
    read()
    wall, after = time.perf_counter() - start, os.times()
    return wall, after.user - before.user + after.system - before.system


def peak_memory(folder: Path, side: int, dates: int, blocks: int) -> tuple[float, float]:
    """Peak resident memory, MB, of a fresh process: before reading, and after reading `blocks` blocks one by one."""
    arguments = [sys.executable, __file__, "--peak-of", str(folder), "--size", str(side), "--dates", str(dates)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [*arguments, "--blocks", str(blocks)], check=True, capture_output=True, text=True, env=environment
    )
    before, after = json.loads(done.stdout)
    return before, after


def peak_mb() -> float:
    """Peak resident memory of this process so far, MB (getrusage would give the parent's, where that is more)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def read_blocks(folder: Path, side: int, dates: int, blocks: int) -> None:
    """Read the area's quarters, one block each; print peak memory before and after, MB."""
    bench = Bench(folder, side, dates)
    half = min(bench.block.mask.shape) // 2
    days = bench.days()
    peaks = [peak_mb()]
    for number in range(blocks):
        col0, row0 = bench.block.col0 + number % 2 * half, bench.block.row0 + number // 2 * half
        quarter = Block(bench.block.lattice, f"q{number}", col0, row0, np.ones((half, half), bool))
        list(map(type, iter_days(quarter, days, list(BANDS))))  # keeps no day
    peaks.append(peak_mb())
    print(json.dumps(peaks))


def compare(bench: Bench, repeats: int) -> list[dict[str, Any]]:
    """Run all readers, interleaved, and give the median of each: Mpix/s by the clock and by the processor."""
    chips = bench.block.mask.size * bench.dates
    few = bench.needed * min(DISTINCT, bench.dates) / bench.dates
    readers: dict[str, tuple[Reader, float]] = {
        "ceiling, GDAL's own cache": (lambda: bench.ceiling(None), bench.decoded),
        "ceiling, cache of 64 MB": (lambda: bench.ceiling(64 << 20), bench.decoded),
        "ours": (bench.ours, bench.needed),
        "odc.stac.load, pool": (lambda: bench.odc(None), few),
        "odc.stac.load, dask 2048": (lambda: bench.odc({"x": 2048, "y": 2048}), few),
        "stackstac, dask 2048": (bench.stackstac, few),
        f"rioxarray per chip, {SAMPLE} of {chips} chips": (bench.rioxarray, bench.needed * SAMPLE / chips),
    }
    bench.ceiling(None)  # files into the system's cache
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for _ in range(repeats):
        for name, (read, _mpix) in readers.items():
            taken[name].append(measure(read))
    rows = []
    for name, (_read, mpix) in readers.items():
        wall, cpu = (median(values) for values in zip(*taken[name], strict=True))
        rows.append({"reader": name, "mpix_s": mpix / wall, "mpix_cpu_s": mpix / cpu, "seconds": wall})
    return rows


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Ratios of ours to the best ceiling and to the best odc.stac.load, by the clock and by the processor."""

    def best(prefix: str, key: str) -> float:
        return max(float(row[key]) for row in rows if row["reader"].startswith(prefix))

    return {
        f"{label} ({unit})": best("ours", key) / best(prefix, key)
        for prefix, label in (("ceiling", "ours / ceiling"), ("odc", "ours / odc.stac.load"))
        for key, unit in (("mpix_s", "wall"), ("mpix_cpu_s", "processor"))
    }


def context(bench: Bench, compression: float, seconds: float) -> dict[str, Any]:
    """What the figures depend on."""
    names = ("rasterio", "odc-stac", "stackstac", "rioxarray", "dask", "numpy")
    return {
        "machine": f"{platform.machine()}, {CORES} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {"python": platform.python_version(), "gdal": rasterio.__gdal_version__}
        | {n: version(n) for n in names},
        "files": f"{bench.dates} dates of {', '.join(ASSETS)}; {bench.side} px at 10 m; {compression:.0%} of raw",
        "writing": f"{seconds:.0f} s",
        "area": f"{bench.block.shape[0]} x {bench.block.shape[1]} px, {bench.needed:.0f} Mpix of the files' own pixels",
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=int, default=5490, help="side of the files at 10 m, pixels (a real tile has 10980)"
    )
    parser.add_argument("--dates", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--blocks", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.peak_of is not None:
        read_blocks(given.peak_of, given.size, given.dates, given.blocks)
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-read-") as name:
        start = time.perf_counter()
        compression = write_files(Path(name), given.size, given.dates)
        bench = Bench(Path(name), given.size, given.dates)
        told = context(bench, compression, time.perf_counter() - start)
        rows = compare(bench, given.repeats)
        one, four = (peak_memory(Path(name), given.size, given.dates, blocks) for blocks in (1, 4))
    side = min(bench.block.mask.shape) // 2 * CHIP
    per_pixel = (one[1] - one[0]) * 2**20 / side**2
    memory = {
        "block_px": side,
        "peak_mb_one_block": one[1],
        "peak_mb_four_blocks": four[1],
        "before_reading_mb": one[0],
        "bytes_per_pixel": per_pixel,
        "default_block_gb_extrapolated": per_pixel * DEFAULT_BLOCK_PX**2 / 2**30,
        "bands": len(BANDS),
    }
    ratios = summary(rows)
    for key, value in told.items():
        print(f"{key:10}{value}")
    print(f"\n{'reader':44}{'Mpix/s':>8}{'Mpix/cpu-s':>12}{'s':>9}")
    for row in rows:
        print(f"{row['reader']:44}{row['mpix_s']:8.1f}{row['mpix_cpu_s']:12.1f}{row['seconds']:9.2f}")
    print("\n" + "\n".join(f"{key:36}{value:6.2f}" for key, value in ratios.items()))
    print("\n" + "\n".join(f"{key:36}{value:10.1f}" for key, value in memory.items()))
    if given.json:
        given.json.write_text(
            json.dumps({"context": told, "readers": rows, "ratios": ratios, "memory": memory}, indent=1)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
