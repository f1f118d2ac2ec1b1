"""How fast pixels are read, against other readers and against plain decoding, on the same local files in one run.

    python bench/read.py [--size PX] [--dates N] [--repeats N] [--no-memory] [--json FILE]

Writes Sentinel-2-like COGs (DEFLATE with predictor 2; blocks of 1,024 pixels at 10 m, of 512 at 20 m; a tile origin
that lies on no chip edge) to a temporary folder and measures, interleaved, medians of the repeats:

    ours            iter_days over the area: classification, clear fraction, harmonised bands, as cubes at 10 m; and
                    the same with all chips cut, as a build does
    odc.stac.load   four ways: a pool of threads; dask chunks of 2,048; one dask chunk an image; and that with the
                    20 m bands loaded at 20 m and repeated by NumPy afterwards (no call of its documentation)
    stackstac       dask chunks of 2,048
    rioxarray       one window per chip, on a sample of chips, extrapolated
    ceiling         whole files decoded with rasterio and nothing else; the best of GDAL's default block cache and 64 MB

Mpix/s counts the files' own pixels that lie under the area (a 20 m pixel once), for all but the ceiling, which counts
all it decodes. Ours and the ceiling read all dates, the slower readers the first few. Ours takes its memory
once, as a build of many blocks does (`Buffers`). Four dates differ, more are links to these. Peak memory comes from
`bench/read_memory.py`, unless `--no-memory`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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
from read_files import ASSETS, BANDS, CORES, DISTINCT, EPSG, NORTH, WEST, write_files
from read_memory import memory_table, print_table

from stac.blocks import Block
from stac.buffers import Buffers
from stac.cube import gather_chips
from stac.items import Asset, Scene
from stac.lattice import Lattice, to_lonlat
from stac.read import ReadOptions, iter_days

CHIP, SAMPLE, BATCH = 64, 24, 256
Reader = Callable[[], float]


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

    def ours(self, *, cut: bool) -> float:
        """Our reader, with chips cut or without; returns a sum so that nothing is left out."""
        total, batch = 0.0, np.empty((BATCH, len(BANDS), CHIP, CHIP), np.uint16)
        for day in iter_days(self.block, self.days(), list(BANDS), options=ReadOptions(), buffers=self.buffers):
            assert day.cube is not None
            assert day.clear is not None
            total += float(day.cube["B02"].values[0, -1].mean())
            rows, cols = np.nonzero(day.clear >= 0.8) if cut else ((), ())
            for first in range(0, len(rows), BATCH):
                part = slice(first, first + BATCH)
                total += float(gather_chips(day.cube, list(BANDS), CHIP, rows[part], cols[part], batch)[-1, -1, -1, -1])
        return total

    def odc(self, chunks: dict[str, int] | None, *, native: bool = False) -> float:
        """odc.stac.load, one date after the other, with threads; `native` loads 20 m bands at 20 m, then repeats."""
        import dask
        import odc.stac
        from odc.geo.geobox import GeoBox

        height, width = self.block.shape
        pool = {"pool": CORES} if chunks is None else {}
        steps = (10, 20) if native else (None,)
        total = 0.0
        for item in self.items():
            for step in steps:
                bands = [name for name, gsd in ASSETS.items() if step in {None, gsd}]
                scale = (step or 10) // 10
                where = self.block.transform * Affine.scale(scale)
                box = GeoBox((height // scale, width // scale), where, f"EPSG:{EPSG}")
                with dask.config.set(scheduler="threads", num_workers=CORES):
                    loaded = odc.stac.load([item], bands=bands, geobox=box, chunks=chunks, **pool).load()
                for band in bands:
                    values = loaded[band].values[0]
                    if scale > 1:
                        values = values.repeat(scale, 0).repeat(scale, 1)
                    total += float(values[-1, -1])
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


def compare(bench: Bench, repeats: int) -> list[dict[str, Any]]:
    """Run all readers, interleaved, and give the median of each: Mpix/s by the clock and by the processor."""
    chips = bench.block.mask.size * bench.dates
    few = bench.needed * min(DISTINCT, bench.dates) / bench.dates
    readers: dict[str, tuple[Reader, float]] = {
        "ceiling, GDAL's own cache": (lambda: bench.ceiling(None), bench.decoded),
        "ceiling, cache of 64 MB": (lambda: bench.ceiling(64 << 20), bench.decoded),
        "ours": (lambda: bench.ours(cut=False), bench.needed),
        "ours, chips cut": (lambda: bench.ours(cut=True), bench.needed),
        "odc.stac.load, pool": (lambda: bench.odc(None), few),
        "odc.stac.load, dask 2048": (lambda: bench.odc({"x": 2048, "y": 2048}), few),
        "odc.stac.load, dask whole image": (lambda: bench.odc({"x": -1, "y": -1}), few),
        "odc.stac.load, 20 m repeated by hand": (lambda: bench.odc({"x": -1, "y": -1}, native=True), few),
        "stackstac, dask 2048": (bench.stackstac, few),
        f"rioxarray per chip, {SAMPLE} of {chips} chips": (bench.rioxarray, bench.needed * SAMPLE / chips),
    }
    bench.ceiling(None)  # files into the system's cache
    bench.ours(cut=False)  # takes the memory that it uses from then on
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for _ in range(repeats):
        for name, (read, _mpix) in readers.items():
            taken[name].append(measure(read))
    rows = []
    for name, (_read, mpix) in readers.items():
        wall, cpu = (median(values) for values in zip(*taken[name], strict=True))
        rows.append({"reader": name, "mpix_s": mpix / wall, "mpix_cpu_s": mpix / cpu, "seconds": wall})
    return rows


def add_ratios(rows: Sequence[dict[str, Any]]) -> None:
    """Add to each row how many times as fast ours is, by the clock and by the processor."""
    ours = next(row for row in rows if row["reader"] == "ours")
    for row in rows:
        row["ours_times"] = ours["mpix_s"] / row["mpix_s"]
        row["ours_times_cpu"] = ours["mpix_cpu_s"] / row["mpix_cpu_s"]


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
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory, which takes two minutes")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-read-") as name:
        start = time.perf_counter()
        compression = write_files(Path(name), given.size, given.dates)
        bench = Bench(Path(name), given.size, given.dates)
        told = context(bench, compression, time.perf_counter() - start)
        rows = compare(bench, given.repeats)
    add_ratios(rows)
    for key, value in told.items():
        print(f"{key:10}{value}")
    print(f"\n{'reader':44}{'Mpix/s':>8}{'Mpix/cpu-s':>12}{'s':>9}{'ours is':>10}{'by cpu':>8}")
    for row in rows:
        print(
            f"{row['reader']:44}{row['mpix_s']:8.1f}{row['mpix_cpu_s']:12.1f}{row['seconds']:9.2f}"
            f"{row['ours_times']:8.2f} x{row['ours_times_cpu']:6.2f} x"
        )
    print()
    memory = [] if given.no_memory else memory_table()
    if memory:
        print_table(memory)
    if given.json:
        given.json.write_text(json.dumps({"context": told, "readers": rows, "memory": memory}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
