"""The simulated ground: relief, and what covers it, in shapes that read as land from above.

Hills with conifers, oaks, shrub and grass in the west, a plain with a river, fields and a village in the east, a lake
between. A pure function of seed and size; nothing here knows of dates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .simulate_spectra import (
    ASPHALT,
    CONIFER,
    COVERS,
    CROPS,
    DARK_ROOF,
    GARDEN,
    GRASS,
    GRAVEL,
    OAK,
    RIPARIAN,
    RIVER,
    ROCK,
    ROOF,
    SHRUB,
    TRACK,
    WATER,
    Fields,
)
from .simulate_terrain import Field, Relief, blur, new_noise, new_relief, smooth_step

YEARS = 3
"""Years for which crops are drawn; later years repeat them."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """The ground on the grid of 10 m that both tiles share."""

    relief: Relief
    cover: NDArray[np.int16]
    """(H, W), number in `COVERS`, or len(COVERS) + field."""
    moist: Field
    """(H, W), about -1 (dry) to 1 (moist): where green stays longer."""
    texture: Field
    """(H, W), zero mean, unit spread: crowns, tussocks, furrows."""
    tint: Field
    """(H, W), zero mean, unit spread: broad differences within a cover."""
    fields: Fields

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return int(self.cover.shape[0]), int(self.cover.shape[1])


def new_landscape(shape: tuple[int, int], rng: np.random.Generator) -> Landscape:
    """Make the ground.

    Args:
        shape: Height and width, pixels of 10 m.
        rng: Where chance comes from.
    """
    rows, cols = shape
    river = _river(shape, rng)
    relief = new_relief(shape, rng, river)
    moist = _moisture(relief, rng)
    cover = _wild_cover(relief, moist, rng)
    plain = (blur(np.hypot(relief.east, relief.north), 4, 1) < 0.035) & (np.arange(cols) > cols * 0.5)
    plain = blur(plain.astype(np.float32), 5, 2) > 0.6
    fields = _plant_fields(cover, plain, rng)
    _draw_water(cover, relief, river, rng)
    village = (int(rows * rng.uniform(0.3, 0.7)), int(cols * 0.68))
    _draw_roads(cover, relief, village, rng)
    _build_village(cover, village, max(10, rows // 20), rng)
    fine = new_noise(shape, rng, 1.3, 60, 3.2)
    tint = new_noise(shape, rng, 2.2, max(rows / 6, 12), 4)
    for slope in (relief.east, relief.north):
        slope[np.isin(cover, (WATER, RIVER))] = 0
    return Landscape(relief, cover, moist, fine, tint, fields)


def _river(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Column of the river at each row (H,), meandering from north to south."""
    y = np.arange(shape[0])
    bends = np.zeros(shape[0])
    for length, width in ((0.9, 0.045), (0.33, 0.018), (0.12, 0.008)):
        phase = rng.uniform(0, 2 * np.pi)
        bends += width * shape[1] * np.sin(2 * np.pi * y / (length * shape[0]) + phase)
    return np.asarray(shape[1] * 0.83 + bends, dtype=np.float32)


def _moisture(relief: Relief, rng: np.random.Generator) -> Field:
    """North slopes and hollows are moist, south slopes and crests dry."""
    north_facing = -blur(relief.north, 2, 1)
    hollow = smooth_step(blur(relief.drainage, 2, 2), 0.1, 1.3) - 0.35
    moist = 1.5 * north_facing + 0.7 * hollow + 0.28 * new_noise(relief.height.shape, rng, 2.2, 120, 3)
    return np.asarray(np.clip(moist, -1.2, 1.2), dtype=np.float32)


def _wild_cover(relief: Relief, moist: Field, rng: np.random.Generator) -> NDArray[np.int16]:
    """Cover without people: the best suited of each pixel, with ragged edges and scattered trees."""
    shape = relief.height.shape
    # Belts follow the hills' own range, so that a small ground has them all as well.
    high = smooth_step(relief.height, 110, max(float(np.quantile(relief.height, 0.985)), 250))
    patch = new_noise(shape, rng, 2.0, 90, 3)
    grove = new_noise(shape, rng, 1.4, 14, 2) + 0.8 * new_noise(shape, rng, 0.3, 4, 2)
    suit = np.stack(
        [
            2.1 * (high - 0.44) + 1.0 * moist + 0.13 * patch + 0.05 * grove,
            1.0 * (0.42 - np.abs(high - 0.34)) + 0.75 * moist + 0.16 * patch + 0.26 * grove - 0.1,
            0.55 * high - 0.55 * moist - 0.22 * patch + 0.10 * grove - 0.08,
            0.42 - 0.85 * high - 0.2 * moist + 0.10 * new_noise(shape, rng, 2.2, 70, 3),
        ]
    )
    cover: NDArray[np.int16] = np.array([CONIFER, OAK, SHRUB, GRASS], dtype=np.int16)[suit.argmax(axis=0)]
    steep = np.hypot(relief.east, relief.north)
    crest = smooth_step(high, 0.45, 1.1) * 0.55 - moist * 0.5 + steep * 0.5 + 0.25 * grove * 0.4 + 0.2 * patch
    cover[crest > 1.45] = ROCK
    wet = blur(relief.drainage, 1, 1) + 0.15 * grove
    cover[(wet > 1.75) & (high < 0.8)] = RIPARIAN
    return cover


def _plant_fields(cover: NDArray[np.int16], plain: NDArray[np.bool_], rng: np.random.Generator) -> Fields:
    """Cut the plain into rectangles, each a field with its own calendar; writes into `cover`."""
    rows, cols = cover.shape
    todo = [(0, int(cols * 0.5), rows, cols)]
    boxes: list[tuple[int, int, int, int]] = []
    while todo:
        top, left, bottom, right = todo.pop()
        tall, wide = bottom - top, right - left
        if max(tall, wide) <= 34 or (max(tall, wide) < 74 and rng.random() < 0.35):
            boxes.append((top, left, bottom, right))
        elif tall > wide:
            cut = top + round(tall * rng.choice([0.5, 0.5, 0.33, 0.67]))
            todo += [(top, left, cut, right), (cut, left, bottom, right)]
        else:
            cut = left + round(wide * rng.choice([0.5, 0.5, 0.33, 0.67]))
            todo += [(top, left, bottom, cut), (top, cut, bottom, right)]
    kept = 0
    for top, left, bottom, right in boxes:
        inside = plain[top + 1 : bottom, left + 1 : right]
        if inside.size == 0 or inside.mean() < 0.55:
            continue
        view = cover[top + 1 : bottom, left + 1 : right]
        view[inside & (view != RIPARIAN)] = len(COVERS) + kept
        kept += 1
    first = rng.choice(len(CROPS), size=kept, p=[0.22, 0.17, 0.13, 0.26, 0.12, 0.10])
    crop = np.stack([first] * YEARS)
    for year in range(1, YEARS):
        turn = np.isin(crop[year - 1], (0, 1, 5)) & (rng.random(kept) < 0.5)
        crop[year, turn] = rng.choice([0, 1, 5], size=int(turn.sum()))
        crop[year, ~turn] = crop[year - 1, ~turn]
    return Fields(crop, rng.normal(0, 8, kept), rng.uniform(0.8, 1.2, kept))


def _draw_water(cover: NDArray[np.int16], relief: Relief, river: NDArray[np.float32], rng: np.random.Generator) -> None:
    """The river with its trees and gravel bars, and a lake behind a dam in the hills; writes into `cover`."""
    rows, cols = cover.shape
    side = np.arange(cols) - river[:, None] + new_noise((rows, cols), rng, 2.0, 40, 3) * 1.2
    ragged = np.abs(side) + 3.5 * new_noise((rows, cols), rng, 1.8, 30, 2)
    cover[ragged < 13] = RIPARIAN
    bars = new_noise((rows, cols), rng, 2.4, 60, 8)
    cover[(np.abs(side) < 6) & (bars > 0.5)] = GRAVEL
    cover[np.abs(side) < 3.2] = RIVER
    lake = _flood(relief, (0.30, 0.56))
    shore = blur(lake.astype(np.float32), 2, 1) > 0.05
    cover[shore] = GRAVEL
    cover[lake] = WATER


def _flood(relief: Relief, columns: tuple[float, float]) -> NDArray[np.bool_]:
    """The pixels (H, W) that a dam would drown: the largest lake behind a dam of at most 450 m.

    Args:
        relief: The ground.
        columns: Part of the width in which the dam may stand, as two fractions.
    """
    height = blur(relief.height, 1, 1)
    rows, cols = height.shape
    left, right = int(cols * columns[0]), int(cols * columns[1])
    drained = blur(relief.drainage, 1, 1)
    drained[: rows // 6], drained[-rows // 6 :] = 0, 0
    best, limit = np.zeros(height.shape, dtype=bool), rows * cols // 45
    for col in range(left, right, max((right - left) // 40, 1)):
        row = int(drained[:, col].argmax())
        for rise in (16.0, 26.0, 38.0, 52.0, 70.0):
            low = (height < height[row, col] + rise) & (np.arange(cols) <= col)
            if low[:, col][max(row - 40, 0) : row + 40].sum() > 45:
                break
            lake = _connected(low, row, col, limit)
            if lake.sum() > best.sum() and lake[:, col].sum() <= 45:
                best = lake
    return best


def _connected(mask: NDArray[np.bool_], row: int, col: int, limit: int) -> NDArray[np.bool_]:
    """The part of a mask that hangs together with one of its pixels; nothing when that is more than `limit` pixels."""
    out = np.zeros_like(mask)
    stack, size = [(row, col)], 0
    while stack:
        i, j = stack.pop()
        if 0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and mask[i, j] and not out[i, j]:
            out[i, j] = True
            size += 1
            if size > limit:
                return np.zeros_like(mask)
            stack += [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
    return out


def _draw_roads(cover: NDArray[np.int16], relief: Relief, village: tuple[int, int], rng: np.random.Generator) -> None:
    """Old roads: a highway, a county road, farm tracks and a few in the hills; writes into `cover`."""
    rows, cols = cover.shape
    open_land = cover >= len(COVERS)
    for k in range(3, 12):  # farm tracks on the section lines, one mile apart
        line = slice(k * 161 + village[1] % 161, k * 161 + village[1] % 161 + 1)
        cover[:, line][open_land[:, line]] = TRACK
    county = cover[village[0] : village[0] + 2, village[1] :]
    county[county != RIVER] = ASPHALT
    highway = village[1] + np.cumsum(np.repeat(rng.normal(0, 0.12, rows // 40 + 1), 40)[:rows])
    highway += village[1] - highway[village[0]]
    for i, j in enumerate(highway.astype(int)):
        cover[i, max(j, 0) : j + 2] = ASPHALT
    for start in rng.uniform(0.15, 0.85, 3) * rows:  # old tracks that climb along the slope
        i, j, heading = start, float(village[1]), np.pi
        while 0 <= i < rows and 0 <= j < cols and j > cols * 0.1:
            if cover[int(i), int(j)] not in (WATER, RIVER):
                cover[int(i), int(j)] = TRACK
            push = float(relief.north[int(i), int(j)])
            heading += rng.normal(0, 0.10) + 0.25 * np.clip(push, -0.5, 0.5) - 0.04 * np.sin(heading)
            i, j = i + 0.7 * np.sin(heading), j + 0.7 * np.cos(heading)


def _build_village(cover: NDArray[np.int16], village: tuple[int, int], half: int, rng: np.random.Generator) -> None:
    """Blocks of houses and gardens in a grid of streets; writes into `cover`."""
    top, left = max(village[0] - half, 0), max(village[1] - half - 8, 0)
    part = cover[top : village[0] + half, left : village[1] + half + 14]
    rows, cols = part.shape
    y, x = np.mgrid[0:rows, 0:cols]
    near = np.hypot((y - rows / 2) / rows, (x - cols / 2) / cols)
    town = np.kron(near[::9, ::12] + rng.normal(0, 0.07, near[::9, ::12].shape), np.ones((9, 12)))[:rows, :cols] < 0.40
    houses = rng.choice([ROOF, DARK_ROOF, GARDEN], size=(rows, cols), p=[0.13, 0.29, 0.58])
    part[town] = houses[town]
    for street in (y % 9 == 0) & town, (x % 12 == 0) & town:
        part[street] = ASPHALT
    for _ in range(max(1, half // 6)):  # sheds and a school: larger roofs
        i, j = rng.integers(0, max(rows - 6, 1)), rng.integers(0, max(cols - 8, 1))
        if town[i, j]:
            part[i + 1 : i + 5, j + 1 : j + 7] = ROOF
