"""What both sides of the comparison with real pixels have in common: chips, series, the real chips, days of an archive.

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
from stac.bands import BANDS
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


@dataclass(frozen=True)
class Chips:
    """Chips of one side."""

    bands: tuple[str, ...]
    pixels: NDArray[np.float32]
    """(N, C, 64, 64) reflectance, 0..1."""
    groups: NDArray[np.int64]
    """(N,) which chips are never parted between folds: scenes by guess (real), squares of the ground (simulated)."""
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

    def by_place(self) -> Chips:
        """The chips in one group for each area."""
        groups = np.unique(self.places, return_inverse=True)[1].astype(np.int64)
        return Chips(self.bands, self.pixels, groups, self.places)

    def joined(self, other: Chips) -> Chips:
        """These chips and the others of the same archive: groups of one number are one group."""
        pixels = np.concatenate([self.pixels, other.pixels])
        groups = np.concatenate([self.groups, other.groups])
        return Chips(self.bands, pixels, groups, self.places + other.places)


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
    block: Block, day: date, scenes: Sequence[Scene], bands: Sequence[str], *, smooth: bool = True
) -> dict[str, NDArray[np.float32]] | None:
    """Bands (H, W) as reflectance at 10 m, and `scl`, 0 = no data; None where nothing lies there.

    Bands of 20 m come bilinear; each pixel four times where not `smooth`.
    """
    try:
        cube = read_cube(block, {day: scenes}, bands)
    except ReadError:
        return None
    layers = {}
    for band in bands:
        image = cube[band].values[0].astype(np.float32) / 10_000
        layers[band] = double(image[::2, ::2]) if smooth and BANDS[band].gsd == 20 else image
    return {**layers, "scl": cube["scl"].values[0].astype(np.float32)}


def double(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """A 20 m image (h, w) at 10 m (2h, 2w), bilinear, half-pixel centres, edges repeated, in whole counts of 1e-4."""
    for axis in (0, 1):
        padded = np.pad(coarse, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        before, here, after = (np.take(padded, range(k, k + coarse.shape[axis]), axis) for k in (0, 1, 2))
        pair = np.stack([0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after], axis=axis + 1)
        coarse = pair.reshape([2 * n if a == axis else n for a, n in enumerate(coarse.shape)])
    return (np.round(coarse * 10_000) / 10_000).astype(np.float32)


def to_metres(outline: BaseGeometry, epsg: int) -> BaseGeometry:
    """An outline in degrees in a zone's metres."""
    return shapely.transform(outline, lambda xy: np.column_stack(from_lonlat(epsg).transform(*xy.T)))
