"""Planted events and real changes as pairs of dates, for the sheet of pictures (`event_sheet.py`).

Which examples are shown: of each class the largest under 400 ha, those that differ most from their surroundings first.
Of each event the two clear dates that lie nearest to each other in the year, so that the seasons do not show; of fires
and floods the first clear date after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
import shapely.affinity
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.features import geometry_mask
from realism_read import Place, archive_bands, open_events, open_places, place_block, place_days, read_day, to_metres
from realism_time import window
from shapely.geometry.base import BaseGeometry

from stac.bands import CLEAR_SCL
from stac.blocks import Block
from stac.items import Scene

TRUE, INFRARED = ("B04", "B03", "B02"), ("B12", "B08", "B04")
LEAST_SIDE = 500.0
"""Side of the smallest window, metres."""
LARGEST_SIDE = 3000.0
ROAD_SIDE = 1600.0
"""Side of the largest window, metres, and that of a road's: the whole of it would be a hair among others. Of what is
larger a part is shown."""
CANDIDATES = 8
"""Events of a class that are looked at: the largest under 400 ha, in turn from each area."""
CLEAR = 0.93
"""Least part of a window that is clear by SCL."""
TRIED = 4
"""Clear dates on each side among which those nearest in the year are taken."""
SOON = {"flood": 30, "wildfire": 90}
"""Classes whose first clear date counts, for they fade → days after the end within which it lies."""
WAIT = (20, 400)
"""Days after the end between which the later date lies for the others: what is built is shown once it stands."""
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
    rings: list[NDArray[np.float64]] = field(default_factory=list)
    """(n, 2) each: columns and rows of the event's outline, as parts of the window's width and height."""
    contrast: float = 0.0
    """Change inside over the spread of the change around it: see `measure_contrast`."""


@dataclass(eq=False)
class Skies:
    """What was clear over an area on each of its dates; each date's classification is read once."""

    place: Place
    days: Mapping[date, Sequence[Scene]]
    _clear: dict[date, NDArray[np.bool_]] = field(default_factory=dict)

    @cached_property
    def block(self) -> Block:
        """The whole area."""
        return place_block(self.place)

    def clear_days(self, window: Block, wanted: Sequence[date]) -> list[date]:
        """The first few of some dates on which nearly all of a window is clear."""
        left, _, _, top = self.block.bounds
        west, south, east, north = window.bounds
        rows = slice(max(int(top - north) // 10, 0), int(top - south) // 10)
        cols = slice(max(int(west - left) // 10, 0), int(east - left) // 10)
        whole = window.shape[0] * window.shape[1]
        found: list[date] = []
        for day in wanted:
            if self.clear(day)[rows, cols].sum() >= CLEAR * whole:
                found.append(day)
            if len(found) == TRIED:
                break
        return found

    def clear(self, day: date) -> NDArray[np.bool_]:
        """(H, W), pixels of the area that are clear by SCL on a day."""
        if day not in self._clear:
            layers = read_day(self.block, day, self.days[day], ["B02"])
            none = np.zeros(self.block.shape, bool)
            self._clear[day] = none if layers is None else np.isin(layers["scl"], CLEAR_SCL) & (layers["B02"] > 0)
        return self._clear[day]


def simulated_pairs(archive: Path, examples: int) -> Iterator[Pair]:
    """Planted events, `examples` of each class, from several areas where there are some; the best contrast first."""
    events = open_events(archive)
    places = open_places(archive)
    skies = {place.name: Skies(place, place_days(archive, place)) for place in places}
    found: dict[str, list[tuple[Place, BaseGeometry, dict[str, Any]]]] = {}
    for place in places:
        for outline, says in events:
            if outline.intersects(place.area.geometry):
                found.setdefault(says["class"], []).append((place, outline, says))
    for kind in sorted(found):
        pairs = [(row[0].name, new_pair(skies[row[0].name], *row[1:])) for row in _candidates(found[kind])]
        ranked = sorted(((name, pair) for name, pair in pairs if pair), key=lambda row: -row[1].contrast)
        names = {name for name, _ in ranked}
        shown: list[str] = []
        for name, pair in ranked:
            if len(shown) < examples and (name not in shown or len(names) < examples):
                shown.append(name)
                yield pair


def _candidates(
    rows: Sequence[tuple[Place, BaseGeometry, dict[str, Any]]],
) -> list[tuple[Place, BaseGeometry, dict[str, Any]]]:
    """Events to look at: under 400 ha the largest first, in turn from each area; then the larger ones."""
    ranked = sorted(rows, key=lambda row: (row[2]["area_ha"] >= 400, -row[2]["area_ha"]))
    turn: dict[str, int] = {}
    order: list[tuple[int, int, tuple[Place, BaseGeometry, dict[str, Any]]]] = []
    for place, outline, says in ranked:
        turn[place.name] = turn.get(place.name, 0) + 1
        order.append((turn[place.name], len(order), (place, outline, says)))
    return [row for _, _, row in sorted(order, key=lambda item: item[:2])][:CANDIDATES]


def new_pair(skies: Skies, outline: BaseGeometry, says: dict[str, Any]) -> Pair | None:
    """One event in a square around it; None where no two clear dates are found, or much lies outside the area."""
    days, epsg = skies.days, skies.block.lattice.epsg
    shape = to_metres(outline, epsg)
    west, south, east, north = shape.bounds
    half = max(east - west, north - south, LEAST_SIDE) * 0.7
    middle = shapely.Point((west + east) / 2, (south + north) / 2)
    largest = ROAD_SIDE if says["class"] == "road" else LARGEST_SIDE
    if 2 * half > largest:
        half, middle = largest / 2, shape.representative_point()
    ground = to_metres(skies.place.area.geometry, epsg).intersection(shapely.box(*skies.block.bounds))
    if not ground.covers(middle):
        return None
    block = window(_inside_of(middle.buffer(half), ground.buffer(-20)), epsg, 0)
    start, end = date.fromisoformat(says["start"]), date.fromisoformat(says["end"])
    soon = SOON.get(says["class"])
    least, most = WAIT if soon is None else (0, soon)
    early = [day for day in sorted(days, reverse=True) if day < start and (start - day).days < 400]
    late = [day for day in sorted(days) if least <= (day - end).days <= most]
    before = skies.clear_days(block, early)
    if soon is None:
        late.sort(key=lambda day: min((season_gap(day, other) for other in before), default=0))
    after = skies.clear_days(block, late)[: TRIED if soon is None else 1]
    if not before or not after:
        return None
    pair = min(((b, a) for b in before for a in after), key=lambda two: season_gap(*two))
    bands = [band for band in (*TRUE, "B08", "B11", "B12") if band in archive_bands(days)]
    layers = [read_day(block, day, days[day], bands) for day in pair]
    if layers[0] is None or layers[1] is None:
        return None
    title = f"{says['class'].replace('_', ' ')}, {skies.place.biome}, {says['area_ha']:.0f} ha: {pair[0]} and {pair[1]}"
    inside = _inside(shape, block)
    contrast = measure_contrast(layers[0], layers[1], inside)
    return Pair(says["class"], f"simulated {title}", layers[0], layers[1], _rings(shape, block), contrast)


def _inside_of(square: BaseGeometry, area: BaseGeometry) -> BaseGeometry:
    """A window moved inside a rectangle, as far as it fits."""
    (west, south, east, north), (left, low, right, high) = square.bounds, area.bounds
    across, up = max(left - west, 0) + min(right - east, 0), max(low - south, 0) + min(high - north, 0)
    return shapely.affinity.translate(square, across, up)


def season_gap(one: date, other: date) -> int:
    """Days between two dates in the course of the year, 0 to 183."""
    gap = abs(one.timetuple().tm_yday - other.timetuple().tm_yday)
    return min(gap, 366 - gap)


def measure_contrast(before: Layers, after: Layers, inside: NDArray[np.bool_]) -> float:
    """How far the change inside stands out: its median less that of the surroundings, over their spread.

    In log reflectance, the best of red, near and short-wave infrared. The spread is 1.4826 × median absolute residual.
    """
    best = 0.0
    for band in ("B04", "B08", "B11", "B12"):
        if band not in before or not inside.any() or inside.all():
            continue
        change = np.log(np.maximum(after[band], 1e-3)) - np.log(np.maximum(before[band], 1e-3))
        around = change[~inside]
        spread = 1.4826 * float(np.median(np.abs(around - np.median(around))))
        best = max(best, abs(float(np.median(change[inside]) - np.median(around))) / max(spread, 1e-3))
    return best


def _inside(shape: BaseGeometry, block: Block) -> NDArray[np.bool_]:
    """(H, W), pixels of a window within an outline."""
    west, _, _, north = block.bounds
    transform = rasterio.Affine(10, 0, west, 0, -10, north)
    return np.asarray(geometry_mask([shape], block.shape, transform, all_touched=True, invert=True), dtype=bool)


def _rings(shape: BaseGeometry, block: Block) -> list[NDArray[np.float64]]:
    """Outer rings of an outline in parts of a window's width and height."""
    west, south, east, north = block.bounds
    rings = []
    for part in shapely.get_parts(shape):
        xy = shapely.get_coordinates(shapely.get_exterior_ring(part))
        rings.append(np.column_stack([(xy[:, 0] - west) / (east - west), (north - xy[:, 1]) / (north - south)]))
    return rings


def real_pairs(folder: Path) -> Iterator[Pair]:
    """Fires, towns, clear-cuts: of the classes that they are examples of."""
    for name in FIRES:
        layers = []
        for side in ("before", "after"):
            with rasterio.open(folder / "calfire-style" / name / f"{side}.tif") as file:
                layers.append(dict(zip(file.descriptions, file.read().astype(np.float32) / 10_000, strict=True)))
        yield Pair("wildfire", f"REAL fire {name}", layers[0], layers[1])
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
    return Pair("urban", f"REAL town, {folder.name} (level 1C)", layers[0], layers[1])


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
    return Pair("clear_cut", "REAL clear-cuts, Romania, 2016 to 2020", layers[0], layers[1])
