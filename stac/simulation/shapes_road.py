"""Where a new road goes: from a road that is there to another road or a clearing, over the ground that costs least."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from .noise import new_noise
from .shapes import MARGIN, Box, Shape, Survey, along

_BED = 0.55, 0.65
"""Half the width of what is graded and surfaced, pixels: two lanes with shoulders, 11 to 13 m, which leave no gap
between the pixels that they pass through. assumed."""

_CLEARED = 0.75, 1.3
"""Half the width of what is cleared, verges included, pixels: 15 to 26 m. assumed: as along roads of two lanes."""

_WIDTH = sum(_CLEARED)
"""Pixels that a road with its verges takes on average, for turning sizes into lengths."""

_WIGGLE = 6.0
"""Pixels over which a way's corners are rounded. assumed: bends of a country road have radii of 100 m and more."""


def new_road(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A road between two places, cleared 15 to 26 m wide, built in segments from its junction. Zones: 0 bed, 1 verge.

    Both ends lie on roads or tracks that are there, or the far one in a farmed clearing that no road reaches yet.
    """
    length = survey.goal("road", rng) / _WIDTH
    start = survey.pick("junction", survey.road if "junction" not in survey.spots else None, rng)
    if start is None:
        return None
    ends = _ends(survey, start, length / 1.25, rng)
    if ends is None:
        return None
    end, box = ends
    path = _least_cost(survey, box, start, end, rng)
    if path is None:
        return None
    line = _smooth(path)
    half = float(rng.uniform(*_CLEARED))
    away, place = along(line, box, half + 2)
    strength = np.clip(half + 0.5 - away, 0, 1).astype(np.float32)
    strength[survey.taken[box] & (strength < 0.5)] = 0
    bed = float(rng.uniform(*_BED))
    total = max(float(place.max()), 1.0)
    pieces = max(3, round(total / float(rng.uniform(25, 60))))
    part = place / total * pieces
    whole = np.minimum(np.floor(part), pieces - 1)
    onset = (whole + 0.35 * np.clip(part - whole, 0, 1)) / pieces
    zone = (away > bed).astype(np.uint8)
    return survey.finish(box, (strength, onset.astype(np.float32), zone))


def _ends(
    survey: Survey, start: tuple[int, int], reach: float, rng: np.random.Generator
) -> tuple[tuple[int, int], Box] | None:
    """A place worth a road about `reach` pixels away, and the window in which to look for the way.

    Of several draws, each moved to the nearest place that a road may lead to, it takes the one with the fewest roads on
    the straight way: a new road opens up new country.
    """
    rows, cols = survey.ground.shape
    goals = _goals(survey)
    best, found = 0.0, None
    for _ in range(16):
        heading, far = float(rng.uniform(0, 2 * np.pi)), reach * float(rng.uniform(0.75, 1.1))
        row, col = round(start[0] + far * math.sin(heading)), round(start[1] + far * math.cos(heading))
        fresh = float(rng.uniform(0.6, 1))
        if not (0 <= row < rows and 0 <= col < cols) or not goals.size:
            continue
        row, col = divmod(int(goals[row, col]), cols)
        chord = math.hypot(row - start[0], col - start[1])
        inside = MARGIN + 1 <= row < rows - MARGIN - 1 and MARGIN + 1 <= col < cols - MARGIN - 1
        if not inside or survey.taken[row, col] or not 0.5 * reach <= chord <= 1.4 * reach:
            continue
        way = np.linspace(start, (row, col), 24).astype(np.intp)
        worth = float(np.minimum(survey.road_distance[way[:, 0], way[:, 1]], 30).mean()) * fresh
        if worth > best:
            best, found = worth, (row, col)
    if found is None:
        return None
    slack = int(0.3 * reach) + 12
    box = (
        slice(max(min(start[0], found[0]) - slack, 0), min(max(start[0], found[0]) + slack, rows)),
        slice(max(min(start[1], found[1]) - slack, 0), min(max(start[1], found[1]) + slack, cols)),
    )
    return found, box


def _goals(survey: Survey) -> NDArray[np.intp]:
    """(H, W), flat index of the nearest pixel that a road may lead to; empty where there is none."""
    if "road's goals" not in survey.spots:
        clearing = survey.field & (survey.road_distance > 15)
        goal = (survey.road | clearing) & ~survey.water
        near = np.zeros((0, 0), dtype=np.intp)
        if goal.any():
            at = ndimage.distance_transform_edt(~goal, return_distances=False, return_indices=True)
            near = np.asarray(at[0] * goal.shape[1] + at[1], dtype=np.intp)
        survey.spots["road's goals"] = near
    return survey.spots["road's goals"]


def _least_cost(
    survey: Survey, box: Box, start: tuple[int, int], end: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """(n, 2), rows and columns on the ground of the cheapest way, or None where there is none worth building.

    assumed: costs. Steep ground is dear, a bridge costs as much as 300 m of road on level land, roads that exist are
    crossed rather than followed, and towns are gone around.
    """
    cover_cost = np.where(survey.water[box], 30.0, 1.0) + np.where(survey.forest[box], 0.3, 0)
    cover_cost += np.where(survey.road[box], 8.0, 0) + np.where(survey.built[box] & ~survey.road[box], 40.0, 0)
    cover_cost += np.where(survey.road_distance[box] < 6, 2.5, 0)
    slope = survey.slope[box].astype(np.float64)
    bumps = new_noise(slope.shape, rng, 2.0, 50, 6).astype(np.float64)
    cost = cover_cost + 90 * slope * slope + 8 * slope + 0.5 * np.clip(bumps + 1, 0, 3)
    near = ndimage.maximum_filter(survey.taken[box], size=9)
    cost[near] = -1
    a = start[0] - box[0].start, start[1] - box[1].start
    b = end[0] - box[0].start, end[1] - box[1].start
    if cost[a] < 0 or cost[b] < 0:
        return None
    search = MCP_Geometric(cost)
    far, _ = search.find_costs([a], [b])
    if not np.isfinite(far[b]):
        return None
    path = search.traceback(b)
    points = np.array(path, dtype=np.float64) + np.array([box[0].start, box[1].start], dtype=np.float64)
    chord = math.hypot(end[0] - start[0], end[1] - start[1])
    wet = float(np.mean(survey.water[box][tuple(np.array(path).T)]))
    old = float(np.mean(survey.road_distance[box][tuple(np.array(path).T)] < 3))
    if len(points) > 1.8 * chord or len(points) < 20 or wet > 0.08 or old > 0.25:
        return None
    return points


def _smooth(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The path without the corners of the grid; its ends stay where they are."""
    pad = min(24, len(path) - 1)
    long = np.pad(path, ((pad, pad), (0, 0)), mode="reflect", reflect_type="odd")
    soft = ndimage.gaussian_filter1d(long, _WIGGLE, axis=0, mode="nearest")
    return np.asarray(soft[pad:-pad], dtype=np.float64)
