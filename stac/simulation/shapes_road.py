"""Where a new road goes: from an existing road to another place, over the ground that costs least."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from .noise import new_noise
from .shapes import MARGIN, Box, Shape, Survey, along

_WIDTH = 3.8
"""Pixels that a road with its verges takes on average, for turning sizes into lengths."""


def new_road(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A road cleared 30 to 50 m wide, built in segments from its junction. Zones: 0 bed, 1 verge."""
    length = survey.goal("road", rng) / _WIDTH
    start = survey.pick("junction", survey.road if "junction" not in survey.spots else None, rng)
    if start is None:
        start = survey.pick("land", ~survey.water if "land" not in survey.spots else None, rng)
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
    half = float(rng.uniform(1.5, 2.4))
    away, place = along(line, box, half + 2)
    strength = np.clip(half + 0.5 - away, 0, 1).astype(np.float32)
    strength[survey.taken[box] & (strength < 0.5)] = 0
    bed = float(rng.uniform(0.6, 1.0))
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
    """A place about `reach` pixels away that is worth a road, and the window in which to look for the way.

    Of several draws it takes the one that is farthest from the roads there are: a new road opens up new country.
    """
    rows, cols = survey.ground.shape
    best, found = -1.0, None
    for _ in range(12):
        heading, far = float(rng.uniform(0, 2 * np.pi)), reach * float(rng.uniform(0.75, 1.1))
        row, col = round(start[0] + far * math.sin(heading)), round(start[1] + far * math.cos(heading))
        inside = MARGIN + 4 <= row < rows - MARGIN - 4 and MARGIN + 4 <= col < cols - MARGIN - 4
        if not inside or survey.taken[row, col] or survey.water[row, col] or survey.built[row, col]:
            continue
        worth = min(float(survey.road_distance[row, col]), 80.0) * float(rng.uniform(0.6, 1))
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
    soft = ndimage.gaussian_filter1d(long, 3.5, axis=0, mode="nearest")
    return np.asarray(soft[pad:-pad], dtype=np.float64)
