"""The simulated ground: relief, water, wild land, farms, roads and towns, one over the other, in that order of need.

A pure function of biome, size and generator; nothing here knows of dates. NumPy, SciPy and scikit-image only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import DataError
from .biomes import Biome
from .covers import ASPHALT, FORESTS, RIPARIAN, RIVER, SEA, TRACK, WATER, WATERS
from .farms import plant_farms
from .ground import Field, Ground, Relief
from .means import blur
from .noise import new_noise
from .parcels import Pattern, new_districts, new_parcels
from .relief import Drainage, new_relief, steepness
from .roads import Roads, distance, new_cost, new_roads
from .steps import smooth_step
from .texture import classes, new_dryness, new_texture, new_tint
from .towns import Town, build_town, choose_towns
from .waters import DRY, Waters, distance_to, new_course, new_dam_lake, new_hollow_lakes, new_sea, new_waters
from .wild import draw_stands, new_moisture, new_wild_cover

SMALLEST = 96
"""Least side of a ground, pixels: less holds no town."""

STEEP = 0.16
"""Steepest ground that is farmed, metres per metre. assumed: the upper bound of the slope class 8 to 16 % of
FAO's land evaluation."""

FLAT = 0.08
"""Steepest ground that counts as flat, metres per metre. assumed: the lower bound of the same class."""

STAND_PX = {"boreal": 700.0, "rainforest": 2_500.0}
"""Typical size of forest stands, pixels, where it is not 320. assumed: fellings of 5 to 10 ha in the north."""

FELLED = {"boreal": 0.3, "temperate": 0.16, "rainforest": 0.02, "savanna": 0.04}
"""Share of forest stands felled in the last decades, where it is not 0.08. assumed."""


MANAGED = {"temperate": 0.6, "boreal": 0.5, "cropland": 0.6, "coast": 0.6, "mediterranean": 0.25}
"""How far wild covers follow stands with straight edges, where it is not 0. assumed: foresters draw straight lines."""


def new_ground(biome: Biome, shape: tuple[int, int], rng: np.random.Generator) -> Ground:
    """Invent a piece of country.

    Args:
        biome: Kind of country.
        shape: Height and width, pixels of 10 m; at least `SMALLEST` each.
        rng: Where chance comes from.

    Returns:
        The ground, the same for the same arguments and state of `rng`.

    Raises:
        DataError: The shape is too small.
    """
    if min(shape) < SMALLEST:
        raise DataError(f"a ground of {shape[0]} × {shape[1]} pixels", f"at least {SMALLEST} each", "ask for more")
    relief, waters = _new_land(biome, shape, rng)
    moist = new_moisture(relief, biome.south, rng)
    quarters = new_districts(shape, rng, 110, 8.0)
    pattern = Pattern(STAND_PX.get(biome.name, 320.0), (1.0, 1.6, 2.6), 0.5, 3.5, False)
    stands = new_parcels(shape, rng, pattern, quarters)
    cover = new_wild_cover(relief, moist, biome.shares, (stands, MANAGED.get(biome.name, 0.0)), rng)
    ages = draw_stands(cover, stands, quarters, FELLED.get(biome.name, 0.08), rng)
    steep = steepness(relief, 3)
    wet = np.isin(waters.cover, WATERS)
    towns = choose_towns(biome, _town_fit(steep, waters), rng)
    cost = new_cost(relief, np.isin(waters.cover, (SEA, WATER)), waters.cover == RIVER, rng)
    roads = new_roads(cost, [(t.row, t.col) for t in towns], shape, 6 + round(18 * shape[0] * shape[1] / 1e6), rng)
    flat = (steep < FLAT) & ~wet
    farms = plant_farms(
        cover, biome, _farm_fit(biome, steep, waters, roads, rng), biome.farmland * float(flat.mean()), rng
    )
    kept = (waters.cover == RIPARIAN) & (farms.farmed | np.isin(cover, FORESTS)) & (rng.random() < 0.5)
    banks = (waters.cover != DRY) & ~kept
    cover[banks] = waters.cover[banks]
    _draw_tracks(cover, roads, wet)
    _build(cover, towns, biome, roads.highway | wet | (steep > 0.22) | _tidal(waters), rng)
    shore = np.where(np.isin(cover, (ASPHALT, TRACK)) & np.isfinite(waters.shore), np.inf, waters.shore)
    shore = np.where((cover == ASPHALT) & wet, np.inf, shore).astype(np.float32)
    dry = ~np.isin(cover, WATERS)
    relief = Relief(relief.height, relief.east * dry, relief.north * dry, relief.drainage)
    kind = classes(cover)
    texture, tint = new_texture(cover, kind, rng), new_tint(kind, ages, rng)
    dryness = new_dryness(cover, kind, rng)
    return Ground(biome.name, relief, cover, moist, texture, tint, dryness, shore, farms.fields)


def _new_land(biome: Biome, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Relief, Waters]:
    """The shape of the land and its waters; the relief's height is the water's level on water."""
    side = int(rng.integers(4))
    span = biome.height[1] - biome.height[0]
    line = new_course(shape, rng, 1.35 if span < 250 else 0.9, side)
    river = distance_to(line, shape)
    sea = new_sea(shape, rng, side) if biome.sea else np.zeros(shape, dtype=bool)
    shallow = distance(sea) if biome.sea else np.full(shape, np.inf, dtype=np.float32)
    scale = float(np.clip(np.sqrt(min(shape) / 640), 0.5, 1.4))
    half = scale * (rng.uniform(5, 11) if biome.name == "rainforest" else rng.uniform(1.3, 3.2))
    wander = new_noise(shape, rng, 2.4, 150, 20)
    width = (half * np.clip(1 + 0.22 * wander, 0.5, 1.7) * (1 + 3 * np.exp(-shallow.astype(np.float64) / 40.0))).astype(
        np.float32
    )
    low = np.maximum(np.minimum(river - half, shallow), 0).astype(np.float32)
    relief, drained = new_relief(biome.height, 0.04 + 0.14 * float(np.sqrt(biome.farmland)), low, sea, rng)
    course = river if biome.river else np.full(shape, np.inf, dtype=np.float32)
    lake = _new_lake(biome, relief, drained, (course < width + 6) | sea, rng)
    slope = steepness(relief)
    waters = new_waters(sea, lake, course, width, slope, rng)
    height = relief.height.copy()
    parts, count = ndimage.label(lake)
    if count:
        height[lake] = np.asarray(ndimage.mean(height, parts, np.arange(count + 1)))[parts[lake]]
    height[waters.cover == SEA] = 0
    return Relief(height, relief.east, relief.north, relief.drainage), waters


def _new_lake(
    biome: Biome, relief: Relief, drained: Drainage, bar: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(H, W), True on lakes: many in the north, a reservoir in hills, ponds in plains."""
    slope = steepness(relief)
    if not biome.lake:
        return np.zeros(slope.shape, dtype=bool)
    if biome.name == "boreal":
        return new_hollow_lakes(slope, bar, (rng.uniform(0.05, 0.10), 40), rng)
    lake = np.zeros(slope.shape, dtype=bool)
    if biome.height[1] - biome.height[0] > 250:
        lake = new_dam_lake(drained, relief.height, bar, rng.uniform(0.006, 0.018), rng)
    if lake.mean() < 0.002:
        lake = new_hollow_lakes(slope, bar, (rng.uniform(0.006, 0.016), 200), rng)
    return lake


def _town_fit(steep: NDArray[np.float32], waters: Waters) -> Field:
    """(H, W), how well a place suits a town: level, near water but not in it."""
    shape = waters.cover.shape
    taken = waters.cover != DRY
    near = distance(taken)
    fit = -14 * blur(steep, 6, 1) - near / (0.5 * max(shape))
    fit[(near < 5) | (blur(steep, 6, 1) > 0.18)] = -np.inf
    if not np.isfinite(fit).any():
        fit = np.where(taken, -np.inf, -steep)
    return np.asarray(fit, dtype=np.float32)


def _farm_fit(
    biome: Biome, steep: NDArray[np.float32], waters: Waters, roads: Roads, rng: np.random.Generator
) -> Field:
    """(H, W), how well a place suits a farm: level, near roads, in patches; -inf where none can be."""
    shape = steep.shape
    patch = new_noise(shape, rng, 2.4, 0.35 * max(shape), 14)
    road = distance(roads.paved | roads.tracks) if biome.name in ("rainforest", "boreal") else distance(roads.paved)
    pull = 3.0 if biome.name in ("rainforest", "boreal", "desert") else 0.8
    fit = 0.8 * patch - 14 * steep.astype(np.float64) - pull * smooth_step(road, 5, 120)
    fit[(waters.cover != DRY) | (steep > STEEP)] = -np.inf
    return np.asarray(fit, dtype=np.float32)


def _tidal(waters: Waters) -> NDArray[np.bool_]:
    """(H, W), True where water comes and goes."""
    return np.asarray(np.isfinite(waters.shore))


def _draw_tracks(cover: NDArray[np.int16], roads: Roads, wet: NDArray[np.bool_]) -> None:
    """Tracks and minor roads; tracks end at water, roads bridge it; writes into `cover`."""
    cover[roads.tracks & ~wet] = TRACK
    cover[roads.minor] = ASPHALT
    cover[roads.highway] = ASPHALT


def _build(
    cover: NDArray[np.int16], towns: list[Town], biome: Biome, bar: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """All towns; writes into `cover`."""
    free = ~bar
    for town in towns:
        free &= ~build_town(cover, town, biome, free, rng)
