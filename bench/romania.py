"""Clear-cuts in a real series: search from one, count how many of the first ten hits are others.

    python bench/romania.py --shared ../shared [--encoder spectral] [--json FILE]

The series (140 dates, one square kilometre of forest in Romania, EPSG:3035) is written as COGs with STAC items, and
`index.build` makes a store of it: chips of 80 m, pairs of the same season in consecutive years, all dates.

Truth is made from the pixels, over whole summers, and knows nothing of embeddings: a pixel is *cut in year Y* when the
75th percentile of its clear summer NDVI (June to mid-September) falls by at least 0.12 from Y−1 to Y. A chip is a
*clear-cut of Y* when at least a quarter of it is cut in Y. The gallery is every event of 2017 to 2020 with both dates
in summer whose location lies inside the series; an event is a positive when its chip is a clear-cut of the later date's
year. Every positive is a query; its own location is left out, in the strict score its whole patch of touching chips and
the eight neighbours too, and a location counts once a year. Intervals draw patches. Truth and encoder both see NDVI, so
the figure says that a change is found again elsewhere, not that the truth is right. Chance is the share of positives
among the (location, year) pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pystac
import rasterio
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from index.pipeline import build_store
from index.plan import BuildConfig
from index.search import find_similar, query_event
from index.store import Store, open_store
from stac.bands import CLEAR_SCL
from stac.lattice import Location

EPSG, CHIP, DROP, SHARE, K = 3035, 8, 0.12, 0.25, 10
YEARS = range(2017, 2021)
FILES = {"10m": {"B02": "B2", "B03": "B3", "B04": "B4", "B08": "B8", "SCL": "SCL"}, "20m": {"B11": "B11"}}
BANDS = ("B02", "B03", "B04", "B08", "B11")


def open_series(shared: Path) -> dict[str, xr.Dataset]:
    """The two NetCDF files, by resolution."""
    folder = shared / "data" / "romania-series"
    return {gsd: xr.open_dataset(folder / f"sentinel2_cube_subset_romania_{gsd}.nc") for gsd in FILES}


def transform_of(series: xr.Dataset) -> rasterio.Affine:
    """Pixel (column, row) → metres."""
    step = float(series.x[1] - series.x[0])
    return rasterio.Affine(step, 0, float(series.x[0]) - step / 2, 0, -step, float(series.y[0]) + step / 2)


def write_catalog(series: dict[str, xr.Dataset], out: Path) -> Path:
    """COGs and an item collection; the pixels carry no offset (all were processed before baseline 04.00)."""
    items = []
    for number, moment in enumerate(series["10m"].time.values):
        day = pd.Timestamp(moment)
        item = _new_item(series["10m"], day)
        for gsd, names in FILES.items():
            for band, name in names.items():
                path = out / f"{item.id}_{band}.tif"
                image = np.nan_to_num(series[gsd][name].values[number])
                _write_cog(path, image.astype("uint8" if band == "SCL" else "uint16"), transform_of(series[gsd]))
                item.add_asset(band, pystac.Asset(str(path), media_type=pystac.MediaType.COG, roles=["data"]))
        items.append(item)
    pystac.ItemCollection(items).save_object(str(out / "items.json"))
    return out / "items.json"


def _new_item(series: xr.Dataset, day: pd.Timestamp) -> pystac.Item:
    """An item without assets."""
    bounds = rasterio.transform.array_bounds(series.sizes["y"], series.sizes["x"], transform_of(series))
    to = Transformer.from_crs(EPSG, 4326, always_xy=True)
    x = [bounds[0], bounds[2], bounds[2], bounds[0], bounds[0]]
    y = [bounds[1], bounds[1], bounds[3], bounds[3], bounds[1]]
    ring = [list(point) for point in zip(*to.transform(x, y), strict=True)]
    lon, lat = zip(*ring, strict=True)
    moment = datetime(day.year, day.month, day.day, 9, 30, tzinfo=UTC)
    properties = {
        "proj:epsg": EPSG,
        "grid:code": "MGRS-34TFR",
        "s2:processing_baseline": "02.14",
        "s2:product_type": "S2MSI2A",
        "platform": "sentinel-2",
        "constellation": "sentinel-2",
    }
    return pystac.Item(
        f"S2_ROMANIA_{day:%Y%m%d}_L2A",
        {"type": "Polygon", "coordinates": [ring]},
        [min(lon), min(lat), max(lon), max(lat)],
        moment,
        properties,
        collection="sentinel-2-l2a",
    )


def _write_cog(path: Path, image: NDArray[np.unsignedinteger], transform: rasterio.Affine) -> None:
    """One band as a compressed, tiled GeoTIFF."""
    options = {"driver": "GTiff", "compress": "deflate", "crs": f"EPSG:{EPSG}", "transform": transform, "count": 1}
    shape = {"height": image.shape[0], "width": image.shape[1], "dtype": image.dtype}
    with rasterio.open(path, "w", **options, **shape) as file:
        file.write(image, 1)


def cut_years(series: xr.Dataset) -> dict[int, NDArray[np.float32]]:
    """Year → which pixels are cut in it (1 or 0)."""
    ndvi = ((series.B8 - series.B4) / (series.B8 + series.B4)).values
    ndvi[~np.isin(series.SCL.values, CLEAR_SCL)] = np.nan
    day = pd.DatetimeIndex(series.time.values)
    level = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pixel without a clear date in a summer stays unknown
        for year in range(2016, 2021):
            level[year] = np.nanpercentile(ndvi[(day.year == year) & in_summer(day)], 75, axis=0)
    return {year: (level[year - 1] - level[year] >= DROP).astype(np.float32) for year in YEARS}


def in_summer(day: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """June to mid-September."""
    return np.asarray((day.month >= 6) & ((day.month < 9) | ((day.month == 9) & (day.day <= 15))))


def chip_shares(
    store: Store, cuts: dict[int, NDArray[np.float32]], transform: rasterio.Affine
) -> dict[str, dict[int, float]]:
    """Location → year → share of the chip that is cut; locations that reach outside the series are left out."""
    shares: dict[str, dict[int, float]] = {}
    for place in sorted(set(store.events["location_id"])):
        location = Location.from_id(place, store.manifest.gsd)
        west, _, _, north = location.lattice.bounds(location.col, location.row)
        grid = rasterio.Affine(10, 0, west, 0, -10, north)
        found = {year: _resample(cut, transform, grid, location.lattice.epsg) for year, cut in cuts.items()}
        if not any(np.isnan(value) for value in found.values()):
            shares[place] = found
    return shares


def _resample(cut: NDArray[np.float32], transform: rasterio.Affine, grid: rasterio.Affine, epsg: int) -> float:
    """Mean of a mask over one chip; NaN where the chip leaves the series."""
    chip = np.full((CHIP, CHIP), np.nan, np.float32)
    reproject(
        cut,
        chip,
        src_transform=transform,
        src_crs=f"EPSG:{EPSG}",
        dst_transform=grid,
        dst_crs=f"EPSG:{epsg}",
        resampling=Resampling.nearest,
        dst_nodata=np.nan,
    )
    return float(chip.mean())


def neighbours(place: str) -> set[str]:
    """A location and the eight around it."""
    epsg, col, row, side = (int(part) for part in place.split("_"))
    return {f"{epsg}_{col + dx}_{row + dy}_{side}" for dx in (-1, 0, 1) for dy in (-1, 0, 1)}


def score(store: Store, shares: dict[str, dict[int, float]]) -> dict[str, float]:
    """Precision@10 over all queries, plain and strict, and chance."""
    events = store.events
    before, after = pd.DatetimeIndex(events["time_before"]), pd.DatetimeIndex(events["time_after"])
    place, year = events["location_id"].to_numpy(), after.year.to_numpy()
    gallery = in_summer(before) & in_summer(after) & events["location_id"].isin(shares).to_numpy()
    gallery &= np.isin(year, list(YEARS))
    positive = np.array([g and shares[p].get(y, 0) >= SHARE for g, p, y in zip(gallery, place, year, strict=True)])
    truth = dict(zip(events["event_id"], positive, strict=True))
    inside = dict(zip(events["event_id"], gallery, strict=True))
    patches = find_patches(set(zip(place[positive], year[positive], strict=True)))
    patch_of = [patches[key] for key in zip(place[positive], year[positive], strict=True)]
    plain, strict = [], []
    for event_id, patch in zip(events["event_id"][positive], patch_of, strict=True):
        query = query_event(store, event_id)
        hits = find_similar(store, query, k=2000)
        hits = hits[[inside[name] for name in hits["event_id"]]]
        hits = hits.assign(year=hits["time_after"].dt.year).drop_duplicates(["location_id", "year"])
        own = hits[hits["location_id"] != query.location_id].head(K)
        own_patch = {name for (name, _), number in patches.items() if number == patch}
        far = hits[~hits["location_id"].isin(own_patch | neighbours(query.location_id))].head(K)
        plain.append(np.mean([truth[name] for name in own["event_id"]]))
        strict.append(np.mean([truth[name] for name in far["event_id"]]))
    pairs = pd.DataFrame({"place": place, "year": year, "positive": positive})[gallery]
    once = pairs.groupby(["place", "year"])["positive"].any()
    low, high = np.quantile(_bootstrap(plain, patch_of), [0.025, 0.975])
    strict_low, strict_high = np.quantile(_bootstrap(strict, patch_of), [0.025, 0.975])
    return {
        "queries": len(plain),
        "query_locations": len(set(place[positive])),
        "precision_at_10": float(np.mean(plain)),
        "interval_low": float(low),
        "interval_high": float(high),
        "precision_at_10_strict": float(np.mean(strict)),
        "strict_interval_low": float(strict_low),
        "strict_interval_high": float(strict_high),
        "patches": len(set(patch_of)),
        "chance": float(once.mean()),
        "gallery_events": int(gallery.sum()),
        "gallery_location_years": len(once),
        "positive_location_years": int(once.sum()),
    }


def find_patches(positives: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Number of the patch of each (location, year): chips that touch and were cut in one year are one patch."""
    patches: dict[tuple[str, int], int] = {}
    for start in sorted(positives):
        if start in patches:
            continue
        number, todo = len(set(patches.values())), [start]
        while todo:
            place, year = todo.pop()
            if (place, year) in positives and (place, year) not in patches:
                patches[place, year] = number
                todo += [(name, year) for name in neighbours(place)]
    return patches


def _bootstrap(values: list[float], groups: list[int], rounds: int = 2000) -> NDArray[np.float64]:
    """Means over patches drawn with replacement: queries of one patch are not independent."""
    grouped = pd.Series(values).groupby(np.asarray(groups))
    sums, counts = grouped.sum().to_numpy(), grouped.count().to_numpy()
    drawn = np.random.default_rng(0).integers(0, len(sums), (rounds, len(sums)))
    return sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)


def main() -> int:
    """Build, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--encoder", nargs="+", default=["spectral", "random"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    series = open_series(args.shared)
    outcome = []
    with tempfile.TemporaryDirectory() as folder:
        catalog = write_catalog(series, Path(folder))
        for encoder in args.encoder:
            config = BuildConfig(
                catalog=str(catalog),
                store=f"{folder}/store-{encoder}",
                area="22.144,45.199,22.160,45.211",
                period="2015-08-01/2021-02-01",
                encoder=encoder,
                bands=BANDS,
                pairs="yearly",
                chip_size=CHIP,
            )
            build_store(config)
            store = open_store(Path(config.store))
            shares = chip_shares(store, cut_years(series["10m"]), transform_of(series["10m"]))
            row = {"encoder": encoder, "data": "real: Romania, 1 km²", **store.manifest.counts}
            outcome.append(row | score(store, shares))
            print(json.dumps(outcome[-1], indent=1))
    if args.json:
        args.json.write_text(json.dumps(outcome, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
