"""Reservoirs that fill and drain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction

from .covers import BUILT, RIVER, SEA, TRACK, WATER, WATERS
from .noise import new_noise
from .shapes import Box, Mask, Shape, Survey
from .waters import HIGHEST

_DAM = 45
"""Pixels from the stream to a dam's end at most. assumed: 450 m."""

_SPAN = 1.8
"""Length of a dam at most, in square roots of its lake's size. assumed: valleys are dammed where they are narrow."""

_FOUR = ndimage.generate_binary_structure(2, 1)

_RISES = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 23.0, 27.0, 31.0, 36.0, 42.0, 50.0, 60.0)
"""Heights of a dam that are tried, metres. assumed: small dams to large ones."""


def new_filling(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A reservoir that fills behind a dam line across a valley, lowest ground first.

    Zones: 0 water; 1 dam; 2 old water, which was water before. The turn of a height is the part of the whole volume
    that lies below it: the inflow is even. Side valleys fill when the water at the dam has risen to where they begin.
    """
    goal = survey.goal("reservoir_fill", rng)
    for _ in range(3):
        spot = _valley_spot(survey, rng)
        if spot is None:
            return None
        box = survey.box(spot, 2.6 * math.sqrt(goal) + 30)
        height = survey.ground.relief.height[box].astype(np.float64)
        lake = _best_lake(survey, height, (spot[0] - box[0].start, spot[1] - box[1].start), goal)
        if lake is not None:
            break
    else:
        return None
    if np.mean(survey.built[box][lake]) > 0.02 or np.mean(survey.water[box][lake]) > 0.35:
        return None
    level = _level_to_reach(height, lake)
    order = np.sort(level[lake])
    volume = np.cumsum(np.arange(order.size) * np.diff(order, prepend=order[0]))
    onset = np.where(lake, np.interp(level, order, volume), 0)
    dam = ndimage.binary_dilation(lake, iterations=2) & ~lake & (height < float(height[lake].max()))
    zone = np.where(dam, 1, np.where(np.isin(survey.ground.cover[box], WATERS), 2, 0)).astype(np.uint8)
    return survey.finish(box, ((lake | dam).astype(np.float32), onset.astype(np.float32), zone))


def _level_to_reach(height: NDArray[np.float64], lake: Mask) -> NDArray[np.float64]:
    """(h, w), level at which water that rises from a lake's lowest place comes to each of its pixels, metres."""
    top = float(height[lake].max()) + 1.0
    seed = np.full(height.shape, top)
    lowest = np.unravel_index(int(np.argmin(np.where(lake, height, np.inf))), height.shape)
    seed[lowest] = height[lowest]
    walls = np.where(lake, height, top)
    grow: Any = reconstruction
    return np.asarray(grow(seed, walls, method="erosion", footprint=_FOUR), dtype=np.float64)


def _valley_spot(survey: Survey, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free place on a stream that falls gently between slopes."""
    if "valley" not in survey.spots:
        relief = survey.ground.relief
        stream = relief.drainage > float(np.quantile(relief.drainage, 0.93))
        sides = ndimage.maximum_filter(relief.height, 71) - relief.height
        stream &= (sides > 18) & (survey.slope < 0.12) & ~survey.built & ~survey.water
        survey.pick("valley", stream, rng)
    return survey.pick("valley", None, rng)


def _best_lake(survey: Survey, height: NDArray[np.float64], spot: tuple[int, int], goal: float) -> Mask | None:
    """(h, w), the largest lake not far above the goal that a dam near a spot holds; None where all are too small."""
    start = _bottom(height, spot)
    down = _downstream(height, start)
    if down is None:
        return None
    low, most = survey.limits("reservoir_fill")
    lake, best = None, 0
    for rise in _RISES:
        basin = dammed(height, start, down, float(height[start]) + rise)
        size = 0 if basin is None else int(np.count_nonzero(basin))
        if size > min(1.25 * goal, most):
            break
        if size > best:
            lake, best = basin, size
    return lake if best >= max(low, 0.4 * goal) else None


def _bottom(height: NDArray[np.float64], spot: tuple[int, int]) -> tuple[int, int]:
    """The lowest pixel within 30 m of a spot: the bed of its stream."""
    top, left = max(spot[0] - 3, 0), max(spot[1] - 3, 0)
    near = height[top : spot[0] + 4, left : spot[1] + 4]
    row, col = divmod(int(np.argmin(near)), near.shape[1])
    return top + row, left + col


def _downstream(height: NDArray[np.float64], start: tuple[int, int]) -> tuple[float, float] | None:
    """Unit vector (rows, columns) in which the valley falls: towards the lowest place of a ring 80 m to 120 m away."""
    y, x = np.mgrid[: height.shape[0], : height.shape[1]]
    away = np.hypot(y - start[0], x - start[1])
    ring = (away > 8) & (away < 12)
    if not ring.any():
        return None
    row, col = divmod(int(np.argmin(np.where(ring, height, np.inf))), height.shape[1])
    far = float(away[row, col])
    if height[row, col] >= height[start]:
        return None
    return (row - start[0]) / far, (col - start[1]) / far


def dammed(height: NDArray[np.float64], start: tuple[int, int], down: tuple[float, float], level: float) -> Mask | None:
    """The ground that a dam at `start` floods up to a level; None where no dam of reasonable length holds it.

    Args:
        height: (h, w), metres.
        start: Row and column where the dam crosses the stream.
        down: Unit vector (rows, columns) downstream.
        level: Height of the water, metres.

    Returns:
        (h, w), the connected ground below the level, upstream of the dam; it does not reach the window's edge.
    """
    rows, cols = height.shape
    low = height < level
    half_steps = 0
    for side in (1, -1):
        for n in range(2 * _DAM + 1):
            row = round(start[0] - side * down[1] * n / 2)
            col = round(start[1] + side * down[0] * n / 2)
            if not (0 <= row < rows - 1 and 0 <= col < cols - 1):
                return None
            if height[row, col] >= level and n > 2:
                half_steps += n
                break
            low[row : row + 2, col : col + 2] = False
        else:
            return None
    up = round(start[0] - 4 * down[0]), round(start[1] - 4 * down[1])
    below = round(start[0] + 6 * down[0]), round(start[1] + 6 * down[1])
    if not (0 <= up[0] < rows and 0 <= up[1] < cols and low[up]):
        return None
    parts, _ = ndimage.label(low)
    lake = parts == parts[up]
    if lake[0].any() or lake[-1].any() or lake[:, 0].any() or lake[:, -1].any():
        return None
    if 0 <= below[0] < rows and 0 <= below[1] < cols and lake[below]:
        return None
    if half_steps / 2 > _SPAN * math.sqrt(np.count_nonzero(lake)) + 4:
        return None
    return np.asarray(lake)


def new_draining(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A lake drawn down from its shores inwards; the deepest part keeps its water.

    Zones: 0 bed; 1 rim, ground that high water of a full lake would drown. No depth is known: it grows with the
    distance from the shore, faster under steep shores, and towards one end. Where the lake leaves the free ground, it
    fades into what is left alone.
    """
    if "lake" not in survey.spots:
        survey.pick("lake", survey.ground.cover == WATER, rng)
    spot = survey.pick("lake", None, rng)
    if spot is None:
        return None
    parts, _ = ndimage.label(survey.ground.cover == WATER)
    whole = parts == parts[spot]
    rows, cols = np.nonzero(whole.any(axis=1))[0], np.nonzero(whole.any(axis=0))[0]
    box = slice(max(int(rows[0]) - 8, 0), int(rows[-1]) + 9), slice(max(int(cols[0]) - 8, 0), int(cols[-1]) + 9)
    lake, free = whole[box], ~survey.taken[box]
    low, _ = survey.limits("reservoir_drain")
    if np.count_nonzero(lake & free) < max(low, 0.5 * np.count_nonzero(lake)):
        return None
    depth = _depth(survey, box, lake, rng)
    kept = float(rng.uniform(0.15, 0.5))
    last = float(np.quantile(depth[lake], 1 - kept))
    bed = lake & free & (depth <= last)
    inside = np.clip(ndimage.distance_transform_edt(free) / 8, 0, 1) if not free.all() else 1.0
    strength = np.where(bed, np.clip((last - depth) / max(0.06 * last, 1e-6) + 0.4, 0, 1) * inside, 0)
    rim = ndimage.binary_dilation(lake, iterations=4) & ~lake & (survey.ground.shore[box] < HIGHEST)
    rim &= ~np.isin(survey.ground.cover[box], (WATER, RIVER, SEA, TRACK, *BUILT)) & free
    strength = np.where(rim, inside, strength).astype(np.float32)
    return survey.finish(box, (strength, depth.astype(np.float32), rim.astype(np.uint8)), lake & free)


def _depth(survey: Survey, box: Box, lake: Mask, rng: np.random.Generator) -> NDArray[np.float64]:
    """(h, w), an invented depth of a lake, any unit, above 0 on it."""
    away, near = ndimage.distance_transform_edt(np.pad(lake, 1, mode="edge"), return_indices=True)
    away = away[1:-1, 1:-1]
    rim = np.pad(survey.slope[box].astype(np.float64), 1, mode="edge")[near[0], near[1]][1:-1, 1:-1]
    rim = ndimage.gaussian_filter(rim, 4)
    turn = float(rng.uniform(0, 2 * np.pi))
    y, x = np.mgrid[: lake.shape[0], : lake.shape[1]]
    axis = x * math.cos(turn) + y * math.sin(turn)
    axis = np.clip((axis - axis[lake].min()) / max(float(np.ptp(axis[lake])), 1.0), 0, 1)
    wave = new_noise(lake.shape, rng, 2.6, 60, 10).astype(np.float64)
    steep = np.clip(rim / max(float(rim[lake].mean()), 1e-3), 0.4, 2.5)
    return np.where(lake, away * np.sqrt(steep) * (0.25 + 1.9 * axis * np.sqrt(axis)) * np.exp(0.22 * wave), 0)
