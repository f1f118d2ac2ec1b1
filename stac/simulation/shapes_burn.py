"""Where fire goes: scars that spread over fuel with wind and slope, with islands that stay green."""

from __future__ import annotations

import heapq
import math

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from .covers import (
    ASPHALT,
    BARE,
    BROADLEAF,
    CONIFER,
    COVERS,
    CROPS,
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
from .means import blur
from .noise import new_noise
from .shapes import Mask, Shape, Survey, largest

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
    GRAVEL: 0.04,
    ASPHALT: 0.12,
    TRACK: 0.5,
}
"""Cover → speed of fire, relative to conifers on level ground; none elsewhere.

assumed: order of the fuels as in fire behaviour guides (grass and shrub fastest, moist stands slow); what hardly burns
lets sparks across where there is fuel all around. Gardens are mown and watered.
"""

_STRIP = 5
"""Half width of the square within which more than half of the ground must be fuel, pixels.

assumed: hedges, verges and banks narrower than about 60 m carry no fire across fields that do not burn.
"""

_RANGE = 15
"""Half width of the square around the place where a fire starts, of which most must be fuel, pixels. assumed: 150 m."""

_BURNT = {CONIFER: 1.0, BROADLEAF: 0.9, RAINFOREST: 0.7, SHRUB: 1.0, GRASS: 0.95, RIPARIAN: 0.5, WETLAND: 0.3}
"""Cover → part of it that burns where fire comes; bare ground, rock and roads have nothing to burn.

assumed: moist stands burn in part."""

_FINE = {SHRUB: 0.4, GRASS: 0.75, WETLAND: 0.4}
"""Cover → how much more evenly it burns than trees, 0 to 1: dry grass is consumed wherever fire comes.

assumed: the sizes."""

_STUBBLE = ("fallow", "pasture")
"""Crops that a fire crosses, when they grow in every year; others are green or tilled. assumed."""

_DRY = ("mediterranean", "rainforest", "savanna", "desert")
"""Biomes with a dry season, in which pastures burn and grass is driest; elsewhere pastures are grazed and green."""

_LENGTH_TO_BREADTH = (1.3, 4.0)
"""Of fires on level ground in even fuel; drawn log-uniform. assumed: ten Californian perimeters show 1.1 to 6.4, with
a median of 1.8; slopes and fuel round the shape off."""

LEAST_LARGEST = 0.8
"""Least part of a scar that hangs together. assumed: roads and rivers part scars, spot fires lie apart."""

LEAST_FILL = 0.6
"""Least part of its convex hull that a scar fills. Source: ten Californian perimeters, which fill 0.55 to 0.95."""

MOST_ISLANDS = 0.2
"""Greatest part of a scar's outline that stays unburnt: more is a ring around a field. assumed."""

LEAST_SEVERITY = 0.4
"""Least mean strength of a scar. assumed: fainter ones are not seen."""


def new_fire(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A scar: the pixels that fire reaches first from one place. Zones: 0 crown, 1 ground.

    Severity is high on ridges and in the fire's run, low in moist valleys and along the edge; islands stay unburnt.
    Fire keeps to connected fuel; shapes that come out as nets of strips, as scattered parts or faint are refused.
    """
    ground = survey.ground
    goal = int(survey.goal("wildfire", rng))
    spot = _place(survey, goal, rng)
    if spot is None:
        return None
    box = survey.box(spot, 2.5 * math.sqrt(goal) + 12)
    cover, taken = ground.cover[box], survey.taken[box]
    ease = _ease(ground, cover) * ~taken
    start = spot[0] - box[0].start, spot[1] - box[1].start
    parts, _ = ndimage.label(ease > 0)
    if parts[start] == 0 or np.count_nonzero(parts == parts[start]) < 1.4 * goal:
        return None
    ease *= np.exp(0.5 * new_noise(cover.shape, rng, 2.4, 70, 4).astype(np.float64))
    arrival = _arrival(ground.relief.height[box], ease, start, goal, rng)
    burnt = np.isfinite(arrival)
    if burnt.sum() < 0.75 * goal or _is_cut_off(burnt, taken):
        return None
    strength = _severity(survey, burnt, box, rng) * _by_cover(ground, _BURNT, 0.9)[cover]
    strength = np.where(strength < 0.08, 0, strength)
    if not is_compact(strength > 0) or strength[strength > 0].mean() < LEAST_SEVERITY:
        return None
    tall = np.isin(cover, (CONIFER, BROADLEAF, RAINFOREST, SHRUB))
    zone = np.where(tall & (blur(strength, 1, 1) > 0.52), 0, 1).astype(np.uint8)
    onset = np.where(burnt, arrival, 0).astype(np.float32)
    return survey.finish(box, (strength.astype(np.float32), onset, zone))


def _place(survey: Survey, goal: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Where a fire of `goal` pixels may start: free ground in the midst of fuel; None if the place drawn is not."""
    cover = survey.ground.cover
    if "fuel" not in survey.spots:
        burns = _ease(survey.ground, cover) > 0.3
        survey.pick("fuel", burns & (blur(burns.astype(np.float32), _RANGE, 1) > 0.75), rng)
    spot = survey.pick("fuel", None, rng)
    if spot is None or survey.taken[survey.box(spot, 0.35 * math.sqrt(goal))].any():
        return None
    near = _ease(survey.ground, cover[survey.box(spot, 0.6 * math.sqrt(goal))])
    return spot if (near > 0).mean() >= LEAST_FILL else None


def _ease(ground: Ground, cover: NDArray[np.int16]) -> NDArray[np.float64]:
    """(h, w), speed of fire, 0 where nothing burns or fuel lies in strips only."""
    table = _by_cover(ground, _SPEED, 0.45)
    if ground.biome not in _DRY:
        table[GRASS] *= 0.5
    speed = table[cover]
    dense = blur((speed > 0.2).astype(np.float32), _STRIP, 1) > 0.55
    return np.where(dense, speed, 0.0)


def _is_cut_off(burnt: Mask, taken: Mask) -> bool:
    """Whether a scar ends at the window's edge, or along more than an eighth of its rim at ground that is taken."""
    if burnt[:9].any() or burnt[-9:].any() or burnt[:, :9].any() or burnt[:, -9:].any():
        return True
    whole = ndimage.binary_fill_holes(burnt)
    rim = ndimage.binary_dilation(whole) & ~whole
    return bool(np.count_nonzero(rim & ndimage.maximum_filter(taken, 5)) > 0.12 * np.count_nonzero(rim))


def is_compact(burnt: Mask) -> bool:
    """Whether burnt ground (h, w) has the shape of a fire: most of it one part, which fills its convex hull well.

    Roads of a pixel or two do not part a scar.
    """
    wide = np.pad(burnt, 3)
    whole = ndimage.binary_closing(wide, np.ones((3, 3), dtype=bool))
    size = np.count_nonzero(whole)
    if size == 0 or np.count_nonzero(largest(whole)) < LEAST_LARGEST * size:
        return False
    if size < (1 - MOST_ISLANDS) * np.count_nonzero(ndimage.binary_fill_holes(whole)):
        return False
    places = np.argwhere(whole)
    corners = np.concatenate([places + corner for corner in ((0, 0), (0, 1), (1, 0), (1, 1))])
    return bool(size >= LEAST_FILL * float(shapely.area(shapely.convex_hull(shapely.multipoints(corners)))))


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
    length = float(np.exp(rng.uniform(*np.log(_LENGTH_TO_BREADTH))))
    coarse = spread(level, cells, begin, int(0.36 * goal), (wind, length), 20.0)
    reached = np.isfinite(coarse)
    last = float(coarse[reached].max())
    y, x = (np.arange(n, dtype=np.float64) / 2 - 0.25 for n in ease.shape)
    grid = np.meshgrid(y, x, indexing="ij")
    time = ndimage.map_coordinates(np.where(reached, coarse, 1.6 * last), grid, order=1, mode="nearest")
    time *= 1 + 0.04 * new_noise(ease.shape, rng, 2.0, 20, 4)
    time[ease <= 0] = np.inf
    inside = np.sort(time[time < 1.3 * last])
    bound = float(inside[min(goal, inside.size) - 1]) if inside.size else 0.0
    within = time <= min(bound, last)
    # assumed: fingers and lone pixels, where less than 0.45 of 70 m around burns, go out by themselves.
    parts, _ = ndimage.label(within & (blur(within.astype(np.float32), 3, 1) > 0.45))
    part = parts[start]
    return np.where((parts == part) & (part > 0), time, np.inf)


def _by_cover(ground: Ground, table: dict[int, float], stubble: float) -> NDArray[np.float64]:
    """(covers and fields,), values of a table by cover; `stubble` for fields that fire crosses, 0 for the others."""
    crops = ground.fields.crop
    values = np.zeros(len(COVERS) + crops.shape[1], dtype=np.float64)
    values[list(table)] = list(table.values())
    burning = _STUBBLE if ground.biome in _DRY else _STUBBLE[:1]
    dry = np.isin(crops, [CROPS.index(name) for name in burning]).all(axis=0)
    values[len(COVERS) :][dry] = stubble
    return values


def _severity(survey: Survey, burnt: Mask, box: tuple[slice, slice], rng: np.random.Generator) -> Field:
    """(h, w), 0 where nothing burns, else how much of the green is lost, from 0.2 to 1."""
    height = survey.ground.relief.height[box].astype(np.float64)
    above = height - blur(height, 14, 1)
    ridge = np.clip(above / max(float(above.std()), 0.5), -2, 2)
    # assumed: fires differ as a whole; the dNBR of ten Californian ones has a mean of 0.27 and a spread of 0.15.
    level = rng.uniform(0.56, 0.86)
    patches = new_noise(burnt.shape, rng, 2.0, 45, 3)
    fine = new_noise(burnt.shape, rng, 1.0, 10, 2)
    severity = level + 0.19 * patches + 0.09 * ridge + 0.07 * fine - 0.07 * survey.ground.moist[box]
    severity = np.clip(severity, 0.2, 1)
    severity += _by_cover(survey.ground, _FINE, 0.8)[survey.ground.cover[box]] * (1 - severity)
    edge = blur(burnt.astype(np.float32), 2, 1)
    severity *= np.clip(1.35 * edge - 0.15, 0.45, 1)
    unburnt = new_noise(burnt.shape, rng, 2.6, 40, 4) - 0.35 * ridge
    kept = np.clip((2.0 - unburnt) / 0.7, 0, 1)
    return np.asarray(np.where(burnt, severity * kept, 0), dtype=np.float32)


def spread(
    height: Field,
    ease: NDArray[np.float64],
    start: tuple[int, int],
    goal: int,
    wind: tuple[float, float],
    pixel: float = 10.0,
) -> NDArray[np.float64]:
    """When fire reaches the first `goal` pixels: Dijkstra's search over sixteen neighbours.

    On level ground in even fuel a fire is an ellipse with its start at one focus: H. E. Anderson 1983, Predicting
    wind-driven wild land fire size and shape, USDA Forest Service Research Paper INT-305. The ellipse's eccentricity
    gives the speed in each direction.

    Source of the effect of slope: McArthur's rule, speed ∝ exp(0.069 · degrees), Noble, Bary and Gill 1980, Australian
    Journal of Ecology 5, 201-203, https://doi.org/10.1111/j.1442-9993.1980.tb01243.x. Downhill it is kept from falling
    below its value at 20 degrees.

    Args:
        height: (h, w), metres.
        ease: (h, w), speed on level ground without wind; fire does not enter where it is 0.
        start: Row and column where it begins.
        goal: Pixels that burn.
        wind: Direction towards which it blows, radians from east towards south; length over breadth of the ellipse, at
            least 1.
        pixel: Side of a pixel, metres.

    Returns:
        (h, w), time (any unit), infinite where fire does not come.
    """
    rows, cols = height.shape
    level = np.pad(height.astype(np.float64), 2, mode="edge").ravel().tolist()
    speed = np.pad(ease, 2).ravel().tolist()
    stride = cols + 4
    steps = _steps(stride, *wind)
    time = [math.inf] * len(speed)
    origin = (start[0] + 2) * stride + start[1] + 2
    best, heap, done = {origin: 0.0}, [(0.0, origin)], 0
    while heap and done < goal:
        now, cell = heapq.heappop(heap)
        if time[cell] < math.inf:
            continue
        time[cell] = now
        done += 1
        for step, far, blow, one, other in steps:
            near = cell + step
            if speed[near] <= 0 or time[near] < math.inf or speed[cell + one] <= 0 or speed[cell + other] <= 0:
                continue
            rise = (level[near] - level[cell]) / (pixel * far)
            degrees = min(max(math.degrees(math.atan(rise)), -20.0), 35.0)
            then = now + far / (speed[near] * blow * math.exp(0.069 * degrees))
            if then < best.get(near, math.inf):
                best[near] = then
                heapq.heappush(heap, (then, near))
    return np.array(time).reshape(rows + 4, stride)[2:-2, 2:-2]


def _steps(stride: int, wind: float, length: float) -> list[tuple[int, float, float, int, int]]:
    """Steps to 16 neighbours: flat offset, cells, speed with the wind, two cells between that must burn too.

    Knight's moves beside the eight neighbours keep fires from turning into octagons.
    """
    drift = math.sqrt(1 - 1 / length**2)
    steps = []
    for a, b in ((a, b) for a in range(-2, 3) for b in range(-2, 3)):
        if max(abs(a), abs(b)) == 1 or abs(a * b) == 2:
            far = math.hypot(a, b)
            ahead = (a * math.sin(wind) + b * math.cos(wind)) / far
            between = (int(a / 2) * stride + int(b / 2), (a - int(a / 2)) * stride + b - int(b / 2))
            one, other = between if abs(a * b) == 2 else (0, 0)
            steps.append((a * stride + b, far, 1 / (1 - drift * ahead), one, other))
    return steps
