"""Where the ground is dug: hillside quarries, open pits, strip mines, gravel pits that fill, placers along rivers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .means import blur
from .noise import new_noise
from .shapes import Box, Mask, Shape, Survey, along, axes, largest

_GREY, _SPOIL, _POND, _WHITE, _RED, _DARK = range(6)
_NONE = 255
_Key = TypeVar("_Key", str, int)

_Layers = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""Zone, `_NONE` where nothing is dug, and onset in any range, (h, w) each."""

FORMS: dict[str, dict[str, float]] = {
    "mediterranean": {"quarry": 0.5, "pit": 0.2, "gravel": 0.3},
    "temperate": {"quarry": 0.4, "pit": 0.1, "gravel": 0.35, "strip": 0.15},
    "boreal": {"quarry": 0.3, "pit": 0.45, "gravel": 0.25},
    "rainforest": {"quarry": 0.1, "pit": 0.3, "placer": 0.6},
    "savanna": {"quarry": 0.2, "pit": 0.55, "strip": 0.25},
    "desert": {"quarry": 0.3, "pit": 0.55, "strip": 0.15},
    "cropland": {"quarry": 0.25, "gravel": 0.4, "strip": 0.35},
    "coast": {"gravel": 0.7, "strip": 0.3},
}
"""Biome → probability of each form of mine. assumed: what is usually dug in such country."""

_ROCKS: dict[str, dict[int, float]] = {
    "quarry": {_GREY: 0.45, _WHITE: 0.55},
    "pit": {_GREY: 0.5, _WHITE: 0.2, _RED: 0.3},
    "strip": {_DARK: 1.0},
    "gravel": {_GREY: 0.6, _WHITE: 0.4},
    "placer": {_WHITE: 0.6, _RED: 0.4},
}
"""Form → probability of the colour of what is dug. assumed."""

_TROPICAL = {"rainforest": 0.6, "savanna": 0.6}
"""Biome → chance that a mine lays bare red earth whatever its form. assumed: laterite covers the rock."""


def new_mine(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """A mine of one of five forms, with a road to the nearest one.

    Zones: 0 grey rock, 1 spoil, 2 pond, 3 white rock, 4 red earth, 5 dark rock or coal, or steep faces in shadow.
    """
    goal = survey.goal("mine", rng)
    biome = survey.ground.biome
    form = _draw(FORMS[biome], rng)
    rock = _RED if rng.random() < _TROPICAL.get(biome, 0.0) and form != "strip" else _draw(_ROCKS[form], rng)
    spot = _spot(survey, form, rng)
    if spot is None:
        return None
    box = survey.box(spot, _REACH[form] * math.sqrt(goal) + 10)
    zone, onset = _MAKERS[form](survey, box, spot, (goal, rock), rng)
    free = ~survey.taken[box] & ~survey.water[box] & ~survey.built[box]
    dug = zone != _NONE
    wanted = np.count_nonzero(dug)
    dug = ndimage.binary_opening(dug & free) if form in ("placer", "gravel") else largest(ndimage.binary_opening(dug))
    site = ndimage.binary_fill_holes(ndimage.binary_closing(dug, iterations=2))
    rim = site[0].any() or site[-1].any() or site[:, 0].any() or site[:, -1].any()
    if rim or (site & survey.taken[box]).any() or np.count_nonzero(dug & free) < 0.9 * wanted:
        return None
    low, most = survey.limits("mine")
    dug &= free
    if not low <= np.count_nonzero(dug) <= 1.15 * most:
        return None
    zone[~dug] = _NONE
    way = _haul_road(survey, box, dug) & free & ~dug
    strength = np.where(dug, 1.0, np.where(way, 0.6, 0.0)).astype(np.float32)
    zone[way], onset[way] = _SPOIL, onset[dug].min()
    return survey.finish(box, (strength, onset.astype(np.float32), zone), site)


def _draw(chances: Mapping[_Key, float], rng: np.random.Generator) -> _Key:
    """One of the keys, by its chance."""
    keys, steps = list(chances), np.cumsum(list(chances.values()))
    return keys[min(int(np.searchsorted(steps, rng.random() * steps[-1], side="right")), len(keys) - 1)]


def _spot(survey: Survey, form: str, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free place that suits a form."""
    name = f"{form}'s ground"
    if name in survey.spots:
        return survey.pick(name, None, rng)
    slope, away = survey.slope, survey.road_distance
    wild = ~survey.field & ~survey.water & ~survey.built & ~survey.road & (slope < 0.6)
    wild &= blur(wild.astype(np.float32), 10, 1) > 0.85
    near = (away > 4) & (away < 40)
    wild = wild & near if np.count_nonzero(wild & near) > 500 else wild
    if form == "quarry":
        hilly = wild & (slope > 0.15)
        suits = hilly if np.count_nonzero(hilly) > 300 else wild
    elif form in ("gravel", "strip"):
        suits = ~survey.water & ~survey.built & (slope < (0.05 if form == "gravel" else 0.12)) & near
        low = suits & (survey.above_river < 12)
        suits = low if form == "gravel" and np.count_nonzero(low) > 300 else suits
    elif form == "placer":
        bank = ndimage.binary_dilation(survey.river, iterations=4) & ~survey.water & ~survey.built & (away < 150)
        suits = bank & survey.forest if np.count_nonzero(bank & survey.forest) > 100 else bank
    else:
        suits = wild
    return survey.pick(name, suits, rng)


def _quarry(
    survey: Survey, box: Box, spot: tuple[int, int], plan: tuple[float, int], rng: np.random.Generator
) -> _Layers:
    """A bowl in a hillside whose benches follow the slope's contours, worked from its foot; a heap at the foot."""
    goal, rock = plan
    size = max(0.5 * goal, survey.limits("mine")[0] * 1.1)
    height = ndimage.gaussian_filter(survey.ground.relief.height[box].astype(np.float64), 2)
    row, col = spot[0] - (box[0].start or 0), spot[1] - (box[1].start or 0)
    row, col = min(max(row, 1), height.shape[0] - 2), min(max(col, 1), height.shape[1] - 2)
    south, east = height[row - 1, col] - height[row + 1, col], height[row, col - 1] - height[row, col + 1]
    u, v = axes(box, spot, round(math.atan2(south, east), 6))  # u grows downhill
    stretch = float(rng.uniform(0.9, 1.7))
    a, b = math.sqrt(size / np.pi / stretch), math.sqrt(size / np.pi * stretch)
    wave = new_noise(u.shape, rng, 2.6, 40, 6).astype(np.float64)
    inner = np.maximum(np.hypot(u / a, v / b), 1.4 * u / a) + 0.12 * wave  # the foot is cut off straight
    bowl = largest(inner < 1)
    zone = np.full(u.shape, _NONE, np.uint8)
    up = (height - height[bowl].min()) / max(float(np.ptp(height[bowl])), 1.0)
    bench = np.clip(up - 0.25, 0, 1) * float(rng.integers(4, 7))
    face = (bench > 0) & (bench - np.floor(bench) < (0.45 if rock == _WHITE else 0.33))
    zone[bowl] = np.where(face, _face(rock), rock)[bowl]
    heap = (np.hypot((u - 0.75 * a) / (0.4 * a), (v - float(rng.uniform(-0.4, 0.4)) * b) / (0.5 * b)) < 1) & ~bowl
    zone[heap] = _SPOIL
    if rng.random() < 0.3:
        zone[bowl & (np.hypot((u - 0.35 * a) / (0.22 * a), v / (0.3 * b)) + 0.1 * wave < 1)] = _POND
    return zone, np.where(heap, 0.35, 0.5 - 0.5 * u / a + 0.1 * np.abs(v / b))


def _face(rock: int) -> int:
    """Zone of a bench's steep face: in shadow, or the seam's cover where the rock itself is dark."""
    return _GREY if rock == _WHITE else _SPOIL if rock == _DARK else _DARK


def _pit(survey: Survey, box: Box, spot: tuple[int, int], plan: tuple[float, int], rng: np.random.Generator) -> _Layers:
    """An open pit that grows outwards, terraced along a ramp that winds down; dumps, and often a tailings pond."""
    goal, rock = plan
    size = goal * float(rng.uniform(0.42, 0.62))
    stretch, turn = float(rng.uniform(1.0, 2.0)), float(rng.uniform(0, np.pi))
    a, b = math.sqrt(size / np.pi * stretch), math.sqrt(size / np.pi / stretch)
    u, v = axes(box, spot, turn)
    wave = new_noise(u.shape, rng, 2.8, 50, 8).astype(np.float64)
    inner = np.hypot(u / a, v / b) + 0.10 * wave
    pit = largest(inner < 1)
    zone, onset = np.full(u.shape, _NONE, np.uint8), np.zeros(u.shape)
    bench = (1 - inner) * max(3.0, round(b / 4.5)) + np.arctan2(v / b, u / a) / (2 * np.pi)
    face = (bench - np.floor(bench) < (0.45 if rock == _WHITE else 0.33)) & (inner > 0.25)
    zone[pit], onset[pit] = np.where(face, _face(rock), rock)[pit], np.clip(inner, 0, 1)[pit]
    if rng.random() < 0.45:
        zone[pit & (inner < float(rng.uniform(0.18, 0.35)))] = _POND
    tailings = rng.random() < 0.5
    bearing = float(rng.uniform(0, 2 * np.pi))
    left = (goal - size) * (0.6 if tailings else 0.95)
    parts = rng.dirichlet(np.full(int(rng.integers(1, 4)), 3.0)) * left
    for n, part in enumerate(parts.tolist()):
        bearing += float(rng.uniform(0.9, 1.8)) if n else 0.0
        _heap(box, (spot, _radius(bearing - turn, a, b), bearing), part, (zone, onset), rng)
    if tailings:
        bearing += float(rng.uniform(1.2, 2.2))
        side = math.sqrt(0.35 * (goal - size))
        far = _radius(bearing - turn, a, b) + 0.5 * side
        s, t = axes(box, (spot[0] + far * math.sin(bearing), spot[1] + far * math.cos(bearing)), bearing)
        dam = np.maximum(np.abs(s) / (0.5 * side), np.abs(t) / (0.6 * side)) + 0.05 * wave
        basin = (dam < 1) & (zone == _NONE)
        zone[basin], onset[basin] = np.where(dam > 0.82, _SPOIL, _WHITE)[basin], 0.3
        zone[basin & (np.hypot(s / (0.34 * side), (t - 0.1 * side) / (0.3 * side)) + 0.12 * wave < 1)] = _POND
    return zone, onset


def _heap(
    box: Box, place: tuple[tuple[int, int], float, float], size: float, layers: _Layers, rng: np.random.Generator
) -> None:
    """Add a heap of spoil beside a pit to zone and onset, in place; `place`: the pit's middle, radius and bearing."""
    spot, near, bearing = place
    zone, onset = layers
    radius, long = math.sqrt(size / np.pi), float(rng.uniform(1.1, 1.6))
    far = near + 0.5 * radius / long
    u, v = axes(box, (spot[0] + far * math.sin(bearing), spot[1] + far * math.cos(bearing)), bearing + np.pi / 2)
    inner = np.hypot(u / (long * radius), v * long / radius) + 0.12 * new_noise(zone.shape, rng, 2.6, 30, 7)
    heap = (inner < 1) & (zone == _NONE)
    zone[heap], onset[heap] = _SPOIL, np.clip(0.2 + 0.7 * inner, 0, 1)[heap]


def _radius(bearing: float, a: float, b: float) -> float:
    """Distance from an ellipse's centre to its rim, pixels."""
    return a * b / math.hypot(b * math.cos(bearing), a * math.sin(bearing))


def _strip(
    survey: Survey, box: Box, spot: tuple[int, int], plan: tuple[float, int], rng: np.random.Generator
) -> _Layers:
    """Parallel cuts, one after another, with ridges of spoil between them; the last one lies open to the seam."""
    goal, rock = plan
    stretch, turn = float(rng.uniform(0.8, 1.6)), float(rng.uniform(0, 2 * np.pi))
    long, wide = math.sqrt(goal * stretch), math.sqrt(goal / stretch)
    u, v = axes(box, spot, turn)
    wave = new_noise(u.shape, rng, 2.6, 60, 8).astype(np.float64)
    bent = u + 1.2 * wave + 0.15 * v * v / wide
    place = bent / long + 0.5
    site = largest((place > 0) & (place < 1) & (np.abs(v) + 1.5 * wave < wide / 2))
    cut = place * max(3.0, round(long / float(rng.uniform(4.5, 7))))
    part = cut - np.floor(cut)
    zone = np.where(part < 0.42, _GREY, _SPOIL).astype(np.uint8)
    zone[place > 1 - 0.16] = rock
    zone[(place > 0.8) & (place <= 0.84)] = _SPOIL
    zone[(part < 0.3) & (np.abs(v + 0.2 * wide) < 0.16 * wide) & (place < 0.7)] = _POND
    zone[~site] = _NONE
    return zone, np.where(site, place, 0.0)


def _gravel(
    survey: Survey, box: Box, spot: tuple[int, int], plan: tuple[float, int], rng: np.random.Generator
) -> _Layers:
    """One to four basins with dykes between them, dug one after another, that fill with ground water."""
    goal, rock = plan
    goal = max(0.6 * goal, survey.limits("mine")[0] * 1.25)
    count = int(rng.integers(1, 3 if goal < 1_500 else 5))
    turn, stretch = float(rng.uniform(0, np.pi)), float(rng.uniform(0.9, 1.6))
    wide, high = math.sqrt(1.15 * goal / count / stretch), math.sqrt(1.15 * goal / count * stretch)
    columns = min(count, 2) if rng.random() < 0.6 else count
    u, v = axes(box, spot, turn)
    zone, onset = np.full(u.shape, _NONE, np.uint8), np.zeros(u.shape)
    for n in range(count):
        wave = new_noise(u.shape, rng, 2.6, 40, 6).astype(np.float64)
        i, j = divmod(n, columns)
        s, t = u - (j - (columns - 1) / 2) * wide, v - (i - (count / columns - 1) / 2) * high
        lean = float(rng.normal(0, 0.12))
        inside = np.minimum(wide / 2 - np.abs(s + lean * t), high / 2 - np.abs(t - lean * s)) + 1.1 * wave
        inside = np.minimum(inside, 0.85 * math.hypot(wide, high) / 2 - np.hypot(s, t) + 1.5 * wave)
        basin = (inside > 0) & (zone == _NONE)
        shore = float(rng.uniform(1.2, 2.4))
        dry = (inside < shore) | ((n == count - 1) & (t > 0.1 * high))  # the last basin is still being dug
        zone[basin] = np.where(dry, rock, _POND)[basin]
        onset[basin] = (n + 0.9 * np.clip(t / high + 0.5, 0, 1))[basin]
    heap = np.hypot(u - columns * wide / 2 - 1, v) < max(2.5, 0.12 * math.sqrt(goal))
    zone[heap & (zone == _NONE)] = _SPOIL
    return zone, onset


def _placer(
    survey: Survey, box: Box, spot: tuple[int, int], plan: tuple[float, int], rng: np.random.Generator
) -> _Layers:
    """Ragged diggings along a river, a chain of brown ponds between pale tailings; they work their way along it."""
    goal, rock = plan
    goal = max(0.45 * goal, survey.limits("mine")[0] * 1.5)
    wide = float(rng.uniform(8, 18))
    u, v = axes(box, spot, float(rng.uniform(0, 2 * np.pi)))
    zone, onset = np.full(u.shape, _NONE, np.uint8), np.zeros(u.shape)
    away = ndimage.distance_transform_edt(~survey.river[box])
    row, col = spot[0] - (box[0].start or 0), spot[1] - (box[1].start or 0)
    far = np.hypot(u, v)
    wave = new_noise(u.shape, rng, 2.0, 30, 4).astype(np.float64)
    bank = (away + 3.0 * wave < wide) & (away > 1) & ~survey.water[box]
    parts, _ = ndimage.label(bank)
    if parts[row, col]:
        bank = parts == parts[row, col]  # one bank
    order = np.sort(far[bank])
    reach = float(order[min(int(1.25 * goal), order.size - 1)]) if order.size else 0.0
    pools = new_noise(u.shape, rng, 1.6, 16, 5).astype(np.float64)
    dug = bank & (far + 3 * wave < reach) & (pools < 1.5)
    zone[dug] = np.where(pools < -0.35, _POND, np.where(pools > 0.75, _SPOIL, rock))[dug]
    onset[dug] = u[dug]
    return zone, onset


def _haul_road(survey: Survey, box: Box, dug: Mask) -> Mask:
    """(h, w), a pixel-wide way from the diggings to the nearest road in the window; nothing where there is none."""
    roads = np.argwhere(survey.road[box])
    if not dug.any() or len(roads) == 0:
        return np.zeros_like(dug)
    away = np.where(dug, survey.road_distance[box], np.inf)
    start = np.array(divmod(int(np.argmin(away)), dug.shape[1]))
    end = roads[int(np.argmin(np.hypot(*(roads - start).T)))]
    if np.array_equal(start, end):
        return np.zeros_like(dug)
    whole = slice(0, dug.shape[0]), slice(0, dug.shape[1])
    distance, _ = along(np.array([start, end], dtype=np.float64), whole, 1.0)
    return np.asarray(distance < 0.6)


_MAKERS: dict[str, Callable[[Survey, Box, tuple[int, int], tuple[float, int], np.random.Generator], _Layers]] = {
    "quarry": _quarry,
    "pit": _pit,
    "strip": _strip,
    "gravel": _gravel,
    "placer": _placer,
}
"""Form → what draws it into a window; `plan` is its size in pixels and the zone of its rock."""

_REACH: dict[str, float] = {"quarry": 1.3, "pit": 1.9, "strip": 1.2, "gravel": 1.6, "placer": 3.2}
"""Form → half the window's side, as a part of the square root of its size: room for what the form draws."""
