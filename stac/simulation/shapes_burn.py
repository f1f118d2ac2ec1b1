"""Where fire goes: scars that spread over fuel with wind and slope, with islands that stay green."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .covers import (
    ASPHALT,
    BARE,
    BROADLEAF,
    CONIFER,
    COVERS,
    CROPS,
    GARDEN,
    GRASS,
    GRAVEL,
    RAINFOREST,
    RIPARIAN,
    ROCK,
    SHRUB,
    TRACK,
    WETLAND,
)
from .ground import Field, Ground
from .noise import blur, new_noise
from .shapes import Mask, Shape, Survey

_SPEED = {
    CONIFER: 1.0,
    BROADLEAF: 0.6,
    RAINFOREST: 0.4,
    SHRUB: 1.3,
    GRASS: 1.4,
    RIPARIAN: 0.25,
    WETLAND: 0.08,
    BARE: 0.06,
    ROCK: 0.10,
    GARDEN: 0.05,
    GRAVEL: 0.04,
    ASPHALT: 0.12,
    TRACK: 0.5,
}
"""Cover → speed of fire, relative to conifers on level ground; none elsewhere.

assumed: order of the fuels as in fire behaviour guides (grass and shrub fastest, moist stands slow); what hardly burns
lets sparks across.
"""

_BURNT = {CONIFER: 1.0, BROADLEAF: 0.9, RAINFOREST: 0.7, SHRUB: 1.0, GRASS: 0.95, RIPARIAN: 0.5, WETLAND: 0.3}
"""Cover → part of it that burns where fire comes; bare ground, rock and roads have nothing to burn."""

_STUBBLE = ("fallow", "pasture")
"""Crops that a fire crosses, when they grow in every year; others are green or tilled."""


def new_fire(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A scar: the pixels that fire reaches first from one place. Zones: 0 crown, 1 ground.

    Severity is high on ridges and in the fire's run, low in moist valleys and along the edge; islands stay unburnt.
    """
    ground = survey.ground
    goal = int(survey.goal("wildfire", rng))
    tables = survey.spots
    if "fuel" not in tables:
        speed = _by_cover(ground, _SPEED, 0.35)[ground.cover]
        survey.pick("fuel", (speed > 0.36) & (blur((speed > 0.2).astype(np.float32), 12, 1) > 0.6), rng)
    spot = survey.pick("fuel", None, rng)
    if spot is None:
        return None
    if survey.taken[survey.box(spot, 0.35 * math.sqrt(goal))].any():
        return None
    box = survey.box(spot, 2.5 * math.sqrt(goal) + 12)
    cover, taken = ground.cover[box], survey.taken[box]
    ease = _by_cover(ground, _SPEED, 0.35)[cover] * ~taken
    start = spot[0] - box[0].start, spot[1] - box[1].start
    parts, _ = ndimage.label(ease > 0)
    if np.count_nonzero(parts == parts[start]) < 1.4 * goal:
        return None
    ease *= np.exp(0.7 * new_noise(cover.shape, rng, 2.2, 70, 2).astype(np.float64))
    arrival = _arrival(ground.relief.height[box], ease, start, goal, rng)
    burnt = np.isfinite(arrival)
    whole = ndimage.binary_fill_holes(burnt)
    rim = ndimage.binary_dilation(whole) & ~whole
    cut_off = burnt[:9].any() or burnt[-9:].any() or burnt[:, :9].any() or burnt[:, -9:].any()
    if (
        burnt.sum() < 0.8 * goal
        or cut_off
        or np.count_nonzero(rim & ndimage.maximum_filter(taken, 5)) > 0.12 * np.count_nonzero(rim)
    ):
        return None
    strength = _severity(survey, burnt, box, rng) * _by_cover(ground, _BURNT, 0.9)[cover]
    strength = np.where(strength < 0.08, 0, strength)
    tall = np.isin(cover, (CONIFER, BROADLEAF, RAINFOREST, SHRUB))
    zone = np.where(tall & (blur(strength, 1, 1) > 0.52), 0, 1).astype(np.uint8)
    onset = np.where(burnt, arrival, 0).astype(np.float32)
    return survey.finish(box, (strength.astype(np.float32), onset, zone))


def _arrival(
    height: Field, ease: NDArray[np.float64], start: tuple[int, int], goal: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """When fire reaches each of about `goal` pixels, (h, w), infinite elsewhere.

    Fire is followed over cells of two pixels, which is quick; times between the cells' centres are interpolated.
    """
    rows, cols = ease.shape[0] // 2, ease.shape[1] // 2
    cells = ease[: 2 * rows, : 2 * cols].reshape(rows, 2, cols, 2).mean(axis=(1, 3))
    level = height[: 2 * rows : 2, : 2 * cols : 2]
    begin = min(start[0] // 2, rows - 1), min(start[1] // 2, cols - 1)
    wind = float(rng.uniform(0, 2 * np.pi))
    coarse = spread(level, cells, begin, int(0.36 * goal), wind, 20.0)
    reached = np.isfinite(coarse)
    last = float(coarse[reached].max())
    y, x = (np.arange(n, dtype=np.float64) / 2 - 0.25 for n in ease.shape)
    grid = np.meshgrid(y, x, indexing="ij")
    time = ndimage.map_coordinates(np.where(reached, coarse, 1.6 * last), grid, order=1, mode="nearest")
    time *= 1 + 0.05 * new_noise(ease.shape, rng, 1.6, 12, 2)
    time[ease <= 0] = np.inf
    inside = np.sort(time[time < 1.3 * last])
    bound = float(inside[min(goal, inside.size) - 1]) if inside.size else 0.0
    parts, _ = ndimage.label(time <= min(bound, last))
    part = parts[start]
    return np.where((parts == part) & (part > 0), time, np.inf)


def _by_cover(ground: Ground, table: dict[int, float], stubble: float) -> NDArray[np.float64]:
    """(covers and fields,), values of a table by cover; `stubble` for fields that fire crosses, 0 for the others."""
    crops = ground.fields.crop
    values = np.zeros(len(COVERS) + crops.shape[1], dtype=np.float64)
    values[list(table)] = list(table.values())
    dry = np.isin(crops, [CROPS.index(name) for name in _STUBBLE]).all(axis=0)
    values[len(COVERS) :][dry] = stubble
    return values


def _severity(survey: Survey, burnt: Mask, box: tuple[slice, slice], rng: np.random.Generator) -> Field:
    """(h, w), 0 where nothing burns, else how much of the green is lost, from 0.2 to 1."""
    height = survey.ground.relief.height[box].astype(np.float64)
    above = height - blur(height, 14, 1)
    ridge = np.clip(above / max(float(above.std()), 0.5), -2, 2)
    patches = new_noise(burnt.shape, rng, 2.0, 45, 3)
    fine = new_noise(burnt.shape, rng, 1.0, 10, 2)
    severity = 0.76 + 0.13 * patches + 0.08 * ridge + 0.05 * fine - 0.07 * survey.ground.moist[box]
    edge = blur(burnt.astype(np.float32), 2, 1)
    severity = np.clip(severity, 0.2, 1) * np.clip(1.35 * edge - 0.15, 0.45, 1)
    unburnt = new_noise(burnt.shape, rng, 2.6, 40, 4) - 0.35 * ridge
    kept = np.clip((2.2 - unburnt) / 0.5, 0, 1)
    return np.asarray(np.where(burnt, severity * kept, 0), dtype=np.float32)


def spread(
    height: Field, ease: NDArray[np.float64], start: tuple[int, int], goal: int, wind: float, pixel: float = 10.0
) -> NDArray[np.float64]:
    """When fire reaches the first `goal` pixels: Dijkstra's search over eight neighbours.

    Source of the effect of slope: McArthur's rule, speed ∝ exp(0.069 · degrees), Noble, Bary and Gill 1980, Australian
    Journal of Ecology 5, 201-203, https://doi.org/10.1111/j.1442-9993.1980.tb01243.x. Downhill it is kept from falling
    below its value at 20 degrees. assumed: with the wind nearly 7 times as fast as against it, which gives scars about
    twice as long as they are wide.

    Args:
        height: (h, w), metres.
        ease: (h, w), speed on level ground without wind; fire does not enter where it is 0.
        start: Row and column where it begins.
        goal: Pixels that burn.
        wind: Direction towards which it blows, radians from east towards south.
        pixel: Side of a pixel, metres.

    Returns:
        (h, w), time (any unit), infinite where fire does not come.
    """
    rows, cols = height.shape
    level = np.pad(height.astype(np.float64), 1, mode="edge").ravel().tolist()
    speed = np.pad(ease, 1).ravel().tolist()
    stride = cols + 2
    steps = [
        (
            a * stride + b,
            math.hypot(a, b),
            math.exp(0.95 * (a * math.sin(wind) + b * math.cos(wind)) / math.hypot(a, b)),
        )
        for a in (-1, 0, 1)
        for b in (-1, 0, 1)
        if a or b
    ]
    time = [math.inf] * len(speed)
    origin = (start[0] + 1) * stride + start[1] + 1
    best, heap, done = {origin: 0.0}, [(0.0, origin)], 0
    while heap and done < goal:
        now, cell = heapq.heappop(heap)
        if time[cell] < math.inf:
            continue
        time[cell] = now
        done += 1
        for step, far, blow in steps:
            near = cell + step
            if speed[near] <= 0 or time[near] < math.inf:
                continue
            rise = (level[near] - level[cell]) / (pixel * far)
            degrees = min(max(math.degrees(math.atan(rise)), -20.0), 35.0)
            then = now + far / (speed[near] * blow * math.exp(0.069 * degrees))
            if then < best.get(near, math.inf):
                best[near] = then
                heapq.heappush(heap, (then, near))
    return np.array(time).reshape(rows + 2, stride)[1:-1, 1:-1]
