"""Genuine Earth Search items through the whole build, once as a static catalog, once through a STAC API on loopback.

    python bench/earth_search.py --shared ../shared [--json FILE]

The rasters are the whole tiles 33TWL and 33TWM at 120 m, so `--gsd 120`. Printed: whether the two ways give the same
observations, how many observations a location of the tiles' overlap has on a solar day, and vegetation's median in blue
by day, ours beside the files' own (near 300 DN on the clear days; 1, had the offset been taken off a second time).
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from index.pipeline import build_store
from index.plan import BuildConfig
from stac.area import norm_area
from stac.blocks import iter_blocks
from stac.catalog import find_items
from stac.items import resolve_scenes, solar_days
from stac.period import norm_period
from stac.read import read_cube

TILES = "14.9,44.9,16.5,47.0"
AREA, PERIOD, BANDS = "15.2,45.6,16.2,46.4", "2023-08-13/2023-08-20", ("B02", "B03", "B04", "B08")
VEGETATION = 4


def serve(catalog: Path, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """`rustac serve` over the same items; returns the process and its address."""
    items = [json.loads(path.read_text()) for path in sorted(catalog.parent.glob("*/*/*.json"))]
    for item in items:
        home = next(catalog.parent.glob(f"*/{item['id']}"))
        for asset in item["assets"].values():
            if "://" not in asset["href"]:
                asset["href"] = str((home / asset["href"]).resolve())
        item["links"] = []
    collection = json.loads(next(catalog.parent.glob("*/collection.json")).read_text())
    (folder / "collection.json").write_text(json.dumps({**collection, "links": []}))
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(Path(sys.executable).with_name("rustac")), "serve", "-a", address]
    process = subprocess.Popen([*command, str(folder / "collection.json"), str(folder / "items.json")])
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}", timeout=1).read()
            break
        except OSError:
            time.sleep(0.1)
    return process, f"http://{address}"


def observations(store: Path) -> pa.Table:
    """Every observation of a store."""
    parts = sorted((store / "observations").glob("*.parquet"))
    return pa.concat_tables(pq.read_table(path) for path in parts).sort_by(
        [("location_id", "ascending"), ("time", "ascending")]
    )


def build(catalog: str, collection: str, store: Path, chip_size: int) -> pa.Table:
    """The observations that `index.build` makes of a catalog."""
    build_store(
        BuildConfig(
            catalog=catalog,
            collection=collection,
            store=str(store),
            area=AREA,
            period=PERIOD,
            bands=BANDS,
            chip_size=chip_size,
            gsd=120,
            min_clear=0.5,
        )
    )
    return observations(store)


def vegetation_blue(catalog: Path) -> dict[str, dict[str, float]]:
    """Solar day → median DN of blue where SCL says vegetation, over both tiles: of our cubes, and of the files."""
    area = norm_area(TILES)
    items = find_items(str(catalog), area=area, period=norm_period(PERIOD), collection="sentinel-2-l2a")
    blocks = list(iter_blocks(area.geometry, 16, 120))
    medians = {}
    for day, scenes in solar_days(resolve_scenes(items, ["B02"])).items():
        cubes = [read_cube(block, {day: scenes}, ["B02"]) for block in blocks]
        ours = [cube["B02"].values[(cube["scl"].values == VEGETATION) & (cube["B02"].values > 0)] for cube in cubes]
        files = []
        for scene in scenes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the items say where these files lie
                blue, scl = (rasterio.open(scene.assets[name].href).read(1) for name in ("B02", "SCL"))
            files.append(blue[scl == VEGETATION])
        medians[str(day)] = {
            name: float(np.median(np.concatenate(v))) for name, v in (("ours", ours), ("files", files))
        }
    return medians


def main() -> int:
    """Build twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--chip-size", type=int, default=16)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    catalog = (args.shared / "data" / "earth-search-catalog" / "catalog.json").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        static = build(str(catalog), "sentinel-2-l2a", folder / "static", args.chip_size)
        process, address = serve(catalog, folder)
        try:
            served = build(address, "sentinel-2-l2a", folder / "api", args.chip_size)
        finally:
            process.terminate()
            process.wait()
    behind = [len(ids) for ids in static.column("item_ids").to_pylist()]
    per_day = static.group_by(["location_id", "time"]).aggregate([("time", "count")])
    days = {
        (place, moment.date())
        for place, moment in zip(*static.select(["location_id", "time"]).to_pydict().values(), strict=True)
    }
    outcome = {
        "data": "real: Earth Search v1 items of 33TWL and 33TWM, 13 to 20 August 2023, rasters at 120 m",
        "observations": static.num_rows,
        "locations": len(set(static.column("location_id").to_pylist())),
        "same_through_api": bool(static.equals(served)),
        "observations_of_two_tiles": sum(count > 1 for count in behind),
        "one_observation_per_location_and_solar_day": len(days) == static.num_rows == per_day.num_rows,
        "median_blue_of_vegetation": vegetation_blue(catalog),
    }
    print(json.dumps(outcome, indent=1))
    if args.json:
        args.json.write_text(json.dumps(outcome, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
