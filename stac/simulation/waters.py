"""Rivers, lakes and seas of the simulated ground, their banks, and how high each pixel lies above their mean level.

Where water comes and goes the sign of `shore` is that of the cover: SEA and WATER lie below the mean level, everything
else above it. Lines and outlines are drawn at 10 m. NumPy, SciPy and scikit-image only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .covers import GRAVEL, RIPARIAN, RIVER, ROCK, SAND, SEA, TIDAL_FLAT, WATER, WETLAND
from .ground import Field
from .means import blur
from .noise import new_noise
from .relief import CELL, Drainage, upstream
from .steps import smooth_step

DEEP, HIGH = -9.0, 7.0
"""Metres below and above the mean level past which the water line never goes. assumed: reservoirs draw down by less."""

HIGHEST = 2.6
"""Metres by which the level of a lake moves at most, either way: see `weather.water_level`."""

DRY = np.int16(-1)
"""In `Waters.cover`: neither water nor its bank."""


@dataclass(frozen=True, eq=False)
class Waters:
    """What water does to the ground."""

    cover: NDArray[np.int16]
    """(H, W), water or bank as a number in `covers.COVERS`, or `DRY`."""
    shore: Field
    """(H, W), metres above the mean level, as in `ground.Ground.shore`."""


def new_course(shape: tuple[int, int], rng: np.random.Generator, bends: float, side: int) -> NDArray[np.float64]:
    """A meandering line across the ground, from one edge to the opposite one.

    The heading swings with the sine of the way along, its amplitude and pace wander.
    Source: sine-generated curve, Langbein and Leopold 1966, USGS Professional Paper 422-H.

    Args:
        shape: Height and width, pixels.
        rng: Where chance comes from.
        bends: Largest swing of the heading, radians; 0.6 is lazy, 1.5 meanders freely.
        side: Edge at which it ends: 0 north, 1 east, 2 south, 3 west.

    Returns:
        (n, 2) rows and columns, at steps of at most a pixel; the ends lie outside the ground.
    """
    span = shape[0] if side % 2 == 0 else shape[1]
    across = shape[1] if side % 2 == 0 else shape[0]
    steps = 6 * span
    t = np.arange(steps) / span
    wander = np.interp(t, np.arange(8), rng.uniform(0.3, 1.0, 8)) * bends
    pace = np.cumsum(np.interp(t, np.arange(0, 7, 0.3), rng.uniform(0.6, 1.4, 24))) / span
    heading = wander * np.sin(2 * np.pi * pace * rng.uniform(5, 8)) + 0.3 * np.sin(2 * np.pi * (t + rng.random()))
    along, aside = np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))
    stop = int(np.searchsorted(np.maximum.accumulate(along), span * 1.08))
    along, aside = along[:stop] - 0.04 * span, aside[:stop]
    drift = np.interp(along, [0, span], [aside[0], aside[-1]])
    ends = rng.uniform(0.25, 0.75, 2) * across
    aside = np.clip(aside - drift, -0.4 * across, 0.4 * across) + np.interp(along, [0, span], ends)
    if side in (0, 3):
        along = span - along
    return np.stack((along, aside) if side % 2 == 0 else (aside, along), axis=1)


def distance_to(line: NDArray[np.float64], shape: tuple[int, int]) -> Field:
    """Distance of each pixel from a line's points (n, 2), pixels, (H, W)."""
    away = np.ones(shape, dtype=bool)
    row, col = np.rint(line[:, 0]).astype(np.intp), np.rint(line[:, 1]).astype(np.intp)
    inside = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
    away[row[inside], col[inside]] = False
    if away.all():
        return np.full(shape, float(max(shape)), dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(away), dtype=np.float32)


def new_sea(shape: tuple[int, int], rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """(H, W), True on the sea: about a third of the ground at one edge, with bays, spits and islands."""
    rows, cols = shape
    inland = {0: np.arange(rows), 1: cols - 1 - np.arange(cols), 2: rows - 1 - np.arange(rows), 3: np.arange(cols)}[
        side
    ]
    span = inland.size
    away = np.broadcast_to(inland[:, None] if side % 2 == 0 else inland[None, :], shape)
    bays = new_noise(shape, rng, 2.6, 0.9 * max(shape), 12).astype(np.float64)
    coast = away - rng.uniform(0.3, 0.38) * span + 0.09 * span * bays + 1.2 * new_noise(shape, rng, 1.8, 24, 3)
    parts, _ = ndimage.label(coast < 0)
    edge = {0: parts[0], 1: parts[:, -1], 2: parts[-1], 3: parts[:, 0]}[side]
    sea = np.isin(parts, np.unique(edge[edge > 0]))
    land, count = ndimage.label(~sea)
    small = np.bincount(land.ravel(), minlength=count + 1) < 14
    small[0] = False
    return np.asarray(sea | small[land])


def new_waters(
    sea: NDArray[np.bool_], lake: NDArray[np.bool_], river: Field, width: Field, slope: Field, rng: np.random.Generator
) -> Waters:
    """Draw sea, lakes and river with their banks.

    Args:
        sea: (H, W), True on the sea.
        lake: (H, W), True on lakes and reservoirs at their mean level.
        river: (H, W), distance from the river's line, pixels; infinite where there is none.
        width: (H, W), half the river's width, pixels.
        slope: (H, W), steepness of the ground, metres per metre: steep shores are narrow.
        rng: Where chance comes from.
    """
    shape = sea.shape
    cover = np.full(shape, DRY)
    shore = np.full(shape, np.inf, dtype=np.float32)
    _draw_river(cover, shore, river, width, rng)
    if lake.any():
        _draw_lakes(cover, shore, lake & ~sea, slope, rng)
    if sea.any():
        _draw_sea(cover, shore, sea, slope, rng)
    return Waters(cover, shore)


def _draw_river(cover: NDArray[np.int16], shore: Field, river: Field, width: Field, rng: np.random.Generator) -> None:
    """The river with trees along it and gravel bars that high water covers; writes into `cover` and `shore`."""
    near = river < 60
    if not near.any():
        return
    shape = cover.shape
    ragged = river - width + 2.5 * new_noise(shape, rng, 1.8, 30, 2) + 3.0 * new_noise(shape, rng, 2.2, 120, 20)
    cover[near & (ragged < 3.5 + width)] = RIPARIAN
    bars = new_noise(shape, rng, 2.6, 120, 12)
    bar = near & (river < width * 1.9) & (bars > 1.3)
    cover[bar] = GRAVEL
    stream = near & (river < width) & ~(bar & (river > width * 0.6))
    cover[stream] = RIVER
    shore[bar & ~stream] = np.maximum(0.15, 0.5 * (river - 0.6 * width))[bar & ~stream]
    shore[stream] = -np.inf


def _signed(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(H, W), distance from a mask's outline, pixels: negative inside, positive outside, never 0."""
    away = ndimage.distance_transform_edt(~mask)
    if mask.all():
        return np.full(mask.shape, -1e6)
    return np.asarray(np.where(mask, 0.5 - ndimage.distance_transform_edt(mask), away - 0.5), dtype=np.float64)


def _bounded(height: NDArray[np.float64]) -> Field:
    """Metres above the level as float32: infinite where the line never goes."""
    return np.where(height > HIGH, np.inf, np.where(height < DEEP, -np.inf, height)).astype(np.float32)


def _draw_lakes(
    cover: NDArray[np.int16], shore: Field, lake: NDArray[np.bool_], slope: Field, rng: np.random.Generator
) -> None:
    """Lakes with a rim that gravel, reeds or rock line; writes into `cover` and `shore`."""
    shape = cover.shape
    away = _signed(lake)
    kind = new_noise(shape, rng, 2.2, 120, 10).astype(np.float64)
    grade = np.clip(0.12 * np.exp(0.6 * kind) + 3.0 * blur(slope, 3, 1), 0.07, 0.9)
    # assumed: above the mean level the banks rise by 12 in 100 or more, for high water drowns no farmland; low water
    # bares two fifths of the way to a lake's middle or less.
    parts, count = ndimage.label(lake)
    middle = np.concatenate(([1.0], -np.asarray(ndimage.minimum(away, parts, np.arange(1, count + 1)))))
    bed = np.maximum(grade, HIGHEST / (0.4 * np.maximum(middle, 1.0))[parts])
    height = _bounded(away * np.where(lake, bed, np.maximum(grade, 1.2)))
    rim = ~lake & (away < 14) & (cover != RIVER)
    shore[rim] = np.minimum(shore[rim], height[rim])
    shore[lake] = height[lake]
    gentle = kind < -0.3
    ragged = away + 0.8 * new_noise(shape, rng, 1.6, 16, 2)
    cover[rim & gentle & (ragged < 3.5)] = WETLAND
    cover[rim & ~gentle & (kind > 0.5) & (away < 1.3 + (kind > 1.3))] = GRAVEL
    cover[lake] = WATER


def _draw_sea(
    cover: NDArray[np.int16], shore: Field, sea: NDArray[np.bool_], slope: Field, rng: np.random.Generator
) -> None:
    """The sea with tidal flats, creeks and marsh where it is gentle, beaches and cliffs elsewhere; writes both."""
    shape = cover.shape
    away = _signed(sea)
    kind = new_noise(shape, rng, 2.4, max(shape) / 2, 40).astype(np.float64) - 6.0 * blur(slope, 6, 1)
    grade = 0.07 + 0.8 * smooth_step(kind, 0.0, 1.3).astype(np.float64) ** 2
    ripple = new_noise(shape, rng, 2.4, 60, 6).astype(np.float64)
    height = away * grade + 0.35 * ripple * (1 - smooth_step(kind, 0.4, 1.0))
    creek = 1 - smooth_step(np.abs(new_noise(shape, rng, 2.4, 90, 10)), 0.03, 0.2).astype(np.float64)
    flat = (kind < 0.8) & (np.abs(away) < 70)
    height = np.where(flat, height - creek * np.clip(1.6 - 0.2 * height, 0, 1.6), height)
    height = np.where(np.abs(height) < 0.02, 0.02, height)
    wet = (height < 0) & ((away < 45) & flat | sea)
    wet = _joined(wet, sea & (away < -3))
    height = np.where(wet, np.minimum(height, -0.02), np.maximum(height, 0.02))
    tidal = ~wet & flat & (height < 1.7) & (away < 60)
    marsh = ~wet & ~tidal & flat & (height < 3.0 + 0.5 * ripple)
    beach = ~wet & ~tidal & ~marsh & (away < 2.5 + 2.0 * np.clip(ripple, 0, 2)) & (kind < 1.4)
    cliff = ~wet & (away < 2.2) & (kind >= 1.4)
    dry = cover != RIVER  # the river keeps its bed as far as the sea
    for mask, what in ((marsh, WETLAND), (beach, SAND), (cliff, ROCK), (tidal, TIDAL_FLAT)):
        cover[mask & dry] = what
    cover[wet] = SEA
    touched = wet | (tidal | marsh | beach | cliff) & dry
    shore[touched] = _bounded(height)[touched]


def _joined(mask: NDArray[np.bool_], seed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a mask that hang together with a seed."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
    keep = np.zeros(count + 1, dtype=bool)
    keep[parts[seed & mask]] = True
    keep[0] = False
    return np.asarray(keep[parts])


def new_hollow_lakes(
    slope: Field, bar: NDArray[np.bool_], extent: tuple[float, int], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(H, W), lakes of the plain or of country that ice has scoured: many sizes, islands, bays.

    Args:
        slope: (H, W), steepness, metres per metre; lakes lie on flat ground.
        bar: (H, W), True where no lake may lie (the sea, the river).
        extent: Wanted share of the ground (0 to 1) and least size of a lake (pixels).
        rng: Where chance comes from.
    """
    shape, (share, least) = slope.shape, extent
    depth = new_noise(shape, rng, 2.5, 0.45 * max(shape), 7 if least < 100 else 14) - 12 * blur(slope, 5, 1)
    depth[ndimage.binary_dilation(bar, iterations=6)] = -9
    parts, count = ndimage.label(depth > np.quantile(depth, 1 - share))
    size = np.bincount(parts.ravel(), minlength=count + 1)
    keep = size >= min(least, size[1:].max(initial=0))
    keep[0] = False
    lake = keep[parts]
    isles, count = ndimage.label(~lake)
    tiny = np.bincount(isles.ravel(), minlength=count + 1) < 9
    tiny[0] = False
    return np.asarray(lake | tiny[isles])


def new_dam_lake(
    drained: Drainage, height: Field, bar: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(H, W), the reservoir behind a dam across a valley: all ground upstream of it that lies below its level.

    Args:
        drained: How water runs over the cells.
        height: (H, W), metres.
        bar: (H, W), True where it may not lie.
        share: Wanted share of the ground, 0 to 1.
        rng: Where chance comes from.
    """
    area, cells = drained.area.ravel(), drained.height.ravel()
    wanted = share * cells.size
    possible = np.flatnonzero((area > 1.1 * wanted) & (area < 60 * wanted) & (drained.receiver != np.arange(area.size)))
    best, worth = None, np.inf
    for dam in rng.permutation(possible)[:24].tolist():
        basin = upstream(drained.receiver, dam)
        for rise in (8.0, 14.0, 22.0, 34.0, 50.0, 70.0):
            lake = basin & (cells < cells[dam] + rise)
            leak = ndimage.binary_dilation(lake.reshape(drained.area.shape)).ravel() & ~basin
            leaks = int((leak & (cells < cells[dam] + rise)).sum())
            cost = abs(float(np.log(lake.sum() / wanted))) + 0.12 * max(leaks - 3, 0)
            if cost < worth:
                best, worth = (lake, cells[dam] + rise), cost
    if best is None:
        return np.zeros(height.shape, dtype=bool)
    near = ndimage.binary_dilation(best[0].reshape(drained.area.shape), iterations=2)
    near = near.repeat(CELL, 0).repeat(CELL, 1)[: height.shape[0], : height.shape[1]]
    core = best[0].reshape(drained.area.shape).repeat(CELL, 0).repeat(CELL, 1)[: height.shape[0], : height.shape[1]]
    low = near & ~bar & (core | (height < best[1])) & (height < best[1] + 6)
    smooth = blur(low, 1, 1) > 0.5
    return _joined(np.asarray(smooth & ~bar), core & smooth)
