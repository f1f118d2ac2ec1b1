"""Farms of the simulated ground: fields in the patterns of each kind of country, their edges, lanes and farmsteads.

NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .biomes import Biome
from .covers import (
    ASPHALT,
    BROADLEAF,
    CONCRETE,
    COVERS,
    CROPS,
    GARDEN,
    GRASS,
    SHRUB,
    TRACK,
)
from .ground import Field, Fields
from .noise import new_noise
from .parcels import Labels, Pattern, means, new_districts, new_parcels, outlines

YEARS = 3
"""Years for which crops are drawn; later years repeat them."""

MOST = 30_000
"""Most fields of a ground: covers are numbered in 16 bits."""

LASTING: tuple[int, ...] = tuple(CROPS.index(crop) for crop in ("orchard", "rice", "pasture", "alfalfa"))
"""Crops that mostly stay in their field. assumed: perennial, or bound to the kind of soil."""


@dataclass(frozen=True)
class Manner:
    """How a kind of country is farmed."""

    shapes: tuple[float, ...]
    """Length over breadth of fields."""
    district: float
    """Breadth of a district, pixels: the distance of country lanes."""
    warp: float
    """How far outlines are bent, pixels."""
    square: bool
    """Whether land was surveyed in sections."""
    hedges: float
    """Share of fields with trees and shrubs along them."""
    edges: float
    """Share of fields with a strip of grass or a track along them."""


# assumed: by eye from Sentinel-2 images of each kind of country; sizes come from `Biome.field_ha`.
MANNERS: Mapping[str, Manner] = {
    "mediterranean": Manner((1.0, 1.5, 2.5), 110, 4.0, False, 0.12, 0.45),
    "temperate": Manner((1.2, 2.5, 6.0), 85, 3.0, False, 0.22, 0.30),
    "boreal": Manner((1.5, 3.0, 5.0), 90, 3.0, False, 0.25, 0.35),
    "rainforest": Manner((1.0, 2.0, 4.0), 160, 2.0, False, 0.15, 0.30),
    "savanna": Manner((1.0, 1.4, 2.0), 70, 3.5, False, 0.20, 0.40),
    "desert": Manner((1.0, 2.0), 161, 0.0, True, 0.02, 0.75),
    "cropland": Manner((1.0, 1.0, 2.0), 161, 0.0, True, 0.10, 0.45),
    "coast": Manner((1.5, 3.0, 5.0), 95, 2.0, False, 0.18, 0.40),
}
"""Manner of each biome; what is not here is farmed as temperate country is."""


@dataclass(frozen=True, eq=False)
class Farmland:
    """What farms leave on the ground."""

    fields: Fields
    """The fields; field i is cover len(COVERS) + i."""
    farmed: NDArray[np.bool_]
    """(H, W), True on fields, their edges and lanes."""
    lanes: NDArray[np.bool_]
    """(H, W), True on country lanes."""
    districts: Labels
    """(H, W), districts between lanes."""


def manner_of(biome: Biome) -> Manner:
    """How a biome is farmed."""
    return MANNERS.get(biome.name, MANNERS["temperate"])


def plant_farms(cover: NDArray[np.int16], biome: Biome, fit: Field, share: float, rng: np.random.Generator) -> Farmland:
    """Farm the best land, whole parcels at a time; writes fields, edges, lanes and farmsteads into `cover`.

    Args:
        cover: (H, W), the wild cover.
        biome: Kind of country.
        fit: (H, W), how well a pixel is suited, any scale; -inf where it cannot be farmed.
        share: Share of the whole ground that fields and their edges take, 0 to 1.
        rng: Where chance comes from.
    """
    shape, manner = cover.shape, manner_of(biome)
    area = max(biome.field_ha * 100 * (1.15 if manner.square else 1.9), cover.size / MOST * 2, 12.0)
    side = max(manner.district, 3.0 * float(np.sqrt(area)))
    districts = _squares(shape, manner.district) if manner.square else new_districts(shape, rng, side, 9.0)
    pattern = Pattern(area, manner.shapes, 0.35, manner.warp, manner.square)
    parcels = new_parcels(shape, rng, pattern, districts)
    kept = _chosen(parcels, districts, fit, share, rng)
    farmed = kept[parcels] & np.isfinite(fit)
    disc = _pivots(shape, farmed, area, districts, rng) if biome.pivots else None
    if disc is not None:
        inside, centre = disc
        parcels = np.where(inside, int(parcels.max()) + 1 + centre, parcels).astype(np.int32)
        farmed &= inside | ~_near_pivot(centre)
    edge = outlines(parcels) & farmed
    lanes = outlines(districts) & farmed & (rng.random(int(districts.max()) + 1) < 0.8)[districts]
    fields = _number_fields(cover, (parcels, max(0.08 * area, 8.0)), farmed & ~lanes, biome, rng)
    _draw_edges(cover, parcels, edge & ~lanes, manner, rng)
    paved = (rng.random(int(districts.max()) + 1) < 0.45)[districts]
    cover[lanes] = np.where(paved, np.int16(ASPHALT), np.int16(TRACK))[lanes]
    _build_farmsteads(cover, lanes, farmed, biome, rng)
    return Farmland(fields, farmed, lanes, districts)


def _squares(shape: tuple[int, int], side: float) -> Labels:
    """Sections of one mile (161 pixels), as surveyed land is cut. Source: US Public Land Survey System."""
    rows, cols = np.arange(shape[0]), np.arange(shape[1])
    across = int(shape[1] / side) + 1
    return ((rows[:, None] / side).astype(np.int32) * across + (cols[None, :] / side).astype(np.int32)).astype(np.int32)


def _chosen(
    parcels: Labels, districts: Labels, fit: Field, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(parcels,), True for the best parcels that together hold the wanted share of the ground."""
    possible = np.isfinite(fit)
    size = np.bincount(parcels.ravel(), minlength=int(parcels.max()) + 1)
    able = np.bincount(parcels.ravel(), possible.ravel(), size.size)
    worth = means(np.where(possible, fit, 0).astype(np.float32), parcels) * size / np.maximum(able, 1)
    worth = worth + 0.25 * rng.standard_normal(size.size)
    worth[able < 0.5 * size] = -np.inf
    order = np.argsort(-worth, kind="stable")
    order = order[np.isfinite(worth[order])]
    total = np.cumsum(able[order])
    chosen = np.zeros(size.size, dtype=bool)
    chosen[order[total <= 1.15 * share * parcels.size]] = True  # edges, lanes and scraps take the rest
    return chosen


def _pivots(
    shape: tuple[int, int], farmed: NDArray[np.bool_], area: float, districts: Labels, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int32]] | None:
    """Discs of centre pivots, four to a section of a mile, in a part of the districts.

    A quarter of a section of one mile is 805 m wide and holds a disc of 400 m radius, 50 ha. assumed: squares of
    540 m where fields are small.

    Returns:
        Inside (H, W) and number of the disc's square (H, W), -1 outside districts with pivots; None where none fits.
    """
    side = 80.5 if area >= 1_000 else 54.0
    across = int(shape[1] / side) + 2
    rows, cols = np.arange(shape[0]), np.arange(shape[1])
    i, j = (rows / side).astype(np.int32), (cols / side).astype(np.int32)
    square = i[:, None] * across + j[None, :]
    number = int(square.max()) + 1
    full = np.bincount(square.ravel(), farmed.ravel(), number) > 0.8 * side * side
    used = full & (rng.random(number) < 0.4)
    if not used.any():
        return None
    reach = (side / 2 - 1.5) * rng.choice([1.0, 1.0, 0.96, 0.7], number)
    away = np.hypot(rows[:, None] - (i[:, None] + 0.5) * side, cols[None, :] - (j[None, :] + 0.5) * side)
    ours = used[square]
    half = (rng.random(number) < 0.25)[square] & (cols[None, :] > (j[None, :] + 0.5) * side)
    centre = np.where(ours, square * 2 + half, -1).astype(np.int32)
    return ours & (away < reach[square]), centre


def _near_pivot(centre: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(H, W), True in the square of a pivot: its corners are not farmed."""
    return np.asarray(centre >= 0)


def _number_fields(
    cover: NDArray[np.int16],
    cut: tuple[Labels, float],
    farmed: NDArray[np.bool_],
    biome: Biome,
    rng: np.random.Generator,
) -> Fields:
    """Number the farmed parcels (labels, least size) and draw their crops; smaller ones are grass; writes `cover`."""
    parcels, least = cut
    size = np.bincount(parcels.ravel(), farmed.ravel(), int(parcels.max()) + 1)
    real = size >= least
    number = np.cumsum(real) - 1
    cover[farmed] = GRASS
    inside = farmed & real[parcels]
    cover[inside] = (len(COVERS) + number[parcels[inside]]).astype(np.int16)
    count = int(real.sum())
    names = sorted(biome.crops)
    chance = np.array([biome.crops[name] for name in names])
    kinds = np.array([CROPS.index(name) for name in names], dtype=np.int64)
    crop = np.empty((YEARS, count), dtype=np.int64)
    crop[0] = rng.choice(kinds, count, p=chance / chance.sum())
    yearly = np.where(np.isin(kinds, LASTING), 0.02, chance)
    for year in range(1, YEARS):
        stay = np.isin(crop[year - 1], LASTING) | (rng.random(count) < 0.3)
        crop[year] = np.where(stay, crop[year - 1], rng.choice(kinds, count, p=yearly / yearly.sum()))
    return Fields(crop, rng.normal(0, 8, count), np.clip(rng.normal(1, 0.22, count), 0.55, 1.7))


def _draw_edges(
    cover: NDArray[np.int16], parcels: Labels, edge: NDArray[np.bool_], manner: Manner, rng: np.random.Generator
) -> None:
    """Hedges, strips of grass and tracks along a part of the fields, one pixel wide; writes into `cover`."""
    number = int(parcels.max()) + 1
    chance = rng.random(number)
    hedge, strip = chance < manner.hedges, (chance >= manner.hedges) & (chance < manner.hedges + manner.edges)
    gaps = new_noise(cover.shape, rng, 1.6, 24, 3) > -0.9
    trees = rng.choice(np.array([BROADLEAF, BROADLEAF, SHRUB], dtype=np.int16), number)
    green = rng.choice(np.array([GRASS, GRASS, TRACK], dtype=np.int16), number)
    at = edge & hedge[parcels] & gaps
    cover[at] = trees[parcels][at]
    at = edge & strip[parcels]
    cover[at] = green[parcels][at]


def _build_farmsteads(
    cover: NDArray[np.int16],
    lanes: NDArray[np.bool_],
    farmed: NDArray[np.bool_],
    biome: Biome,
    rng: np.random.Generator,
) -> None:
    """A few roofs, a yard and trees beside the lanes, one farm to about 50 ha; writes into `cover`."""
    places = np.flatnonzero(lanes)
    count = min(int(farmed.sum() / max(5_000, 120 * biome.field_ha)), places.size)
    kinds = sorted(biome.roofs)
    chance = np.array([biome.roofs[kind] for kind in kinds])
    for place in rng.permutation(places)[:count].tolist():
        row, col = divmod(place, cover.shape[1])
        top, left = row + int(rng.integers(-6, 2)), col + int(rng.integers(-6, 2))
        tall, wide = int(rng.integers(4, 8)), int(rng.integers(4, 8))
        if top < 0 or left < 0 or top + tall > cover.shape[0] or left + wide > cover.shape[1]:
            continue
        part = cover[top : top + tall, left : left + wide]
        free = ~lanes[top : top + tall, left : left + wide] & farmed[top : top + tall, left : left + wide]
        yard = np.full(part.shape, rng.choice([GARDEN, GRASS, BROADLEAF]), dtype=np.int16)
        yard[1:-1, 1:-1] = rng.choice([GARDEN, CONCRETE, TRACK])
        for _ in range(int(rng.integers(2, 5))):
            i, j = int(rng.integers(0, tall - 1)), int(rng.integers(0, wide - 1))
            high, broad = (1, 2) if rng.random() < 0.5 else (2, 1)
            if rng.random() < 0.15:
                high, broad = 2, 3
            yard[i : i + high, j : j + broad] = rng.choice(kinds, p=chance / chance.sum())
        part[free] = yard[free]
