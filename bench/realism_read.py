"""Both sides of the comparison with real pixels, as arrays: chips of the real set, chips and series of an archive.

The simulated archive is read through the project's own door (items, scenes, offsets, cubes), so what is compared is
what a build would see. Bands of 20 m come to 10 m as they did in the real chips: **bilinear**, half-pixel centres,
measured on `l2a-chips`: differences within a 20 m pixel equal the mean of the two beside it to half a count (the
rounding), and rows and columns 0, 2, 4… begin a 20 m pixel, in all six bands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from shapely.geometry.base import BaseGeometry

from index.demo import archive_bounds
from stac.area import Area, norm_area
from stac.bands import BANDS, CLEAR_SCL
from stac.blocks import Block, iter_blocks
from stac.catalog import find_items
from stac.errors import DataError, ReadError
from stac.items import Scene, resolve_scenes, solar_days
from stac.lattice import from_lonlat
from stac.period import norm_period
from stac.read import read_cube

CHIP = 64
"""Side of the real chips, pixels of 10 m."""
ALWAYS = "1990-01-01/2100-01-01"
MOST_CHIPS = 1500
"""Simulated chips kept for statistics. assumed: six times the real set is enough."""
BLOCK_CHIPS = 3
"""assumed: chips of one area stay together in squares of this side, 1.9 km, when they are split into folds."""
EUROPEAN = ("mediterranean", "temperate", "boreal", "cropland", "coast", "")
"""Biomes that the real chips show; the others are left out of the comparison of chips. '' is an archive of one area."""
CLEAR = 0.99
POINTS = 1500
"""Pixels of each area whose whole series is kept."""


@dataclass(frozen=True)
class Chips:
    """Chips of one side."""

    bands: tuple[str, ...]
    pixels: NDArray[np.float32]
    """(N, C, 64, 64) reflectance, 0..1."""
    groups: NDArray[np.int64]
    """(N,) which chips are never parted between folds."""
    places: tuple[str, ...]
    """(N,) area of each chip; `real` for the real ones."""

    def pick(self, which: NDArray[Any]) -> Chips:
        """Some of the chips, by mask or index."""
        index = np.arange(len(self.pixels))[which]
        return Chips(self.bands, self.pixels[index], self.groups[index], tuple(self.places[i] for i in index))

    def only(self, bands: Sequence[str]) -> Chips:
        """The chips with these bands, in this order."""
        index = [self.bands.index(band) for band in bands]
        return Chips(tuple(bands), self.pixels[:, index], self.groups, self.places)


@dataclass(frozen=True)
class Series:
    """All dates of some pixels of one area."""

    name: str
    biome: str
    south: bool
    days: tuple[date, ...]
    ndvi: NDArray[np.float32]
    """(T, P); NaN where the classification is not clear."""
    untouched: NDArray[np.bool_]
    """(P,) no planted event within 100 m."""
    clear: NDArray[np.float32]
    """(T,) clear share of what each date delivered."""


@dataclass(frozen=True)
class Place:
    """One area of an archive."""

    name: str
    biome: str
    area: Area

    @property
    def south(self) -> bool:
        """Whether it lies in the southern hemisphere."""
        return bool(self.area.geometry.centroid.y < 0)


def read_real_chips(folder: Path) -> Chips:
    """The 250 real chips.

    Groups: complete-link clusters of the log median reflectance of each band. Chips of one scene and one kind (the sea
    under one wind, one wood) come together at 0.35 (a third, in the worst band); scenes are not recorded, so this is a
    guess at them, made the harder for the classifier.

    Raises:
        DataError: The file is not there.
    """
    path = folder / "l2a-chips" / "chips.npz"
    if not path.exists():
        raise DataError(f"no {path}", "the folder of real data", "name it with --real")
    with np.load(path) as file:
        pixels = file["reflectance"].astype(np.float32) / 10_000
        bands = tuple(str(band) for band in file["bands"])
    level = np.log(np.median(pixels, axis=(2, 3)) + 0.002)
    groups = fcluster(linkage(level, "complete", "chebyshev"), 0.35, "distance").astype(np.int64)
    return Chips(bands, pixels, groups, ("real",) * len(pixels))


def open_places(archive: Path) -> list[Place]:
    """The areas of an archive: those of `areas.geojson`, or the whole as one."""
    path = archive / "areas.geojson"
    if not path.exists():
        west, south, east, north = archive_bounds(archive / "catalog.json")
        return [Place("whole archive", "", norm_area(f"{west},{south},{east},{north}"))]
    places = []
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        bounds = shapely.geometry.shape(feature["geometry"]).bounds
        says = feature["properties"]
        places.append(Place(says["name"], says.get("biome", ""), norm_area(",".join(f"{v:.6f}" for v in bounds))))
    return places


def open_events(archive: Path) -> list[tuple[BaseGeometry, dict[str, Any]]]:
    """Outline (degrees) and properties of the planted events."""
    features = json.loads((archive / "events.geojson").read_text(encoding="utf-8"))["features"]
    return [(shapely.geometry.shape(f["geometry"]), f["properties"]) for f in features]


def place_days(archive: Path, place: Place) -> dict[date, Sequence[Scene]]:
    """Solar day → scenes of an area; only bands that all items have are asked for elsewhere."""
    items = find_items(str(archive / "catalog.json"), area=place.area, period=norm_period(ALWAYS))
    return dict(solar_days(resolve_scenes(items, ["B02", "B04", "B08"])))


def archive_bands(days: Mapping[date, Sequence[Scene]]) -> tuple[str, ...]:
    """The bands of an archive, by wavelength."""
    scene = next(iter(days.values()))[0]
    return tuple(band for band in BANDS if band in scene.assets)


def place_block(place: Place) -> Block:
    """The area as one block; where it lies across two 100 km squares or zones, the larger part."""
    return max(iter_blocks(place.area.geometry, CHIP, 10), key=lambda block: int(block.mask.sum()))


def read_day(
    block: Block, day: date, scenes: Sequence[Scene], bands: Sequence[str]
) -> dict[str, NDArray[np.float32]] | None:
    """Bands (H, W) as reflectance at 10 m, 20 m bands bilinear, `scl`, 0 = no data; None where nothing lies there."""
    try:
        cube = read_cube(block, {day: scenes}, bands)
    except ReadError:
        return None
    layers = {}
    for band in bands:
        image = cube[band].values[0].astype(np.float32) / 10_000
        layers[band] = image if BANDS[band].gsd == 10 else double(image[::2, ::2])
    return {**layers, "scl": cube["scl"].values[0].astype(np.float32)}


def double(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """A 20 m image (h, w) at 10 m (2h, 2w), bilinear, half-pixel centres, edges repeated, in whole counts of 1e-4."""
    for axis in (0, 1):
        padded = np.pad(coarse, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        before, here, after = (np.take(padded, range(k, k + coarse.shape[axis]), axis) for k in (0, 1, 2))
        pair = np.stack([0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after], axis=axis + 1)
        coarse = pair.reshape([2 * n if a == axis else n for a, n in enumerate(coarse.shape)])
    return (np.round(coarse * 10_000) / 10_000).astype(np.float32)


def in_growing_season(day: date, south: bool) -> bool:
    """May to September, or half a year off: the real chips are summer's."""
    return day.month in ((11, 12, 1, 2, 3) if south else (5, 6, 7, 8, 9))


def read_archive(
    archive: Path, places: Sequence[Place], rng: np.random.Generator, most: int = MOST_CHIPS
) -> tuple[Chips, list[Series]]:
    """Chips of the growing season, clear by SCL, and the series of some pixels of every area.

    Raises:
        DataError: No chip of the archive is clear.
    """
    events = open_events(archive)
    european = sum(place.biome in EUROPEAN for place in places)
    pixels, names, squares, series = [], [], [], []
    bands: tuple[str, ...] = ()
    for place in places:
        days = place_days(archive, place)
        bands = bands or archive_bands(days)
        quota = most // max(european, 1) if place.biome in EUROPEAN else 0
        drawn, line = _read_place(place, days, bands, quota, events, rng)
        series.append(line)
        pixels += [chip for chip, _ in drawn]
        squares += [f"{place.name} {square}" for _, square in drawn]
        names += [place.name] * len(drawn)
    if not pixels:
        raise DataError(
            f"no clear chip in {archive}", "chips of 64 px, clear, in the growing season", "check the archive"
        )
    by = names if len(set(names)) >= 5 else squares  # areas are the better folds, where there are enough
    groups = np.unique(by, return_inverse=True)[1].astype(np.int64)
    return Chips(bands, np.stack(pixels), groups, tuple(names)), series


def _read_place(
    place: Place,
    days: Mapping[date, Sequence[Scene]],
    bands: tuple[str, ...],
    quota: int,
    events: Sequence[tuple[BaseGeometry, dict[str, Any]]],
    rng: np.random.Generator,
) -> tuple[list[tuple[NDArray[np.float32], str]], Series]:
    """Chips with their squares, and the series, of one area."""
    block = place_block(place)
    height, width = block.shape
    spots = rng.integers(0, height, POINTS), rng.integers(0, width, POINTS)
    warm = sum(in_growing_season(day, place.south) for day in days)
    per_day = max(4, 2 * quota // max(warm, 1)) if quota else 0
    chips, kept, lines, shares = [], [], [], []
    for day, scenes in days.items():
        wanted = per_day if in_growing_season(day, place.south) else 0
        layers = read_day(block, day, scenes, bands if wanted else ("B04", "B08"))
        if layers is None:
            continue
        clear: NDArray[np.bool_] = np.isin(layers["scl"], CLEAR_SCL)
        red, nir, seen = layers["B04"][spots], layers["B08"][spots], clear[spots]
        lines.append(np.where(seen & (red > 0), (nir - red) / np.maximum(nir + red, 1e-4), np.nan))
        kept.append(day)
        shares.append(clear.sum() / max((layers["scl"] > 0).sum(), 1))
        chips += _cut(layers, clear, bands, wanted, rng) if wanted else []
    chosen = rng.permutation(len(chips))[:quota]
    whole = np.isfinite(lines).any(axis=0)
    series = Series(
        place.name,
        place.biome,
        place.south,
        tuple(kept),
        np.asarray(lines, np.float32)[:, whole],
        _untouched(block, spots, events)[whole],
        np.asarray(shares, np.float32),
    )
    return [chips[i] for i in sorted(chosen)], series


def _cut(
    layers: Mapping[str, NDArray[np.float32]],
    clear: NDArray[np.bool_],
    bands: Sequence[str],
    wanted: int,
    rng: np.random.Generator,
) -> list[tuple[NDArray[np.float32], str]]:
    """At most `wanted` clear chips of a day, and the square in which each lies."""
    whole = np.stack([layers[band] for band in bands])
    good = clear & (whole > 0).all(axis=0)
    rows, cols = good.shape[0] // CHIP, good.shape[1] // CHIP
    share = good.reshape(rows, CHIP, cols, CHIP).mean(axis=(1, 3))
    full = (whole > 0).all(axis=0).reshape(rows, CHIP, cols, CHIP).all(axis=(1, 3))
    spots = np.argwhere((share >= CLEAR) & full)
    return [
        (
            whole[:, r * CHIP : (r + 1) * CHIP, c * CHIP : (c + 1) * CHIP].copy(),
            f"{r // BLOCK_CHIPS}-{c // BLOCK_CHIPS}",
        )
        for r, c in spots[rng.permutation(len(spots))[:wanted]]
    ]


def _untouched(
    block: Block,
    spots: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]],
    events: Sequence[tuple[BaseGeometry, dict[str, Any]]],
) -> NDArray[np.bool_]:
    """Which pixels lie more than 100 m outside every planted event."""
    west, _, _, north = block.bounds
    x, y = west + 10 * (spots[1] + 0.5), north - 10 * (spots[0] + 0.5)
    ground = shapely.unary_union([to_metres(outline, block.lattice.epsg).buffer(100) for outline, _ in events])
    return np.asarray(~shapely.contains_xy(ground, x, y), bool)


def to_metres(outline: BaseGeometry, epsg: int) -> BaseGeometry:
    """An outline in degrees in a zone's metres."""
    return shapely.transform(outline, lambda xy: np.column_stack(from_lonlat(epsg).transform(*xy.T)))
