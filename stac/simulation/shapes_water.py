"""Where water comes and goes: reservoirs that fill and drain, and floods along rivers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .covers import RIVER, SEA, TIDAL_FLAT, WATER
from .ground import Field
from .noise import blur, new_noise
from .shapes import Box, Mask, Shape, Survey, largest

_DAM = 50
"""Pixels from the stream to a dam's end at most: 500 m."""

_RISES = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 23.0, 27.0, 31.0, 36.0, 42.0, 50.0, 60.0)
"""Heights of a dam that are tried, metres."""


def new_filling(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A reservoir that fills behind a dam line across a valley, lowest ground first. Zone: 0 water.

    The turn of a height is the part of the whole volume that lies below it: the inflow is even.
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
    depth = np.where(lake, np.maximum(height[lake].max() - height, 0), 0)
    order = np.sort(height[lake])
    volume = np.cumsum(np.arange(order.size) * np.diff(order, prepend=order[0]))
    onset = np.interp(height, order, volume)
    strength = np.where(lake, 1, 0).astype(np.float32)
    onset = np.where(depth >= 0, onset, 0)
    return survey.finish(box, (strength, onset.astype(np.float32), np.zeros(lake.shape, np.uint8)))


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
    for side in (1, -1):
        for n in range(2 * _DAM + 1):
            row = round(start[0] - side * down[1] * n / 2)
            col = round(start[1] + side * down[0] * n / 2)
            if not (0 <= row < rows - 1 and 0 <= col < cols - 1):
                return None
            if height[row, col] >= level and n > 2:
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
    return np.asarray(lake)


def new_draining(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A lake drawn down from its shores inwards; the deepest part keeps its water. Zone: 0 bed.

    No depth is known: it grows with the distance from the shore, faster under steep shores, and towards one end.
    """
    if "lake" not in survey.spots:
        survey.pick("lake", survey.ground.cover == WATER, rng)
    spot = survey.pick("lake", None, rng)
    if spot is None:
        return None
    rows, cols = survey.ground.shape
    box = survey.box(spot, 0.35 * max(rows, cols))
    parts, _ = ndimage.label(survey.ground.cover[box] == WATER)
    lake = parts == parts[spot[0] - box[0].start, spot[1] - box[1].start]
    low, _ = survey.limits("reservoir_drain")
    lake &= ~survey.taken[box]
    if np.count_nonzero(lake) < low:
        return None
    depth = _depth(survey, box, lake, rng)
    kept = float(rng.uniform(0.15, 0.5))
    last = float(np.quantile(depth[lake], 1 - kept))
    bed = lake & (depth <= last)
    strength = np.where(bed, np.clip((last - depth) / max(0.06 * last, 1e-6) + 0.4, 0, 1), 0)
    zone = np.zeros(lake.shape, np.uint8)
    return survey.finish(box, (strength.astype(np.float32), depth.astype(np.float32), zone), lake)


def _depth(survey: Survey, box: Box, lake: Mask, rng: np.random.Generator) -> NDArray[np.float64]:
    """(h, w), an invented depth of a lake, any unit, above 0 on it."""
    away, near = ndimage.distance_transform_edt(np.pad(lake, 1), return_indices=True)
    away = away[1:-1, 1:-1]
    rim = np.pad(survey.slope[box].astype(np.float64), 1, mode="edge")[near[0], near[1]][1:-1, 1:-1]
    rim = ndimage.gaussian_filter(rim, 4)
    turn = float(rng.uniform(0, 2 * np.pi))
    y, x = np.mgrid[: lake.shape[0], : lake.shape[1]]
    axis = x * math.cos(turn) + y * math.sin(turn)
    axis = (axis - axis[lake].min()) / max(float(np.ptp(axis[lake])), 1.0)
    wave = new_noise(lake.shape, rng, 2.6, 60, 10).astype(np.float64)
    steep = np.clip(rim / max(float(rim[lake].mean()), 1e-3), 0.4, 2.5)
    return np.where(lake, away * np.sqrt(steep) * (0.5 + 1.3 * axis) * np.exp(0.22 * wave), 0)


def new_flood(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """Low ground along a reach of a river. Zones: 0 deep, 1 shallow (water between plants and clods).

    The water rises to a stage above the river; the stage falls away from the middle of the reach, so that the flood
    ends within the window.
    """
    goal = survey.goal("flood", rng)
    if "river" not in survey.spots:
        survey.pick("river", survey.river, rng)
    spot = survey.pick("river", None, rng)
    if spot is None:
        return None
    stretch = float(rng.uniform(1.3, 2.2))
    box = survey.box(spot, 1.35 * math.sqrt(goal) * stretch)
    above = survey.above_river[box]
    if not np.isfinite(above).all():
        return None
    above = ndimage.gaussian_filter(above.astype(np.float64), 2.5)
    river = survey.river[box]
    start = spot[0] - box[0].start, spot[1] - box[1].start
    y, x = np.mgrid[: above.shape[0], : above.shape[1]]
    away = np.hypot(y - start[0], x - start[1]) / (1.1 * math.sqrt(goal) * stretch)
    banks = ndimage.distance_transform_edt(~river)
    wave = new_noise(above.shape, rng, 2.4, 60, 9).astype(np.float64)
    fine = new_noise(above.shape, rng, 1.8, 12, 3).astype(np.float64)
    need = np.maximum(above, 0) + 0.018 * banks + 0.35 * wave + 0.05 * fine + 3.0 * away**3
    need[river] = np.minimum(need[river], 3.0 * away[river] ** 3)
    free = ~survey.taken[box] & ~np.isin(survey.ground.cover[box], (SEA, TIDAL_FLAT))
    wet = _rise(need, free, start, goal)
    low, most = survey.limits("flood")
    if wet is None or not max(low, 0.6 * goal) <= np.count_nonzero(wet) <= most:
        return None
    rim = ndimage.binary_dilation(wet) & ~wet
    if np.count_nonzero(rim & ~free) > 0.06 * np.count_nonzero(rim) or np.mean(survey.built[box][wet]) > 0.15:
        return None
    return survey.finish(box, _flood_layers(survey, box, need, wet))


def _rise(need: NDArray[np.float64], free: Mask, start: tuple[int, int], goal: float) -> Mask | None:
    """(h, w), the connected ground that the lowest stage with `goal` pixels drowns; None at a window's edge."""
    low, high = float(need[start]), float(need.max())
    wet: Mask | None = None
    for _ in range(9):
        stage = 0.5 * (low + high)
        parts, _ = ndimage.label((need <= stage) & free)
        part = parts == parts[start] if parts[start] else np.zeros_like(free)
        if np.count_nonzero(part) >= goal:
            wet, high = part, stage
        else:
            low = stage
    if wet is None or wet[0].any() or wet[-1].any() or wet[:, 0].any() or wet[:, -1].any():
        return None
    return largest(ndimage.binary_opening(ndimage.binary_closing(wet, iterations=2) & free))


def _flood_layers(
    survey: Survey, box: Box, need: NDArray[np.float64], wet: Mask
) -> tuple[Field, Field, NDArray[np.uint8]]:
    """Strength, onset and zone of a flood: the river first, then the low ground, its rim last."""
    first, last = float(need[wet].min()), float(need[wet].max())
    level = np.clip((need - first) / max(last - first, 1e-6), 0, 1)
    edge = blur(wet.astype(np.float32), 1, 1)
    shallow = (level > 0.62) | (edge < 0.8)
    strength = np.where(shallow, 0.5 + 0.4 * (1 - level), 1.0)
    strength = np.where(wet, np.where(survey.ground.cover[box] == RIVER, 1.0, strength), 0)
    zone = (shallow & (survey.ground.cover[box] != RIVER)).astype(np.uint8)
    return strength.astype(np.float32), level.astype(np.float32), zone
