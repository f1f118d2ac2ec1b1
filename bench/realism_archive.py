"""Chips and series of a simulated archive, for the comparison with real pixels.

Most chips are drawn at random (`read_archive`); chips of water and of towns, rare in the country, are sought besides.
All are clear by SCL, and of the growing season: the real chips are summer's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from realism_cover import KINDS, OPEN, SHARP, cover_of, kind_of, sharp_of, water_of
from realism_read import (
    CHIP,
    Chips,
    Place,
    Series,
    archive_bands,
    open_events,
    place_block,
    place_days,
    read_day,
    to_metres,
)
from shapely.geometry.base import BaseGeometry

from stac.bands import CLEAR_SCL
from stac.blocks import Block
from stac.errors import DataError
from stac.items import Scene

MOST_CHIPS = 1500
"""Simulated chips drawn at random. assumed: six times the real set is enough."""
SQUARE = 3
"""assumed: chips of one area stay together in squares of this side, 1.92 km, when they are split into folds."""
EUROPEAN = ("mediterranean", "temperate", "boreal", "cropland", "coast", "")
"""Biomes that the real chips show; the others are left out of the comparison of chips. '' is an archive of one area."""
CLEAR = 0.99
POINTS = 1500
"""Pixels of each area whose whole series is kept."""
SOUGHT_KINDS = ("open water", "shore", "town")
SOUGHT_A_DAY, SOUGHT = 3, 40
"""assumed: chips sought of each rare kind, on a day and in an area: the real set has about fifty of each."""
Events = Sequence[tuple[BaseGeometry, dict[str, Any]]]


@dataclass(frozen=True)
class Cut:
    """One chip as it was cut from a day."""

    pixels: NDArray[np.float32]
    square: str
    """The square of its area in which it lies."""


def in_growing_season(day: date, south: bool) -> bool:
    """May to September, or half a year off: the real chips are summer's."""
    return day.month in ((11, 12, 1, 2, 3) if south else (5, 6, 7, 8, 9))


def read_archive(
    archive: Path, places: Sequence[Place], rng: np.random.Generator, most: int = MOST_CHIPS
) -> tuple[Chips, Chips, list[Series]]:
    """Chips drawn at random, chips of rare kinds sought out, and the series of some pixels of every area.

    Groups of chips are the squares in which they lie, of one numbering.

    Raises:
        DataError: No chip of the archive is clear.
    """
    events = open_events(archive)
    european = sum(place.biome in EUROPEAN for place in places)
    drawn: list[tuple[str, Cut]] = []
    sought: list[tuple[str, Cut]] = []
    series = []
    bands: tuple[str, ...] = ()
    for place in places:
        days = place_days(archive, place)
        bands = bands or archive_bands(days)
        quota = most // max(european, 1) if place.biome in EUROPEAN else 0
        found, rare, line = _read_place(place, days, bands, quota, events, rng)
        series.append(line)
        drawn += [(place.name, cut) for cut in found]
        sought += [(place.name, cut) for cut in rare]
    if not drawn:
        raise DataError(
            f"no clear chip in {archive}", "chips of 64 px, clear, in the growing season", "check the archive"
        )
    squares = sorted({f"{name} {cut.square}" for name, cut in drawn + sought})
    return _chips(bands, drawn, squares), _chips(bands, sought, squares), series


def _chips(bands: tuple[str, ...], cuts: Sequence[tuple[str, Cut]], squares: Sequence[str]) -> Chips:
    """Cuts with the names of their areas as chips."""
    number = {square: n for n, square in enumerate(squares)}
    pixels = np.stack([c.pixels for _, c in cuts]) if cuts else np.zeros((0, len(bands), CHIP, CHIP), np.float32)
    groups = np.array([number[f"{name} {cut.square}"] for name, cut in cuts], np.int64)
    return Chips(bands, pixels, groups, tuple(name for name, _ in cuts))


def _read_place(
    place: Place,
    days: Mapping[date, Sequence[Scene]],
    bands: tuple[str, ...],
    quota: int,
    events: Events,
    rng: np.random.Generator,
) -> tuple[list[Cut], list[Cut], Series]:
    """Chips drawn, chips sought, and the series, of one area."""
    block = place_block(place)
    height, width = block.shape
    spots = rng.integers(0, height, POINTS), rng.integers(0, width, POINTS)
    warm = sum(in_growing_season(day, place.south) for day in days)
    per_day = max(4, 2 * quota // max(warm, 1)) if quota else 0
    cuts: list[Cut] = []
    rare: list[Cut] = []
    kept, lines, shares = [], [], []
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
        if wanted:
            whole = np.stack([layers[band] for band in bands])
            cuts += _draw(whole, clear, wanted, rng)
            rare += _seek(whole, clear, bands, rng)
    whole_line = np.isfinite(lines).any(axis=0)
    series = Series(
        place.name,
        place.biome,
        place.south,
        tuple(kept),
        np.asarray(lines, np.float32)[:, whole_line],
        _untouched(block, spots, events)[whole_line],
        np.asarray(shares, np.float32),
    )
    return _some(cuts, quota, rng), _rare(rare, bands, rng), series


def _some(cuts: Sequence[Cut], most: int, rng: np.random.Generator) -> list[Cut]:
    """At most so many, in their order."""
    return [cuts[i] for i in sorted(rng.permutation(len(cuts))[:most])]


def _rare(cuts: Sequence[Cut], bands: tuple[str, ...], rng: np.random.Generator) -> list[Cut]:
    """At most `SOUGHT` of each kind of `SOUGHT_KINDS`; what turned out to be of another kind is left out."""
    if not cuts:
        return []
    chips = Chips(bands, np.stack([cut.pixels for cut in cuts]), np.arange(len(cuts)), ("",) * len(cuts))
    kind = kind_of(chips, cover_of(chips))
    found: list[Cut] = []
    for name in SOUGHT_KINDS:
        found += _some([cut for cut, own in zip(cuts, kind, strict=True) if own == KINDS.index(name)], SOUGHT, rng)
    return found


def _draw(whole: NDArray[np.float32], clear: NDArray[np.bool_], wanted: int, rng: np.random.Generator) -> list[Cut]:
    """At most `wanted` clear chips of a day on the chip lattice, at random."""
    full = np.asarray((whole > 0).all(axis=0))
    share, seen = (_cells(layer, CHIP) for layer in (clear & full, full))
    spots = np.argwhere((share >= CLEAR) & (seen == 1))
    return [_cut(whole, r * CHIP, c * CHIP) for r, c in spots[rng.permutation(len(spots))[:wanted]]]


def _seek(
    whole: NDArray[np.float32], clear: NDArray[np.bool_], bands: tuple[str, ...], rng: np.random.Generator
) -> list[Cut]:
    """Clear chips of a day anywhere in a square (every half chip): the most built-up, and some half under water."""
    full = np.asarray((whole > 0).all(axis=0))
    day = Chips(bands, whole[None], np.zeros(1, np.int64), ("",))
    maps = (clear & full, full, sharp_of(day)[0], water_of(day)[0])
    share, seen, sharp, water = (_halves(layer) for layer in maps)
    good = (share >= CLEAR) & (seen == 1)
    rows, cols = (np.arange(size) % (2 * SQUARE) < 2 * SQUARE - 1 for size in good.shape)
    good &= rows[:, None] & cols  # none lies across the edge of a square: squares are what folds part
    found = []
    chance = rng.random(water.shape)
    sea, shore = np.where(water >= OPEN, chance, 0), np.where((water >= 0.5) & (water < OPEN), chance, 0)
    for score in (np.where(sharp >= SHARP, sharp, 0), sea, shore):
        score = score * good
        for _ in range(SOUGHT_A_DAY):
            r, c = np.unravel_index(int(score.argmax()), score.shape)
            if score[r, c] == 0:
                break
            found.append(_cut(whole, int(r) * CHIP // 2, int(c) * CHIP // 2))
            score[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2] = 0  # no two that overlap
    return found


def _cells(layer: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Share of true pixels in each cell."""
    rows, cols = layer.shape[0] // side, layer.shape[1] // side
    cells = layer[: rows * side, : cols * side].reshape(rows, side, cols, side)
    return np.asarray(cells.mean(axis=(1, 3)))


def _halves(layer: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of true pixels of the chip at every half step."""
    cell = _cells(layer, CHIP // 2)
    return np.asarray((cell[:-1, :-1] + cell[1:, :-1] + cell[:-1, 1:] + cell[1:, 1:]) / 4)


def _cut(whole: NDArray[np.float32], top: int, left: int) -> Cut:
    """The chip whose first pixel this is."""
    side = CHIP * SQUARE
    return Cut(whole[:, top : top + CHIP, left : left + CHIP].copy(), f"{top // side}-{left // side}")


def _untouched(
    block: Block, spots: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]], events: Events
) -> NDArray[np.bool_]:
    """Which pixels lie more than 100 m outside every planted event."""
    west, _, _, north = block.bounds
    x, y = west + 10 * (spots[1] + 0.5), north - 10 * (spots[0] + 0.5)
    ground = shapely.unary_union([to_metres(outline, block.lattice.epsg).buffer(100) for outline, _ in events])
    return np.asarray(~shapely.contains_xy(ground, x, y), bool)
