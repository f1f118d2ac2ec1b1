"""Where slopes give way: landslides, alone or many of one storm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Field
from .noise import new_noise
from .shapes import Mask, Shape, Survey, along

_SCAR, _DEPOSIT = 0, 1

_STEEP = 0.25
"""Least slope on which ground breaks loose, metres per metre. assumed: 14 degrees, below which earth seldom slides."""

_RIDGE = 45
"""Pixels that are climbed at most from a steep place towards the ridge above it, where a slide begins. assumed."""


def new_landslide(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """Long tongues down steep slopes, one or several of one storm. Zones: 0 scar, 1 deposit.

    Each begins narrow below a ridge, widens on its way down the fall line and runs out on the floor of the valley.
    """
    goal = survey.goal("landslide", rng)
    spot = _steep_spot(survey, rng)
    if spot is None:
        return None
    many = 1 if goal < 250 or (goal < 600 and rng.random() < 0.4) else int(rng.integers(2, 3 + int(goal / 160)))
    box = survey.box(spot, (0 if many == 1 else 30) + 3.2 * math.sqrt(goal) + 24)
    height = ndimage.gaussian_filter(survey.ground.relief.height[box].astype(np.float64), 1.5)
    free = ~survey.taken[box] & ~survey.water[box] & ~survey.built[box]
    steep = free & (survey.slope[box] > max(_STEEP, 0.75 * float(survey.slope[spot])))
    green = steep & survey.forest[box]
    steep = green if np.count_nonzero(green) > 40 else steep
    places = _places(steep, (spot[0] - box[0].start, spot[1] - box[1].start), many, rng)
    parts = rng.dirichlet(np.full(len(places), 2.0)) * goal if len(places) > 1 else np.array([goal])
    layers = np.zeros(height.shape, np.float32), np.zeros(height.shape, np.float32), np.zeros(height.shape, np.uint8)
    for place, size in zip(places, parts.tolist(), strict=True):
        _slide(height, survey.slope[box], ascent(height, place, _RIDGE), size, layers, rng)
    strength, onset, zone = layers
    strength[~free] = 0
    low, most = survey.limits("landslide")
    if not max(low, 0.5 * goal) <= np.count_nonzero(strength > 0.3) <= 1.15 * most:
        return None
    return survey.finish(box, (strength, onset, zone))


def _steep_spot(survey: Survey, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free steep place: in forest, where there is enough of it, for bare scars are few among rocks."""
    if "steep" not in survey.spots:
        slope = survey.slope
        steep = (slope > max(_STEEP, float(np.quantile(slope, 0.85)))) & ~survey.water & ~survey.built
        green = (slope > _STEEP + 0.05) & survey.forest
        survey.pick("steep", green if np.count_nonzero(green) > 400 else steep, rng)
    return survey.pick("steep", None, rng)


def _places(steep: Mask, first: tuple[int, int], many: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Steep places that give way: the first, and others at least nine pixels from each other."""
    found = [first]
    for row, col in rng.permutation(np.argwhere(steep))[:200].tolist():
        if len(found) == many:
            break
        if 4 < row < steep.shape[0] - 5 and min(math.hypot(row - a, col - b) for a, b in found) > 9:
            found.append((row, col))
    return found


def _slide(
    height: NDArray[np.float64],
    slope: Field,
    crown: tuple[int, int],
    size: float,
    layers: tuple[Field, Field, NDArray[np.uint8]],
    rng: np.random.Generator,
) -> None:
    """Draw one slide of about `size` pixels into strength, onset and zone, in place; nothing where it is too short."""
    slim = float(rng.uniform(6, 13))
    line = descent(height, crown, math.sqrt(size * slim))
    if len(line) < 12:
        return
    half = min(max(0.5 * size / len(line), 0.9), 0.11 * len(line), 5.0)
    whole = slice(0, height.shape[0]), slice(0, height.shape[1])
    away, place = along(line, whole, 2.2 * half + 2)
    part = place / max(float(place.max()), 1.0)
    at = np.clip(np.rint(line), 0, np.array(height.shape) - 1).astype(np.intp)
    level = np.flatnonzero(slope[at[:, 0], at[:, 1]] < 0.18)  # where the debris comes to rest
    foot = float(np.clip(level[level > 0.5 * len(line)].min(initial=len(line)) / len(line), 0.6, 0.85))
    tongue = half * (0.35 + 0.85 * np.clip(part / foot, 0, 1))
    width = np.where(part < foot, tongue, half * (1.2 + 0.6 * np.sin(np.pi * (part - foot) / (1 - foot))))
    width = np.maximum(width * np.exp(0.16 * new_noise(height.shape, rng, 1.8, 16, 3).astype(np.float64)), 0.6)
    here = np.clip(width + 0.5 - away, 0, 1)
    here[here < 0.2] = 0
    strength, onset, zone = layers
    new = here > strength
    strength[new], onset[new] = here[new], part[new]
    zone[new] = np.where(part > foot, _DEPOSIT, _SCAR)[new]


def ascent(height: NDArray[np.float64], place: tuple[int, int], reach: int) -> tuple[int, int]:
    """The place `reach` steps at most up the slope from another, below the ridge or where the ground is less steep.

    Args:
        height: (h, w), metres.
        place: Row and column in it.
        reach: Steps of one pixel, also diagonal.
    """
    row, col = place
    for _ in range(reach):
        if not (3 <= row < height.shape[0] - 4 and 3 <= col < height.shape[1] - 4):
            break
        around = height[row - 1 : row + 2, col - 1 : col + 2]
        up, right = divmod(int(np.argmax(around)), 3)
        if around[up, right] - height[row, col] < 10 * _STEEP:
            break
        row, col = row + up - 1, col + right - 1
    return row, col


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
