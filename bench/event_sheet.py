"""A sheet of pictures: every class of planted event before and after, in true colour and in short-wave infrared.

    python bench/event_sheet.py --archive data/simulated --out docs/simulated-archive/events.jpg
    python bench/event_sheet.py --archive data/simulated --real ../shared/data --out /tmp/events.png

Without `--real` the sheet holds simulated pixels only. With it, real examples stand below, for people who have the
data: fires (California), towns that grew (OSCD, level 1C), clear-cuts (Romania). A sheet with real pixels is not to be
put into the repository, and is refused below its root. Infrared is B12 B8 B4; B11 B8 B4 where there is no B12.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
import xarray as xr
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from realism_read import Place, archive_bands, open_events, open_places, place_block, place_days, read_day, to_metres
from realism_time import window
from shapely.geometry.base import BaseGeometry

from stac.bands import CLEAR_SCL
from stac.errors import DataError

PANEL, GAP, TEXT = 96, 3, 13
TRUE, INFRARED = ("B04", "B03", "B02"), ("B12", "B08", "B04")
LEAST_SIDE = 640.0
FIRES = ("5_INCIDENT_20240715", "CLEAR_20240626")
CITIES = ("abudhabi", "beihai")
Layers = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Pair:
    """Two dates of one place, reflectance by band, all of one shape."""

    kind: str
    """Class of event; a new one begins a row."""
    title: str
    before: Layers
    after: Layers


def simulated_pairs(archive: Path, examples: int) -> Iterator[Pair]:
    """Planted events, `examples` of each class: those under 400 ha first, the largest first, from several areas."""
    events = open_events(archive)
    found: dict[str, list[tuple[float, Place, BaseGeometry, dict[str, Any]]]] = {}
    for place in open_places(archive):
        for outline, says in events:
            if outline.intersects(place.area.geometry) and says.get("before_date") and says.get("after_date"):
                found.setdefault(says["class"], []).append((float(says["area_ha"]), place, outline, says))
    days: dict[str, Any] = {}
    for kind in sorted(found):
        shown: list[str] = []
        ranked = sorted(found[kind], key=lambda row: -row[0])
        ranked = [row for row in ranked if row[0] < 400] + [row for row in ranked if row[0] >= 400]
        for _, place, outline, says in ranked:
            if len(shown) == examples:
                break
            if place.name in shown and len({row[1].name for row in ranked}) >= examples:
                continue
            seen = days.setdefault(place.name, place_days(archive, place))
            pair = _simulated_pair(place, outline, says, seen)
            if pair is not None:
                shown.append(place.name)
                yield pair


def _simulated_pair(place: Place, outline: BaseGeometry, says: dict[str, Any], days: Mapping[date, Any]) -> Pair | None:
    """One event in a square around it; None where less than nine tenths are clear, or much lies outside the area."""
    epsg = place_block(place).lattice.epsg
    shape = to_metres(outline, epsg)
    west, south, east, north = shape.bounds
    half = max(east - west, north - south, LEAST_SIDE / 1.5) * 0.75
    middle = shapely.Point((west + east) / 2, (south + north) / 2)
    block = window(middle.buffer(half), epsg, 0)
    bands = [band for band in (*TRUE, "B08", "B11", "B12") if band in archive_bands(days)]
    layers = []
    for key in ("before_date", "after_date"):
        day = date.fromisoformat(says[key])
        found = read_day(block, day, days[day], bands) if day in days else None
        if found is None or np.isin(found["scl"], CLEAR_SCL).mean() < 0.9 or (found["B02"] > 0).mean() < 0.85:
            return None
        layers.append(found)
    title = f"{says['class'].replace('_', ' ')}, simulated {place.biome}".rstrip()
    return Pair(says["class"], f"{title}, {says['before_date']} to {says['after_date']}", *layers)


def real_pairs(folder: Path) -> Iterator[Pair]:
    """Fires, towns, clear-cuts."""
    for name in FIRES:
        layers = []
        for side in ("before", "after"):
            with rasterio.open(folder / "calfire-style" / name / f"{side}.tif") as file:
                layers.append(dict(zip(file.descriptions, file.read().astype(np.float32) / 10_000, strict=True)))
        yield Pair("real fire", f"REAL fire {name}", *layers)
    for city in CITIES:
        yield _real_city(folder / "oscd" / city)
    yield _real_cuts(folder / "romania-series")


def _real_city(folder: Path) -> Pair:
    """The square of a city with the most change, level 1C; the later date on the earlier one's grid."""
    with rasterio.open(folder / "change.tif") as file:
        change = file.read(1) == 2
    side = min(128, *change.shape)
    sums = np.pad(change, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    count = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(count.argmax()), count.shape)
    layers = []
    for name in ("before", "after"):
        found = {}
        for band in (*TRUE, "B08", "B12"):
            with rasterio.open(folder / name / f"{band}.tif") as file:
                image = file.read(1, out_shape=change.shape, resampling=Resampling.bilinear).astype(np.float32) / 10_000
            found[band] = image[top : top + side, left : left + side]
        layers.append(found)
    return Pair("real town", f"REAL town, {folder.name} (level 1C)", *layers)


def _real_cuts(folder: Path) -> Pair:
    """The whole Romanian series: the clearest summer dates of 2016 and 2020."""
    with xr.open_dataset(folder / "sentinel2_cube_subset_romania_10m.nc") as fine:
        days = fine.time.values.astype("datetime64[D]")
        clear = np.isin(fine.SCL.values, CLEAR_SCL).mean(axis=(1, 2))
        names = {"B02": "B2", "B03": "B3", "B04": "B4", "B08": "B8"}
        pixels = {band: fine[name].values / 10_000 for band, name in names.items()}
    with xr.open_dataset(folder / "sentinel2_cube_subset_romania_20m.nc") as half:
        pixels["B11"] = half.B11.values.repeat(2, axis=1).repeat(2, axis=2) / 10_000
    layers = []
    for year in (2016, 2020):
        summer = (days >= np.datetime64(f"{year}-06-15")) & (days <= np.datetime64(f"{year}-09-15"))
        best = int(np.argmax(np.where(summer, clear, -1)))
        layers.append({band: np.nan_to_num(cube[best]).astype(np.float32) for band, cube in pixels.items()})
    return Pair("real clear-cut", "REAL clear-cuts, Romania, 2016 to 2020", *layers)


def draw_pair(pair: Pair) -> Image.Image:
    """Before and after in true colour, before and after in infrared, under a title."""
    sheet = Image.new("RGB", (4 * (PANEL + GAP) - GAP, PANEL + TEXT), "white")
    ImageDraw.Draw(sheet).text((0, -1), pair.title, "black", ImageFont.load_default(10))
    swir = "B12" if "B12" in pair.before else "B11"
    for n, bands in enumerate((TRUE, (swir, *INFRARED[1:]))):
        images = [np.stack([side[band] for band in bands], axis=-1) for side in (pair.before, pair.after)]
        top = np.percentile(np.concatenate([image.reshape(-1, 3) for image in images]), 98, axis=0).max()
        for m, image in enumerate(images):
            shade = (np.clip(image / max(float(top), 0.02), 0, 1) ** 0.8 * 255).astype(np.uint8)
            scaled = _square(Image.fromarray(shade))
            sheet.paste(scaled, ((2 * n + m) * (PANEL + GAP), TEXT))
    return sheet


def _square(image: Image.Image) -> Image.Image:
    """The middle square, at the size of a panel."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    method = Image.Resampling.NEAREST if side < PANEL else Image.Resampling.BOX
    return image.crop((left, top, left + side, top + side)).resize((PANEL, PANEL), method)


def draw_sheet(pairs: Sequence[Pair], columns: int) -> Image.Image:
    """All pairs, a row or more for each class."""
    rows: list[list[Pair]] = []
    for pair in pairs:
        if not rows or len(rows[-1]) == columns or rows[-1][-1].kind != pair.kind:
            rows.append([])
        rows[-1].append(pair)
    width, height = 4 * (PANEL + GAP) + 2 * GAP, PANEL + TEXT + GAP
    sheet = Image.new("RGB", (columns * width, len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, pair in enumerate(row):
            sheet.paste(draw_pair(pair), (x * width, y * height))
    return sheet


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder of the real data; the sheet is then not for the repository")
    parser.add_argument("--out", type=Path, required=True, help="a .jpg (small) or .png")
    parser.add_argument("--examples", type=int, default=1, help="of each class (default: 1)")
    args = parser.parse_args(argv)
    root = Path(__file__).resolve().parent.parent
    if args.real and args.out.resolve().is_relative_to(root):
        raise DataError(f"--real with --out {args.out}", "a place outside the repository", "real pixels stay out of it")
    pairs = list(simulated_pairs(args.archive, args.examples)) + (list(real_pairs(args.real)) if args.real else [])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 70, "optimize": True} if args.out.suffix.lower() in (".jpg", ".jpeg") else {"optimize": True}
    draw_sheet(pairs, max(args.examples, 2 if args.real else 1)).save(args.out, **options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
