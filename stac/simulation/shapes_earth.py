"""Where the ground itself moves: landslides, and mines that dig and heap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Field
from .noise import blur, new_noise
from .shapes import Box, Shape, Survey, along, axes, largest

_PIT, _SPOIL, _POND = 0, 1, 2


def new_landslide(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """Scars down steep slopes with fans of debris, one or several of one storm. Zones: 0 scar, 1 deposit."""
    goal = survey.goal("landslide", rng)
    slope = survey.slope
    if "steep" not in survey.spots:
        bound = max(0.25, float(np.quantile(slope, 0.85)))
        survey.pick("steep", (slope > bound) & ~survey.water & ~survey.built, rng)
    spot = survey.pick("steep", None, rng)
    if spot is None:
        return None
    many = 1 if goal < 200 or rng.random() < 0.45 else int(rng.integers(2, 3 + int(goal / 120)))
    box = survey.box(spot, (0 if many == 1 else 34) + 2.2 * math.sqrt(goal) + 20)
    height = ndimage.gaussian_filter(survey.ground.relief.height[box].astype(np.float64), 1.5)
    steep = slope[box] > max(0.22, 0.75 * float(slope[spot]))
    steep &= ~survey.taken[box] & ~survey.water[box]
    crowns = _crowns(steep, (spot[0] - box[0].start, spot[1] - box[1].start), many, rng)
    parts = rng.dirichlet(np.full(len(crowns), 2.0)) * goal if len(crowns) > 1 else np.array([goal])
    strength, onset = np.zeros(height.shape, np.float32), np.zeros(height.shape, np.float32)
    zone = np.zeros(height.shape, np.uint8)
    for crown, size in zip(crowns, parts.tolist(), strict=True):
        _slide(height, crown, size, (strength, onset, zone), rng)
    strength[survey.water[box] | survey.taken[box]] = 0
    low, most = survey.limits("landslide")
    if not max(low, 0.5 * goal) <= np.count_nonzero(strength > 0.3) <= 1.15 * most:
        return None
    return survey.finish(box, (strength, onset, zone))


def _crowns(
    steep: NDArray[np.bool_], first: tuple[int, int], many: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Places where slides break loose: the first, and others at least nine pixels from each other."""
    crowns = [first]
    places = np.argwhere(steep)
    for row, col in rng.permutation(places)[:200].tolist():
        if len(crowns) == many:
            break
        if 4 < row < steep.shape[0] - 5 and min(math.hypot(row - a, col - b) for a, b in crowns) > 9:
            crowns.append((row, col))
    return crowns


def _slide(
    height: NDArray[np.float64],
    crown: tuple[int, int],
    size: float,
    layers: tuple[Field, Field, NDArray[np.uint8]],
    rng: np.random.Generator,
) -> None:
    """Draw one slide of about `size` pixels into strength, onset and zone, in place; nothing where it is too short."""
    slim = float(rng.uniform(4, 8))
    length, half = math.sqrt(size * slim), math.sqrt(size / slim) / 2
    line = descent(height, crown, length)
    if len(line) < 5:
        return
    whole = slice(0, height.shape[0]), slice(0, height.shape[1])
    reach = 2.2 * half + 2
    away, place = along(line, whole, reach)
    end = max(float(place.max()), 1.0)
    part = place / end
    foot = float(rng.uniform(0.68, 0.8))
    width = np.where(part < foot, half * (0.55 + 0.55 * part / foot), half * (1.1 + 0.6 * (part - foot) / (1 - foot)))
    width = np.maximum(width * np.exp(0.12 * new_noise(height.shape, rng, 1.8, 16, 3).astype(np.float64)), 0.6)
    here = np.clip(width + 0.5 - away, 0, 1)
    here[here < 0.2] = 0
    strength, onset, zone = layers
    new = here > strength
    strength[new], onset[new] = here[new], part[new]
    zone[new] = (part > foot)[new]


def descent(height: NDArray[np.float64], crown: tuple[int, int], length: float) -> NDArray[np.float64]:
    """The way down from a crown, (n, 2) rows and columns a pixel apart; it ends where the ground is nearly level."""
    rows, cols = height.shape
    row, col = float(crown[0]), float(crown[1])
    line = [(row, col)]
    heading: tuple[float, float] | None = None
    while len(line) < length and 2 <= row < rows - 3 and 2 <= col < cols - 3:
        r, c = round(row), round(col)
        fall = float(height[r - 1, c] - height[r + 1, c]), float(height[r, c - 1] - height[r, c + 1])
        steep = math.hypot(*fall)
        if steep < 20 * 0.07:
            break
        aim = fall[0] / steep, fall[1] / steep
        if heading is not None:
            aim = 0.5 * aim[0] + 0.5 * heading[0], 0.5 * aim[1] + 0.5 * heading[1]
            size = max(math.hypot(*aim), 1e-6)
            aim = aim[0] / size, aim[1] / size
        heading = aim
        row, col = row + aim[0], col + aim[1]
        line.append((row, col))
    return np.array(line)


def new_mine(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """An open pit that grows outwards, heaps of spoil beside it, a pond. Zones: 0 pit, 1 spoil, 2 pond."""
    goal = survey.goal("mine", rng)
    if "wild" not in survey.spots:
        wild = ~survey.field & ~survey.water & ~survey.built & ~survey.road & (survey.slope < 0.6)
        wild &= blur(wild.astype(np.float32), 10, 1) > 0.85
        near = wild & (survey.road_distance > 4) & (survey.road_distance < 40)
        survey.pick("wild", near if near.sum() > 500 else wild, rng)
    spot = survey.pick("wild", None, rng)
    if spot is None:
        return None
    box = survey.box(spot, 1.9 * math.sqrt(goal) + 8)
    shape = survey.taken[box].shape
    wave = new_noise(shape, rng, 2.8, 50, 8).astype(np.float64)
    pit_size = goal * float(rng.uniform(0.48, 0.62))
    stretch, turn = float(rng.uniform(1.0, 1.6)), float(rng.uniform(0, np.pi))
    u, v = axes(box, spot, turn)
    a, b = math.sqrt(pit_size / np.pi * stretch), math.sqrt(pit_size / np.pi / stretch)
    inner = np.hypot(u / a, v / b) + 0.10 * wave
    pit = largest(inner < 1)
    zone, onset, strength = np.full(shape, 255, np.uint8), np.zeros(shape), np.zeros(shape)
    zone[pit], strength[pit] = _PIT, 1.0
    onset[pit] = np.clip(inner, 0, 1)[pit]
    _heap(survey, box, (spot, turn, a, b), goal - pit_size, (zone, onset, strength), rng)
    dug = largest(ndimage.binary_opening(zone < 255, iterations=2))
    site = ndimage.binary_fill_holes(ndimage.binary_closing(dug, iterations=2))
    free = ~survey.taken[box] & ~survey.water[box] & ~survey.built[box]
    site_size = np.count_nonzero(site)
    low, most = survey.limits("mine")
    changed = dug & free
    rim = site[0].any() or site[-1].any() or site[:, 0].any() or site[:, -1].any()
    if rim or (site & survey.taken[box]).any() or np.count_nonzero(site & free) < 0.93 * site_size:
        return None
    if not low <= np.count_nonzero(changed) <= 1.15 * most:
        return None
    strength = np.where(changed, strength, 0)
    return survey.finish(box, (strength.astype(np.float32), onset.astype(np.float32), zone), site)


def _heap(
    survey: Survey,
    box: Box,
    pit: tuple[tuple[int, int], float, float, float],
    size: float,
    layers: tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]],
    rng: np.random.Generator,
) -> None:
    """Add heaps of spoil around a pit and a pond beside them to zone, onset and strength, in place."""
    spot, turn, a, b = pit
    zone, onset, strength = layers
    count = int(rng.integers(1, 4))
    parts = rng.dirichlet(np.full(count, 3.0)) * size * 0.92
    bearing = float(rng.uniform(0, 2 * np.pi))
    for n, part in enumerate(parts.tolist()):
        bearing += float(rng.uniform(0.8, 1.7)) if n else 0.0
        radius = math.sqrt(part / np.pi)
        far = _radius(bearing - turn, a, b) + 0.42 * radius
        centre = spot[0] + far * math.sin(bearing), spot[1] + far * math.cos(bearing)
        u, v = axes(box, centre, bearing + np.pi / 2)
        wave = new_noise(zone.shape, rng, 2.6, 30, 7)
        inner = np.hypot(u / (1.5 * radius), v / (0.78 * radius)) + 0.12 * wave
        heap = (inner < 1) & (zone == 255)
        zone[heap], strength[heap] = _SPOIL, 0.95
        out = np.hypot(*(np.mgrid[box][k] - spot[k] for k in (0, 1))) / (far + radius)
        onset[heap] = np.clip(0.15 + 0.25 * n / count + 0.6 * out, 0, 1)[heap]
    bearing += float(rng.uniform(1.2, 2.2))
    radius = max(1.6, math.sqrt(0.05 * size))
    far = 0.45 * _radius(bearing - turn, a, b)
    u, v = axes(box, (spot[0] + far * math.sin(bearing), spot[1] + far * math.cos(bearing)), bearing)
    pond = (np.hypot(u / radius, v / (0.7 * radius)) < 1) & (zone != 255)
    zone[pond], onset[pond], strength[pond] = _POND, 0.62, 1.0


def _radius(bearing: float, a: float, b: float) -> float:
    """Distance from an ellipse's centre to its rim, pixels."""
    return a * b / math.hypot(b * math.cos(bearing), a * math.sin(bearing))
