"""Where trees are felled: clear-cut blocks, and selective logging with gaps and skid trails."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import MCP_Geometric

from .ground import Field
from .means import blur
from .noise import new_noise
from .shapes import Box, Mask, Shape, Survey, axes, largest

_LOGGED = 0.17, 0.33
"""Least and largest part of a logged site whose trees are gone: see `new_logging`."""


def new_clear_cut(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """One block with straight and natural sides in forest, or a row of neighbours. Zones: 0 block, 1 landing.

    Streams keep a strip of trees, large blocks keep a few groups of trees. Blocks are cut one after another, each in
    strips from one side.
    """
    pasture = survey.ground.biome == "rainforest"
    scale = 2.2 if pasture else 1.0  # assumed: there, whole pastures are cleared at once
    goal = scale * survey.goal("clear_cut", rng)
    spot = _forest_spot(survey, rng)
    if spot is None:
        return None
    count = 1 if goal < 700 or pasture or rng.random() < 0.5 else int(rng.integers(2, 4 if goal < 1500 else 5))
    stretch, turn = float(rng.uniform(1.0, 2.0)), float(rng.uniform(0, np.pi))
    high, wide = math.sqrt(goal / count * stretch), math.sqrt(goal / count / stretch)
    gap = float(rng.uniform(3, 7))
    box = survey.box(spot, 0.75 * max(high, count * (wide + gap)) + 12)
    u, v = axes(box, spot, turn)
    free = survey.forest[box] & ~survey.taken[box]
    free &= survey.ground.relief.drainage[box] < 2.6
    wave = new_noise(u.shape, rng, 2.4, 36, 9)
    trees = new_noise(u.shape, rng, 1.8, 24, 5) > 2.3
    strength, onset = np.zeros(u.shape, np.float32), np.zeros(u.shape, np.float32)
    zone = np.zeros(u.shape, np.uint8)
    wanted = 0.0
    for n in range(count):
        shift = (n - (count - 1) / 2) * (wide + gap), float(rng.normal(0, 0.12 * high)) if count > 1 else 0.0
        block = _block(u - shift[0], v - shift[1], (wide / 2, high / 2), wave, rng)
        wanted += float(block.sum())
        block = np.where(free & ~(trees & (block >= 1)), block, 0).astype(np.float32)
        block[block < 0.25] = 0
        block[~largest(block > 0)] = 0
        if np.count_nonzero(block) < 0.5 * wide * high:
            continue
        strength = np.maximum(strength, block)
        inside = block > 0
        turn_ = (v - shift[1]) / high + 0.5
        onset[inside] = (n + 0.92 * np.clip(turn_, 0, 1)[inside]).astype(np.float32)
        zone[_landing(survey, box, inside, float(rng.uniform(1.6, 2.8)))] = 1
    low, most = survey.limits("clear_cut")
    if not low <= strength.sum() <= 1.1 * scale * most or strength.sum() < 0.72 * wanted:
        return None
    return survey.finish(box, (strength, onset, zone))


def _forest_spot(survey: Survey, rng: np.random.Generator) -> tuple[int, int] | None:
    """A free place well inside forest."""
    if "forest" not in survey.spots:
        survey.pick("forest", survey.forest & (blur(survey.forest.astype(np.float32), 8, 1) > 0.75), rng)
    return survey.pick("forest", None, rng)


def _block(
    u: NDArray[np.float64], v: NDArray[np.float64], half: tuple[float, float], wave: Field, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(h, w), part of each pixel inside a block whose sides lean a little; one or two of them are natural."""
    sides = []
    natural = rng.permutation(4)[: int(rng.integers(1, 3))].tolist()
    for n, (along, across, reach) in enumerate(
        ((u, v, half[0]), (-u, -v, half[0]), (v, -u, half[1]), (-v, u, half[1]))
    ):
        lean = float(rng.normal(0, 0.10))
        side = reach - along * math.cos(lean) - across * math.sin(lean)
        sides.append(side + (2.2 * wave if n in natural else 0))
    return np.asarray(np.clip(np.minimum.reduce(sides) + 0.5, 0, 1), dtype=np.float64)


def _landing(survey: Survey, box: Box, inside: Mask, radius: float) -> Mask:
    """The corner of a block that is nearest to a road, where logs are stacked."""
    away = np.where(inside, survey.road_distance[box], np.inf)
    row, col = divmod(int(np.argmin(away)), inside.shape[1])
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]]
    return np.asarray(inside & (np.hypot(y - row, x - col) < radius))


def new_logging(survey: Survey, rng: np.random.Generator) -> Shape | None:
    """Selective logging: gaps of a few pixels beside skid trails that fork from a road. Zones: 0 gap, 1 trail.

    Trails pass landings, where logs are stacked. assumed: a sixth to a third of the site is disturbed, of the order of
    the canopy that conventional logging opens in the eastern Amazon (Asner et al. 2004, Ecological Applications 14,
    S280).
    """
    goal = survey.goal("logging", rng)
    if "stands" not in survey.spots:
        wide = blur(survey.forest.astype(np.float32), 22, 1)
        survey.pick("stands", survey.forest & (wide > min(0.75, float(np.quantile(wide, 0.9)))), rng)
    spot = survey.pick("stands", None, rng)
    if spot is None:
        return None
    stretch = float(rng.uniform(1.0, 1.8))
    half = math.sqrt(goal / np.pi * stretch), math.sqrt(goal / np.pi / stretch)
    box = survey.box(spot, 1.5 * half[0] + 20)
    u, v = axes(box, spot, float(rng.uniform(0, np.pi)))
    wave = new_noise(u.shape, rng, 2.2, 60, 4)
    free = ~survey.taken[box] & ~survey.water[box]
    region = (np.hypot(u / half[0], v / half[1]) + 0.16 * wave < 1) & free
    region = largest(
        ndimage.binary_opening(region & ndimage.binary_closing(survey.forest[box], iterations=2), iterations=2)
    )
    size = int(np.count_nonzero(region))
    low, most = survey.limits("logging")
    if size < max(low, 0.6 * goal) or size > 1.1 * most:
        return None
    share = float(rng.uniform(*_LOGGED))
    ease = 1 + 10 * survey.slope[box] + 1.5 * np.clip(new_noise(u.shape, rng, 1.8, 24, 2), 0, 3)
    ease = np.where(free & ~survey.built[box], np.where(region, ease, 2.5 * ease), -1).astype(np.float64)
    search = MCP_Geometric(ease)
    far, _ = search.find_costs([_gate(survey, box, region, ease > 0)])
    trail = _trails(search, far, region, 0.36 * share * size, rng)
    _stack_logs(trail, region & survey.forest[box], 1 + size // 1_500, rng)
    strength, zone = trail, (trail > 0).astype(np.uint8)
    _cut_gaps(strength, region & survey.forest[box], share * size, rng)
    disturbed = np.count_nonzero((strength > 0) & region)
    if not 0.9 * _LOGGED[0] * size <= disturbed <= 1.1 * _LOGGED[1] * size:
        return None
    onset = np.where(np.isfinite(far), far, 0) * (1 + 0.04 * rng.standard_normal(far.shape))
    return survey.finish(box, (strength, onset.astype(np.float32), zone), region)


def _gate(survey: Survey, box: Box, region: Mask, passable: Mask) -> tuple[int, int]:
    """Where machines come in: a near road in the window, else the region's pixel that is nearest to one."""
    away = survey.road_distance[box]
    inner = np.where(region, away, np.inf)
    gate: tuple[int, int] = divmod(int(np.argmin(inner)), region.shape[1])
    roads = np.argwhere(survey.road[box] & passable)
    if 0 < inner.min() < 40 and len(roads):
        distance = np.hypot(roads[:, 0] - gate[0], roads[:, 1] - gate[1])
        if distance.min() < 45:
            row, col = roads[int(np.argmin(distance))]
            return int(row), int(col)
    return gate


def _trails(
    search: MCP_Geometric, far: NDArray[np.float64], region: Mask, goal: float, rng: np.random.Generator
) -> Field:
    """(h, w), strength of skid trails to places of the region, until `goal` pixels are trail; main trails are wider."""
    strength = np.zeros(region.shape, np.float32)
    ends = np.flatnonzero(region & np.isfinite(far))
    for _ in range(200):
        if ends.size == 0 or np.count_nonzero(strength) >= goal:
            break
        end = divmod(int(rng.choice(ends)), region.shape[1])
        rows, cols = np.array(search.traceback(end)).T
        used = strength[rows, cols]
        strength[rows, cols] = np.where(used > 0, np.minimum(used + 0.08, 0.85), 0.5)
    return strength


def _stack_logs(strength: Field, region: Mask, count: int, rng: np.random.Generator) -> None:
    """Clear landings of 0.05 to 0.15 ha beside the trails of a region, in place; the busiest trails come first."""
    places = np.argwhere(region & (strength > 0))
    if len(places) == 0:
        return
    rank = strength[places[:, 0], places[:, 1]] + 0.3 * rng.random(len(places))
    y, x = np.mgrid[: region.shape[0], : region.shape[1]]
    chosen: list[tuple[int, int]] = []
    for row, col in places[np.argsort(-rank, kind="stable")].tolist():
        if len(chosen) == count:
            break
        if all(math.hypot(row - a, col - b) > 18 for a, b in chosen):
            chosen.append((row, col))
            strength[region & (np.hypot(y - row, x - col) < float(rng.uniform(1.3, 2.2)))] = 1.0


def _cut_gaps(strength: Field, region: Mask, goal: float, rng: np.random.Generator) -> None:
    """Fell trees in gaps of one to five pixels, mostly near trails, until `goal` pixels are disturbed; in place."""
    away = ndimage.distance_transform_edt(strength == 0)
    likely = np.exp(-np.maximum(away - 1, 0) / 6.0).ravel()
    places = np.flatnonzero(region & (strength == 0))
    if places.size == 0:
        return
    places = rng.permutation(places)
    places = places[rng.random(places.size) < likely[places]]
    cols = region.shape[1]
    gone = int(np.count_nonzero((strength > 0) & region))
    for place in places.tolist():
        if gone >= goal:
            break
        row, col = divmod(place, cols)
        cells = [(row, col), *((row + int(a), col + int(b)) for a, b in rng.integers(-1, 2, (4, 2)))]
        force = float(rng.uniform(0.5, 0.95))
        for n, (a, b) in enumerate(cells[: int(rng.integers(1, 6))]):
            if 0 <= a < region.shape[0] and 0 <= b < cols and region[a, b] and strength[a, b] == 0:
                strength[a, b] = force if n == 0 else max(0.3, force * float(rng.uniform(0.5, 1)))
                gone += 1
